//! Starts and ends frames, and drives them without recursion of its own.

use std::{ops::Range, sync::Arc};

use alloy_primitives::{Address, Bytes};

use super::{
    Message, Outcome, Status, access_list,
    call::{CallRequest, CreateRequest},
    code::Code,
    create_address,
    failure::Failure,
    frame::{Frame, Purpose},
    interpreter::{self, Exit},
    precompile::Precompile,
    salted_address,
    trace::Tracer,
    word::Word,
    world::World,
};
use crate::{
    forks::Generation,
    journal::{AccountIndex, Fault, Journal, Snapshot},
    state::EMPTY_CODE_HASH,
};

/// Frames deeper than this fail and give their gas back; the frame of the transaction is the first (§6.6).
const DEPTH_LIMIT: usize = 1025;

/// Most bytes of code under EIP158.
const CODE_LIMIT: usize = 24_576;

/// Gas per byte of code deployed.
const DEPOSIT_PER_BYTE: u64 = 200;

/// What starting a frame came to.
enum Started {
    /// It runs.
    Running,
    /// There was nothing to run, or it could not start.
    Done(Outcome),
}

/// Pooled frames; the first `depth` are live.
#[derive(Debug)]
pub struct Machine<W> {
    frames: Vec<Frame<W>>,
    depth: usize,
}

impl<W> Default for Machine<W> {
    fn default() -> Self {
        Self { frames: Vec::new(), depth: 0 }
    }
}

impl<W: Word> Machine<W> {
    /// Executes the message of a transaction: raises the nonce of the sender, moves value, runs code.
    ///
    /// Errors: a fault, which concerns the block and not the transaction.
    pub fn execute<T: Tracer>(
        &mut self,
        world: &mut World<'_, '_, T>,
        message: &Message<'_>,
    ) -> Result<Outcome, Fault> {
        self.depth = 0;
        let caller = world.journal.index(&message.caller);
        let started = match message.to {
            Some(to) => {
                // Generation 3 has refused a nonce of 2^64-1 before this point; the others wrap (§6.2).
                world.journal.set_nonce(caller, message.nonce.wrapping_add(1));
                let account = world.journal.index(&to);
                let request = CallRequest {
                    address: to,
                    account,
                    code_address: to,
                    // §6.7.3: the code is read before the account is touched.
                    code: world.journal.code(account),
                    caller: message.caller,
                    value: W::unsigned(message.value),
                    transfers: true,
                    gas: message.gas,
                    is_static: false,
                    input: 0..message.input.len(),
                    output: 0..0,
                };
                self.start_call(world, request, Some(message.input))
            }
            None => {
                let request = CreateRequest {
                    value: W::unsigned(message.value),
                    gas: message.gas,
                    code: 0..message.input.len(),
                    salt: None,
                };
                self.start_create(world, message.caller, request, Some(message.input))
            }
        };
        let outcome = match started {
            Started::Running => self.drive(world),
            Started::Done(outcome) => outcome,
        };
        finished(world, outcome)
    }

    /// Executes `code` as if it were the constructor of `address`, called by the address zero: nothing is raised, moved
    /// or stored for it, and what it returns is the outcome's (§5.6).
    ///
    /// Errors: as [`Machine::execute`].
    pub fn construct<T: Tracer>(
        &mut self,
        world: &mut World<'_, '_, T>,
        address: Address,
        code: &[u8],
        gas: u64,
    ) -> Result<Outcome, Fault> {
        self.depth = 0;
        let account = world.journal.index(&address);
        let snapshot = world.journal.snapshot();
        self.open_frame(Arc::new(Code::new(code)));
        let frame = &mut self.frames[0];
        frame.gas = gas;
        frame.address = address;
        frame.account = account;
        frame.caller = Address::ZERO;
        frame.value = W::ZERO;
        frame.is_static = false;
        frame.purpose = Purpose::Call { output_offset: 0, output_length: 0 };
        frame.snapshot = snapshot;
        let outcome = self.drive(world);
        finished(world, outcome)
    }

