//! Queries on an open data directory: blocks by number, accounts and slots at any state root.

use std::sync::Arc;

use polygon_edge_chain::{
    Address, B256, Bytes, U256,
    block::{Header, NetworkForm, position_in_stored_body},
    forks::Engine,
    hash, run,
    state::{NodeSource, StateError},
    state_trie::StateView,
};
use polygon_edge_store::{BlockReader, StoreError};
use pyo3::{prelude::*, types::PyBytes};

use crate::{
    chain::Chain,
    convert, error,
    stored::{damaged_body, header_and_body, header_at, network_block},
};

/// An account: nonce, balance, storage root, code hash.
type Account = (u64, U256, B256, B256);

impl Chain {
    fn blocks(&self) -> PyResult<BlockReader> {
        Ok(self.directory()?.blocks())
    }

    fn store_error(&self, error: &StoreError) -> PyErr {
        error::store(&self.path, error)
    }

    fn hash_at(&self, number: u64) -> PyResult<Option<B256>> {
        self.blocks()?.canonical_hash(number).map_err(|error| self.store_error(&error))
    }

    /// The header of canonical block `number` with its hash.
    fn header_at(&self, number: u64) -> PyResult<Option<(B256, Vec<u8>)>> {
        header_at(&self.path, &self.blocks()?, number)
    }

    pub(crate) fn decoded_header(&self, number: u64) -> PyResult<Option<(B256, Header)>> {
        let Some((hash, header)) = self.header_at(number)? else { return Ok(None) };
        let header = Header::decode_whole(&Bytes::from(header))
            .map_err(|error| error::damaged(&self.path, format!("header of block {number}: {error}")))?;
        Ok(Some((hash, header)))
    }

    /// What `read` finds under the hash of canonical block `number`, without the interpreter lock.
    fn record<'py>(
        &self,
        py: Python<'py>,
        number: u64,
        read: impl Fn(&BlockReader, &B256) -> Result<Option<Vec<u8>>, StoreError> + Sync,
    ) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let record = py.detach(|| {
            let blocks = self.blocks()?;
            let hash = blocks.canonical_hash(number).map_err(|error| self.store_error(&error))?;
            hash.map_or(Ok(None), |hash| read(&blocks, &hash)).map_err(|error| self.store_error(&error))
        })?;
        Ok(record.map(|record| PyBytes::new(py, &record)))
    }

    fn view(&self, root: &[u8]) -> PyResult<StateView> {
        let source: Arc<dyn NodeSource> = Arc::new(self.directory()?.state());
        StateView::open(convert::hash(root)?, source).map_err(|error| self.state_error(&error))
    }

    fn state_error(&self, error: &StateError) -> PyErr {
        error::damaged(&self.path, error.to_string())
    }
}

fn bytes<'py>(py: Python<'py>, hash: &B256) -> Bound<'py, PyBytes> {
    PyBytes::new(py, hash.as_slice())
}

/// Number, hash, proposer, miner, nonce and listed validators of a header.
type SealedHeader<'py> = (
    u64,
    Bound<'py, PyBytes>,
    Bound<'py, PyBytes>,
    Bound<'py, PyBytes>,
    Bound<'py, PyBytes>,
    pyo3::Bound<'py, pyo3::types::PyTuple>,
);

