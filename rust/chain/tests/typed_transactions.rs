//! Transactions with a type: how each generation reads, hashes, stores and recovers them (§2.3 to §2.5, §2.7, §2.8).

#![allow(clippy::unwrap_used, reason = "a test says what went wrong by failing")]

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use polygon_edge_chain::{
    block::{decode_stored_body, network_form, position_in_stored_body, put_stored_body},
    forks::{Forks, Generation, Rules},
    rlp,
    sender::{recover_sender, signing_hash},
    signature::SigningKey,
    transaction::{Form, Transaction, Type, transactions_root},
    trie::ordered_root,
};

const CHAIN_ID: u64 = 100;
const ORDER: U256 = U256::from_limbs([0xbfd2_5e8c_d036_4141, 0xbaae_dce6_af48_a03b, 0xffff_ffff_ffff_fffe, u64::MAX]);

/// Encoded items of a payload, changed by tests before it is put together.
type Fields = Vec<Vec<u8>>;

fn bytes(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    rlp::put_bytes(&mut out, bytes);
    out
}

fn number(value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    rlp::put_u64(&mut out, value);
    out
}

fn wide(value: U256) -> Vec<u8> {
    let mut out = Vec::new();
    rlp::put_u256(&mut out, &value);
    out
}

fn list(fields: &[Vec<u8>]) -> Bytes {
    let mut out = Vec::new();
    rlp::put_list(&mut out, &fields.concat());
    out.into()
}

/// nonce, gas price, gas, to, value, input, v, r, s
fn legacy() -> Fields {
    let mut fields: Fields = [7, 3, 21_000].map(number).to_vec();
    fields.push(bytes(&[5; 20]));
    fields.extend([number(9), bytes(&[]), number(27), number(1), number(1)]);
    fields
}

/// chain id, nonce, tip cap, fee cap, gas, to, value, input, access list, v, r, s
fn dynamic() -> Fields {
    let mut fields: Fields = [CHAIN_ID, 7, 2, 5, 21_000].map(number).to_vec();
    fields.push(bytes(&[5; 20]));
    fields.extend([number(9), bytes(&[1, 2]), vec![0xc0], vec![0x80], number(1), number(1)]);
    fields
}

fn state() -> Fields {
    let mut fields = legacy();
    fields.push(bytes(&[0xfe; 20]));
    fields
}

fn form(generation: Generation, hashed_with_type: bool) -> Form {
    Form { generation, hashed_with_type }
}

/// Decodes a list of items as that of a block.
fn decode(items: &[Bytes], form: Form) -> Result<Vec<Transaction>, String> {
    let whole = list(&items.iter().map(|item| item.to_vec()).collect::<Vec<_>>());
    let items = rlp::parse(&whole).unwrap().list("transactions").unwrap();
    Transaction::decode_list(items, &whole, form).map_err(|error| error.to_string())
}

fn typed(byte: u8, fields: &Fields, form: Form) -> Result<Transaction, String> {
    decode(&[bytes(&[byte]).into(), list(fields)], form).map(|mut transactions| transactions.remove(0))
}

#[test]
fn each_generation_has_its_types() {
    let (g1, g2, g3) = (form(Generation::G1, false), form(Generation::G2, false), form(Generation::G3, false));
    for (byte, fields, known) in [
        (0x00, legacy(), [false, true, true]),
        (0x7f, state(), [false, true, true]),
        (0x02, dynamic(), [false, false, true]),
    ] {
        for (form, known) in [g1, g2, g3].into_iter().zip(known) {
            assert_eq!(typed(byte, &fields, form).is_ok(), known, "{byte:#x} {form:?}");
        }
    }
    for byte in [0x01, 0x03, 0x7e] {
        assert!(typed(byte, &legacy(), g3).unwrap_err().contains("expected 0x00, 0x02 or 0x7f"));
    }
    assert!(decode(&[bytes(&[0x7f]).into()], g3).unwrap_err().contains("transaction payload"));
    assert!(decode(&[bytes(&[0x7f, 0]).into(), list(&state())], g3).is_err());
    assert_eq!(typed(0x00, &legacy(), g3).unwrap().kind, Type::Legacy);
}

