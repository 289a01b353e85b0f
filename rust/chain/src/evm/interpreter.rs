//! The loop that runs one frame until it ends or asks for another frame.
//!
//! Gas, position and height live in locals: no function that is not inlined gets a reference to them, so that they
//! stay in registers. They are written back before anything that needs the whole frame.

use super::{
    Word, arithmetic as math,
    call::{CallRequest, CreateRequest, Decision, prepare_call, prepare_create},
    copy, effect,
    frame::{Failure, Frame, Stack, allocate, allocate_if_any, slot, to_u64},
    opcode::*,
    table::Entry,
    trace::{Step, Tracer},
    world::World,
};

/// Why the loop came back.
#[derive(Debug)]
pub enum Exit {
    /// STOP, the end of the code, or SELFDESTRUCT.
    Stop,
    /// RETURN with this range of memory.
    Return(std::ops::Range<usize>),
    /// REVERT with this range of memory.
    Revert(std::ops::Range<usize>),
    /// A failure: all gas is gone.
    Fail(Failure),
    /// A call is to be tried.
    Call(CallRequest),
    /// A creation is to be tried.
    Create(CreateRequest),
}

/// The word that `N` bytes of push data make.
#[inline(always)]
fn push_data<const N: usize>(code: &[u8], position: usize) -> Word {
    let mut bytes = [0u8; 32];
    if let Some(data) = code.get(position + 1..position + 1 + N) {
        bytes[32 - N..].copy_from_slice(data);
    }
    Word::from_be_bytes(bytes)
}

