//! RLP as the Go client reads and writes it (§2.1): strict on structure, lenient on integers.
//!
//! [`parse`] walks the whole value once, without recursion, so that a malformed item anywhere is an error even
//! where no field is read from it; after that the accessors cannot run off the end.

use alloy_primitives::{Address, B256, U256};

/// Why bytes are not the RLP that was expected. `offset` counts from the start of the parsed value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} at byte {offset}: expected {expected}, found {found}")]
pub struct RlpError {
    /// The field or item that was read.
    pub what: &'static str,
    /// Where the item starts.
    pub offset: usize,
    /// What the rule asks for.
    pub expected: String,
    /// What is there.
    pub found: String,
}

/// A byte string or a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A byte string.
    Bytes,
    /// A list of items.
    List,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Bytes => "a byte string",
            Kind::List => "a list",
        }
    }
}

/// One item inside a parsed value: its payload, and its whole encoding.
#[derive(Clone, Copy, Debug)]
pub struct Item<'a> {
    /// Byte string or list.
    pub kind: Kind,
    /// What follows the length prefix (the byte itself below 0x80).
    pub payload: &'a [u8],
    /// Prefix and payload.
    pub raw: &'a [u8],
    /// Offset of `raw` in the value given to [`parse`].
    pub offset: usize,
}

/// The prefix of the item at the start of `data`: kind, prefix length, payload length.
///
/// Errors: a long-form length under 56, one byte below 0x80 wrapped in 0x81, a length that exceeds `data`.
/// Leading zeros inside a long length are accepted, as fastrlp does.
#[inline]
fn prefix(data: &[u8], offset: usize) -> Result<(Kind, usize, usize), RlpError> {
    let fail = |expected: String, found: String| RlpError { what: "RLP item", offset, expected, found };
    let Some(&first) = data.first() else {
        return Err(fail("an item".into(), "the end of the data".into()));
    };
    let (kind, header, length) = match first {
        0x00..=0x7f => (Kind::Bytes, 0, 1),
        0x80..=0xb7 => (Kind::Bytes, 1, usize::from(first - 0x80)),
        0xb8..=0xbf => long_length(Kind::Bytes, usize::from(first - 0xb7), data, offset)?,
        0xc0..=0xf7 => (Kind::List, 1, usize::from(first - 0xc0)),
        0xf8..=0xff => long_length(Kind::List, usize::from(first - 0xf7), data, offset)?,
    };
    if length > data.len() - header {
        return Err(fail(format!("{length} bytes of payload"), format!("{} left", data.len() - header)));
    }
    if first == 0x81 && data[1] < 0x80 {
        return Err(fail("a byte below 0x80 as itself".into(), format!("0x81{:02x}", data[1])));
    }
    Ok((kind, header, length))
}

fn long_length(kind: Kind, size: usize, data: &[u8], offset: usize) -> Result<(Kind, usize, usize), RlpError> {
    let fail =
        |expected: &str, found: String| RlpError { what: "RLP length", offset, expected: expected.into(), found };
    let bytes =
        data.get(1..1 + size).ok_or_else(|| fail("a whole length prefix", format!("{} bytes left", data.len())))?;
    let length = bytes.iter().fold(0u64, |length, &byte| (length << 8) | u64::from(byte));
    if length < 56 {
        return Err(fail("the short form for lengths under 56", format!("long form of {length}")));
    }
    Ok((kind, 1 + size, usize::try_from(length).unwrap_or(usize::MAX)))
}

/// Parses the first value in `data` and everything inside it; bytes after it are ignored.
///
/// Errors: [`RlpError`] for the first malformed item in document order.
pub fn parse(data: &[u8]) -> Result<Item<'_>, RlpError> {
    let top = first(data)?;
    if top.kind == Kind::List {
        // Ends of the lists that enclose the position, innermost last.
        let mut ends = vec![top.raw.len()];
        let mut position = top.raw.len() - top.payload.len();
        while let Some(&end) = ends.last() {
            if position == end {
                ends.pop();
                continue;
            }
            let (kind, header, length) = prefix(&data[position..end], position)?;
            position += header;
            match kind {
                Kind::Bytes => position += length,
                Kind::List => ends.push(position + length),
            }
        }
    }
    Ok(top)
}