    /// Runs the innermost frame, starts and ends frames, until the first one has ended.
    fn drive<T: Tracer>(&mut self, world: &mut World<'_, '_, T>) -> Outcome {
        loop {
            let depth = self.depth;
            match interpreter::run(&mut self.frames[depth - 1], depth, world) {
                Exit::Call(request) => {
                    let output = request.output.clone();
                    if let Started::Done(outcome) = self.start_call(world, request, None) {
                        self.frames[depth - 1].accept_call(&outcome.status, outcome.gas_left, &outcome.output, output);
                    }
                }
                Exit::Create(request) => {
                    let creator = self.frames[depth - 1].address;
                    if let Started::Done(outcome) = self.start_create(world, creator, request, None) {
                        self.frames[depth - 1].accept_creation(W::ZERO, outcome.gas_left, &[]);
                    }
                }
                Exit::Stop => {
                    if let Some(outcome) = self.end_frame(world, Status::Success, 0..0) {
                        return outcome;
                    }
                }
                Exit::Return(range) => {
                    if let Some(outcome) = self.end_frame(world, Status::Success, range) {
                        return outcome;
                    }
                }
                Exit::Revert(range) => {
                    if let Some(outcome) = self.end_frame(world, Status::Reverted, range) {
                        return outcome;
                    }
                }
                Exit::Fail(failure) => {
                    if failure == Failure::Fault {
                        return Outcome::failed(failure, 0);
                    }
                    if let Some(outcome) = self.end_frame(world, Status::Failed(failure), 0..0) {
                        return outcome;
                    }
                }
            }
            if world.journal.has_fault() {
                return Outcome::failed(Failure::Fault, 0);
            }
        }
    }

    /// Makes room for one more frame and empties it.
    fn open_frame(&mut self, code: Arc<Code>) {
        match self.frames.get_mut(self.depth) {
            Some(frame) => {
                frame.reset();
                frame.code = code;
            }
            None => self.frames.push(Frame::new(code)),
        }
        self.depth += 1;
    }

    /// Starts a call. `data` is the input of a transaction; without it, the input lies in the caller's memory.
    fn start_call<T: Tracer>(
        &mut self,
        world: &mut World<'_, '_, T>,
        request: CallRequest<W>,
        data: Option<&[u8]>,
    ) -> Started {
        if self.depth >= DEPTH_LIMIT {
            return Started::Done(Outcome::failed(Failure::Depth, request.gas));
        }
        let snapshot = world.journal.snapshot();
        world.journal.touch(request.account);
        if request.transfers {
            let caller = world.journal.index(&request.caller);
            if !move_value(world.journal, caller, request.account, &request.value) {
                // §6.7.14: the touch stays.
                return Started::Done(Outcome::failed(Failure::InsufficientBalance, request.gas));
            }
        }
        let table = world.table;
        let precompile = Precompile::at(&request.code_address, table.generation, &table.flags);
        if precompile.is_some() || world.access_lists.any() {
            let input = match (data, self.depth.checked_sub(1)) {
                (Some(data), _) => data,
                (None, Some(caller)) => &self.frames[caller].memory[request.input.clone()],
                (None, None) => &[],
            };
            if let Some(outcome) = run_natively(world, &request, precompile, input) {
                if outcome.status != Status::Success {
                    world.journal.revert(snapshot);
                }
                return Started::Done(outcome);
            }
        }
        let Some(code) = request.code else {
            return Started::Done(Outcome { status: Status::Success, gas_left: request.gas, output: Bytes::new() });
        };
        self.open_frame(code);
        let (callers, opened) = self.frames.split_at_mut(self.depth - 1);
        let frame = &mut opened[0];
        match (data, callers.last()) {
            (Some(data), _) => frame.input.extend_from_slice(data),
            (None, Some(caller)) => frame.input.extend_from_slice(&caller.memory[request.input]),
            (None, None) => {}
        }
        frame.gas = request.gas;
        frame.address = request.address;
        frame.account = request.account;
        frame.caller = request.caller;
        frame.value = request.value;
        frame.is_static = request.is_static;
        frame.purpose = Purpose::Call { output_offset: request.output.start, output_length: request.output.len() };
        frame.snapshot = snapshot;
        Started::Running
    }

