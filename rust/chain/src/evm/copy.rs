//! Instructions that move bytes into memory, and KECCAK256.

use alloy_primitives::keccak256;

use super::{
    Word,
    frame::{Failure, Stack, allocate, allocate_if_any, copy_padded, slot, to_u64},
};
use crate::{
    forks::Generation,
    journal::{Fault, Journal},
};

/// Charges `rate` per word of `length` bytes.
#[inline]
pub fn charge_words(gas: u64, length: usize, rate: u64) -> Result<u64, Failure> {
    gas.checked_sub((length as u64).div_ceil(32) * rate).ok_or(Failure::OutOfGas)
}

/// CALLDATACOPY, CODECOPY, EXTCODECOPY: memory offset, data offset, length at `top` and below. Returns gas.
pub fn copy(stack: &Stack, top: usize, memory: &mut Vec<u8>, gas: u64, data: &[u8]) -> Result<u64, Failure> {
    let (memory_offset, data_offset, length) = (&stack[slot(top)], &stack[slot(top - 1)], &stack[slot(top - 2)]);
    let (gas, range) = allocate(memory, gas, memory_offset, length)?;
    let gas = charge_words(gas, range.len(), 3)?;
    copy_padded(&mut memory[range], data, data_offset);
    Ok(gas)
}

/// RETURNDATACOPY. Returns gas. §6.7.7: with length 0, G1 still looks at both offsets, later generations only ask
/// for a data offset below 2^64.
pub fn copy_return_data(
    stack: &Stack,
    top: usize,
    memory: &mut Vec<u8>,
    gas: u64,
    data: &[u8],
    generation: Generation,
    journal: &mut Journal<'_>,
) -> Result<u64, Failure> {
    let (memory_offset, data_offset, length) = (&stack[slot(top)], &stack[slot(top - 1)], &stack[slot(top - 2)]);
    let start = to_u64(data_offset);
    if generation != Generation::G1 {
        start.ok_or(Failure::ReturnDataOutOfBounds)?;
        if length.is_zero() {
            return Ok(gas);
        }
    }
    let (gas, range) = allocate(memory, gas, memory_offset, length)?;
    let start = start.ok_or(Failure::OffsetOverflow)?;
    let gas = charge_words(gas, range.len(), 3)?;
    let end = start.checked_add(range.len() as u64).filter(|end| *end <= data.len() as u64);
    let end = end.ok_or(Failure::ReturnDataOutOfBounds)?;
    if range.is_empty() {
        let offset = to_u64(memory_offset).unwrap_or(u64::MAX);
        if offset > memory.len() as u64 {
            journal.set_fault(Fault::ReturnDataCopyPanics { offset, length: memory.len() as u64 });
            return Err(Failure::Fault);
        }
    }
    memory[range].copy_from_slice(&data[start as usize..end as usize]);
    Ok(gas)
}

/// KECCAK256: offset and length at `top` and below. Returns gas and the hash.
#[inline]
pub fn hash(offset: &Word, length: &Word, memory: &mut Vec<u8>, gas: u64) -> Result<(u64, Word), Failure> {
    let (gas, range) = allocate_if_any(memory, gas, offset, length)?;
    let gas = charge_words(gas, range.len(), 6)?;
    Ok((gas, Word::from_be_bytes(keccak256(&memory[range]).0)))
}
