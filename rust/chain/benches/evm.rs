//! The interpreter beside `revm-interpreter` under a minimal host, and plain transfers per second.
//!
//! Both run the same bytecode under Istanbul rules; throughput is loop rounds, or transfers.

#![allow(clippy::unwrap_used, missing_docs, reason = "a bench has no caller")]

use std::hint::black_box;

use alloy_primitives::{Address, B256, Bytes, U256, address, keccak256, map::HashMap};
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main, measurement::WallTime};
use polygon_edge_chain::{
    evm::Status,
    execute::{BlockContext, CallMessage, Executor},
    forks::{Forks, Generation, Rules},
    state::{Account, EMPTY_CODE_HASH, EMPTY_ROOT, StateError, StateReader},
    transaction::{Transaction, Type},
};
use revm_interpreter::{
    FrameInput, InputsImpl, InstructionResult, Interpreter, InterpreterAction, SStoreResult, SelfDestructResult,
    SharedMemory, StateLoad,
    bytecode::Bytecode,
    context_interface::{cfg::GasParams, host::LoadError, journaled_state::AccountInfoLoad},
    host::Host,
    instruction_table,
    instructions::{GasTable, gas_table_spec},
    interpreter::{EthInterpreter, ExtBytecode},
    primitives::{Log, hardfork::SpecId},
    state::AccountInfo,
};

const CALLER: Address = address!("00000000000000000000000000000000000000aa");
const LOOP: Address = address!("0000000000000000000000000000000000c0de01");
const CALLEE: Address = address!("0000000000000000000000000000000000c0de02");
const ROUNDS: u32 = 100_000;

/// `body` run ROUNDS times, with the counter on the stack below it.
fn looped(body: &[u8]) -> Vec<u8> {
    let mut code = vec![0x62];
    code.extend_from_slice(&ROUNDS.to_be_bytes()[1..]);
    code.push(0x5b);
    code.extend_from_slice(body);
    // PUSH1 1, SWAP1, SUB, DUP1, PUSH1 4, JUMPI
    code.extend_from_slice(&[0x60, 1, 0x90, 0x03, 0x80, 0x60, 4, 0x57, 0x00]);
    code
}

