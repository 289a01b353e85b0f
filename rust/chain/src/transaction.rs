//! Transactions: legacy (all generations), state (G2, G3) and dynamic fee (G3), and their hashes (§2.4, §2.5).

use std::borrow::Cow;

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};

use crate::{
    forks::Generation,
    rlp::{self, Item, Items, Kind, RlpError},
    trie::ordered_root,
};

/// What kind of transaction, with the fields that only that kind has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Type {
    /// Nine items, gas price; the only kind of G1.
    Legacy,
    /// 0x02 (G3): chain id of the transaction, which nothing compares with the chain's, tip cap, fee cap. A cap is none
    /// where it is wider than 256 bits: a rule of its own refuses that (§6.3).
    #[allow(missing_docs)]
    DynamicFee { chain_id: U256, gas_tip_cap: Option<U256>, gas_fee_cap: Option<U256> },
    /// 0x7f (G2, G3): the sender is part of the payload.
    State,
}

impl Type {
    const DYNAMIC_FEE: u8 = 0x02;
    const STATE: u8 = 0x7f;

    /// The byte before the payload, none for legacy transactions.
    pub fn byte(&self) -> Option<u8> {
        match self {
            Self::Legacy => None,
            Self::DynamicFee { .. } => Some(Self::DYNAMIC_FEE),
            Self::State => Some(Self::STATE),
        }
    }

    /// The type that `byte` stands for where `generation` has it; an explicit 0 is read as legacy.
    ///
    /// The fields of a dynamic fee are still zero. Errors: an unknown type.
    fn of_byte(byte: u8, generation: Generation, item: &Item<'_>) -> Result<Self, RlpError> {
        match (byte, generation) {
            (0, Generation::G2 | Generation::G3) => Ok(Self::Legacy),
            (Self::STATE, Generation::G2 | Generation::G3) => Ok(Self::State),
            (Self::DYNAMIC_FEE, Generation::G3) => {
                Ok(Self::DynamicFee { chain_id: U256::ZERO, gas_tip_cap: None, gas_fee_cap: None })
            }
            _ => Err(item.fail("transaction type", expected_types(generation), format!("{byte:#04x}"))),
        }
    }
}

fn expected_types(generation: Generation) -> &'static str {
    match generation {
        Generation::G1 => "a legacy transaction",
        Generation::G2 => "0x00 or 0x7f",
        Generation::G3 => "0x00, 0x02 or 0x7f",
    }
}

/// How the transactions of one block are read and hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Form {
    /// Which types there are, and how many items each has.
    pub generation: Generation,
    /// `txHashWithType`: the type stands before what is hashed, and a dynamic fee keeps its chain id (§2.5).
    pub hashed_with_type: bool,
}

/// One transaction as a block carries it.
///
/// `v`, `r` and `s` are kept as big-endian magnitudes without leading zeros: the Go client reads integers of any
/// size there, and `v` above 2^256 is legal in G1 (§2.5).
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Transaction {
    pub kind: Type,
    pub nonce: u64,
    /// Zero for dynamic-fee transactions.
    pub gas_price: U256,
    pub gas: u64,
    /// None creates a contract.
    pub to: Option<Address>,
    pub value: U256,
    pub input: Bytes,
    pub v: Vec<u8>,
    pub r: U256,
    pub s: U256,
    /// G1: Keccak-256 of the raw bytes received, so non-canonical input keeps its own hash.
    pub hash: B256,
    /// Payload sender of a state transaction; zero where it is not of 20 bytes.
    pub from: Option<Address>,
    /// The canonical encoding of the fields, without the type.
    pub payload: Bytes,
}

impl Transaction {
    /// Decodes a transaction as a wallet hands it in: a type byte, if any, then the payload; bytes after it are ignored.
    ///
    /// Its hash is that of the canonical form, as the Go client computes it there: what was received is not kept (§2.5).
    pub fn decode_submitted(raw: &Bytes, form: Form) -> Result<Self, RlpError> {
        let typed = form.generation != Generation::G1 && raw.first().is_some_and(|first| *first <= 0x7f);
        let mut transaction = if typed {
            let byte = rlp::first(raw)?;
            let kind = Type::of_byte(byte.payload[0], form.generation, &byte)?;
            let payload = raw.slice(1..);
            Self::decode_payload(kind, &rlp::parse(&payload)?, &payload, form)?
        } else {
            Self::decode_payload(Type::Legacy, &rlp::parse(raw)?, raw, form)?
        };
        transaction.hash = transaction.computed_hash(form);
        Ok(transaction)
    }

    /// Decodes the transactions of a block: a typed one stands as two items, its type and its payload (§2.3).
    ///
    /// `whole` is the block that the items lie in. Errors: the first malformed item, or a type without a payload.
    pub fn decode_list(mut items: Items<'_>, whole: &Bytes, form: Form) -> Result<Vec<Self>, RlpError> {
        let mut transactions = Vec::new();
        while let Some(item) = items.next() {
            let (kind, payload) = Self::typed(item, &mut items, form.generation)?;
            transactions.push(Self::decode_payload(kind, &payload, whole, form)?);
        }
        Ok(transactions)
    }

