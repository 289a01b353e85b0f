//! The state as tries: the account trie and the storage tries below it (§4.5).
//!
//! [`StateTrie`] follows the chain: it is read by execution and takes what each block changes. [`StateView`] looks at
//! any one root. What goes to the database is collected in a [`NewState`] per run of blocks.

use std::collections::VecDeque;
use std::sync::Arc;

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};

use crate::rlp;
use crate::state::{
    Account, AccountChange, AccountFields, EMPTY_CODE_HASH, EMPTY_ROOT, NodeSource, StateError, StateReader,
};
use crate::trie::Entries;

mod new_state;
mod tries;

pub use new_state::{Mark, NewState};

use tries::{Tries, under};

/// How the tries use memory and processors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrieOptions {
    /// Bytes of decoded nodes to keep between blocks; exceeded within a block.
    pub memory_budget: usize,
    /// Hash wide changes of a trie on rayon's threads.
    pub parallel: bool,
}

impl Default for TrieOptions {
    fn default() -> Self {
        Self { memory_budget: 256 << 20, parallel: false }
    }
}

/// The database with what is not yet written to it laid over it.
struct Layers {
    database: Arc<dyn NodeSource>,
    /// Runs handed out and not reported as committed, oldest first.
    pending: VecDeque<Arc<NewState>>,
    /// The run that is being collected.
    current: NewState,
}

impl Layers {
    fn unwritten(&self) -> impl Iterator<Item = &NewState> {
        std::iter::once(&self.current).chain(self.pending.iter().rev().map(|run| &**run))
    }
}

impl NodeSource for Layers {
    fn node(&self, hash: &B256) -> Result<Option<Vec<u8>>, StateError> {
        match self.unwritten().find_map(|run| run.node(hash)) {
            Some(node) => Ok(Some(node.to_vec())),
            None => self.database.node(hash),
        }
    }

    fn code(&self, hash: &B256) -> Result<Option<Vec<u8>>, StateError> {
        match self.unwritten().find_map(|run| run.find_code(hash)) {
            Some(code) => Ok(Some(code.to_vec())),
            None => self.database.code(hash),
        }
    }
}

/// The state that moves along with the chain.
///
/// [`StateTrie::apply`] adds a block; [`StateTrie::take_new_state`] ends a run and hands out what is to be written;
/// until [`StateTrie::committed`] reports that as written, it stays readable from memory.
pub struct StateTrie {
    tries: Tries,
    layers: Layers,
    options: TrieOptions,
    /// What the last `apply` can be undone to: the root before it, and where the new state stood.
    before_last: Option<(B256, Mark)>,
}

impl StateTrie {
    /// The state with this root.
    ///
    /// Errors: `MissingNode` when the root is not in the database (a head whose state was lost, §4.4).
    pub fn open(root: B256, database: Arc<dyn NodeSource>, options: TrieOptions) -> Result<Self, StateError> {
        let layers = Layers { database, pending: VecDeque::new(), current: NewState::default() };
        let tries = Tries::open(root, &layers)?;
        Ok(Self { tries, layers, options, before_last: None })
    }

    /// The root after the last block applied.
    pub fn root(&self) -> B256 {
        self.tries.accounts.root()
    }

    /// Bytes of decoded nodes in memory, an estimate that is never too low.
    pub fn memory(&self) -> usize {
        self.tries.memory()
    }

    /// The state for execution; `block_hash` gives the hashes of canonical ancestors.
    pub fn reader<F>(&mut self, block_hash: F) -> BlockState<'_, F>
    where
        F: FnMut(u64) -> Result<B256, StateError>,
    {
        BlockState { tries: &mut self.tries, source: &self.layers, block_hash }
    }

    /// Applies what one block changes and returns the new state root; every new node joins the new state of the run.
    ///
    /// On an error the state is as it was before the call.
    pub fn apply(&mut self, changes: &[AccountChange]) -> Result<B256, StateError> {
        let before = (self.root(), self.layers.current.mark());
        self.before_last = Some(before);
        let outcome = self.apply_changes(changes);
        match outcome {
            Ok(root) => {
                self.tries.end_block(self.options.memory_budget);
                Ok(root)
            }
            Err(error) => {
                self.before_last = None;
                self.layers.current.truncate(before.1);
                self.tries = Tries::closed(before.0);
                Err(error)
            }
        }
    }