fn programs() -> [(&'static str, Vec<u8>); 4] {
    [
        // DUP1, PUSH1 7, MUL, PUSH1 3, ADD, DUP2, XOR, PUSH1 9, AND, DUP1, LT, POP
        ("arithmetic", looped(&[0x80, 0x60, 7, 0x02, 0x60, 3, 0x01, 0x81, 0x18, 0x60, 9, 0x16, 0x80, 0x10, 0x50])),
        // DUP1, PUSH1 15, AND, DUP1, SLOAD, PUSH1 1, ADD, SWAP1, SSTORE
        ("storage", looped(&[0x80, 0x60, 15, 0x16, 0x80, 0x54, 0x60, 1, 0x01, 0x90, 0x55])),
        // DUP1, PUSH1 0, MSTORE, PUSH1 32, PUSH1 0, KECCAK256, POP
        ("keccak", looped(&[0x80, 0x60, 0, 0x52, 0x60, 32, 0x60, 0, 0x20, 0x50])),
        // PUSH1 32, PUSH1 0, PUSH1 32, PUSH1 0, PUSH1 0, PUSH3 callee, GAS, CALL, POP
        ("call", looped(&[0x60, 32, 0x60, 0, 0x60, 32, 0x60, 0, 0x60, 0, 0x62, 0xc0, 0xde, 0x02, 0x5a, 0xf1, 0x50])),
    ]
}

/// PUSH1 32, PUSH1 0, RETURN
const CALLEE_CODE: [u8; 5] = [0x60, 32, 0x60, 0, 0xf3];

const GAS: u64 = 1 << 40;

// --- ours

#[derive(Default)]
struct Memory {
    accounts: HashMap<Address, Account>,
    codes: HashMap<B256, Bytes>,
}

impl Memory {
    fn deploy(&mut self, address: Address, code: &[u8]) {
        let code_hash = keccak256(code);
        self.codes.insert(code_hash, Bytes::copy_from_slice(code));
        // A root that is not the empty one: slots are asked for.
        let storage_root = B256::repeat_byte(1);
        self.accounts.insert(address, Account { nonce: 1, balance: U256::ZERO, storage_root, code_hash });
    }

    fn fund(&mut self, address: Address) {
        let balance = U256::from(10).pow(U256::from(24));
        let account = Account { nonce: 0, balance, storage_root: EMPTY_ROOT, code_hash: EMPTY_CODE_HASH };
        self.accounts.insert(address, account);
    }
}

impl StateReader for Memory {
    fn account(&mut self, address: &Address) -> Result<Option<Account>, StateError> {
        Ok(self.accounts.get(address).copied())
    }

    fn storage(&mut self, _address: &Address, _slot: &U256) -> Result<U256, StateError> {
        Ok(U256::ZERO)
    }

    fn code(&mut self, _address: &Address, code_hash: &B256) -> Result<Bytes, StateError> {
        Ok(self.codes[code_hash].clone())
    }

    fn block_hash(&mut self, _number: u64) -> Result<B256, StateError> {
        Ok(B256::ZERO)
    }
}

fn istanbul() -> Rules {
    let start = Some(0);
    let forks = Forks {
        homestead: start,
        eip150: start,
        eip155: start,
        eip158: start,
        byzantium: start,
        constantinople: start,
        petersburg: start,
        istanbul: start,
        ..Forks::default()
    };
    Rules::new(Generation::G1, 100, forks)
}

const BLOCK: BlockContext =
    BlockContext { number: 1, timestamp: 1, gas_limit: 1 << 62, difficulty: 1, coinbase: Address::ZERO, base_fee: 0 };

fn ours(group: &mut BenchmarkGroup<'_, WallTime>, code: &[u8]) {
    let mut state = Memory::default();
    state.deploy(LOOP, code);
    state.deploy(CALLEE, &CALLEE_CODE);
    let mut executor = Executor::new(&istanbul());
    let message = CallMessage {
        from: CALLER,
        to: Some(LOOP),
        value: U256::ZERO,
        input: Bytes::new(),
        gas: GAS,
        gas_price: U256::ZERO,
    };
    group.bench_function("ours", |bencher| {
        bencher.iter(|| {
            let outcome = executor.call(&BLOCK, &message, &mut state).unwrap();
            assert_eq!(outcome.status, Status::Success);
            black_box(outcome.gas_used)
        });
    });
}

// --- revm-interpreter

/// As little as its instructions need: a map of slots with an undo log, and two contracts.
struct MinimalHost {
    gas_params: GasParams,
    slots: HashMap<(Address, U256), (U256, U256)>,
    undo: Vec<(Address, U256, U256)>,
    accounts: HashMap<Address, AccountInfo>,
}

impl Host for MinimalHost {
    fn basefee(&self) -> U256 {
        U256::ZERO
    }
    fn blob_gasprice(&self) -> U256 {
        U256::ZERO
    }
    fn gas_limit(&self) -> U256 {
        U256::ZERO
    }
    fn difficulty(&self) -> U256 {
        U256::ZERO
    }
    fn prevrandao(&self) -> Option<U256> {
        None
    }
    fn block_number(&self) -> U256 {
        U256::ZERO
    }
    fn timestamp(&self) -> U256 {
        U256::ZERO
    }
    fn beneficiary(&self) -> Address {
        Address::ZERO
    }
    fn slot_num(&self) -> U256 {
        U256::ZERO
    }
    fn chain_id(&self) -> U256 {
        U256::ZERO
    }
    fn effective_gas_price(&self) -> U256 {
        U256::ZERO
    }
    fn caller(&self) -> Address {
        CALLER
    }
    fn blob_hash(&self, _number: usize) -> Option<U256> {
        None
    }
    fn max_initcode_size(&self) -> usize {
        usize::MAX
    }
    fn gas_params(&self) -> &GasParams {
        &self.gas_params
    }
    fn is_amsterdam_eip8037_enabled(&self) -> bool {
        false
    }
    fn block_hash(&mut self, _number: u64) -> Option<B256> {
        None
    }
    fn selfdestruct(
        &mut self,
        _address: Address,
        _target: Address,
        _skip: bool,
    ) -> Result<StateLoad<SelfDestructResult>, LoadError> {
        Ok(StateLoad::default())
    }
    fn log(&mut self, _log: Log) {}
    fn sstore_skip_cold_load(
        &mut self,
        address: Address,
        key: U256,
        value: U256,
        _skip: bool,
    ) -> Result<StateLoad<SStoreResult>, LoadError> {
        let slot = self.slots.entry((address, key)).or_default();
        let result = SStoreResult { original_value: slot.0, present_value: slot.1, new_value: value };
        self.undo.push((address, key, slot.1));
        slot.1 = value;
        Ok(StateLoad::new(result, false))
    }
    fn sload_skip_cold_load(&mut self, address: Address, key: U256, _skip: bool) -> Result<StateLoad<U256>, LoadError> {
        Ok(StateLoad::new(self.slots.entry((address, key)).or_default().1, false))
    }
    fn tstore(&mut self, _address: Address, _key: U256, _value: U256) {}
    fn tload(&mut self, _address: Address, _key: U256) -> U256 {
        U256::ZERO
    }
    fn load_account_info_skip_cold_load(
        &mut self,
        address: Address,
        _load_code: bool,
        _skip: bool,
    ) -> Result<AccountInfoLoad<'_>, LoadError> {
        Ok(AccountInfoLoad::new(&self.accounts[&address], false, false))
    }
}

type Revm = Interpreter<EthInterpreter>;

