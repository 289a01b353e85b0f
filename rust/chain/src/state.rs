//! The border between execution and the state trie: what is read, what a block changes.

use alloy_primitives::{Address, B256, Bytes, U256, b256};

/// Keccak-256 of no bytes: the code hash of an account without code (§4.5).
pub const EMPTY_CODE_HASH: B256 = b256!("c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470");

/// Root of the empty trie, also the root over no transactions or receipts (§2.8).
pub const EMPTY_ROOT: B256 = b256!("56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421");

/// An account as its trie leaf holds it: L(nonce, balance, storageRoot, codeHash) (§4.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account {
    /// Transactions sent, or contracts created.
    pub nonce: u64,
    /// In wei.
    pub balance: U256,
    /// Root of the account's storage trie.
    pub storage_root: B256,
    /// Keccak-256 of the code.
    pub code_hash: B256,
}

impl Default for Account {
    fn default() -> Self {
        Self { nonce: 0, balance: U256::ZERO, storage_root: EMPTY_ROOT, code_hash: EMPTY_CODE_HASH }
    }
}

impl Account {
    /// No nonce, no balance, no code: what EIP-158 calls empty. Storage is not looked at.
    pub fn is_empty(&self) -> bool {
        self.nonce == 0 && self.balance.is_zero() && self.code_hash == EMPTY_CODE_HASH
    }
}

/// Why the state could not be read or written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// A node that a root refers to is not in the database.
    #[error("trie node {hash} is missing (state root {root})")]
    MissingNode {
        /// Hash of the node that was looked for.
        hash: B256,
        /// State root under which it was reached.
        root: B256,
    },
    /// A node is there and is not a trie node, or a leaf is not an account or slot value.
    #[error("trie node {hash} cannot be decoded: {reason}")]
    BadNode {
        /// Hash of the node.
        hash: B256,
        /// What is wrong with its bytes.
        reason: String,
    },
    /// Contract code is not in the database.
    #[error("code {hash} of account {address} is missing")]
    MissingCode {
        /// Hash of the code.
        hash: B256,
        /// The account that names it.
        address: Address,
    },
    /// The database itself failed.
    #[error("state database: {0}")]
    Database(String),
}

/// The one read trait of the chain crate: what the state needs of a database. Implemented by the store.
///
/// Reads are by hash, so they need no snapshot: what a hash names never changes.
pub trait NodeSource: Send + Sync {
    /// The RLP of the trie node with this hash, or none.
    fn node(&self, hash: &B256) -> Result<Option<Vec<u8>>, StateError>;
    /// The code with this hash, or none.
    fn code(&self, hash: &B256) -> Result<Option<Vec<u8>>, StateError>;
}

/// The state of one root as execution sees it: the state at the start of a block.
pub trait StateReader {
    /// The account at `address`, or none when the trie has no leaf for it.
    fn account(&mut self, address: &Address) -> Result<Option<Account>, StateError>;
    /// The value of `slot` of `address`, zero when unset.
    fn storage(&mut self, address: &Address, slot: &U256) -> Result<U256, StateError>;
    /// The code of `address` by its hash; never called for the empty hash.
    fn code(&mut self, address: &Address, code_hash: &B256) -> Result<Bytes, StateError>;
    /// The hash of canonical ancestor `number` of the block being executed, for BLOCKHASH.
    fn block_hash(&mut self, number: u64) -> Result<B256, StateError>;
}

/// What one block does to one account. `address` occurs once in the changes of a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountChange {
    /// Whose leaf changes.
    pub address: Address,
    /// Nonce, balance, code hash after the block; none removes the leaf.
    pub account: Option<AccountFields>,
    /// The account was (re)created in this block: its storage starts from the empty trie.
    pub storage_cleared: bool,
    /// Slots written and their values after the block; zero removes the slot. Each slot once.
    pub storage: Vec<(U256, U256)>,
    /// Code to be stored under its hash (deployed in this block), if any.
    pub code: Option<Bytes>,
}

/// The part of an account that execution sets; the storage root follows from the slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountFields {
    /// See [`Account::nonce`].
    pub nonce: u64,
    /// See [`Account::balance`].
    pub balance: U256,
    /// See [`Account::code_hash`].
    pub code_hash: B256,
}
