//! Transactions: legacy (all generations), and the shapes of dynamic-fee and state transactions (G3) (§2.4, §2.5).

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};

use crate::rlp::{self, Item, Kind, RlpError};

/// What kind of transaction, with the fields that only that kind has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Type {
    /// Nine items, gas price; the only kind of G1.
    Legacy,
    /// 0x02 (G3): chain id of the transaction, tip cap, fee cap.
    #[allow(missing_docs)]
    DynamicFee { chain_id: U256, gas_tip_cap: U256, gas_fee_cap: U256 },
    /// 0x7f (G2, G3): the sender is part of the payload.
    State,
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
    /// Payload sender of a state transaction.
    pub from: Option<Address>,
    /// The canonical encoding (what transactions root and stored body hold).
    pub payload: Bytes,
}

impl Transaction {
    /// Decodes a legacy transaction as a wallet hands it in; bytes after it are ignored.
    ///
    /// Its hash is that of the canonical form, as the Go client computes it there: what was received is not kept (§2.5).
    pub fn decode_submitted(raw: &Bytes) -> Result<Self, RlpError> {
        let mut transaction = Self::decode_legacy(&rlp::parse(raw)?, raw)?;
        transaction.hash = keccak256(&transaction.payload);
        Ok(transaction)
    }

    /// Decodes a legacy transaction item of a G1 block: a list of at least nine items.
    ///
    /// `whole` is the block that `item` lies in; payload and input share its memory. Integers wider than 256 bits
    /// are read as 2^256-1: every rule that looks at them refuses both alike, and [`Transaction::payload`] keeps them.
    pub fn decode_legacy(item: &Item<'_>, whole: &Bytes) -> Result<Self, RlpError> {
        let mut fields = item.list("transaction")?;
        let nonce = fields.required("nonce")?;
        let gas_price = fields.required("gasPrice")?;
        let gas = fields.required("gas")?;
        let to = fields.required("to")?;
        let value = fields.required("value")?;
        let input = fields.required("input")?;
        let v = fields.required("v")?;
        let r = fields.required("r")?;
        let s = fields.required("s")?;
        let magnitudes =
            [gas_price.bytes("gasPrice")?, value.bytes("value")?, v.bytes("v")?, r.bytes("r")?, s.bytes("s")?]
                .map(strip_leading_zeros);
        let (nonce_value, gas_value) = (nonce.u64("nonce")?, gas.u64("gas")?);
        let input_bytes = input.bytes("input")?;
        let address = match to.kind {
            Kind::Bytes if to.payload.len() == 20 => Some(Address::from_slice(to.payload)),
            _ => None,
        };
        let canonical = |item: &Item<'_>| item.payload.first() != Some(&0);
        let payload = if fields.next().is_none()
            && (address.is_some() || to.raw == [0x80])
            && [&nonce, &gas_price, &gas, &value, &v, &r, &s].into_iter().all(canonical)
            && item.raw.len() == rlp::encoded_length(item.payload.len())
        {
            whole.slice_ref(item.raw)
        } else {
            let mut out = Vec::with_capacity(item.raw.len());
            rlp::put_list_with(&mut out, |out| {
                rlp::put_u64(out, nonce_value);
                rlp::put_bytes(out, magnitudes[0]);
                rlp::put_u64(out, gas_value);
                rlp::put_bytes(out, address.as_ref().map_or(&[], |address| address.as_slice()));
                rlp::put_bytes(out, magnitudes[1]);
                rlp::put_bytes(out, input_bytes);
                magnitudes[2..].iter().for_each(|magnitude| rlp::put_bytes(out, magnitude));
            });
            out.into()
        };
        Ok(Self {
            kind: Type::Legacy,
            nonce: nonce_value,
            gas_price: saturating(magnitudes[0]),
            gas: gas_value,
            to: address,
            value: saturating(magnitudes[1]),
            input: whole.slice_ref(input_bytes),
            v: magnitudes[2].to_vec(),
            r: saturating(magnitudes[3]),
            s: saturating(magnitudes[4]),
            hash: keccak256(item.raw),
            from: None,
            payload,
        })
    }
}

fn strip_leading_zeros(bytes: &[u8]) -> &[u8] {
    &bytes[bytes.iter().take_while(|byte| **byte == 0).count()..]
}

fn saturating(magnitude: &[u8]) -> U256 {
    U256::try_from_be_slice(magnitude).unwrap_or(U256::MAX)
}
