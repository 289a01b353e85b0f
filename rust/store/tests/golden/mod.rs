//! Data directories written by real Go nodes.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Unpacks `archive` (path below `golden/v0.6.3`) into `target`; none, with a notice, where the recordings are not at hand.
///
/// The recordings stand beside the repository or where `POLYGON_EDGE_SHARED` says. With `CI=true` their absence is a failure.
pub fn unpack(archive: &str, target: &Path) -> Option<PathBuf> {
    let shared = std::env::var_os("POLYGON_EDGE_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"), PathBuf::from);
    let path = shared.join("golden/v0.6.3").join(archive);
    if !path.exists() {
        assert!(std::env::var_os("CI").is_none_or(|value| value != "true"), "golden data missing: {}", path.display());
        eprintln!("SKIPPED: golden data missing: {} (set POLYGON_EDGE_SHARED)", path.display());
        return None;
    }
    let mut zstd =
        Command::new("zstd").arg("-dc").arg(&path).stdout(Stdio::piped()).spawn().expect("zstd can be started");
    let pipe = zstd.stdout.take().expect("zstd's output is piped");
    let tar = Command::new("tar").arg("-x").arg("-C").arg(target).stdin(pipe).status().expect("tar can be started");
    assert!(zstd.wait().expect("zstd ends").success() && tar.success(), "unpacking {}", path.display());
    Some(target.to_owned())
}