    /// Decodes a stored transaction, L(payload, from) or L(type, payload, from), and the sender that it holds (§2.7).
    pub fn decode_stored(stored: &Item<'_>, whole: &Bytes, form: Form) -> Result<(Self, Address), RlpError> {
        let mut parts = stored.list("stored transaction")?;
        let first = parts.required("payload")?;
        let (kind, payload) = Self::typed(first, &mut parts, form.generation)?;
        let from = parts.required("from")?.address("from")?;
        Ok((Self::decode_payload(kind, &payload, whole, form)?, from))
    }

    /// The type that `item` gives to the one after it, or legacy and `item` itself.
    fn typed<'a>(item: Item<'a>, items: &mut Items<'a>, generation: Generation) -> Result<(Type, Item<'a>), RlpError> {
        if item.kind == Kind::List || generation == Generation::G1 {
            return Ok((Type::Legacy, item));
        }
        let [byte] = item.fixed::<1>("transaction type")?;
        Ok((Type::of_byte(byte, generation, &item)?, items.required("transaction payload")?))
    }

    /// Decodes a payload: at least nine items in G1 and G2, exactly 9, 10 or 12 in G3 (§2.4).
    ///
    /// `whole` is what `item` lies in; payload and input share its memory. Integers wider than 256 bits are read as
    /// 2^256-1: every rule that looks at them refuses both alike, and [`Transaction::payload`] keeps them.
    fn decode_payload(kind: Type, item: &Item<'_>, whole: &Bytes, form: Form) -> Result<Self, RlpError> {
        let mut fields = item.list("transaction")?;
        if form.generation == Generation::G3 {
            let expected = 9 + match kind {
                Type::Legacy => 0,
                Type::State => 1,
                Type::DynamicFee { .. } => 3,
            };
            let found = fields.clone().count();
            if found != expected {
                return Err(item.fail("transaction", format!("{expected} items"), format!("{found}")));
            }
        }
        let is_dynamic = matches!(kind, Type::DynamicFee { .. });
        let chain_id = if is_dynamic { Some(fields.required("chainId")?) } else { None };
        let nonce = fields.required("nonce")?;
        let tip_cap = if is_dynamic { Some(fields.required("gasTipCap")?) } else { None };
        let price = fields.required(if is_dynamic { "gasFeeCap" } else { "gasPrice" })?;
        let gas = fields.required("gas")?;
        let to = fields.required("to")?;
        let value = fields.required("value")?;
        let input = fields.required("input")?;
        let access_list = if is_dynamic { Some(fields.required("accessList")?) } else { None };
        let v = fields.required("v")?;
        let r = fields.required("r")?;
        let s = fields.required("s")?;
        let from = if kind == Type::State { Some(fields.next()) } else { None };
        let (chain_id_value, tip_value) = (optional(chain_id, "chainId")?, optional(tip_cap, "gasTipCap")?);
        let price_value = magnitude(price, if is_dynamic { "gasFeeCap" } else { "gasPrice" })?;
        let amount = magnitude(value, "value")?;
        let [v_value, r_value, s_value] = [magnitude(v, "v")?, magnitude(r, "r")?, magnitude(s, "s")?];
        let (nonce_value, gas_value) = (nonce.u64("nonce")?, gas.u64("gas")?);
        let input_bytes = input.bytes("input")?;
        let address = match to.kind {
            Kind::Bytes if to.payload.len() == 20 => Some(Address::from_slice(to.payload)),
            _ => None,
        };
        let sender = from.as_ref().map(|item| match item {
            Some(item) if item.kind == Kind::Bytes && item.payload.len() == 20 => Address::from_slice(item.payload),
            _ => Address::ZERO,
        });

        let canonical = |item: &Item<'_>| item.payload.first() != Some(&0);
        let payload = if fields.next().is_none()
            && (address.is_some() || to.raw == [0x80])
            && [&nonce, &gas, &price, &value, &v, &r, &s].into_iter().all(canonical)
            && [&chain_id, &tip_cap].into_iter().flatten().all(canonical)
            && access_list.is_none_or(|item| item.raw == [0xc0])
            && from.is_none_or(|item| item.is_some_and(|item| item.kind == Kind::Bytes && item.payload.len() == 20))
            && item.raw.len() == rlp::encoded_length(item.payload.len())
        {
            whole.slice_ref(item.raw)
        } else {
            let mut out = Vec::with_capacity(item.raw.len());
            rlp::put_list_with(&mut out, |out| {
                chain_id_value.iter().for_each(|value| rlp::put_bytes(out, value));
                rlp::put_u64(out, nonce_value);
                tip_value.iter().for_each(|value| rlp::put_bytes(out, value));
                rlp::put_bytes(out, price_value);
                rlp::put_u64(out, gas_value);
                rlp::put_bytes(out, address.as_ref().map_or(&[], |address| address.as_slice()));
                rlp::put_bytes(out, amount);
                rlp::put_bytes(out, input_bytes);
                if is_dynamic {
                    rlp::put_list(out, &[]);
                }
                [v_value, r_value, s_value].iter().for_each(|magnitude| rlp::put_bytes(out, magnitude));
                sender.iter().for_each(|sender| rlp::put_bytes(out, sender.as_slice()));
            });
            out.into()
        };
        let (kind, gas_price) = match kind {
            Type::DynamicFee { .. } => {
                let chain_id = saturating(chain_id_value.unwrap_or_default());
                let gas_tip_cap = U256::try_from_be_slice(tip_value.unwrap_or_default());
                let gas_fee_cap = U256::try_from_be_slice(price_value);
                (Type::DynamicFee { chain_id, gas_tip_cap, gas_fee_cap }, U256::ZERO)
            }
            kind => (kind, saturating(price_value)),
        };
        let mut transaction = Self {
            kind,
            nonce: nonce_value,
            gas_price,
            gas: gas_value,
            to: address,
            value: saturating(amount),
            input: whole.slice_ref(input_bytes),
            v: v_value.to_vec(),
            r: saturating(r_value),
            s: saturating(s_value),
            hash: B256::ZERO,
            from: sender,
            payload,
        };
        transaction.hash = match form.generation {
            Generation::G1 => keccak256(item.raw),
            Generation::G2 | Generation::G3 => transaction.computed_hash(form),
        };
        Ok(transaction)
    }

    /// The hash of the canonical form (§2.5).
    fn computed_hash(&self, form: Form) -> B256 {
        keccak256(self.hashed_form(form.hashed_with_type))
    }

    /// What the transaction's hash is over, see [`hashed_form`].
    pub fn hashed_form(&self, hashed_with_type: bool) -> Cow<'_, [u8]> {
        hashed_form(self.kind.byte(), &self.payload, hashed_with_type)
    }

    /// Appends the network form: the payload, before it the type as an item of its own if there is one (§2.3).
    pub fn put(&self, out: &mut Vec<u8>) {
        self.kind.byte().iter().for_each(|byte| rlp::put_bytes(out, &[*byte]));
        out.extend_from_slice(&self.payload);
    }

    /// Appends the stored form: L(payload, from), or L(type, payload, from) (§2.7).
    pub fn put_stored(&self, from: &Address, out: &mut Vec<u8>) {
        let byte = self.kind.byte();
        rlp::put_length(out, usize::from(byte.is_some()) + self.payload.len() + 21, 0xc0);
        self.put(out);
        rlp::put_bytes(out, from.as_slice());
    }
}