/// The first value in `data`, what is inside it not looked at.
///
/// Errors: its prefix is malformed or asks for more than `data` has.
#[inline]
pub fn first(data: &[u8]) -> Result<Item<'_>, RlpError> {
    let (kind, header, length) = prefix(data, 0)?;
    Ok(Item { kind, payload: &data[header..header + length], raw: &data[..header + length], offset: 0 })
}

impl<'a> Item<'a> {
    /// The items of a list, in order. Errors: this is a byte string.
    pub fn list(&self, what: &'static str) -> Result<Items<'a>, RlpError> {
        self.expect(Kind::List, what)?;
        Ok(Items { rest: self.payload, offset: self.offset + (self.raw.len() - self.payload.len()) })
    }

    /// The payload of a byte string. Errors: this is a list.
    #[inline]
    pub fn bytes(&self, what: &'static str) -> Result<&'a [u8], RlpError> {
        self.expect(Kind::Bytes, what)?;
        Ok(self.payload)
    }

    #[inline]
    fn expect(&self, kind: Kind, what: &'static str) -> Result<(), RlpError> {
        if self.kind == kind { Ok(()) } else { Err(self.fail(what, kind.name(), self.kind.name())) }
    }

    /// An error about this item.
    pub fn fail(&self, what: &'static str, expected: impl Into<String>, found: impl Into<String>) -> RlpError {
        RlpError { what, offset: self.offset, expected: expected.into(), found: found.into() }
    }

    /// A 64-bit unsigned integer of 0 to 8 bytes, leading zeros allowed.
    #[inline]
    pub fn u64(&self, what: &'static str) -> Result<u64, RlpError> {
        let bytes = self.bytes(what)?;
        if bytes.len() > 8 {
            return Err(self.fail(what, "at most 8 bytes", format!("{} bytes", bytes.len())));
        }
        Ok(bytes.iter().fold(0, |value, &byte| (value << 8) | u64::from(byte)))
    }

    /// Exactly `N` bytes.
    #[inline]
    pub fn fixed<const N: usize>(&self, what: &'static str) -> Result<[u8; N], RlpError> {
        let bytes = self.bytes(what)?;
        bytes.try_into().map_err(|_| self.fail(what, format!("{N} bytes"), format!("{} bytes", bytes.len())))
    }

    /// Exactly 32 bytes.
    #[inline]
    pub fn hash(&self, what: &'static str) -> Result<B256, RlpError> {
        self.fixed(what).map(B256::new)
    }

    /// Exactly 20 bytes.
    #[inline]
    pub fn address(&self, what: &'static str) -> Result<Address, RlpError> {
        self.fixed(what).map(Address::new)
    }
}

/// The items of one list. Built only from parsed data, so iteration does not fail there.
#[derive(Clone, Debug)]
pub struct Items<'a> {
    rest: &'a [u8],
    offset: usize,
}

impl<'a> Items<'a> {
    /// The next item. Errors: the list has ended (`expected` names the item).
    #[inline]
    pub fn required(&mut self, what: &'static str) -> Result<Item<'a>, RlpError> {
        let offset = self.offset;
        self.next().ok_or_else(|| RlpError { what, offset, expected: what.into(), found: "the end of the list".into() })
    }
}

impl<'a> Iterator for Items<'a> {
    type Item = Item<'a>;

    #[inline]
    fn next(&mut self) -> Option<Item<'a>> {
        if self.rest.is_empty() {
            return None;
        }
        let (kind, header, length) = prefix(self.rest, self.offset).ok()?;
        let (raw, rest) = self.rest.split_at(header + length);
        let item = Item { kind, payload: &raw[header..], raw, offset: self.offset };
        self.rest = rest;
        self.offset += raw.len();
        Some(item)
    }
}

/// Appends a byte string.
#[inline]
pub fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    if let [byte] = bytes
        && *byte < 0x80
    {
        out.push(*byte);
    } else {
        put_length(out, bytes.len(), 0x80);
        out.extend_from_slice(bytes);
    }
}