    /// Starts a creation. `data` is the input of a transaction; without it, the code lies in the creator's memory.
    fn start_create<T: Tracer>(
        &mut self,
        world: &mut World<'_, '_, T>,
        creator: Address,
        request: CreateRequest<W>,
        data: Option<&[u8]>,
    ) -> Started {
        let journal = &mut *world.journal;
        let creator_account = journal.index(&creator);
        let nonce = journal.nonce(creator_account);
        let initialisation = match (data, self.depth.checked_sub(1)) {
            (Some(data), _) => data,
            (None, Some(caller)) => &self.frames[caller].memory[request.code],
            (None, None) => &[],
        };
        let address = match &request.salt {
            Some(salt) => salted_address(&creator, salt, initialisation),
            None => create_address(&creator, nonce),
        };
        let done = |failure, gas_left| Started::Done(Outcome::failed(failure, gas_left));
        if self.depth >= DEPTH_LIMIT {
            return done(Failure::Depth, request.gas);
        }
        // §6.2: G1 wraps the nonce, G3 fails the frame and takes its gas.
        if nonce == u64::MAX && world.table.generation == Generation::G3 {
            return done(Failure::NonceOverflow, 0);
        }
        journal.set_nonce(creator_account, nonce.wrapping_add(1));
        let account = journal.index(&address);
        let taken = journal.nonce(account) != 0 || journal.code_hash(account) != EMPTY_CODE_HASH;
        if taken {
            return done(Failure::Collision, 0);
        }
        let snapshot = journal.snapshot();
        if world.table.flags.eip158 {
            journal.create_account(account);
            journal.set_nonce(account, 1);
        }
        if !move_value(journal, creator_account, account, &request.value) {
            // Only from G2 on and for a transaction: the new account stays with nonce 1 (§6.2).
            return done(Failure::InsufficientBalance, request.gas);
        }
        if world.access_lists.any() {
            if !world.access_lists.may_create(world.journal, &creator) {
                // §6.7.13: value and account stay.
                return done(Failure::NotAuthorised, 0);
            }
            if !world.access_lists.may_run(world.journal, &creator) {
                world.journal.revert(snapshot);
                return done(Failure::NotAuthorised, 0);
            }
        }
        let code = Arc::new(Code::new(initialisation));
        self.open_frame(code);
        let frame = &mut self.frames[self.depth - 1];
        frame.gas = request.gas;
        frame.address = address;
        frame.account = account;
        frame.caller = creator;
        frame.value = request.value;
        frame.is_static = false;
        frame.purpose = if request.salt.is_some() { Purpose::Create2 } else { Purpose::Create };
        frame.snapshot = snapshot;
        Started::Running
    }

    /// Ends the innermost frame and hands its result to the one that started it; returns it if there is none.
    fn end_frame<T: Tracer>(
        &mut self,
        world: &mut World<'_, '_, T>,
        status: Status,
        output: Range<usize>,
    ) -> Option<Outcome> {
        self.depth -= 1;
        let (callers, ended) = self.frames.split_at_mut(self.depth);
        let frame = &mut ended[0];
        let mut status = status;
        if status != Status::Success {
            world.journal.revert(frame.snapshot);
        }
        let Purpose::Call { output_offset, output_length } = frame.purpose else {
            if status == Status::Success {
                status = deposit(world, frame, output.clone());
            }
            let Some(caller) = callers.last_mut() else {
                return Some(frame.outcome(status, output));
            };
            let pushed = created_word(frame, status, world.table.flags.homestead, world.table.generation);
            let data = if status == Status::Reverted { &frame.memory[output] } else { &[] };
            caller.accept_creation(pushed, frame.gas, data);
            return None;
        };
        match callers.last_mut() {
            Some(caller) => {
                let data = &frame.memory[output];
                caller.accept_call(&status, frame.gas, data, output_offset..output_offset + output_length);
                None
            }
            None => Some(frame.outcome(status, output)),
        }
    }
}

/// The outcome of the first frame, unless something has happened that no frame can answer for.
fn finished<T>(world: &mut World<'_, '_, T>, outcome: Outcome) -> Result<Outcome, Fault> {
    match world.journal.take_fault() {
        Some(fault) => Err(fault),
        None if outcome.status == Status::Failed(Failure::Fault) => Err(Fault::Memory),
        None => Ok(outcome),
    }
}

