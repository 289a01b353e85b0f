//! Contract code with its jump destinations, analysed once and shared.

use std::sync::Arc;

use alloy_primitives::{B256, map::HashMap};

/// Zeros kept behind the code, so that PUSH32 at its very end reads whole words and running off the end meets STOP.
const PADDING: usize = 33;

/// Code that is ready to run.
#[derive(Debug)]
pub struct Code {
    padded: Box<[u8]>,
    /// Bit i: byte i is a JUMPDEST outside of push data.
    destinations: Box<[u64]>,
}

impl Code {
    /// Copies and analyses `bytes`.
    pub fn new(bytes: &[u8]) -> Self {
        let mut padded = Vec::with_capacity(bytes.len() + PADDING);
        padded.extend_from_slice(bytes);
        padded.resize(bytes.len() + PADDING, 0);
        let mut destinations = vec![0u64; bytes.len() / 64 + 1].into_boxed_slice();
        let mut position = 0;
        while position < bytes.len() {
            match bytes[position] {
                0x5b => destinations[position / 64] |= 1 << (position % 64),
                push @ 0x60..=0x7f => position += usize::from(push - 0x5f),
                _ => {}
            }
            position += 1;
        }
        Self { padded: padded.into_boxed_slice(), destinations }
    }

    /// The code itself.
    pub fn bytes(&self) -> &[u8] {
        &self.padded[..self.padded.len() - PADDING]
    }

    /// The code and at least 33 zeros behind it.
    #[inline]
    pub fn padded(&self) -> &[u8] {
        &self.padded
    }

    /// Whether a jump may land at `position`.
    #[inline]
    pub fn is_destination(&self, position: u64) -> bool {
        let word = usize::try_from(position / 64).ok().and_then(|word| self.destinations.get(word));
        word.is_some_and(|word| word >> (position % 64) & 1 == 1)
    }
}

/// Analysed code by hash, kept from block to block up to a bound on its bytes.
#[derive(Debug)]
pub struct CodeCache {
    codes: HashMap<B256, Arc<Code>>,
    bytes: usize,
    bound: usize,
}

impl Default for CodeCache {
    /// Room for some 2,700 contracts of the largest size.
    fn default() -> Self {
        Self::with_bound(64 << 20)
    }
}

impl CodeCache {
    /// An empty cache; beyond `bound` bytes everything is dropped, which costs a re-read at most.
    pub fn with_bound(bound: usize) -> Self {
        Self { codes: HashMap::default(), bytes: 0, bound }
    }

    /// The code with this hash, if it was kept.
    pub fn get(&self, hash: &B256) -> Option<&Arc<Code>> {
        self.codes.get(hash)
    }

    /// Keeps `code` under `hash`.
    pub fn keep(&mut self, hash: B256, code: &Arc<Code>) {
        if self.bytes > self.bound {
            self.codes.clear();
            self.bytes = 0;
        }
        if self.codes.insert(hash, Arc::clone(code)).is_none() {
            self.bytes += code.padded.len() + code.destinations.len() * 8;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn push_data_holds_no_destinations() {
        let code = Code::new(&[0x60, 0x5b, 0x5b, 0x7f, 0x5b]);
        let found: Vec<u64> = (0..2000).filter(|position| code.is_destination(*position)).collect();
        assert_eq!(found, [2]);
        assert!(!code.is_destination(u64::MAX));
    }
}
