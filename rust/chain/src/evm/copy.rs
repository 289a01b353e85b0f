//! Instructions that move bytes into memory, and KECCAK256.

use alloy_primitives::keccak256;

use super::{
    failure::Failure,
    frame::{Stack, allocate, allocate_if_any, copy_padded, slot},
    word::Word,
};
use crate::forks::Generation;

/// Charges `rate` per word of `length` bytes.
#[inline]
pub fn charge_words(gas: u64, length: usize, rate: u64) -> Result<u64, Failure> {
    gas.checked_sub((length as u64).div_ceil(32) * rate).ok_or(Failure::OutOfGas)
}

/// CALLDATACOPY, CODECOPY, EXTCODECOPY: memory offset, data offset, length at `top` and below. Returns gas.
pub fn copy<W: Word>(
    stack: &Stack<W>,
    top: usize,
    memory: &mut Vec<u8>,
    gas: u64,
    data: &[u8],
) -> Result<u64, Failure> {
    let (memory_offset, data_offset, length) = (&stack[slot(top)], &stack[slot(top - 1)], &stack[slot(top - 2)]);
    let (gas, range) = allocate(memory, gas, memory_offset, length)?;
    let gas = charge_words(gas, range.len(), 3)?;
    copy_padded(&mut memory[range], data, data_offset);
    Ok(gas)
}

/// RETURNDATACOPY. Returns gas. §6.7.7: with length 0, G1 still looks at both offsets, later generations only ask
/// for a data offset below 2^64. Where the client v0.6.3 crashes, at a memory offset beyond the memory, nothing is copied.
pub fn copy_return_data<W: Word>(
    stack: &Stack<W>,
    top: usize,
    memory: &mut Vec<u8>,
    gas: u64,
    data: &[u8],
    generation: Generation,
) -> Result<u64, Failure> {
    let (memory_offset, data_offset, length) = (&stack[slot(top)], &stack[slot(top - 1)], &stack[slot(top - 2)]);
    let start = data_offset.to_u64();
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
    memory[range].copy_from_slice(&data[start as usize..end as usize]);
    Ok(gas)
}

/// KECCAK256: offset and length at `top` and below. Returns gas and the hash.
#[inline]
pub fn hash<W: Word>(offset: &W, length: &W, memory: &mut Vec<u8>, gas: u64) -> Result<(u64, W), Failure> {
    let (gas, range) = allocate_if_any(memory, gas, offset, length)?;
    let gas = charge_words(gas, range.len(), 6)?;
    Ok((gas, W::unsigned(keccak256(&memory[range]).into())))
}
