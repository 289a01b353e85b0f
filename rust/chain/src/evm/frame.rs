//! One running call or creation: stack, memory, where it stands. Frames are pooled: their buffers outlive a call.

use std::{ops::Range, sync::Arc};

use alloy_primitives::Address;

use super::{code::Code, failure::Failure, table::STACK_LIMIT, word::Word};
use crate::journal::{AccountIndex, Snapshot};

/// The stack of one frame; a height is always below or at its length, which the mask in [`slot`] exploits.
pub type Stack<W> = [W; STACK_LIMIT];

/// Index of the item at `height` (the top one has the stack's height minus one), bounded by a mask so that the
/// compiler needs no check; [`super::table::Entry`] guarantees that the mask never acts.
#[inline(always)]
pub fn slot(height: usize) -> usize {
    height & (STACK_LIMIT - 1)
}

/// How a frame came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A message call; its output goes to this range of the caller's memory.
    #[allow(missing_docs)]
    Call { output_offset: usize, output_length: usize },
    /// A creation by transaction or by CREATE.
    Create,
    /// A creation by CREATE2.
    Create2,
}

/// One frame.
#[derive(Debug)]
pub struct Frame<W> {
    /// Items below `height` are live.
    pub stack: Box<Stack<W>>,
    /// Number of items.
    pub height: usize,
    /// Always a multiple of 32 bytes long.
    pub memory: Vec<u8>,
    /// Of the last call.
    pub return_data: Vec<u8>,
    /// Call data.
    pub input: Vec<u8>,
    /// What runs.
    pub code: Arc<Code>,
    /// Position in the code.
    pub position: usize,
    /// Gas left.
    pub gas: u64,
    /// Whose storage and balance.
    pub address: Address,
    /// The same account in the journal.
    pub account: AccountIndex,
    /// CALLER.
    pub caller: Address,
    /// CALLVALUE.
    pub value: W,
    /// No changes of state allowed.
    pub is_static: bool,
    /// Call or creation.
    pub purpose: Purpose,
    /// Where to go back to when it fails.
    pub snapshot: Snapshot,
}

/// What a pooled frame keeps of a large memory.
const RETAINED_MEMORY: usize = 1 << 20;

impl<W: Word> Frame<W> {
    /// A frame with buffers and nothing in it.
    pub fn new(code: Arc<Code>) -> Self {
        Self {
            stack: Box::new([W::ZERO; STACK_LIMIT]),
            height: 0,
            memory: Vec::new(),
            return_data: Vec::new(),
            input: Vec::new(),
            code,
            position: 0,
            gas: 0,
            address: Address::ZERO,
            account: AccountIndex::default(),
            caller: Address::ZERO,
            value: W::ZERO,
            is_static: false,
            purpose: Purpose::Create,
            snapshot: Snapshot::default(),
        }
    }

    /// Empties the buffers for a new call.
    pub fn reset(&mut self) {
        self.height = 0;
        self.position = 0;
        self.memory.clear();
        self.memory.shrink_to(RETAINED_MEMORY);
        self.return_data.clear();
        self.input.clear();
    }

    /// Pushes a result; calls leave fewer items than they take, so there is room.
    pub fn push(&mut self, word: W) {
        self.stack[slot(self.height)] = word;
        self.height += 1;
    }
}

/// Beyond this an offset or a length fails whatever the gas (§6.7.6).
const OFFSET_LIMIT: u64 = 0xff_ffff_ffe0;

/// The largest memory we build. Gas for it exceeds 35 * 10^12; the Go client would go on until it is out of memory.
pub const MEMORY_LIMIT: u64 = 1 << 32;

/// Makes `length` bytes of memory at `offset` accessible, and charges for growth.
///
/// Returns the gas left and the range; a length of zero needs an offset below 2^64 and gives an empty range at zero
/// (§6.7.6). Errors: out of gas, offset or length too large.
#[inline]
pub fn allocate<W: Word>(
    memory: &mut Vec<u8>,
    gas: u64,
    offset: &W,
    length: &W,
) -> Result<(u64, Range<usize>), Failure> {
    let (Some(offset), Some(length)) = (offset.to_u64(), length.to_u64()) else {
        return Err(Failure::OffsetOverflow);
    };
    if length == 0 {
        return Ok((gas, 0..0));
    }
    if offset > OFFSET_LIMIT || length > OFFSET_LIMIT {
        return Err(Failure::OffsetOverflow);
    }
    let end = offset + length;
    let gas = if end > memory.len() as u64 { grow(memory, gas, end)? } else { gas };
    Ok((gas, offset as usize..end as usize))
}

