//! What can go wrong in the store, by kind: an operator must know whether to wait, to free a lock or to fetch a backup.

use std::path::{Path, PathBuf};

use polygon_edge_chain::{B256, hex};

/// Why a database could not be opened, read or written. Every kind names the database directory where there is one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The bytes on disk are not what was written: checksum, format, or a table that is gone.
    #[error("database {path} is corrupted: {detail}", path = .path.display())]
    Corruption {
        /// Database directory.
        path: PathBuf,
        /// What LevelDB found.
        detail: String,
    },
    /// There is no database, or no folder, at the path.
    #[error("{path} not found: {detail}", path = .path.display())]
    NotFound {
        /// The path that was looked for.
        path: PathBuf,
        /// What is missing.
        detail: String,
    },
    /// The operating system refused a read or write.
    #[error("database {path}: input/output error: {detail}", path = .path.display())]
    Io {
        /// Database directory.
        path: PathBuf,
        /// The system's words.
        detail: String,
    },
    /// Somebody else has the database open.
    #[error("database {path} is locked: {holder}", path = .path.display())]
    Locked {
        /// Database directory.
        path: PathBuf,
        /// Who holds it, as far as the kind of lock tells.
        holder: LockHolder,
    },
    /// A parameter makes no sense: a file where a folder belongs, a path with a NUL, blocks out of order.
    #[error("{path}: invalid argument: {detail}", path = .path.display())]
    InvalidArgument {
        /// Database directory.
        path: PathBuf,
        /// Which argument and why.
        detail: String,
    },
    /// The database asks for something that this build of LevelDB lacks.
    #[error("database {path}: not supported: {detail}", path = .path.display())]
    NotSupported {
        /// Database directory.
        path: PathBuf,
        /// What LevelDB lacks.
        detail: String,
    },
    /// A value under a known key does not have the form of §4.2.
    #[error("bad record under key 0x{key}: {detail}")]
    BadRecord {
        /// The key in hex.
        key: String,
        /// What was expected and what was found.
        detail: String,
    },
    /// `onumber` and `ohash` do not name the same block: a Go v0.6.x node died between two puts (§4.4).
    #[error(
        "head pointers disagree: onumber says {number}, ohash says {hash}, canonical hash of {number} is {}",
        .canonical.map_or("missing".to_owned(), |hash| hash.to_string())
    )]
    HeadMismatch {
        /// Value of `onumber`.
        number: u64,
        /// Value of `ohash`.
        hash: B256,
        /// Canonical hash stored for `number`.
        canonical: Option<B256>,
    },
    /// One of `onumber` and `ohash` is there and the other is not.
    #[error("head pointers disagree: {present} is set and {missing} is not")]
    HalfHead {
        /// The key that is there.
        present: &'static str,
        /// The key that is not.
        missing: &'static str,
    },
    /// The database was asked to close while readers still hold it.
    #[error("database {path} cannot close: a snapshot, cursor or reader still uses it", path = .path.display())]
    InUse {
        /// Database directory.
        path: PathBuf,
    },
    /// A fail point or a simulated store stopped the write on purpose.
    #[error("write stopped: {0}")]
    Stopped(String),
}

/// Who has a database open, as far as the kind of lock tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockHolder {
    /// flock(2) is taken: what the Go client takes, and what we take first.
    Flock,
    /// fcntl(2) is taken: what programs built on Google's LevelDB take.
    Fcntl,
    /// This process has it open already.
    ThisProcess,
}

impl std::fmt::Display for LockHolder {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Flock => "another polygon-edge (the Go client or this one) has it open; stop that node first",
            Self::Fcntl => {
                "another polygon-edge or a program built on Google's LevelDB has it open; stop that program first"
            }
            Self::ThisProcess => "this polygon-edge process has it open already",
        })
    }
}

impl StoreError {
    /// A record that is there and is not what belongs under its key.
    pub(crate) fn bad_record(key: &[u8], detail: &dyn std::fmt::Display) -> Self {
        Self::BadRecord { key: hex::encode(key), detail: detail.to_string() }
    }

    /// An operating-system error about the database at `path`.
    pub(crate) fn from_io(path: &Path, action: &str, error: &std::io::Error) -> Self {
        let detail = format!("{action}: {error}");
        match error.kind() {
            std::io::ErrorKind::NotFound => Self::NotFound { path: path.to_owned(), detail },
            std::io::ErrorKind::NotADirectory => Self::InvalidArgument { path: path.to_owned(), detail },
            _ => Self::Io { path: path.to_owned(), detail },
        }
    }

    /// The kind of a LevelDB status text. LevelDB's C interface has no codes, only these prefixes (Status::ToString).
    pub(crate) fn from_status(path: &Path, status: &str) -> Self {
        let path = path.to_owned();
        if let Some(detail) = status.strip_prefix("Corruption: ") {
            return Self::Corruption { path, detail: detail.to_owned() };
        }
        if let Some(detail) = status.strip_prefix("NotFound: ") {
            return Self::NotFound { path, detail: detail.to_owned() };
        }
        if let Some(detail) = status.strip_prefix("Not implemented: ") {
            return Self::NotSupported { path, detail: detail.to_owned() };
        }
        if let Some(detail) = status.strip_prefix("Invalid argument: ") {
            return Self::InvalidArgument { path, detail: detail.to_owned() };
        }
        let detail = status.strip_prefix("IO error: ").unwrap_or(status).to_owned();
        if detail.starts_with("lock ") {
            return Self::Locked { path, holder: LockHolder::Fcntl };
        }
        Self::Io { path, detail }
    }
}