/// Runs `frame`, which is the `depth`-th, from where it stands.
pub fn run<T: Tracer>(frame: &mut Frame, depth: usize, world: &mut World<'_, '_, T>) -> Exit {
    let mut gas = frame.gas;
    let mut position = frame.position;
    let mut height = frame.height;
    // Borrowed anew after every use of the whole frame: one load less per instruction.
    let mut stack: &mut Stack = &mut frame.stack;
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
            match to_u64(&$target) {
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
            ADD => binary!(Word::wrapping_add),
            MUL => binary!(Word::wrapping_mul),
            SUB => binary!(Word::wrapping_sub),
            DIV => binary!(math::divide),
            SDIV => binary!(math::signed_divide),
            MOD => binary!(math::modulo),
            SMOD => binary!(math::signed_modulo),
            ADDMOD => ternary!(math::add_modulo),
            MULMOD => ternary!(math::multiply_modulo),
            EXP => {
                let length = item!(1).bit_len().div_ceil(8) as u64;
                gas = check!(gas.checked_sub(length * world.table.exponent_byte).ok_or(Failure::OutOfGas));
                binary!(math::power);
            }
            // §6.7.5: with one item only, it is dropped and nothing is extended.
            SIGNEXTEND if height == 1 => height = 0,
            SIGNEXTEND => binary!(math::sign_extend),
            LT => binary!(math::less),
            GT => binary!(math::greater),
            SLT => binary!(math::signed_less),
            SGT => binary!(math::signed_greater),
            EQ => binary!(math::equal),
            ISZERO => unary!(math::is_zero),
            AND => binary!(|a: Word, b: Word| a & b),
            OR => binary!(|a: Word, b: Word| a | b),
            XOR => binary!(|a: Word, b: Word| a ^ b),
            NOT => unary!(|a: Word| !a),
            BYTE => binary!(math::byte),
            SHL => binary!(math::shift_left),
            SHR => binary!(math::shift_right),
            SAR => binary!(math::shift_right_signed),
            KECCAK256 => {
                let (left, hash) = check!(copy::hash(&item!(0), &item!(1), &mut frame.memory, gas));
                gas = left;
                height -= 1;
                item!(0) = hash;
            }
            ADDRESS => push!(effect::from_address(&frame.address)),
            BALANCE => unary!(|address: Word| effect::balance(world.journal, &address)),
            ORIGIN => push!(effect::from_address(&world.transaction.origin)),
            CALLER => push!(effect::from_address(&frame.caller)),
            CALLVALUE => push!(frame.value),
            CALLDATALOAD => {
                let mut word = [0; 32];
                super::frame::copy_padded(&mut word, &frame.input, &item!(0));
                item!(0) = Word::from_be_bytes(word);
            }
            CALLDATASIZE => push!(Word::from(frame.input.len())),
            CALLDATACOPY => {
                gas = check!(copy::copy(stack, height - 1, &mut frame.memory, gas, &frame.input));
                height -= 3;
            }
            CODESIZE => push!(Word::from(code.bytes().len())),
            CODECOPY => {
                gas = check!(copy::copy(stack, height - 1, &mut frame.memory, gas, code.bytes()));
                height -= 3;
            }
            GASPRICE => push!(world.transaction.gas_price),
            EXTCODESIZE => unary!(|address: Word| effect::code_size(world.journal, &address)),
            EXTCODECOPY => {
                gas = check!(effect::copy_code(world.journal, frame, height - 1, gas));
                stack = &mut frame.stack;
                height -= 4;
            }
            RETURNDATASIZE => push!(Word::from(frame.return_data.len())),
            RETURNDATACOPY => {
                gas = check!(copy::copy_return_data(
                    stack,
                    height - 1,
                    &mut frame.memory,
                    gas,
                    &frame.return_data,
                    world.table.generation,
                    world.journal,
                ));
                height -= 3;
            }
            EXTCODEHASH => unary!(|address: Word| effect::code_hash(world.journal, &address)),
            BLOCKHASH => unary!(|number: Word| effect::block_hash(world, &number)),
            COINBASE => push!(effect::from_address(&world.block.coinbase)),
            TIMESTAMP => push!(Word::from(world.block.timestamp)),
            NUMBER => push!(Word::from(world.block.number)),
            DIFFICULTY => push!(Word::from(world.block.difficulty)),
            GASLIMIT => push!(Word::from(world.block.gas_limit)),
            CHAINID => push!(Word::from(world.chain_id)),
            SELFBALANCE => push!(world.journal.balance(frame.account)),
            BASEFEE => push!(Word::from(world.block.base_fee)),
            POP => height -= 1,
            MLOAD => {
                let (left, range) = check!(allocate(&mut frame.memory, gas, &item!(0), &WORD_LENGTH));
                gas = left;
                item!(0) = Word::from_be_slice(&frame.memory[range]);
            }
            MSTORE => {
                let (left, range) = check!(allocate(&mut frame.memory, gas, &item!(0), &WORD_LENGTH));
                gas = left;
                frame.memory[range].copy_from_slice(&item!(1).to_be_bytes::<32>());
                height -= 2;
            }
            MSTORE8 => {
                let (left, range) = check!(allocate(&mut frame.memory, gas, &item!(0), &Word::ONE));
                gas = left;
                frame.memory[range].fill(item!(1).as_limbs()[0] as u8);
                height -= 2;
            }
            SLOAD => {
                let value = world.journal.storage(frame.account, &item!(0));
                item!(0) = value;
            }
            SSTORE => {
                read_only!();
                gas = check!(effect::store(world.journal, world.table, frame.account, &item!(0), &item!(1), gas));
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
            PC => push!(Word::from(position)),
            MSIZE => push!(Word::from(frame.memory.len())),
            GAS => push!(Word::from(gas)),
            JUMPDEST => {}
            PUSH1 => {
                push!(Word::from(bytes.get(position + 1).copied().unwrap_or(0)));
                position += 1;
            }
            0x61 => {
                push!(push_data::<2>(bytes, position));
                position += 2;
            }
            0x62..=PUSH32 => {
                push!(push_any(bytes, position, opcode));
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
                    Decision::Refuse => frame.push(Word::ZERO),
                }
                load_again!();
            }
            CREATE | CREATE2 => {
                store_back!();
                match check!(prepare_create(world, frame, opcode)) {
                    Decision::Start(request) => return Exit::Create(request),
                    Decision::Refuse => frame.push(Word::ZERO),
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
                gas = check!(effect::self_destruct(world, frame.account, &item!(0), gas));
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

const WORD_LENGTH: Word = Word::from_limbs([32, 0, 0, 0]);

/// PUSH3 to PUSH32: reads the 32 bytes behind the instruction and drops what is not its own.
#[inline]
fn push_any(bytes: &[u8], position: usize, opcode: u8) -> Word {
    match opcode {
        0x62 => push_data::<3>(bytes, position),
        0x63 => push_data::<4>(bytes, position),
        _ => push_data::<32>(bytes, position) >> (8 * usize::from(PUSH32 - opcode)),
    }
}