/// As [`allocate`], but a length of zero is fine with any offset (§6.7.6: RETURN, REVERT, LOG, KECCAK256, CREATE, the
/// input of calls).
#[inline]
pub fn allocate_if_any<W: Word>(
    memory: &mut Vec<u8>,
    gas: u64,
    offset: &W,
    length: &W,
) -> Result<(u64, Range<usize>), Failure> {
    if length.is_zero() { Ok((gas, 0..0)) } else { allocate(memory, gas, offset, length) }
}

/// Grows memory to hold `end` bytes. The cost 3w + w*w/512 is taken modulo 2^64.
#[inline(never)]
fn grow(memory: &mut Vec<u8>, gas: u64, end: u64) -> Result<u64, Failure> {
    let cost = |words: u64| words.wrapping_mul(3).wrapping_add(words.wrapping_mul(words) / 512);
    let words = end.div_ceil(32);
    let growth = cost(words).wrapping_sub(cost(memory.len() as u64 / 32));
    let gas = gas.checked_sub(growth).ok_or(Failure::OutOfGas)?;
    if words * 32 > MEMORY_LIMIT {
        return Err(Failure::Fault);
    }
    memory.resize((words * 32) as usize, 0);
    Ok(gas)
}

/// Copies `data[offset..]` to `target`, zeros where the data ends; an offset of 2^64 or more is beyond any data.
pub fn copy_padded<W: Word>(target: &mut [u8], data: &[u8], offset: &W) {
    let start = offset.to_u64().map_or(data.len(), |offset| (offset as usize).min(data.len()));
    let available = target.len().min(data.len() - start);
    target[..available].copy_from_slice(&data[start..start + available]);
    target[available..].fill(0);
}

#[cfg(test)]
mod tests {
    use alloy_primitives::U256 as Word;

    use super::{Failure, OFFSET_LIMIT, allocate, allocate_if_any, copy_padded};

    #[test]
    fn a_length_of_zero_forgives_an_offset_only_where_6_7_6_says_so() {
        let (far, none) = (Word::from(1) << 64, Word::ZERO);
        let mut memory = Vec::new();
        assert_eq!(allocate(&mut memory, 9, &far, &none), Err(Failure::OffsetOverflow));
        assert_eq!(allocate_if_any(&mut memory, 9, &far, &none), Ok((9, 0..0)));
        assert_eq!(allocate(&mut memory, 9, &Word::from(u64::MAX), &none), Ok((9, 0..0)));
        assert!(memory.is_empty());
    }

    #[test]
    fn memory_grows_by_words_and_costs_its_square() {
        let mut memory = Vec::new();
        let (gas, range) = allocate(&mut memory, 10_000, &Word::from(1), &Word::from(32)).expect("enough gas");
        assert_eq!((10_000 - gas, range, memory.len()), (6, 1..33, 64));
        let (gas, _) = allocate(&mut memory, 10_000, &Word::from(32 * 1023), &Word::from(32)).expect("enough gas");
        assert_eq!((10_000 - gas, memory.len()), (3 * 1024 + 1024 * 1024 / 512 - 6, 32 * 1024));
        let beyond = Word::from(OFFSET_LIMIT + 1);
        assert_eq!(allocate(&mut memory, u64::MAX, &beyond, &Word::from(1)), Err(Failure::OffsetOverflow));
        assert_eq!(allocate(&mut memory, 1, &Word::from(OFFSET_LIMIT), &Word::from(1)), Err(Failure::OutOfGas));
    }

    #[test]
    fn copies_are_filled_up_with_zeros() {
        for (offset, expected) in [(Word::ZERO, [1, 2, 0]), (Word::from(1), [2, 0, 0]), (Word::MAX, [0, 0, 0])] {
            let mut target = [9; 3];
            copy_padded(&mut target, &[1, 2], &offset);
            assert_eq!(target, expected);
        }
    }
}
