//! The cut where a tracer goes in.

use alloy_primitives::Address;

use super::{failure::Failure, word::Word};

/// A frame just before an instruction.
#[derive(Clone, Copy, Debug)]
pub struct Step<'a, W> {
    /// 1 for the frame of the transaction.
    pub depth: usize,
    /// Whose storage.
    pub address: &'a Address,
    /// Position in the code.
    pub position: usize,
    /// The instruction.
    pub opcode: u8,
    /// Gas left before it.
    pub gas: u64,
    /// The stack, top last.
    pub stack: &'a [W],
    /// The memory.
    pub memory: &'a [u8],
    /// What the last call returned.
    pub return_data: &'a [u8],
}

/// Watches execution; every method does nothing by default.
pub trait Tracer {
    /// Whether there is anything to tell it. False removes the calls of [`Tracer::step`] at compile time.
    const ACTIVE: bool;

    /// Before each instruction.
    fn step<W: Word>(&mut self, _step: &Step<'_, W>) {}

    /// A frame failed at this instruction.
    fn fail(&mut self, _depth: usize, _position: usize, _failure: Failure) {}
}

/// Nobody watches.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoTracer;

impl Tracer for NoTracer {
    const ACTIVE: bool = false;
}
