//! The keys and small values of `blockchain/` (§4.2) and `trie/` (§4.5).

use polygon_edge_chain::{B256, U256, hex};

use crate::error::StoreError;

/// Key of the head block's hash.
pub const HEAD_HASH: &[u8] = b"ohash";
/// Key of the head block's number.
pub const HEAD_NUMBER: &[u8] = b"onumber";
/// Key of the list of fork heads; absent in the normal life of an IBFT chain.
pub const FORKS: &[u8] = b"fempty";
/// Prefix of contract code in `trie/`; trie nodes have none.
pub const CODE: &[u8] = b"code";

/// Kinds of records in `blockchain/` that are keyed by a hash or number; the prefix is the first byte of the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Prefix {
    /// `c` + number, 8 bytes big-endian -> canonical hash.
    Canonical = b'c',
    /// `h` + hash -> header RLP.
    Header = b'h',
    /// `b` + hash -> body RLP in its storage form (§2.7).
    Body = b'b',
    /// `r` + hash -> receipts RLP in their storage form (§2.7).
    Receipts = b'r',
    /// `d` + hash -> total difficulty.
    TotalDifficulty = b'd',
    /// `l` + transaction hash -> hash of its block.
    Lookup = b'l',
}

/// Key of the canonical hash of block `number`.
pub fn canonical_key(number: u64) -> [u8; 9] {
    let mut key = [Prefix::Canonical as u8; 9];
    key[1..].copy_from_slice(&number.to_be_bytes());
    key
}

/// Key of a record that is found by a hash. Not for [`Prefix::Canonical`], which goes by number.
pub fn hash_key(prefix: Prefix, hash: &B256) -> [u8; 33] {
    let mut key = [prefix as u8; 33];
    key[1..].copy_from_slice(hash.as_slice());
    key
}

/// Key of contract code in `trie/`.
pub fn code_key(hash: &B256) -> [u8; 36] {
    let mut key = [0; 36];
    key[..4].copy_from_slice(CODE);
    key[4..].copy_from_slice(hash.as_slice());
    key
}

/// Difficulty as stored: big-endian without leading zeros, no bytes for zero, not RLP.
pub fn encode_difficulty(difficulty: &U256) -> Vec<u8> {
    difficulty.to_be_bytes_trimmed_vec()
}

/// Reverse of [`encode_difficulty`]; leading zeros are accepted, more than 32 bytes are not.
pub fn decode_difficulty(key: &[u8], value: &[u8]) -> Result<U256, StoreError> {
    U256::try_from_be_slice(value).ok_or_else(|| bad_length(key, "at most 32 bytes of difficulty", value))
}

/// Value of a look-up: the block hash as an RLP string.
pub fn encode_lookup(block_hash: &B256) -> [u8; 33] {
    let mut value = [0xa0; 33];
    value[1..].copy_from_slice(block_hash.as_slice());
    value
}

/// Reverse of [`encode_lookup`].
pub fn decode_lookup(key: &[u8], value: &[u8]) -> Result<B256, StoreError> {
    match value {
        [0xa0, hash @ ..] if hash.len() == 32 => Ok(B256::from_slice(hash)),
        _ => Err(bad_length(key, "0xa0 and 32 bytes of block hash", value)),
    }
}

/// A hash that stands alone as a value.
pub fn decode_hash(key: &[u8], value: &[u8]) -> Result<B256, StoreError> {
    B256::try_from(value).map_err(|_| bad_length(key, "32 bytes of hash", value))
}

/// The head number.
pub fn decode_number(key: &[u8], value: &[u8]) -> Result<u64, StoreError> {
    let bytes = value.try_into().map_err(|_| bad_length(key, "8 bytes of number", value))?;
    Ok(u64::from_be_bytes(bytes))
}

fn bad_length(key: &[u8], expected: &str, found: &[u8]) -> StoreError {
    let shown = found.get(..40).unwrap_or(found);
    StoreError::BadRecord {
        key: hex::encode(key),
        detail: format!("expected {expected}, found {} bytes starting 0x{}", found.len(), hex::encode(shown)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_the_layout_of_the_go_client() {
        assert_eq!(canonical_key(0x0102), *b"c\0\0\0\0\0\0\x01\x02");
        let hash = B256::repeat_byte(7);
        assert_eq!(hash_key(Prefix::Header, &hash), [[b'h'].as_slice(), &[7; 32]].concat()[..]);
        assert_eq!(code_key(&hash), [b"code".as_slice(), &[7; 32]].concat()[..]);
    }

    #[test]
    fn difficulty_is_minimal_and_comes_back() {
        for (number, bytes) in [(0_u64, vec![]), (1, vec![1]), (0x100, vec![1, 0]), (u64::MAX, vec![0xff; 8])] {
            let encoded = encode_difficulty(&U256::from(number));
            assert_eq!(encoded, bytes);
            assert_eq!(decode_difficulty(b"d", &encoded), Ok(U256::from(number)));
        }
        assert_eq!(decode_difficulty(b"d", &[0xff; 32]), Ok(U256::MAX));
        assert!(matches!(decode_difficulty(b"d", &[1; 33]), Err(StoreError::BadRecord { .. })));
    }

    #[test]
    fn small_values_of_a_wrong_length_are_refused() {
        let hash = B256::repeat_byte(9);
        assert_eq!(decode_lookup(b"l", &encode_lookup(&hash)), Ok(hash));
        assert!(matches!(decode_lookup(b"l", &[0xa1; 33]), Err(StoreError::BadRecord { .. })));
        assert!(matches!(decode_lookup(b"l", &[0xa0; 32]), Err(StoreError::BadRecord { .. })));
        assert!(matches!(decode_hash(b"c", &[1; 31]), Err(StoreError::BadRecord { .. })));
        assert!(matches!(decode_number(b"n", &[1; 7]), Err(StoreError::BadRecord { .. })));
    }
}
