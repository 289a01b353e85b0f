//! The blocks of a chain as they were at one moment: what an export reads while the node goes on.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use polygon_edge_store::{BlockReader, Chunker, Head, StoreError};
use pyo3::{prelude::*, types::PyBytes};

use crate::{error, lock::lock, stored::network_block};

/// The blocks as they were when the snapshot was taken.
#[pyclass(frozen, module = "polygon_edge._core")]
pub struct Snapshot {
    path: PathBuf,
    head: Head,
    blocks: Arc<SharedBlocks>,
}

/// What holds the database open: given back by whoever closes first, the snapshot or its chain.
pub struct SharedBlocks {
    reader: Mutex<Option<BlockReader>>,
    chunker: Mutex<Option<Chunker>>,
}

impl SharedBlocks {
    pub fn new(reader: BlockReader) -> Self {
        Self { chunker: Mutex::new(Some(Chunker::new(reader.clone()))), reader: Mutex::new(Some(reader)) }
    }

    /// Lets go of the database, as soon as a call that is reading has finished.
    pub fn release(&self) {
        lock(&self.reader).take();
        lock(&self.chunker).take();
    }
}

impl Snapshot {
    /// The `blocks` of the data directory at `path`. Errors: they have no head, or cannot be read.
    pub fn new(path: &Path, blocks: Arc<SharedBlocks>) -> PyResult<Self> {
        let reader = lock(&blocks.reader).clone();
        let head = reader.map_or(Ok(None), |reader| reader.head()).map_err(|error| error::store(path, &error))?;
        let head = head.ok_or_else(|| error::damaged(path, "the database has no head"))?;
        Ok(Self { path: path.to_owned(), head, blocks })
    }

    fn reader(&self) -> PyResult<BlockReader> {
        let reader = lock(&self.blocks.reader).clone();
        reader.ok_or_else(|| self.closed())
    }

    fn closed(&self) -> PyErr {
        error::damaged(&self.path, "the snapshot is closed")
    }

    fn failed(&self, error: &StoreError) -> PyErr {
        error::store(&self.path, error)
    }
}

#[pymethods]
impl Snapshot {
    /// Number and hash of the last block.
    #[getter]
    fn head<'py>(&self, py: Python<'py>) -> (u64, Bound<'py, PyBytes>) {
        (self.head.number, PyBytes::new(py, self.head.hash.as_slice()))
    }

    /// Hash of canonical block `number`, or none.
    fn canonical_hash<'py>(&self, py: Python<'py>, number: u64) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let hash = py.detach(|| self.reader()?.canonical_hash(number).map_err(|error| self.failed(&error)))?;
        Ok(hash.map(|hash| PyBytes::new(py, hash.as_slice())))
    }

    /// Network RLP of canonical block `number`, or none.
    fn block<'py>(&self, py: Python<'py>, number: u64) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let block = py.detach(|| network_block(&self.path, &self.reader()?, number))?;
        Ok(block.map(|block| PyBytes::new(py, &block)))
    }

    /// Network RLP of consecutive blocks from `first` on, and the height of the last of them.
    #[pyo3(signature = (first, last, limit=524_288))]
    fn chunk<'py>(
        &self,
        py: Python<'py>,
        first: u64,
        last: u64,
        limit: usize,
    ) -> PyResult<Option<(u64, Bound<'py, PyBytes>)>> {
        let chunk = py.detach(|| {
            let mut chunker = lock(&self.blocks.chunker);
            let chunker = chunker.as_mut().ok_or_else(|| self.closed())?;
            chunker.chunk(first, last, limit).map_err(|error| self.failed(&error))
        })?;
        Ok(chunk.map(|(reached, blocks)| (reached, PyBytes::new(py, &blocks))))
    }

    /// Gives the snapshot back to the database; nothing happens the second time.
    fn close(&self, py: Python<'_>) {
        py.detach(|| self.blocks.release());
    }

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, py: Python<'_>, _exception: &Bound<'_, pyo3::types::PyTuple>) {
        self.close(py);
    }
}