    fn apply_changes(&mut self, changes: &[AccountChange]) -> Result<B256, StateError> {
        let start = self.layers.current.mark();
        for change in changes {
            let key = self.tries.account_key(&change.address);
            match &change.account {
                None => {
                    self.tries.forget_storage(&change.address);
                    self.tries.accounts.delete(&key, &self.layers)?;
                }
                Some(fields) => self.apply_account(change, fields, &key)?,
            }
            if let Some(code) = &change.code {
                // Empty code as well: the Go client stores an empty value under the empty hash (§4.5).
                self.layers.current.add_code(keccak256(code), code.clone());
            }
        }
        let root = self.tries.accounts.commit(&mut self.layers.current.nodes, self.options.parallel);
        self.layers.current.index_from(start);
        Ok(root)
    }

    fn apply_account(&mut self, change: &AccountChange, fields: &AccountFields, key: &B256) -> Result<(), StateError> {
        let storage_root = if change.storage_cleared || !change.storage.is_empty() {
            if change.storage_cleared {
                self.tries.clear_storage(&change.address);
            }
            let mut writes = Vec::with_capacity(change.storage.len());
            for (slot, value) in &change.storage {
                writes.push((self.tries.slot_key(slot), value));
            }
            let state_root = self.tries.accounts.root();
            let trie = self.tries.storage_trie(&change.address, &self.layers)?;
            let mut encoded = Vec::with_capacity(33);
            for (slot, value) in writes {
                encoded.clear();
                if !value.is_zero() {
                    rlp::put_u256(&mut encoded, value);
                }
                // No bytes: the slot is removed.
                trie.insert(&slot, &encoded, &self.layers).map_err(|error| under(error, state_root))?;
            }
            trie.commit(&mut self.layers.current.nodes, self.options.parallel)
        } else {
            let before = self.tries.account_by_key(key, &self.layers)?;
            before.map_or(EMPTY_ROOT, |account| account.storage_root)
        };
        let account =
            Account { nonce: fields.nonce, balance: fields.balance, storage_root, code_hash: fields.code_hash };
        self.tries.accounts.insert(key, &encode_account(&account), &self.layers)?;
        Ok(())
    }

    /// Undoes the last [`StateTrie::apply`], nodes in the new state of the run included; for a block whose root is
    /// not the one in its header. Only the last block of the current run can be undone; returns whether it was.
    pub fn undo_last(&mut self) -> bool {
        let Some((root, mark)) = self.before_last.take() else { return false };
        self.layers.current.truncate(mark);
        self.tries = Tries::closed(root);
        true
    }

    /// Continues at another root, which must be in the database or in a run not yet committed. The new state of the
    /// current run is kept; the memory is not.
    ///
    /// Errors: `MissingNode` when the root is not there; the state is then unchanged.
    pub fn reset(&mut self, root: B256) -> Result<(), StateError> {
        self.tries = Tries::open(root, &self.layers)?;
        self.before_last = None;
        Ok(())
    }

    /// Ends the run: what it adds to the database, to be written in one batch. Stays readable here until
    /// [`StateTrie::committed`].
    pub fn take_new_state(&mut self) -> Arc<NewState> {
        self.before_last = None;
        let next = NewState::with_room_of(&self.layers.current);
        let run = Arc::new(std::mem::replace(&mut self.layers.current, next));
        if !run.is_empty() {
            self.layers.pending.push_back(Arc::clone(&run));
        }
        run
    }

    /// The new state of the run so far.
    pub fn new_state(&self) -> &NewState {
        &self.layers.current
    }

    /// Reports that the database now holds `run`, so that it need not be kept. Returns whether it was kept here.
    pub fn committed(&mut self, run: &Arc<NewState>) -> bool {
        let before = self.layers.pending.len();
        self.layers.pending.retain(|kept| !Arc::ptr_eq(kept, run));
        self.layers.pending.len() < before
    }
}

/// The state at one root, for queries; what it reads stays in memory as long as it lives.
pub struct StateView {
    tries: Tries,
    source: Arc<dyn NodeSource>,
}

impl StateView {
    /// The state with this root. Errors: `MissingNode` when it is not in the database.
    pub fn open(root: B256, source: Arc<dyn NodeSource>) -> Result<Self, StateError> {
        let tries = Tries::open(root, &*source)?;
        Ok(Self { tries, source })
    }

    /// The root it looks at.
    pub fn root(&self) -> B256 {
        self.tries.accounts.root()
    }

    /// The account at `address`, or none.
    pub fn account(&mut self, address: &Address) -> Result<Option<Account>, StateError> {
        self.tries.account(address, &*self.source)
    }

    /// The value of `slot` of `address`, zero when unset.
    pub fn storage(&mut self, address: &Address, slot: &U256) -> Result<U256, StateError> {
        self.tries.storage(address, slot, &*self.source)
    }

    /// The code with this hash, as account `address` names it. Errors: `MissingCode`.
    pub fn code(&self, address: &Address, code_hash: &B256) -> Result<Bytes, StateError> {
        read_code(address, code_hash, &*self.source)
    }

