//! The virtual machine: our own interpreter for exactly Edge's rules (§6.5 to §6.8).
//!
//! [`Machine`] owns what outlives a transaction (pooled frames) and drives calls without recursion of its own.

use alloy_primitives::{Address, Bytes, U256, address, keccak256};

pub mod access_list;
pub mod aggregate;
pub mod arithmetic;
pub mod call;
pub mod code;
pub mod copy;
pub mod effect;
pub mod failure;
pub mod frame;
pub mod interpreter;
pub mod machine;
pub mod opcode;
pub mod pairing;
pub mod precompile;
pub mod signed;
pub mod table;
pub mod trace;
pub mod word;
pub mod world;

use crate::rlp;
use failure::Failure;
pub use machine::Machine;

/// The one sender of state transactions, whom no access list stops (§6.4, §6.9).
pub const SYSTEM_CALLER: Address = address!("fffffffffffffffffffffffffffffffffffffffe");

/// How a message ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Without failure.
    Success,
    /// By REVERT: gas and data come back.
    Reverted,
    /// Otherwise.
    Failed(Failure),
}

/// What a message leaves behind.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// How it ended.
    pub status: Status,
    /// Gas left, before any refund.
    pub gas_left: u64,
    /// Output or revert data.
    pub output: Bytes,
}

impl Outcome {
    /// A failure without output.
    fn failed(failure: Failure, gas_left: u64) -> Self {
        Self { status: Status::Failed(failure), gas_left, output: Bytes::new() }
    }
}

/// The message of a transaction.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// Sender.
    pub caller: Address,
    /// None creates a contract.
    pub to: Option<Address>,
    /// Moves from caller to receiver.
    pub value: U256,
    /// Call data or initialisation code.
    pub input: &'a [u8],
    /// Gas after the intrinsic part.
    pub gas: u64,
    /// The caller's nonce before this transaction: makes the address of a creation.
    pub nonce: u64,
}

/// The address of a contract created by CREATE or by a transaction: the last 20 bytes of
/// K(L(creator, nonce)) (§2.5).
pub fn create_address(creator: &Address, nonce: u64) -> Address {
    let mut encoded = Vec::with_capacity(32);
    rlp::put_list_with(&mut encoded, |out| {
        rlp::put_bytes(out, creator.as_slice());
        rlp::put_u64(out, nonce);
    });
    Address::from_word(keccak256(&encoded))
}

/// The address of a contract created by CREATE2 (§2.5).
fn salted_address(creator: &Address, salt: &U256, initialisation: &[u8]) -> Address {
    let mut data = [0xff; 85];
    data[1..21].copy_from_slice(creator.as_slice());
    data[21..53].copy_from_slice(&salt.to_be_bytes::<32>());
    data[53..].copy_from_slice(keccak256(initialisation).as_slice());
    Address::from_word(keccak256(data))
}
