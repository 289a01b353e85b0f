//! Both kinds of lock against other processes: who holds one keeps us out, and we keep out who asks for either.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use polygon_edge_store::error::LockHolder;
use polygon_edge_store::{Database, Durability, KeyValueReader, Options, StoreError};

mod scratch;

use scratch::Scratch;

/// Takes one kind of lock on a file, says `held` or `refused`, and keeps it until its input closes.
const HOLDER: &str = "
import fcntl, sys
lock = {'flock': fcntl.flock, 'fcntl': fcntl.lockf}[sys.argv[1]]
file = open(sys.argv[2], 'r+')
try:
    lock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
except OSError:
    print('refused', flush=True)
else:
    print('held', flush=True)
    sys.stdin.read()
";

struct Foreigner {
    child: Child,
    answer: String,
}

impl Foreigner {
    fn asks(kind: &str, lock: &Path) -> Self {
        let mut child = Command::new("python3")
            .args(["-c", HOLDER, kind])
            .arg(lock)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 can be started");
        let mut answer = String::new();
        let output = child.stdout.take().expect("its output is piped");
        BufReader::new(output).read_line(&mut answer).expect("it answers");
        Self { child, answer: answer.trim().to_owned() }
    }

    fn leaves(mut self) {
        drop(self.child.stdin.take());
        self.child.wait().expect("it ends");
    }
}

fn answer(kind: &str, directory: &Path) -> String {
    let foreigner = Foreigner::asks(kind, &directory.join("LOCK"));
    let answer = foreigner.answer.clone();
    foreigner.leaves();
    answer
}

fn create() -> Options {
    Options { create_if_missing: true, ..Options::default() }
}

#[test]
fn a_foreign_lock_of_either_kind_is_refused_by_name() {
    for (kind, holder) in [("flock", LockHolder::Flock), ("fcntl", LockHolder::Fcntl)] {
        let scratch = Scratch::new("foreign");
        let path = scratch.path().join("db");
        Database::open(&path, &create()).expect("opens").close().expect("closes");
        let foreigner = Foreigner::asks(kind, &path.join("LOCK"));
        assert_eq!(foreigner.answer, "held");
        for _ in 0..2 {
            let error = Database::open(&path, &create()).expect_err("somebody else holds it");
            assert_eq!(error, StoreError::Locked { path: path.clone(), holder });
            let message = error.to_string();
            assert!(message.contains(path.to_str().expect("plain")) && message.contains("another polygon-edge"));
        }
        foreigner.leaves();
        Database::open(&path, &create()).expect("free again").close().expect("closes");
    }
}

#[test]
fn both_locks_are_held_while_open_and_free_after_close() {
    let scratch = Scratch::new("probe");
    let path = scratch.path().join("db");
    let database = Database::open(&path, &create()).expect("opens");
    for kind in ["flock", "fcntl"] {
        assert_eq!(answer(kind, &path), "refused", "{kind} while open");
    }
    let error = Database::open(&path, &create()).expect_err("this process has it");
    assert_eq!(error, StoreError::Locked { path: path.clone(), holder: LockHolder::ThisProcess });
    for kind in ["flock", "fcntl"] {
        assert_eq!(answer(kind, &path), "refused", "{kind} after a second open was refused");
    }
    database.put(b"key", b"value", Durability::Synced).expect("still works");
    database.close().expect("closes");
    for kind in ["flock", "fcntl"] {
        assert_eq!(answer(kind, &path), "held", "{kind} after close");
    }
}

#[test]
fn the_same_directory_by_another_name_is_refused() {
    let scratch = Scratch::new("alias");
    let path = scratch.path().join("db");
    let alias = scratch.path().join("alias");
    let database = Database::open(&path, &create()).expect("opens");
    std::os::unix::fs::symlink(&path, &alias).expect("links");
    for name in [&alias, &path.join("../db")] {
        let error = Database::open(name, &create()).expect_err("same directory");
        assert_eq!(error, StoreError::Locked { path: name.clone(), holder: LockHolder::ThisProcess });
    }
    assert_eq!(answer("fcntl", &path), "refused");
    drop(database);
    Database::open(&alias, &create()).expect("free again");
}

#[test]
fn a_snapshot_keeps_the_locks_until_it_is_gone() {
    let scratch = Scratch::new("late");
    let path = scratch.path().join("db");
    let database = Database::open(&path, &create()).expect("opens");
    database.put(b"key", b"value", Durability::Buffered).expect("writes");
    let snapshot = database.fixed_view();
    assert_eq!(database.close(), Err(StoreError::InUse { path: path.clone() }));
    assert_eq!(answer("flock", &path), "refused");
    assert_eq!(snapshot.get(b"key"), Ok(Some(b"value".to_vec())));
    drop(snapshot);
    assert_eq!(answer("flock", &path), "held");
    assert_eq!(answer("fcntl", &path), "held");
}

#[test]
fn a_failed_open_leaves_no_lock() {
    let scratch = Scratch::new("failed");
    let path = scratch.path().join("db");
    std::fs::create_dir(&path).expect("makes");
    std::fs::write(path.join("CURRENT"), b"nonsense").expect("writes");
    assert!(matches!(Database::open(&path, &create()), Err(StoreError::Corruption { .. })));
    for kind in ["flock", "fcntl"] {
        assert_eq!(answer(kind, &path), "held");
    }
}
