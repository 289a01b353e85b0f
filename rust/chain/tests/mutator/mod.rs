//! Damages real block records: blindly, byte by byte, and knowingly, item by item with every length repaired.
//!
//! One mutant is a pure function of the corpus and its number, so a failure is repeated by its number alone.

use std::ops::Range;

use polygon_edge_chain::rlp;

/// Bytes of vanity before the list in the extra data, which is indexed as if its items were the header's.
const VANITY: usize = 32;
/// A larger record would only make the run slower: the largest real ones have hundreds of like transactions.
const LARGEST_RECORD: usize = 1 << 16;

/// A small generator with a state of 64 bits (xorshift64*), one per mutant.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64, number: u64) -> Self {
        // Neighbouring numbers must not give neighbouring states, and zero would stay zero.
        let mixed = (seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mut random = Self(mixed | 1);
        random.next();
        random.next();
        random
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `bound`, which is not zero.
    pub fn below(&mut self, bound: usize) -> usize {
        ((self.next() >> 32) as usize) % bound
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.next() as u8).collect()
    }
}

/// One RLP item of a record.
struct Item {
    /// Prefix and payload.
    raw: Range<usize>,
    /// Where the payload starts.
    payload: usize,
    is_list: bool,
    /// The item around it, which may be the byte string of the extra data.
    parent: Option<usize>,
}

/// A real record with the place of every item in it, the extra data's too.
pub struct Record {
    pub raw: Vec<u8>,
    items: Vec<Item>,
}

impl Record {
    pub fn new(raw: Vec<u8>) -> Self {
        let mut record = Self { raw, items: Vec::new() };
        record.index(0, record.raw.len(), None);
        record
    }

    /// Indexes the items in `start..end`; the extra data is found as the thirteenth item of the header.
    fn index(&mut self, start: usize, end: usize, parent: Option<usize>) {
        let mut position = start;
        let mut place = 0;
        while position < end {
            let item = rlp::parse(&self.raw[position..end]).expect("a recorded block is well-formed");
            let (length, payload) = (item.raw.len(), item.payload.len());
            let is_list = item.kind == rlp::Kind::List;
            let number = self.items.len();
            let payload = position + length - payload;
            self.items.push(Item { raw: position..position + length, payload, is_list, parent });
            if is_list {
                self.index(payload, position + length, Some(number));
            } else if parent == Some(1) && place == 12 {
                self.index(payload + VANITY, position + length, Some(number));
            }
            position += length;
            place += 1;
        }
    }

    /// The record with item `number` replaced by `new`, and every length around it repaired.
    fn with(&self, number: usize, new: Vec<u8>) -> Vec<u8> {
        let (mut bytes, mut inner) = (new, &self.items[number]);
        while let Some(parent) = inner.parent {
            let outer = &self.items[parent];
            let mut payload = self.raw[outer.payload..inner.raw.start].to_vec();
            payload.extend_from_slice(&bytes);
            payload.extend_from_slice(&self.raw[inner.raw.end..outer.raw.end]);
            bytes = Vec::with_capacity(payload.len() + 9);
            if outer.is_list {
                rlp::put_list(&mut bytes, &payload);
            } else {
                rlp::put_bytes(&mut bytes, &payload);
            }
            inner = outer;
        }
        bytes
    }

    fn raw_of(&self, number: usize) -> &[u8] {
        &self.raw[self.items[number].raw.clone()]
    }

    fn payload_of(&self, number: usize) -> &[u8] {
        &self.raw[self.items[number].payload..self.items[number].raw.end]
    }
}

/// What is done to a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Damage {
    FlipBit,
    SetByte,
    InsertBytes,
    RemoveBytes,
    Truncate,
    Splice,
    EditLength,
    RemoveItem,
    RepeatItem,
    ReplaceItem,
    NestItem,
    ResizeItem,
    ChangeKind,
    PadInteger,
}

const DAMAGES: [Damage; 14] = [
    Damage::FlipBit,
    Damage::SetByte,
    Damage::InsertBytes,
    Damage::RemoveBytes,
    Damage::Truncate,
    Damage::Splice,
    Damage::EditLength,
    Damage::RemoveItem,
    Damage::RepeatItem,
    Damage::ReplaceItem,
    Damage::NestItem,
    Damage::ResizeItem,
    Damage::ChangeKind,
    Damage::PadInteger,
];

/// The records to damage, and the seed of all numbers drawn.
pub struct Mutator {
    pub records: Vec<Record>,
    pub seed: u64,
}

impl Mutator {
    pub fn new(records: Vec<Vec<u8>>, seed: u64) -> Self {
        let records = records.into_iter().filter(|record| record.len() <= LARGEST_RECORD).map(Record::new).collect();
        Self { records, seed }
    }

    /// Mutant `number`: the first damage done to it, and its bytes. One in four is damaged again.
    pub fn mutant(&self, number: u64) -> (Damage, Vec<u8>) {
        let mut random = Random::new(self.seed, number);
        let record = &self.records[random.below(self.records.len())];
        let damage = DAMAGES[random.below(DAMAGES.len())];
        let mut bytes = self.damaged(record, damage, &mut random);
        while random.below(4) == 0 {
            blind(&mut bytes, &mut random);
        }
        (damage, bytes)
    }