/// Charges for and stores the code that a creation returned.
fn deposit<T, W: Word>(world: &mut World<'_, '_, T>, frame: &mut Frame<W>, code: Range<usize>) -> Status {
    let flags = &world.table.flags;
    let refuse = |world: &mut World<'_, '_, T>, frame: &mut Frame<W>, snapshot: Snapshot| {
        world.journal.revert(snapshot);
        frame.gas = 0;
    };
    if flags.eip158 && code.len() > CODE_LIMIT {
        refuse(world, frame, frame.snapshot);
        return Status::Failed(Failure::CodeSize);
    }
    let Some(left) = frame.gas.checked_sub(code.len() as u64 * DEPOSIT_PER_BYTE) else {
        // §6.5, §6.7.9: before homestead the account, its value and the gas stay.
        if flags.homestead {
            refuse(world, frame, frame.snapshot);
        }
        return Status::Failed(Failure::CodeDeposit);
    };
    frame.gas = left;
    world.journal.set_code(frame.account, &frame.memory[code]);
    Status::Success
}

/// What CREATE and CREATE2 push. §6.7.9: when the gas does not pay for the code, CREATE pushes zero under homestead
/// and the address before it; CREATE2 pushes the (rolled back) address in G1 and G2, zero in G3.
fn created_word<W: Word>(frame: &Frame<W>, status: Status, homestead: bool, generation: Generation) -> W {
    let shows_address = match status {
        Status::Success => true,
        Status::Failed(Failure::CodeDeposit) if frame.purpose == Purpose::Create2 => generation != Generation::G3,
        Status::Failed(Failure::CodeDeposit) => !homestead,
        _ => false,
    };
    if shows_address { W::from_address(&frame.address) } else { W::ZERO }
}

/// Moves the value of a call or creation, or says that there is not enough.
fn move_value<W: Word>(journal: &mut Journal<'_>, from: AccountIndex, to: AccountIndex, value: &W) -> bool {
    let Some(amount) = value.amount() else {
        let address = *journal.address(from);
        journal.set_fault(Fault::BalanceOverflow(address));
        return true;
    };
    journal.transfer(from, to, &amount)
}

/// A call that runs no code: of an access list, by whom the lists stop, or of a precompile.
///
/// None where code is to be run. Nothing is undone here.
fn run_natively<T, W>(
    world: &mut World<'_, '_, T>,
    request: &CallRequest<W>,
    precompile: Option<Precompile>,
    input: &[u8],
) -> Option<Outcome> {
    let (lists, journal) = (world.access_lists, &mut *world.journal);
    if lists.any() {
        if lists.is_list(&request.code_address) {
            let (list, caller) = (&request.code_address, &request.caller);
            return Some(access_list::call(journal, list, caller, input, request.gas, request.is_static));
        }
        if !lists.may_run(journal, &request.caller) {
            return Some(Outcome::failed(Failure::NotAuthorised, 0));
        }
    }
    Some(match precompile?.run(input, request.gas, &world.table.flags, &request.caller, journal) {
        Ok((gas_left, output)) => Outcome { status: Status::Success, gas_left, output },
        Err(failure) => Outcome::failed(failure, 0),
    })
}

impl<W: Word> Frame<W> {
    /// Takes over the result of a call instruction.
    fn accept_call(&mut self, status: &Status, gas_left: u64, data: &[u8], output: Range<usize>) {
        let success = *status == Status::Success;
        if success || *status == Status::Reverted {
            let length = data.len().min(output.len());
            self.memory[output.start..output.start + length].copy_from_slice(&data[..length]);
            self.return_data.extend_from_slice(data);
        }
        self.gas = self.gas.wrapping_add(gas_left);
        self.push(W::from_bool(success));
    }

    /// Takes over the result of a creating instruction.
    fn accept_creation(&mut self, pushed: W, gas_left: u64, revert_data: &[u8]) {
        self.return_data.extend_from_slice(revert_data);
        self.gas = self.gas.wrapping_add(gas_left);
        self.push(pushed);
    }

    fn outcome(&self, status: Status, output: Range<usize>) -> Outcome {
        let output = if matches!(status, Status::Failed(_)) { 0..0 } else { output };
        Outcome { status, gas_left: self.gas, output: Bytes::copy_from_slice(&self.memory[output]) }
    }
}
