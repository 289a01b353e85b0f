//! The loop that runs one frame until it ends or asks for another frame.
//!
//! Gas, position and height live in locals: no function that is not inlined gets a reference to them, so that they
//! stay in registers. They are written back before anything that needs the whole frame.

use alloy_primitives::U256;

use super::{
    call::{CallRequest, CreateRequest, Decision, prepare_call, prepare_create},
    copy, effect,
    failure::Failure,
    frame::{Frame, Stack, allocate, allocate_if_any, slot},
    opcode::*,
    table::Entry,
    trace::{Step, Tracer},
    word::Word,
    world::World,
};

/// Why the loop came back.
#[derive(Debug)]
pub enum Exit<W> {
    /// STOP, the end of the code, or SELFDESTRUCT.
    Stop,
    /// RETURN with this range of memory.
    Return(std::ops::Range<usize>),
    /// REVERT with this range of memory.
    Revert(std::ops::Range<usize>),
    /// A failure: all gas is gone.
    Fail(Failure),
    /// A call is to be tried.
    Call(CallRequest<W>),
    /// A creation is to be tried.
    Create(CreateRequest<W>),
}

/// The word that `N` bytes of push data make.
#[inline(always)]
fn push_data<const N: usize>(code: &[u8], position: usize) -> U256 {
    let mut bytes = [0u8; 32];
    if let Some(data) = code.get(position + 1..position + 1 + N) {
        bytes[32 - N..].copy_from_slice(data);
    }
    U256::from_be_bytes(bytes)
}