/// Appends an unsigned integer in its minimal form; zero is 0x80.
#[inline]
pub fn put_u64(out: &mut Vec<u8>, value: u64) {
    let bytes = value.to_be_bytes();
    put_bytes(out, &bytes[value.leading_zeros() as usize / 8..]);
}

/// Appends a big integer in its minimal form; zero is 0x80.
#[inline]
pub fn put_u256(out: &mut Vec<u8>, value: &U256) {
    let bytes: [u8; 32] = value.to_be_bytes();
    put_bytes(out, &bytes[value.leading_zeros() / 8..]);
}

/// Appends a list whose encoded items are `payload`.
pub fn put_list(out: &mut Vec<u8>, payload: &[u8]) {
    put_length(out, payload.len(), 0xc0);
    out.extend_from_slice(payload);
}

/// Appends a list that `fill` writes in place; moves the payload once when its prefix is longer than one byte.
pub fn put_list_with(out: &mut Vec<u8>, fill: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.push(0);
    fill(out);
    let length = out.len() - start - 1;
    if length < 56 {
        out[start] = 0xc0 + length as u8;
    } else {
        let mut head = Vec::with_capacity(9);
        put_length(&mut head, length, 0xc0);
        out.splice(start..=start, head);
    }
}

/// Appends the prefix of a byte string (`base` 0x80) or list (`base` 0xc0) of `length` payload bytes.
#[inline]
pub fn put_length(out: &mut Vec<u8>, length: usize, base: u8) {
    if length < 56 {
        out.push(base + length as u8);
    } else {
        let bytes = (length as u64).to_be_bytes();
        let skip = (length as u64).leading_zeros() as usize / 8;
        out.push(base + 55 + (8 - skip) as u8);
        out.extend_from_slice(&bytes[skip..]);
    }
}

/// Encoded length of a payload of `length` bytes with its prefix (not for a single byte below 0x80).
pub const fn encoded_length(length: usize) -> usize {
    if length < 56 { 1 + length } else { 1 + length + (8 - (length as u64).leading_zeros() as usize / 8) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn surplus_garbage_inside_a_list_is_an_error() {
        assert!(parse(&[0xc2, 0x80, 0x81]).is_err());
        assert!(parse(&[0xc2, 0x81, 0x05]).is_err());
        assert!(parse(&[0xc3, 0x80, 0xc1, 0xc1]).is_err());
        assert!(parse(&[0xc1, 0x80, 0xff]).is_ok());
    }

    #[test]
    fn lengths_are_lenient_where_the_go_client_is() {
        let mut long = vec![0xb9, 0x00, 56];
        long.extend([7; 56]);
        assert_eq!(parse(&long).unwrap().payload.len(), 56);
        let mut short = vec![0xb8, 55];
        short.extend([7; 55]);
        assert!(parse(&short).is_err());
        assert_eq!(parse(&[0x82, 0, 5]).unwrap().u64("n").unwrap(), 5);
    }

    #[test]
    fn nesting_of_any_depth_is_walked_without_recursion() {
        let mut data = vec![0xc0];
        for _ in 0..20_000 {
            let mut outer = Vec::new();
            put_list(&mut outer, &data[..]);
            data = outer;
        }
        assert!(parse(&data).is_ok());
    }

    #[test]
    fn lists_written_in_place_equal_lists_written_from_payload() {
        for length in [0usize, 1, 55, 56, 255, 256, 70_000] {
            let payload = vec![1u8; length];
            let (mut left, mut right) = (vec![9], vec![9]);
            put_list(&mut left, &payload);
            put_list_with(&mut right, |out| out.extend_from_slice(&payload));
            assert_eq!(left, right);
            assert_eq!(left.len() - 1, encoded_length(length));
        }
    }
}