/// What the hash of a transaction is over, and what the transactions root holds (§2.5, §2.8): with `hashed_with_type`,
/// type and payload; before, the payload alone, and of a dynamic fee with a chain id of 0. `payload` is canonical.
pub fn hashed_form(kind: Option<u8>, payload: &[u8], hashed_with_type: bool) -> Cow<'_, [u8]> {
    match (kind, hashed_with_type) {
        (Some(byte), true) => Cow::Owned([&[byte], payload].concat()),
        (Some(Type::DYNAMIC_FEE), false) => {
            let mut out = Vec::with_capacity(payload.len());
            rlp::put_list_with(&mut out, |out| {
                out.push(0x80);
                // The chain id is the first item.
                let fields = rlp::parse(payload).and_then(|item| item.list("transaction"));
                fields.into_iter().flatten().skip(1).for_each(|item| out.extend_from_slice(item.raw));
            });
            Cow::Owned(out)
        }
        _ => Cow::Borrowed(payload),
    }
}

/// The transactions root of a block (§2.8).
pub fn transactions_root(transactions: &[Transaction], form: Form) -> B256 {
    let items: Vec<Cow<'_, [u8]>> =
        transactions.iter().map(|transaction| transaction.hashed_form(form.hashed_with_type)).collect();
    let items: Vec<&[u8]> = items.iter().map(|item| item.as_ref()).collect();
    ordered_root(&items)
}

/// The bytes of an integer of any size without leading zeros.
fn magnitude<'a>(item: Item<'a>, what: &'static str) -> Result<&'a [u8], RlpError> {
    item.bytes(what).map(strip_leading_zeros)
}

/// As [`magnitude`], of an item that only dynamic fees have.
fn optional<'a>(item: Option<Item<'a>>, what: &'static str) -> Result<Option<&'a [u8]>, RlpError> {
    item.map(|item| magnitude(item, what)).transpose()
}

fn strip_leading_zeros(bytes: &[u8]) -> &[u8] {
    &bytes[bytes.iter().take_while(|byte| **byte == 0).count()..]
}

fn saturating(magnitude: &[u8]) -> U256 {
    U256::try_from_be_slice(magnitude).unwrap_or(U256::MAX)
}
