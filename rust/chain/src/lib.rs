//! What a Polygon Edge chain *is*: codecs, hashes, header rules, the state trie and the EVM.
//!
//! Pure: bytes in, bytes out. No file, no socket, no clock. Section numbers in comments are those of
//! the data-and-execution fact sheet of the Go client (v0.6.3 = G1, v1.3.2 = G3).
#![deny(unsafe_code)]

pub use alloy_primitives::{Address, B256, Bytes, U256, hex, keccak256, map::AddressMap};

pub mod aggregate;
pub mod block;
pub mod bls;
pub mod doubt;
pub mod evm;
pub mod execute;
pub mod extra;
pub mod forks;
pub mod genesis;
pub mod hash;
pub mod journal;
pub mod ledger;
pub mod proposal;
pub mod receipt;
pub mod rlp;
pub mod run;
pub mod seal;
pub mod sender;
pub mod signature;
pub mod state;
pub mod state_override;
pub mod state_trie;
pub mod transaction;
pub mod trie;
pub mod verify;