#[test]
fn the_last_generation_counts_items_exactly_and_those_before_it_do_not() {
    for (byte, fields) in [(0x00, legacy()), (0x7f, state()), (0x02, dynamic())] {
        let (mut more, mut fewer) = (fields.clone(), fields.clone());
        more.push(number(1));
        fewer.pop();
        for wrong in [more, fewer] {
            let error = typed(byte, &wrong, form(Generation::G3, true)).unwrap_err();
            assert!(error.contains(&format!("expected {} items", fields.len())), "{error}");
        }
    }
    let mut more = legacy();
    more.push(number(1));
    let canonical = list(&legacy());
    for generation in [Generation::G1, Generation::G2] {
        let transaction = decode(&[list(&more)], form(generation, false)).unwrap().remove(0);
        assert_eq!(transaction.payload, canonical);
        // G1 keeps the hash of what it received.
        assert_eq!(transaction.hash == keccak256(&canonical), generation != Generation::G1);
    }
    // A state transaction of G2 without its sender has the zero one.
    let transaction = typed(0x7f, &legacy(), form(Generation::G2, false)).unwrap();
    assert_eq!(transaction.from, Some(Address::ZERO));
    assert_eq!(rlp::parse(&transaction.payload).unwrap().list("payload").unwrap().count(), 10);
}

#[test]
fn the_hash_leaves_type_and_chain_id_out_until_the_fork() {
    let payload = list(&dynamic());
    let mut without_chain_id = dynamic();
    without_chain_id[0] = vec![0x80];
    let before = typed(0x02, &dynamic(), form(Generation::G3, false)).unwrap();
    assert_eq!(before.hash, keccak256(list(&without_chain_id)));
    assert_eq!(before.payload, payload);
    let after = typed(0x02, &dynamic(), form(Generation::G3, true)).unwrap();
    assert_eq!(after.hash, keccak256([&[0x02], payload.as_ref()].concat()));
    let state_payload = list(&state());
    assert_eq!(typed(0x7f, &state(), form(Generation::G3, false)).unwrap().hash, keccak256(&state_payload));
    let after = typed(0x7f, &state(), form(Generation::G3, true)).unwrap();
    assert_eq!(after.hash, keccak256([&[0x7f], state_payload.as_ref()].concat()));
    for with_type in [false, true] {
        let form = form(Generation::G3, with_type);
        let transactions = [typed(0x00, &legacy(), form).unwrap(), typed(0x02, &dynamic(), form).unwrap()];
        let second = if with_type { [&[0x02], payload.as_ref()].concat() } else { list(&without_chain_id).to_vec() };
        assert_eq!(
            transactions_root(&transactions, form),
            ordered_root(&[list(&legacy()).as_ref(), second.as_slice()])
        );
    }
}

#[test]
fn what_is_not_canonical_is_written_anew() {
    let form = form(Generation::G3, true);
    let expected = typed(0x02, &dynamic(), form).unwrap();
    let mut odd = dynamic();
    // An access list with content, and numbers with leading zeros.
    odd[8] = list(&[list(&[bytes(&[1; 20]), vec![0xc0]]).to_vec()]).to_vec();
    odd[2] = bytes(&[0, 2]);
    odd[0] = bytes(&[0, CHAIN_ID as u8]);
    assert_eq!(typed(0x02, &odd, form).unwrap(), expected);
    let mut creation = dynamic();
    creation[5] = vec![0xc0];
    let decoded = typed(0x02, &creation, form).unwrap();
    assert_eq!(decoded.to, None);
    creation[5] = vec![0x80];
    assert_eq!(decoded, typed(0x02, &creation, form).unwrap());
    let mut senderless = state();
    senderless[9] = bytes(&[1; 19]);
    assert_eq!(typed(0x7f, &senderless, form).unwrap().from, Some(Address::ZERO));
}