    fn damaged(&self, record: &Record, damage: Damage, random: &mut Random) -> Vec<u8> {
        // Half of the draws among the first items, or large blocks would only see their transactions damaged.
        let bound = if random.below(2) == 0 { record.items.len().min(50) } else { record.items.len() };
        let item = random.below(bound);
        let raw = record.raw_of(item);
        match damage {
            Damage::FlipBit | Damage::SetByte | Damage::InsertBytes | Damage::RemoveBytes | Damage::Truncate => {
                let mut bytes = record.raw.clone();
                blind_as(damage, &mut bytes, random);
                bytes
            }
            Damage::Splice => {
                let other = &self.records[random.below(self.records.len())].raw;
                let mut bytes = record.raw[..random.below(record.raw.len())].to_vec();
                bytes.extend_from_slice(&other[random.below(other.len())..]);
                bytes
            }
            Damage::EditLength => {
                let mut bytes = record.raw.clone();
                edit_length(&mut bytes, record.items[item].raw.start, random);
                bytes
            }
            Damage::RemoveItem => record.with(item, Vec::new()),
            Damage::RepeatItem => record.with(item, raw.repeat(2 + random.below(3))),
            Damage::ReplaceItem => {
                let other = &self.records[random.below(self.records.len())];
                record.with(item, other.raw_of(random.below(other.items.len())).to_vec())
            }
            Damage::NestItem => {
                let mut bytes = raw.to_vec();
                // Seldom very deep: recursion, if there were any, would end here.
                let depth = if random.below(2_000) == 0 { 5_000 } else { 1 + random.below(4) };
                for _ in 0..depth {
                    let mut outer = Vec::with_capacity(bytes.len() + 4);
                    rlp::put_list(&mut outer, &bytes);
                    bytes = outer;
                }
                record.with(item, bytes)
            }
            Damage::ResizeItem => {
                const SIZES: [usize; 16] = [0, 1, 7, 8, 9, 19, 20, 21, 31, 32, 33, 55, 56, 65, 255, 257];
                let size = SIZES[random.below(SIZES.len())];
                let content = random.bytes(size);
                let mut bytes = Vec::with_capacity(content.len() + 3);
                rlp::put_bytes(&mut bytes, &content);
                record.with(item, bytes)
            }
            Damage::ChangeKind => {
                let mut bytes = Vec::with_capacity(raw.len() + 1);
                if record.items[item].is_list {
                    rlp::put_bytes(&mut bytes, record.payload_of(item));
                } else {
                    rlp::put_list(&mut bytes, record.payload_of(item));
                }
                record.with(item, bytes)
            }
            Damage::PadInteger => {
                let mut padded = vec![0; 1 + random.below(9)];
                padded.extend_from_slice(record.payload_of(item));
                let mut bytes = Vec::with_capacity(padded.len() + 9);
                rlp::put_bytes(&mut bytes, &padded);
                record.with(item, bytes)
            }
        }
    }
}

fn blind(bytes: &mut Vec<u8>, random: &mut Random) {
    blind_as(DAMAGES[random.below(5)], bytes, random);
}

/// Does damage that knows nothing of RLP.
fn blind_as(damage: Damage, bytes: &mut Vec<u8>, random: &mut Random) {
    const EXTREMES: [u8; 16] =
        [0x00, 0x01, 0x7f, 0x80, 0x81, 0x88, 0xa0, 0xb7, 0xb8, 0xbf, 0xc0, 0xc1, 0xf7, 0xf8, 0xfb, 0xff];
    if bytes.is_empty() {
        bytes.push(0xc0);
    }
    let place = random.below(bytes.len());
    match damage {
        Damage::FlipBit => bytes[place] ^= 1 << random.below(8),
        Damage::SetByte => bytes[place] = EXTREMES[random.below(EXTREMES.len())],
        Damage::InsertBytes => {
            let length = 1 + random.below(9);
            let new = random.bytes(length);
            bytes.splice(place..place, new);
        }
        Damage::RemoveBytes => {
            let end = (place + 1 + random.below(9)).min(bytes.len());
            bytes.drain(place..end);
        }
        _ => bytes.truncate(place),
    }
}

/// Rewrites the length in the prefix at `place`: a little off, huge, or in a longer form, with nothing else repaired.
fn edit_length(bytes: &mut Vec<u8>, place: usize, random: &mut Random) {
    let first = bytes[place];
    let base = if first < 0xc0 { 0x80 } else { 0xc0 };
    let size = match first {
        0x80..=0xb7 | 0xc0..=0xf7 => 0,
        0xb8..=0xbf => usize::from(first - 0xb7),
        0xf8..=0xff => usize::from(first - 0xf7),
        _ => return bytes[place] |= 0x80,
    };
    match random.below(4) {
        0 => {
            // The last byte of the length, or the short length itself.
            let last = place + size;
            bytes[last] = bytes[last].wrapping_add(random.below(7) as u8).wrapping_sub(3);
        }
        1 => {
            // All eight bytes of a length, as large as they get.
            let mut prefix = vec![base + 63];
            prefix.extend_from_slice(&(u64::MAX >> random.below(64)).to_be_bytes());
            bytes.splice(place..=place + size, prefix);
        }
        2 => {
            // The same length, or that of an inner item, behind leading zeros.
            let mut prefix = vec![base + 56 + size as u8, 0];
            prefix.extend_from_slice(&bytes[place + 1..=place + size]);
            bytes.splice(place..=place + size, prefix);
        }
        _ => bytes[place] = base + random.below(64) as u8,
    }
}
