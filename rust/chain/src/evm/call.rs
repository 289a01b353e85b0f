//! CALL, CALLCODE, DELEGATECALL, STATICCALL, CREATE and CREATE2 up to the point where the new frame would start.

use std::{ops::Range, sync::Arc};

use alloy_primitives::{Address, U256};

use super::{
    code::Code,
    copy::charge_words,
    failure::Failure,
    frame::{Frame, allocate, allocate_if_any, slot},
    opcode::{CALL, CALLCODE, CREATE2, DELEGATECALL, STATICCALL},
    word::Word,
    world::World,
};
use crate::{forks::Generation, journal::AccountIndex};

/// A call that an instruction asks for.
#[derive(Debug)]
pub struct CallRequest<W> {
    /// Whose storage and balance.
    pub address: Address,
    /// The same in the journal.
    pub account: AccountIndex,
    /// Whose code; decides on precompiles.
    pub code_address: Address,
    /// Its code, stale or not (§6.7.3).
    pub code: Option<Arc<Code>>,
    /// CALLER of the new frame.
    pub caller: Address,
    /// CALLVALUE of the new frame.
    pub value: W,
    /// Only CALL moves the value.
    pub transfers: bool,
    /// Gas of the new frame.
    pub gas: u64,
    /// No changes of state.
    pub is_static: bool,
    /// In the caller's memory.
    pub input: Range<usize>,
    /// In the caller's memory.
    pub output: Range<usize>,
}

/// A creation that an instruction asks for.
#[derive(Debug)]
pub struct CreateRequest<W> {
    /// Endowment.
    pub value: W,
    /// Gas of the new frame.
    pub gas: u64,
    /// Initialisation code in the creator's memory.
    pub code: Range<usize>,
    /// CREATE2.
    pub salt: Option<U256>,
}

/// What becomes of the instruction.
#[derive(Debug)]
pub enum Decision<R> {
    /// A frame is to be tried.
    Start(R),
    /// Zero is pushed, without a frame.
    Refuse,
}

/// Prepares a call instruction; `frame.gas` and `frame.height` are up to date before and after it.
// Out of line: the loop of the interpreter stays small.
#[inline(never)]
pub fn prepare_call<T, W: Word>(
    world: &mut World<'_, '_, T>,
    frame: &mut Frame<W>,
    opcode: u8,
) -> Result<Decision<CallRequest<W>>, Failure> {
    let top = frame.height - 1;
    let has_value = opcode == CALL || opcode == CALLCODE;
    let requested = frame.stack[slot(top)];
    let code_address = frame.stack[slot(top - 1)].to_address();
    let value = if has_value { frame.stack[slot(top - 2)] } else { W::ZERO };
    let transfers_value = !value.is_zero();
    if opcode == CALL && frame.is_static && transfers_value {
        return Err(Failure::WriteProtection);
    }
    let ranges = top - if has_value { 3 } else { 2 };
    let [input_offset, input_length, output_offset, output_length] =
        [0, 1, 2, 3].map(|below| frame.stack[slot(ranges - below)]);
    let (gas, input) = allocate_if_any(&mut frame.memory, frame.gas, &input_offset, &input_length)?;
    let (gas, output) = allocate(&mut frame.memory, gas, &output_offset, &output_length)?;

    let journal = &mut *world.journal;
    let flags = &world.table.flags;
    let target = journal.index(&code_address);
    let mut cost = world.table.call;
    if opcode == CALL {
        let is_new = if flags.eip158 { transfers_value && journal.is_empty(target) } else { !journal.exists(target) };
        cost += if is_new { 25_000 } else { 0 };
    }
    cost += if transfers_value { 9_000 } else { 0 };
    let (gas, mut granted) = split_gas(gas, cost, &requested, flags.eip150, world.table.generation)?;
    granted = granted.wrapping_add(if transfers_value { 2_300 } else { 0 });
    frame.gas = gas;
    frame.height = ranges - 3;

    // The code is read even if the balance turns out to be too small: that fills the cache of §6.7.3.
    let code = journal.code(target);
    if transfers_value && !covers(&journal.balance(frame.account), &value) {
        frame.gas = frame.gas.wrapping_add(granted);
        return Ok(Decision::Refuse);
    }
    let in_place = opcode == CALLCODE || opcode == DELEGATECALL;
    Ok(Decision::Start(CallRequest {
        address: if in_place { frame.address } else { code_address },
        account: if in_place { frame.account } else { target },
        code_address,
        code,
        caller: if opcode == DELEGATECALL { frame.caller } else { frame.address },
        value: if opcode == DELEGATECALL { frame.value } else { value },
        transfers: opcode == CALL,
        gas: granted,
        is_static: frame.is_static || opcode == STATICCALL,
        input,
        output,
    }))
}

/// Whether a balance is not below a value. None is below a negative one.
#[inline]
fn covers<W: Word>(balance: &U256, value: &W) -> bool {
    value.amount().is_none_or(|value| value.is_covered_by(balance))
}

/// The gas left in the caller and the gas for the callee, stipend not included.
///
/// EIP150 keeps one 64th back. §6.7.15: without it G1 adds cost and requested gas modulo 2^64; G3 fails the frame.
fn split_gas<W: Word>(
    gas: u64,
    cost: u64,
    requested: &W,
    eip150: bool,
    generation: Generation,
) -> Result<(u64, u64), Failure> {
    let requested = requested.to_u64();
    let granted = if eip150 {
        let available = gas.checked_sub(cost).ok_or(Failure::OutOfGas)?;
        let most = available - available / 64;
        requested.map_or(most, |requested| requested.min(most))
    } else {
        requested.ok_or(Failure::OutOfGas)?
    };
    let total = match generation {
        Generation::G1 | Generation::G2 => cost.wrapping_add(granted),
        Generation::G3 => cost.checked_add(granted).ok_or(Failure::OutOfGas)?,
    };
    Ok((gas.checked_sub(total).ok_or(Failure::OutOfGas)?, granted))
}

/// Prepares CREATE or CREATE2; `frame.gas` and `frame.height` are up to date before and after it.
#[inline(never)]
pub fn prepare_create<T, W: Word>(
    world: &mut World<'_, '_, T>,
    frame: &mut Frame<W>,
    opcode: u8,
) -> Result<Decision<CreateRequest<W>>, Failure> {
    if frame.is_static {
        return Err(Failure::WriteProtection);
    }
    frame.return_data.clear();
    let top = frame.height - 1;
    let [value, offset, length] = [0, 1, 2].map(|below| frame.stack[slot(top - below)]);
    let salt = (opcode == CREATE2).then(|| frame.stack[slot(top - 3)].magnitude());
    let (gas, code) = allocate_if_any(&mut frame.memory, frame.gas, &offset, &length)?;
    frame.gas = gas;
    frame.height = top - if salt.is_some() { 3 } else { 2 };
    // §6.7.8: before the gas for hashing.
    if !covers(&world.journal.balance(frame.account), &value) {
        return Ok(Decision::Refuse);
    }
    if salt.is_some() {
        frame.gas = charge_words(frame.gas, code.len(), 6)?;
    }
    // §6.5: CREATE2 keeps a 64th back whatever the flag.
    let kept = if world.table.flags.eip150 || salt.is_some() { frame.gas / 64 } else { 0 };
    let gas = frame.gas - kept;
    frame.gas = kept;
    Ok(Decision::Start(CreateRequest { value, gas, code, salt }))
}
