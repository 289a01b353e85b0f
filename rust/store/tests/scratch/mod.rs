//! A directory of one test, removed with it.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

static NEXT: AtomicU32 = AtomicU32::new(0);

/// An empty directory that is removed on drop.
pub struct Scratch(PathBuf);

impl Scratch {
    pub fn new(name: &str) -> Self {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).expect("the target directory can be written");
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// All files below `directory` with their sizes.
    #[allow(dead_code)]
    pub fn files(directory: &Path) -> Vec<(PathBuf, u64)> {
        let mut files = Vec::new();
        for entry in std::fs::read_dir(directory).expect("a readable directory") {
            let entry = entry.expect("a readable entry");
            let metadata = entry.metadata().expect("readable metadata");
            if metadata.is_file() {
                files.push((entry.path(), metadata.len()));
            }
        }
        files.sort();
        files
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Left behind at worst: a test's outcome must not depend on its tidying up.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