/// Runs `frame`, which is the `depth`-th, from where it stands.
pub fn run<T: Tracer, W: Word>(frame: &mut Frame<W>, depth: usize, world: &mut World<'_, '_, T>) -> Exit<W> {
    let mut gas = frame.gas;
    let mut position = frame.position;
    let mut height = frame.height;
    // Borrowed anew after every use of the whole frame: one load less per instruction.
    let mut stack: &mut Stack<W> = &mut frame.stack;
    let entries = &world.table.entries;
    let code = std::sync::Arc::clone(&frame.code);
    let bytes = code.padded();

    macro_rules! fail {
        ($failure:expr) => {{
            let failure = $failure;
            if T::ACTIVE {
                world.tracer.fail(depth, position, failure);
            }
            frame.gas = 0;
            return Exit::Fail(failure);
        }};
    }
    macro_rules! check {
        ($result:expr) => {
            match $result {
                Ok(value) => value,
                Err(failure) => fail!(failure),
            }
        };
    }
    // The item `$below` the top.
    macro_rules! item {
        ($below:expr) => {
            stack[slot(height.wrapping_sub(1 + $below))]
        };
    }
    macro_rules! unary {
        ($function:expr) => {{
            let value = $function(item!(0));
            item!(0) = value;
        }};
    }
    macro_rules! binary {
        ($function:expr) => {{
            let value = $function(item!(0), item!(1));
            height -= 1;
            item!(0) = value;
        }};
    }
    macro_rules! ternary {
        ($function:expr) => {{
            let value = $function(item!(0), item!(1), item!(2));
            height -= 2;
            item!(0) = value;
        }};
    }
    macro_rules! push {
        ($value:expr) => {{
            let value = $value;
            stack[slot(height)] = value;
            height += 1;
        }};
    }
    // Writes the locals back and leaves the loop.
    macro_rules! store_back {
        () => {{
            frame.gas = gas;
            frame.height = height;
            frame.position = position + 1;
        }};
    }
    macro_rules! load_again {
        () => {{
            gas = frame.gas;
            height = frame.height;
            stack = &mut frame.stack;
        }};
    }
    macro_rules! jump {
        ($target:expr) => {{
            match $target.jump_target() {
                Some(target) if code.is_destination(target) => {
                    position = target as usize;
                    continue;
                }
                _ => fail!(Failure::InvalidJump),
            }
        }};
    }
    macro_rules! read_only {
        () => {
            if frame.is_static {
                fail!(Failure::WriteProtection)
            }
        };
    }

    loop {
        // The padding behind the code is STOP and position never passes it by more than a PUSH32 reaches.
        let opcode = bytes.get(position).copied().unwrap_or(STOP);
        if T::ACTIVE {
            world.tracer.step(&Step {
                depth,
                address: &frame.address,
                position,
                opcode,
                gas,
                stack: &stack[..height],
                memory: &frame.memory,
                return_data: &frame.return_data,
            });
        }
        let entry = entries[usize::from(opcode)];
        if (height as u16).wrapping_sub(entry.minimum) > entry.span {
            fail!(stack_failure(entry, height));
        }
        match gas.checked_sub(u64::from(entry.gas)) {
            Some(left) => gas = left,
            None => fail!(Failure::OutOfGas),
        }
        match opcode {
            STOP => {
                store_back!();
                return Exit::Stop;
            }
            ADD => binary!(W::add),
            MUL => binary!(W::multiply),
            SUB => binary!(W::subtract),
            DIV => binary!(W::divide),
            SDIV => binary!(W::signed_divide),
            MOD => binary!(W::modulo),
            SMOD => binary!(W::signed_modulo),
            ADDMOD => ternary!(W::add_modulo),
            MULMOD => ternary!(W::multiply_modulo),
            EXP => {
                let length = item!(1).byte_length();
                gas = check!(gas.checked_sub(length * world.table.exponent_byte).ok_or(Failure::OutOfGas));
                binary!(W::power);
            }
            // §6.7.5: with one item only, it is dropped and nothing is extended.
            SIGNEXTEND if height == 1 => height = 0,
            SIGNEXTEND => binary!(W::sign_extend),
            LT => binary!(W::less),
            GT => binary!(W::greater),
            SLT => binary!(W::signed_less),
            SGT => binary!(W::signed_greater),
            EQ => binary!(W::equal),
            ISZERO => unary!(W::zero_test),
            AND => binary!(W::and),
            OR => binary!(W::or),
            XOR => binary!(W::xor),
            NOT => unary!(W::not),
            BYTE => binary!(W::byte),
            SHL => binary!(W::shift_left),
            SHR => binary!(W::shift_right),
            SAR => binary!(W::shift_right_signed),
            KECCAK256 => {
                let (left, hash) = check!(copy::hash(&item!(0), &item!(1), &mut frame.memory, gas));
                gas = left;
                height -= 1;
                item!(0) = hash;
            }
            ADDRESS => push!(W::from_address(&frame.address)),
            BALANCE => unary!(|address: W| effect::balance(world.journal, &address)),
            ORIGIN => push!(W::from_address(&world.transaction.origin)),
            CALLER => push!(W::from_address(&frame.caller)),
            CALLVALUE => push!(frame.value),
            CALLDATALOAD => {
                let mut word = [0; 32];
                super::frame::copy_padded(&mut word, &frame.input, &item!(0));
                item!(0) = W::unsigned(U256::from_be_bytes(word));
            }
            CALLDATASIZE => push!(W::from_u64(frame.input.len() as u64)),
            CALLDATACOPY => {
                gas = check!(copy::copy(stack, height - 1, &mut frame.memory, gas, &frame.input));
                height -= 3;
            }
            CODESIZE => push!(W::from_u64(code.bytes().len() as u64)),
            CODECOPY => {
                gas = check!(copy::copy(stack, height - 1, &mut frame.memory, gas, code.bytes()));
                height -= 3;
            }
            GASPRICE => push!(W::unsigned(world.transaction.gas_price)),
            EXTCODESIZE => unary!(|address: W| effect::code_size(world.journal, &address)),
            EXTCODECOPY => {
                gas = check!(effect::copy_code(world.journal, frame, height - 1, gas));
                stack = &mut frame.stack;
                height -= 4;
            }
            RETURNDATASIZE => push!(W::from_u64(frame.return_data.len() as u64)),
            RETURNDATACOPY => {
                gas = check!(copy::copy_return_data(
                    stack,
                    height - 1,
                    &mut frame.memory,
                    gas,
                    &frame.return_data,
                    world.table.generation,
                ));
                height -= 3;
            }
            EXTCODEHASH => unary!(|address: W| effect::code_hash(world.journal, &address)),
            BLOCKHASH => unary!(|number: W| effect::block_hash(world, &number)),
            COINBASE => push!(W::from_address(&world.block.coinbase)),
            TIMESTAMP => push!(W::signed_64(world.block.timestamp)),
            NUMBER => push!(W::signed_64(world.block.number)),
            DIFFICULTY => push!(W::from_u64(world.block.difficulty)),
            GASLIMIT => push!(W::signed_64(world.block.gas_limit)),
            CHAINID => push!(W::from_u64(world.chain_id)),
            SELFBALANCE => push!(W::unsigned(world.journal.balance(frame.account))),
            BASEFEE => push!(W::from_u64(world.block.base_fee)),
            POP => height -= 1,
            MLOAD => {
                let (left, range) = check!(allocate(&mut frame.memory, gas, &item!(0), &W::LENGTH));
                gas = left;
                item!(0) = W::unsigned(U256::from_be_slice(&frame.memory[range]));
            }
            MSTORE => {
                let (left, range) = check!(allocate(&mut frame.memory, gas, &item!(0), &W::LENGTH));
                gas = left;
                frame.memory[range].copy_from_slice(&item!(1).magnitude().to_be_bytes::<32>());
                height -= 2;
            }
            MSTORE8 => {
                let (left, range) = check!(allocate(&mut frame.memory, gas, &item!(0), &W::ONE));
                gas = left;
                frame.memory[range].fill(item!(1).magnitude().as_limbs()[0] as u8);
                height -= 2;
            }
            SLOAD => {
                let value = item!(0).with_magnitude(|key| world.journal.storage(frame.account, key));
                item!(0) = W::unsigned(value);
            }
            SSTORE => {
                read_only!();
                gas = check!(item!(0).with_magnitude(|key| item!(1).with_magnitude(|value| {
                    effect::store(world.journal, world.table, frame.account, key, value, gas)
                })));
                height -= 2;
            }
            JUMP => {
                height -= 1;
                jump!(stack[slot(height)]);
            }
            JUMPI => {
                height -= 2;
                if !stack[slot(height)].is_zero() {
                    jump!(stack[slot(height + 1)]);
                }
            }
            PC => push!(W::from_u64(position as u64)),
            MSIZE => push!(W::from_u64(frame.memory.len() as u64)),
            GAS => push!(W::from_u64(gas)),
            JUMPDEST => {}
            PUSH1 => {
                push!(W::from_u64(u64::from(bytes.get(position + 1).copied().unwrap_or(0))));
                position += 1;
            }
            0x61 => {
                push!(W::unsigned(push_data::<2>(bytes, position)));
                position += 2;
            }
            0x62..=PUSH32 => {
                push!(W::unsigned(push_any(bytes, position, opcode)));
                position += usize::from(opcode - (PUSH1 - 1));
            }
            DUP1..=DUP16 => {
                let value = stack[slot(height.wrapping_sub(usize::from(opcode - (DUP1 - 1))))];
                push!(value);
            }
            SWAP1..=SWAP16 => {
                let (top, other) = (slot(height - 1), slot(height.wrapping_sub(usize::from(opcode - (SWAP1 - 2)))));
                let (a, b) = (stack[top], stack[other]);
                stack[top] = b;
                stack[other] = a;
            }
            LOG0..=LOG4 => {
                read_only!();
                let topics = usize::from(opcode - LOG0);
                gas = check!(effect::log(
                    world.journal,
                    &frame.address,
                    stack,
                    height - 1,
                    topics,
                    &mut frame.memory,
                    gas,
                ));
                height -= 2 + topics;
            }
            CALL | CALLCODE | DELEGATECALL | STATICCALL => {
                store_back!();
                frame.return_data.clear();
                match check!(prepare_call(world, frame, opcode)) {
                    Decision::Start(request) => return Exit::Call(request),
                    Decision::Refuse => frame.push(W::ZERO),
                }
                load_again!();
            }
            CREATE | CREATE2 => {
                store_back!();
                match check!(prepare_create(world, frame, opcode)) {
                    Decision::Start(request) => return Exit::Create(request),
                    Decision::Refuse => frame.push(W::ZERO),
                }
                load_again!();
            }
            RETURN | REVERT => {
                let (left, range) = check!(allocate_if_any(&mut frame.memory, gas, &item!(0), &item!(1)));
                gas = left;
                height -= 2;
                store_back!();
                return if opcode == RETURN { Exit::Return(range) } else { Exit::Revert(range) };
            }
            SELFDESTRUCT => {
                read_only!();
                gas = check!(effect::self_destruct(world, frame.account, &item!(0).to_address(), gas));
                height -= 1;
                store_back!();
                return Exit::Stop;
            }
            // No other number has an entry that any height satisfies.
            _ => fail!(Failure::UnknownOpcode),
        }
        position += 1;
    }
}

/// Which of the three things that one comparison of heights finds.
#[cold]
fn stack_failure(entry: Entry, height: usize) -> Failure {
    if entry.is_undefined() {
        Failure::UnknownOpcode
    } else if height < usize::from(entry.minimum) {
        Failure::StackUnderflow
    } else {
        Failure::StackOverflow
    }
}

/// PUSH3 to PUSH32: reads the 32 bytes behind the instruction and drops what is not its own.
#[inline]
fn push_any(bytes: &[u8], position: usize, opcode: u8) -> U256 {
    match opcode {
        0x62 => push_data::<3>(bytes, position),
        0x63 => push_data::<4>(bytes, position),
        _ => push_data::<32>(bytes, position) >> (8 * usize::from(PUSH32 - opcode)),
    }
}