#[test]
fn caps_beyond_256_bits_are_kept_apart_from_the_largest_that_fit() {
    let mut fields = dynamic();
    fields[2] = wide(U256::MAX);
    fields[3] = bytes(&[1; 33]);
    let transaction = typed(0x02, &fields, form(Generation::G3, true)).unwrap();
    let Type::DynamicFee { gas_tip_cap, gas_fee_cap, chain_id } = transaction.kind else { panic!("not dynamic") };
    assert_eq!((gas_tip_cap, gas_fee_cap, chain_id), (Some(U256::MAX), None, U256::from(CHAIN_ID)));
}

#[test]
fn a_stored_body_gives_back_types_senders_hashes_and_the_network_form() {
    for with_type in [false, true] {
        let form = form(Generation::G3, with_type);
        let items: Vec<Bytes> =
            vec![list(&legacy()), bytes(&[2]).into(), list(&dynamic()), bytes(&[0x7f]).into(), list(&state())];
        let transactions = decode(&items, form).unwrap();
        let senders = [1, 2, 3].map(Address::repeat_byte);
        let mut body = Vec::new();
        put_stored_body(&transactions, &senders, &mut body);
        let body = Bytes::from(body);
        let expected: Vec<_> = transactions.iter().cloned().zip(senders).collect();
        assert_eq!(decode_stored_body(&body, form).unwrap(), expected);
        for (index, transaction) in transactions.iter().enumerate() {
            assert_eq!(position_in_stored_body(&body, &transaction.hash).unwrap(), Some(index));
        }
        assert_eq!(position_in_stored_body(&body, &B256::ZERO).unwrap(), None);
        let block = network_form(&[0xc0], &body).unwrap();
        let network = rlp::parse(&block).unwrap().list("block").unwrap().nth(1).unwrap();
        assert_eq!(network.payload, items.concat());
        assert!(decode_stored_body(&body, self::form(Generation::G1, false)).is_err());
    }
}

#[test]
fn a_wallet_hands_in_the_type_before_the_payload() {
    let form = form(Generation::G3, true);
    let raw: Bytes = [&[0x02], list(&dynamic()).as_ref()].concat().into();
    let transaction = Transaction::decode_submitted(&raw, form).unwrap();
    assert_eq!(transaction, typed(0x02, &dynamic(), form).unwrap());
    assert_eq!(transaction.hashed_form(true).as_ref(), raw.as_ref());
    assert!(Transaction::decode_submitted(&raw, self::form(Generation::G1, false)).is_err());
    assert!(Transaction::decode_submitted(&Bytes::from_static(&[0x03, 0xc0]), form).is_err());
    assert!(Transaction::decode_submitted(&Bytes::from_static(&[0x02]), form).is_err());
    assert!(Transaction::decode_submitted(&Bytes::new(), form).is_err());
}

fn rules(generation: Generation, homestead: bool, eip155: bool, london: bool) -> Rules {
    let at = |active: bool| active.then_some(0);
    let forks = Forks { homestead: at(homestead), eip155: at(eip155), london: at(london), ..Forks::default() };
    Rules::new(generation, CHAIN_ID, forks)
}

/// Signs the payload of `fields` with a chain id (0: without); `high` gives the other form of the signature.
fn sign(
    byte: Option<u8>,
    mut fields: Fields,
    chain_id: u64,
    v: impl Fn(u64) -> Vec<u8>,
    high: bool,
) -> (Transaction, Address) {
    let key = SigningKey::from_bytes([7; 32]).unwrap();
    let form = form(Generation::G3, false);
    let decode = |fields: &Fields| typed(byte.unwrap_or_default(), fields, form).unwrap();
    let signature = key.sign(&signing_hash(&decode(&fields), chain_id));
    let s = U256::from_be_slice(&signature[32..64]);
    let parity = u64::from(signature[64]) ^ u64::from(high);
    let count = fields.len();
    fields[count - 3] = v(parity);
    fields[count - 2] = wide(U256::from_be_slice(&signature[..32]));
    fields[count - 1] = wide(if high { ORDER - s } else { s });
    (decode(&fields), key.address())
}