    /// The state for execution; `block_hash` gives the hashes of canonical ancestors.
    pub fn reader<F>(&mut self, block_hash: F) -> BlockState<'_, F>
    where
        F: FnMut(u64) -> Result<B256, StateError>,
    {
        BlockState { tries: &mut self.tries, source: &*self.source, block_hash }
    }

    /// All accounts by the hash of their address, in order of the hashes. The addresses are not in the state.
    pub fn accounts(&self) -> impl Iterator<Item = Result<(B256, Account), StateError>> {
        Entries::new(self.root(), &*self.source).map(|entry| {
            let (key, value) = entry?;
            Ok((key, decode_account(&value).map_err(|reason| StateError::BadNode { hash: key, reason })?))
        })
    }

    /// All set slots of the account with this storage root, by the hash of the slot, in order of the hashes.
    pub fn slots(&self, storage_root: B256) -> impl Iterator<Item = Result<(B256, U256), StateError>> {
        Entries::new(storage_root, &*self.source).map(|entry| {
            let (key, value) = entry?;
            Ok((key, decode_slot(&value).map_err(|reason| StateError::BadNode { hash: key, reason })?))
        })
    }
}

/// A state and the hashes of the blocks before: all that execution reads.
pub struct BlockState<'a, F> {
    tries: &'a mut Tries,
    source: &'a dyn NodeSource,
    block_hash: F,
}

impl<F> StateReader for BlockState<'_, F>
where
    F: FnMut(u64) -> Result<B256, StateError>,
{
    fn account(&mut self, address: &Address) -> Result<Option<Account>, StateError> {
        self.tries.account(address, self.source)
    }

    fn storage(&mut self, address: &Address, slot: &U256) -> Result<U256, StateError> {
        self.tries.storage(address, slot, self.source)
    }

    fn code(&mut self, address: &Address, code_hash: &B256) -> Result<Bytes, StateError> {
        read_code(address, code_hash, self.source)
    }

    fn block_hash(&mut self, number: u64) -> Result<B256, StateError> {
        (self.block_hash)(number)
    }
}

fn read_code(address: &Address, code_hash: &B256, source: &dyn NodeSource) -> Result<Bytes, StateError> {
    if *code_hash == EMPTY_CODE_HASH {
        return Ok(Bytes::new());
    }
    let code = source.code(code_hash)?;
    code.map(Bytes::from).ok_or(StateError::MissingCode { hash: *code_hash, address: *address })
}

/// The leaf of an account: L(nonce, balance, storageRoot, codeHash) (§4.5).
pub fn encode_account(account: &Account) -> Vec<u8> {
    // At most 2 + 9 + 33 + 33 + 33 bytes.
    let mut out = Vec::with_capacity(110);
    rlp::put_list_with(&mut out, |out| {
        rlp::put_u64(out, account.nonce);
        rlp::put_u256(out, &account.balance);
        rlp::put_bytes(out, account.storage_root.as_slice());
        rlp::put_bytes(out, account.code_hash.as_slice());
    });
    out
}

/// Reads the leaf of an account. Errors, as text: not a list of these four fields and nothing else.
pub fn decode_account(value: &[u8]) -> Result<Account, String> {
    let read = || -> Result<Account, rlp::RlpError> {
        let item = rlp::parse(value)?;
        let mut fields = item.list("account")?;
        let nonce = fields.required("account nonce")?.u64("account nonce")?;
        let balance = u256(fields.required("account balance")?, "account balance")?;
        let storage_root = fields.required("account storage root")?.hash("account storage root")?;
        let code_hash = fields.required("account code hash")?.hash("account code hash")?;
        if let Some(surplus) = fields.next() {
            return Err(surplus.fail("account", "four fields", "a fifth"));
        }
        if item.raw.len() != value.len() {
            return Err(item.fail("account", "one item", "bytes after it"));
        }
        Ok(Account { nonce, balance, storage_root, code_hash })
    };
    read().map_err(|error| error.to_string())
}

/// Reads the leaf of a slot. Errors, as text: not one byte string of at most 32 bytes.
fn decode_slot(value: &[u8]) -> Result<U256, String> {
    let item = rlp::parse(value).map_err(|error| error.to_string())?;
    if item.raw.len() != value.len() {
        return Err("bytes after the value of the slot".into());
    }
    u256(item, "slot value").map_err(|error| error.to_string())
}

fn u256(item: rlp::Item<'_>, what: &'static str) -> Result<U256, rlp::RlpError> {
    let bytes = item.bytes(what)?;
    U256::try_from_be_slice(bytes).ok_or_else(|| item.fail(what, "at most 32 bytes", format!("{} bytes", bytes.len())))
}
