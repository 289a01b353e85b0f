//! Instructions that change the state or look at other accounts: SSTORE, LOG, SELFDESTRUCT, EXTCODE*, BLOCKHASH.

use alloy_primitives::{Address, B256, Bytes, U256};

use super::{
    failure::Failure,
    frame::{Frame, Stack, allocate_if_any, slot},
    table::{StorageMetering, Table},
    word::Word,
    world::World,
};
use crate::{
    journal::{AccountIndex, Journal, StorageStatus},
    receipt::Log,
};

/// SSTORE. Returns gas. The whole state change is undone with the frame when the gas does not suffice.
#[inline]
pub fn store(
    journal: &mut Journal<'_>,
    table: &Table,
    account: AccountIndex,
    key: &U256,
    value: &U256,
    gas: u64,
) -> Result<u64, Failure> {
    let metering = table.metering;
    if metering == StorageMetering::Net2200 && gas <= 2300 {
        return Err(Failure::OutOfGas);
    }
    let cost = match journal.set_storage(account, key, value, metering) {
        StorageStatus::Added => 20_000,
        StorageStatus::Modified | StorageStatus::Deleted => 5_000,
        StorageStatus::Unchanged | StorageStatus::ModifiedAgain => match metering {
            StorageMetering::Net2200 => 800,
            StorageMetering::Net1283 => 200,
            StorageMetering::Simple => 5_000,
        },
    };
    gas.checked_sub(cost).ok_or(Failure::OutOfGas)
}

/// LOG0 to LOG4: offset, length, topics at `top` and below. Returns gas.
pub fn log<W: Word>(
    journal: &mut Journal<'_>,
    address: &Address,
    stack: &Stack<W>,
    top: usize,
    topics: usize,
    memory: &mut Vec<u8>,
    gas: u64,
) -> Result<u64, Failure> {
    let (gas, range) = allocate_if_any(memory, gas, &stack[slot(top)], &stack[slot(top - 1)])?;
    let gas = gas.checked_sub(375 * topics as u64).ok_or(Failure::OutOfGas)?;
    let gas = gas.checked_sub(8 * range.len() as u64).ok_or(Failure::OutOfGas)?;
    journal.log(Log {
        address: *address,
        topics: (2..2 + topics).map(|below| B256::from(stack[slot(top - below)].magnitude())).collect(),
        data: Bytes::copy_from_slice(&memory[range]),
    });
    Ok(gas)
}

/// SELFDESTRUCT. Returns gas. A new beneficiary costs 25000 under EIP150: if it does not exist, or under EIP158 if it
/// is empty and gets something.
pub fn self_destruct<T>(
    world: &mut World<'_, '_, T>,
    account: AccountIndex,
    beneficiary: &Address,
    gas: u64,
) -> Result<u64, Failure> {
    let flags = &world.table.flags;
    let beneficiary = world.journal.index(beneficiary);
    let is_new = flags.eip150
        && if flags.eip158 {
            world.journal.is_empty(beneficiary) && !world.journal.balance(account).is_zero()
        } else {
            !world.journal.exists(beneficiary)
        };
    let cost = world.table.self_destruct + if is_new { 25_000 } else { 0 };
    let gas = gas.checked_sub(cost).ok_or(Failure::OutOfGas)?;
    world.journal.self_destruct(account, beneficiary);
    Ok(gas)
}

/// BALANCE.
pub fn balance<W: Word>(journal: &mut Journal<'_>, address: &W) -> W {
    let account = journal.index(&address.to_address());
    W::unsigned(journal.balance(account))
}

/// EXTCODESIZE, stale code included (§6.7.3).
pub fn code_size<W: Word>(journal: &mut Journal<'_>, address: &W) -> W {
    let account = journal.index(&address.to_address());
    W::from_u64(journal.code(account).map_or(0, |code| code.bytes().len()) as u64)
}

/// EXTCODEHASH: zero for an empty account.
pub fn code_hash<W: Word>(journal: &mut Journal<'_>, address: &W) -> W {
    let account = journal.index(&address.to_address());
    if journal.is_empty(account) { W::ZERO } else { W::unsigned(journal.code_hash(account).into()) }
}

/// EXTCODECOPY: address at `top`, then as [`super::copy::copy`]. Returns gas. The code is read after all gas is
/// charged: a frame that runs out must not fill the cache of §6.7.3.
pub fn copy_code<W: Word>(
    journal: &mut Journal<'_>,
    frame: &mut Frame<W>,
    top: usize,
    gas: u64,
) -> Result<u64, Failure> {
    let (memory, stack) = (&mut frame.memory, &frame.stack);
    let (gas, range) = super::frame::allocate(memory, gas, &stack[slot(top - 1)], &stack[slot(top - 3)])?;
    let gas = super::copy::charge_words(gas, range.len(), 3)?;
    let account = journal.index(&stack[slot(top)].to_address());
    let code = journal.code(account);
    let bytes = code.as_deref().map_or(&[][..], |code| code.bytes());
    super::frame::copy_padded(&mut memory[range], bytes, &stack[slot(top - 2)]);
    Ok(gas)
}

/// BLOCKHASH of the 256 blocks before this one, else zero.
pub fn block_hash<T, W: Word>(world: &mut World<'_, '_, T>, number: &W) -> W {
    let current = world.block.number;
    match number.to_u64() {
        Some(number) if number < current && current - number <= 256 => {
            W::unsigned(world.journal.block_hash(number).into())
        }
        _ => W::ZERO,
    }
}