#[test]
fn from_the_second_generation_on_homestead_asks_for_low_s_except_of_the_unprotected() {
    let protected = |parity| number(35 + 2 * CHAIN_ID + parity);
    let unprotected = |parity| number(27 + parity);
    for generation in [Generation::G1, Generation::G2, Generation::G3] {
        let lenient = generation == Generation::G1;
        for homestead in [false, true] {
            for high in [false, true] {
                let recovers = |transaction: &(Transaction, Address), eip155| {
                    recover_sender(&transaction.0, &rules(generation, homestead, eip155, false), 0)
                        == Some(transaction.1)
                };
                let allowed = lenient || !homestead || !high;
                assert_eq!(recovers(&sign(None, legacy(), CHAIN_ID, protected, high), true), allowed);
                assert!(recovers(&sign(None, legacy(), 0, unprotected, high), true), "whatever s is");
                assert_eq!(recovers(&sign(None, legacy(), 0, unprotected, high), false), allowed);
            }
        }
    }
}

#[test]
fn v_counts_modulo_256_in_the_first_generation_only() {
    type WrappedV = fn(u64) -> Vec<u8>;
    let wrapped: [(u64, WrappedV); 3] = [
        (CHAIN_ID, |parity| number(35 + 2 * CHAIN_ID + parity + 256)),
        (CHAIN_ID, |parity| bytes(&[[1; 40].as_slice(), &[(35 + 2 * CHAIN_ID + parity) as u8]].concat())),
        (0, |parity| bytes(&[1, 0, 0, 0, 0, 0, 0, 0, (27 + parity) as u8])),
    ];
    for (chain_id, v) in wrapped {
        let (transaction, signer) = sign(None, legacy(), chain_id, v, false);
        for generation in [Generation::G1, Generation::G2, Generation::G3] {
            let found = recover_sender(&transaction, &rules(generation, true, true, false), 0);
            assert_eq!(found, (generation == Generation::G1).then_some(signer));
        }
    }
}

#[test]
fn a_dynamic_fee_is_signed_for_the_chain_under_london() {
    let parity = |parity| number(parity);
    let london = rules(Generation::G3, true, true, true);
    let (transaction, signer) = sign(Some(2), dynamic(), CHAIN_ID, parity, false);
    assert_eq!(recover_sender(&transaction, &london, 0), Some(signer));
    assert_eq!(recover_sender(&transaction, &rules(Generation::G3, true, true, false), 0), None);
    assert_eq!(recover_sender(&sign(Some(2), dynamic(), CHAIN_ID, parity, true).0, &london, 0), None);
    let frontier = rules(Generation::G3, false, false, true);
    assert_eq!(recover_sender(&sign(Some(2), dynamic(), CHAIN_ID, parity, true).0, &frontier, 0), Some(signer));
    // The chain id inside is not what is signed, nor looked at.
    let mut foreign = dynamic();
    foreign[0] = number(CHAIN_ID + 1);
    assert_eq!(recover_sender(&sign(Some(2), foreign, CHAIN_ID, parity, false).0, &london, 0), Some(signer));
    let legacy_v = |parity| number(35 + 2 * CHAIN_ID + parity);
    let (as_legacy, signer) = sign(Some(2), dynamic(), CHAIN_ID, legacy_v, false);
    assert_eq!(recover_sender(&as_legacy, &london, 0), None);
    assert_eq!(recover_sender(&as_legacy, &rules(Generation::G3, true, true, false), 0), Some(signer));
}

#[test]
fn a_state_transaction_is_from_whom_it_says() {
    let transaction = typed(0x7f, &state(), form(Generation::G2, false)).unwrap();
    let rules = rules(Generation::G2, true, true, false);
    assert_eq!(recover_sender(&transaction, &rules, 0), Some(Address::repeat_byte(0xfe)));
}
