//! Nibble positions inside byte keys, and the hex-prefix form of a stretch of them.
//!
//! A path is never copied out of its key: it is a key and two positions, counted from the root of the trie.

use alloy_primitives::B256;

use crate::rlp::{encoded_length, put_length};

/// Nibbles of a 32-byte key.
pub(crate) const KEY_NIBBLES: usize = 64;

/// The nibble of `key` at `position`; `position` must lie inside the key.
#[inline]
pub(crate) fn nibble(key: &[u8], position: usize) -> usize {
    let byte = key[position / 2];
    usize::from(if position.is_multiple_of(2) { byte >> 4 } else { byte & 0x0f })
}

/// `key` with the nibble at `position` replaced by `value` (below 16).
#[inline]
pub(crate) fn with_nibble(mut key: B256, position: usize, value: usize) -> B256 {
    let byte = &mut key[position / 2];
    let value = value as u8 & 0x0f;
    *byte = if position.is_multiple_of(2) { (*byte & 0x0f) | (value << 4) } else { (*byte & 0xf0) | value };
    key
}

/// The first position in `from..to` where the keys differ, or `to`.
#[inline]
pub(crate) fn first_difference(left: &[u8], right: &[u8], from: usize, to: usize) -> usize {
    let mut position = from;
    while position < to {
        if position.is_multiple_of(2) && position + 2 <= to && left[position / 2] == right[position / 2] {
            position += 2;
        } else if nibble(left, position) == nibble(right, position) {
            position += 1;
        } else {
            return position;
        }
    }
    to
}

/// Encoded length of the hex-prefix string of `count` nibbles.
#[inline]
pub(crate) const fn path_length(count: usize) -> usize {
    // One byte is below 0x80 whatever it holds, so it is its own encoding.
    if count < 2 { 1 } else { encoded_length(count / 2 + 1) }
}

/// Appends the RLP of the hex-prefix form of the nibbles `from..to` of `key`.
#[inline]
pub(crate) fn put_path(out: &mut Vec<u8>, key: &[u8], from: usize, to: usize, is_leaf: bool) {
    let count = to - from;
    if count >= 2 {
        put_length(out, count / 2 + 1, 0x80);
    }
    let flag = if is_leaf { 0x20 } else { 0 };
    let mut position = from;
    if count.is_multiple_of(2) {
        out.push(flag);
    } else {
        out.push(flag | 0x10 | nibble(key, from) as u8);
        position += 1;
    }
    if position.is_multiple_of(2) {
        out.extend_from_slice(&key[position / 2..to / 2]);
    } else {
        while position < to {
            out.push((nibble(key, position) << 4 | nibble(key, position + 1)) as u8);
            position += 2;
        }
    }
}

/// Reads a hex-prefix path that starts at nibble `from`: the prefix with the path written behind it, the position
/// where it ends, and whether it is a leaf's.
///
/// Errors, as what is wrong: no bytes, unknown flag, surplus nibble not zero, longer than a key.
pub(crate) fn read_path(path: &[u8], prefix: &B256, from: usize) -> Result<(B256, usize, bool), &'static str> {
    let Some(&first) = path.first() else { return Err("path without flag") };
    if first >= 0x40 {
        return Err("unknown path flag");
    }
    let is_odd = first & 0x10 != 0;
    if !is_odd && first & 0x0f != 0 {
        return Err("surplus nibble of an even path is not zero");
    }
    let end = from + 2 * (path.len() - 1) + usize::from(is_odd);
    if end > KEY_NIBBLES {
        return Err("path is longer than a key");
    }
    let mut key = *prefix;
    let mut position = from;
    if is_odd {
        key = with_nibble(key, position, usize::from(first & 0x0f));
        position += 1;
    }
    if position.is_multiple_of(2) {
        key[position / 2..end / 2].copy_from_slice(&path[1..]);
    } else {
        for index in 0..end - position {
            key = with_nibble(key, position + index, nibble(&path[1..], index));
        }
    }
    Ok((key, end, first & 0x20 != 0))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn paths_written_are_paths_read(key: [u8; 32], a in 0usize..=64, b in 0usize..=64, is_leaf: bool) {
            let (from, to) = (a.min(b), a.max(b));
            let key = B256::new(key);
            let mut out = Vec::new();
            put_path(&mut out, key.as_slice(), from, to, is_leaf);
            prop_assert_eq!(out.len(), path_length(to - from));
            let payload = if to - from < 2 { &out[..] } else { &out[1..] };
            let mut prefix = key;
            for position in from..64 {
                prefix = with_nibble(prefix, position, 0);
            }
            let (read, end, leaf) = read_path(payload, &prefix, from).unwrap();
            prop_assert_eq!((end, leaf), (to, is_leaf));
            for position in 0..to {
                prop_assert_eq!(nibble(read.as_slice(), position), nibble(key.as_slice(), position));
            }
        }

        #[test]
        fn the_first_difference_is_where_the_nibbles_say(key: [u8; 32], at in 0usize..64, from in 0usize..64) {
            let key = B256::new(key);
            let other = with_nibble(key, at, nibble(key.as_slice(), at) ^ 1);
            let expected = if at < from { 64 } else { at };
            prop_assert_eq!(first_difference(key.as_slice(), other.as_slice(), from, 64), expected);
            prop_assert_eq!(first_difference(key.as_slice(), other.as_slice(), from.min(at), at), at);
        }
    }
}