#[pymethods]
impl Chain {
    /// Hash of canonical block `number`, or none.
    fn canonical_hash<'py>(&self, py: Python<'py>, number: u64) -> PyResult<Option<Bound<'py, PyBytes>>> {
        Ok(self.hash_at(number)?.map(|hash| bytes(py, &hash)))
    }

    /// K(rlp(header)) of canonical block `number`: what archives made with `--to` carry (fact sheet §1.3).
    fn plain_hash<'py>(&self, py: Python<'py>, number: u64) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let generation = self.rules()?.generation;
        let header = self.decoded_header(number)?;
        Ok(header.map(|(_, header)| bytes(py, &hash::plain(&header, generation))))
    }

    /// Number and hash of the head in the database, or none in an empty one.
    #[getter]
    fn head<'py>(&self, py: Python<'py>) -> PyResult<Option<(u64, Bound<'py, PyBytes>)>> {
        let head = self.directory()?.blocks_snapshot().head().map_err(|error| self.store_error(&error))?;
        Ok(head.map(|head| (head.number, bytes(py, &head.hash))))
    }

    /// State root of canonical block `number`, or none.
    fn state_root_at<'py>(&self, py: Python<'py>, number: u64) -> PyResult<Option<Bound<'py, PyBytes>>> {
        Ok(self.decoded_header(number)?.map(|(_, header)| bytes(py, &header.state_root)))
    }

    /// Header RLP of canonical block `number`, or none.
    fn header<'py>(&self, py: Python<'py>, number: u64) -> PyResult<Option<Bound<'py, PyBytes>>> {
        Ok(self.header_at(number)?.map(|(_, header)| PyBytes::new(py, &header)))
    }

    /// Stored body of canonical block `number` with the senders in it; none for the genesis block.
    fn body<'py>(&self, py: Python<'py>, number: u64) -> PyResult<Option<Bound<'py, PyBytes>>> {
        self.record(py, number, BlockReader::body)
    }

    /// Stored receipts of canonical block `number`; none for the genesis block.
    fn receipts<'py>(&self, py: Python<'py>, number: u64) -> PyResult<Option<Bound<'py, PyBytes>>> {
        self.record(py, number, BlockReader::receipts)
    }

    /// Network RLP of canonical block `number`, as archives and peers carry it, or none.
    fn block<'py>(&self, py: Python<'py>, number: u64) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let block = py.detach(|| network_block(&self.path, &self.blocks()?, number))?;
        Ok(block.map(|block| PyBytes::new(py, &block)))
    }

    /// Bytes of the network RLP of canonical block `number`, or none.
    fn block_size(&self, py: Python<'_>, number: u64) -> PyResult<Option<usize>> {
        py.detach(|| {
            let Some((header, body)) = header_and_body(&self.path, &self.blocks()?, number)? else { return Ok(None) };
            let form = NetworkForm::new(&header, &body).map_err(|error| damaged_body(&self.path, number, &error))?;
            Ok(Some(form.length()))
        })
    }

    /// Number of the canonical block with this hash, or none.
    fn number_of(&self, py: Python<'_>, block_hash: &[u8]) -> PyResult<Option<u64>> {
        let hash = convert::hash(block_hash)?;
        py.detach(|| self.blocks()?.number(&hash).map_err(|error| self.store_error(&error)))
    }

    /// Where in the canonical chain a transaction stands: number of its block, place in it; or none.
    fn find_transaction(&self, py: Python<'_>, transaction_hash: &[u8]) -> PyResult<Option<(u64, usize)>> {
        let transaction_hash = convert::hash(transaction_hash)?;
        py.detach(|| {
            let (blocks, fail) = (self.blocks()?, |error| self.store_error(&error));
            let Some(hash) = blocks.transaction_block(&transaction_hash).map_err(fail)? else { return Ok(None) };
            let Some(number) = blocks.number(&hash).map_err(fail)? else { return Ok(None) };
            let Some(body) = blocks.body(&hash).map_err(fail)? else { return Ok(None) };
            let position = position_in_stored_body(&body, &transaction_hash)
                .map_err(|error| damaged_body(&self.path, number, &error))?;
            Ok(position.map(|position| (number, position)))
        })
    }

    /// What the validators of a chain are rebuilt from: number, hash, proposer, miner, nonce, listed validators.
    ///
    /// The proposer is recovered only where the block votes; elsewhere it is empty.
    fn sealed_header<'py>(&self, py: Python<'py>, number: u64) -> PyResult<SealedHeader<'py>> {
        let rules = self.rules()?;
        let damaged = |problem: String| error::damaged(&self.path, format!("header of block {number}: {problem}"));
        let (stored, header) = self.decoded_header(number)?.ok_or_else(|| damaged("missing".to_owned()))?;
        let extra = run::extra_of(&rules, &header).map_err(|error| damaged(error.to_string()))?;
        let voting = rules.engine == Engine::Ibft && header.miner.as_ref() != [0; 20] && number > 0;
        let proposer = if voting { run::proposer(&stored, &extra) } else { None };
        let proposer = proposer.as_ref().map_or(&[][..], |proposer| proposer.as_slice());
        let validators = extra.validators.iter().map(|validator| PyBytes::new(py, &validator.to_bytes()));
        Ok((
            number,
            bytes(py, &stored),
            PyBytes::new(py, proposer),
            PyBytes::new(py, &header.miner),
            PyBytes::new(py, &header.nonce),
            pyo3::types::PyTuple::new(py, validators.collect::<Vec<_>>())?,
        ))
    }

    /// Nonce, balance, storage root and code hash of `address` in the state `root`, or none.
    #[allow(clippy::type_complexity)]
    fn account<'py>(
        &self,
        py: Python<'py>,
        root: &[u8],
        address: &[u8],
    ) -> PyResult<Option<(u64, Bound<'py, PyAny>, Bound<'py, PyBytes>, Bound<'py, PyBytes>)>> {
        let account = py.detach(|| self.read_account(root, address))?;
        account
            .map(|(nonce, balance, storage_root, code_hash)| {
                let balance = convert::wide_integer(py, &balance)?;
                Ok((nonce, balance, bytes(py, &storage_root), bytes(py, &code_hash)))
            })
            .transpose()
    }

    /// The 32-byte value of a 32-byte `slot` of `address` in the state `root`; zero when unset.
    fn storage<'py>(&self, py: Python<'py>, root: &[u8], address: &[u8], slot: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        let (address, slot) = (convert::address(address)?, convert::hash(slot)?);
        let value = py.detach(|| {
            let mut view = self.view(root)?;
            view.storage(&address, &slot.into()).map_err(|error| self.state_error(&error))
        })?;
        Ok(PyBytes::new(py, &value.to_be_bytes::<32>()))
    }

    /// How many slots of `address` are set in the state `root`.
    fn count_slots(&self, py: Python<'_>, root: &[u8], address: &[u8]) -> PyResult<usize> {
        let Some((_, _, storage_root, _)) = self.read_account(root, address)? else { return Ok(0) };
        let view = self.view(root)?;
        py.detach(|| view.slots(storage_root).try_fold(0, |count, slot| slot.map(|_| count + 1)))
            .map_err(|error| self.state_error(&error))
    }

    /// How many accounts the state `root` has.
    fn count_accounts(&self, py: Python<'_>, root: &[u8]) -> PyResult<usize> {
        let view = self.view(root)?;
        py.detach(|| view.accounts().try_fold(0, |count, account| account.map(|_| count + 1)))
            .map_err(|error| self.state_error(&error))
    }

    /// The code with this hash, or none.
    fn code<'py>(&self, py: Python<'py>, code_hash: &[u8]) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let code_hash = convert::hash(code_hash)?;
        let code =
            py.detach(|| self.directory()?.state().code(&code_hash).map_err(|error| self.state_error(&error)))?;
        Ok(code.map(|code| PyBytes::new(py, &code)))
    }
}

impl Chain {
    fn read_account(&self, root: &[u8], address: &[u8]) -> PyResult<Option<Account>> {
        let address: Address = convert::address(address)?;
        let account = self.view(root)?.account(&address).map_err(|error| self.state_error(&error))?;
        Ok(account.map(|account| (account.nonce, account.balance, account.storage_root, account.code_hash)))
    }
}