/// Runs `code`, one level of calls deep, with pooled interpreters.
fn run_revm(host: &mut MinimalHost, gas_table: &GasTable, frames: &mut [Revm; 2], code: &Bytecode) -> u64 {
    let table = instruction_table::<EthInterpreter, MinimalHost>();
    let [outer, inner] = frames;
    let memory = SharedMemory::new();
    let inputs = InputsImpl { target_address: LOOP, caller_address: CALLER, ..InputsImpl::default() };
    outer.clear(memory, ExtBytecode::new(code.clone()), inputs, false, SpecId::ISTANBUL, GAS, 0);
    loop {
        match outer.run_plain(&table, gas_table, host) {
            InterpreterAction::Return(result) => {
                assert_eq!(result.result, InstructionResult::Stop);
                host.undo.clear();
                return result.gas.remaining();
            }
            InterpreterAction::NewFrame(input) => {
                let FrameInput::Call(call) = input else { panic!("only calls") };
                let memory = outer.memory.new_child_context();
                let inputs = InputsImpl {
                    target_address: call.target_address,
                    bytecode_address: Some(call.bytecode_address),
                    caller_address: call.caller,
                    input: call.input,
                    call_value: call.value.get(),
                    depth: 1,
                };
                let code = ExtBytecode::new(call.known_bytecode.1);
                inner.clear(memory, code, inputs, call.is_static, SpecId::ISTANBUL, call.gas_limit, 0);
                let InterpreterAction::Return(result) = inner.run_plain(&table, gas_table, host) else {
                    panic!("one level only")
                };
                outer.memory.free_child_context();
                outer.return_data.0 = result.output;
                let length = outer.return_data.0.len().min(call.return_memory_offset.len());
                outer.memory.set(call.return_memory_offset.start, &outer.return_data.0[..length]);
                outer.gas.erase_cost(result.gas.remaining());
                assert!(outer.stack.push(U256::from(1)));
            }
        }
    }
}

fn revm(group: &mut BenchmarkGroup<'_, WallTime>, code: &[u8]) {
    let bytecode = Bytecode::new_legacy(Bytes::copy_from_slice(code));
    let callee = Bytecode::new_legacy(Bytes::copy_from_slice(&CALLEE_CODE));
    let account = AccountInfo::new(U256::ZERO, 1, callee.hash_slow(), callee);
    let mut host = MinimalHost {
        gas_params: GasParams::new_spec(SpecId::ISTANBUL),
        slots: HashMap::default(),
        undo: Vec::new(),
        accounts: [(CALLEE, account)].into_iter().collect(),
    };
    let gas_table = gas_table_spec(SpecId::ISTANBUL);
    let mut frames = [Revm::default_ext(), Revm::default_ext()];
    group.bench_function("revm-interpreter", |bencher| {
        bencher.iter(|| {
            host.slots.clear();
            black_box(run_revm(&mut host, &gas_table, &mut frames, &bytecode))
        });
    });
}

fn interpreters(criterion: &mut Criterion) {
    for (name, code) in programs() {
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Elements(u64::from(ROUNDS)));
        ours(&mut group, &code);
        revm(&mut group, &code);
        group.finish();
    }
}

// --- transfers

const TRANSFERS: usize = 1000;

fn account(kind: u8, index: usize) -> Address {
    let mut address = Address::repeat_byte(kind);
    address.0[12..].copy_from_slice(&(index as u64).to_be_bytes());
    address
}

/// Transfers from 100 senders to 1,000 receivers, half of which exist.
fn transfers(criterion: &mut Criterion) {
    let mut state = Memory::default();
    for index in 0..TRANSFERS {
        state.fund(account(1, index % 100));
        if index % 2 == 0 {
            state.fund(account(2, index));
        }
    }
    let transactions: Vec<Transaction> = (0..TRANSFERS)
        .map(|index| Transaction {
            kind: Type::Legacy,
            nonce: (index / 100) as u64,
            gas_price: U256::from(1_000_000_000u64),
            gas: 21_000,
            to: Some(account(2, index)),
            value: U256::from(1),
            input: Bytes::new(),
            v: vec![27],
            r: U256::ZERO,
            s: U256::ZERO,
            hash: B256::with_last_byte(index as u8),
            from: None,
            payload: Bytes::new(),
        })
        .collect();
    let senders: Vec<Option<Address>> = (0..TRANSFERS).map(|index| Some(account(1, index % 100))).collect();
    let mut executor = Executor::new(&istanbul());
    let mut group = criterion.benchmark_group("transfers");
    group.throughput(Throughput::Elements(TRANSFERS as u64));
    group.bench_function("block of 1000", |bencher| {
        bencher.iter(|| {
            let outcome = executor.execute_block(&BLOCK, &transactions, &senders, &mut state).unwrap();
            assert_eq!(outcome.gas_used, 21_000 * TRANSFERS as u64);
            black_box(outcome)
        });
    });
    group.finish();
}

criterion_group!(benches, interpreters, transfers);
criterion_main!(benches);
