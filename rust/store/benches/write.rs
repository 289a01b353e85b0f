//! What a write of either database costs: seconds, bytes on disk per byte written, resident memory.
//!
//! Shapes are those of a restore: 650,000 trie nodes of 200 bytes under random keys in 200 synced batches, and 200 synced
//! batches of 250 kB of blocks. Run on the disk that matters: the directory is `CARGO_TARGET_TMPDIR` or the current one.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use polygon_edge_chain::keccak256;
use polygon_edge_store::{Batch, Database, Durability, KeyValueReader, KeyValueStore, Options};

const BATCHES: u64 = 200;

fn trie_batches() -> Vec<Batch> {
    (0..BATCHES)
        .map(|number| {
            let mut batch = Batch::new();
            for node in 0..3_250_u64 {
                let key = keccak256((number << 32 | node).to_be_bytes());
                // Hashes fill most of a node, so its bytes compress badly; the last quarter stands for account fields.
                let mut value = Vec::with_capacity(200);
                for part in 0..5_u8 {
                    value.extend_from_slice(keccak256([key.as_slice(), &[part]].concat()).as_slice());
                }
                value.resize(200, 0x80);
                batch.put(key.as_slice(), &value);
            }
            batch
        })
        .collect()
}

fn block_batches() -> Vec<Batch> {
    (0..BATCHES)
        .map(|number| {
            let mut batch = Batch::new();
            for transaction in 0..1_000_u64 {
                // A transfer: a signature of 64 random bytes, the rest alike from one to the next.
                let hash = keccak256((number << 32 | transaction).to_be_bytes());
                let mut key = vec![b'l'];
                key.extend_from_slice(hash.as_slice());
                let mut value = vec![0xa0; 150];
                value[..32].copy_from_slice(keccak256(hash).as_slice());
                value[32..64].copy_from_slice(hash.as_slice());
                value.resize(217, 0x11);
                batch.put(&key, &value);
            }
            batch
        })
        .collect()
}

fn kibibytes(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap_or("0");
    line.split_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or(0)
}

fn disk_bytes(directory: &Path) -> u64 {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.metadata().ok()).map(|metadata| metadata.len()).sum()
}

fn processor_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks: u64 = fields.iter().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

fn measure(directory: &Path, name: &str, batches: &[Batch], options: &Options, durability: Durability) {
    // Words on the command line choose; options of the test runner do not count.
    let mut wanted = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).peekable();
    if wanted.peek().is_some() && !wanted.any(|word| name.contains(&word)) {
        return;
    }
    let path = directory.join("measured");
    let _ = std::fs::remove_dir_all(&path);
    let database = Database::open(&path, options).expect("a fresh directory");
    let (memory, started, processor) = (kibibytes("VmRSS:"), Instant::now(), processor_time());
    for batch in batches {
        database.write(batch, durability).expect("the disk has room");
    }
    let elapsed = started.elapsed();
    let processor = processor_time().saturating_sub(processor);
    let written: usize = batches.iter().map(Batch::size).sum();
    let mut read = 0_usize;
    let reading = Instant::now();
    for batch in batches {
        for operation in batch.iter().step_by(65) {
            if let polygon_edge_store::Operation::Put(key, _) = operation {
                read += usize::from(database.get(key).expect("readable").is_some());
            }
        }
    }
    let reading = reading.elapsed();
    println!(
        "{name:44} {:6.2} s wall {:6.2} s cpu  disk/data {:4.2}  rss +{:4} MiB (mapped files {:4} MiB)  get {:5.1} us",
        elapsed.as_secs_f64(),
        processor.as_secs_f64(),
        disk_bytes(&path) as f64 / written as f64,
        kibibytes("VmRSS:").saturating_sub(memory) >> 10,
        kibibytes("RssFile:") >> 10,
        reading.as_secs_f64() * 1e6 / read.max(1) as f64,
    );
    drop(database);
    let _ = std::fs::remove_dir_all(&path);
}

fn main() {
    let directory: PathBuf = std::env::var_os("CARGO_TARGET_TMPDIR")
        .or(option_env!("CARGO_TARGET_TMPDIR").map(Into::into))
        .map_or_else(|| PathBuf::from("."), PathBuf::from);
    let create = Options { create_if_missing: true, ..Options::default() };
    let synced = Durability::Synced;
    let trie = trie_batches();
    let plain = Options { compression: false, max_open_files: 74, ..create.clone() };
    measure(&directory, "trie 4 MiB buffer, snappy, 1000 files", &trie, &create, synced);
    measure(
        &directory,
        "trie 4 MiB buffer, plain, 1000 files",
        &trie,
        &Options { compression: false, ..create.clone() },
        synced,
    );
    measure(&directory, "trie 4 MiB buffer, plain, 74 files", &trie, &plain, synced);
    measure(&directory, "trie 4 MiB buffer, plain, 74 files, buffered", &trie, &plain, Durability::Buffered);
    measure(
        &directory,
        "trie 16 MiB buffer, plain, 74 files",
        &trie,
        &Options { write_buffer_size: 16 << 20, ..plain.clone() },
        synced,
    );
    let bloom = Options { write_buffer_size: 16 << 20, bloom_bits_per_key: Some(10), ..plain.clone() };
    measure(&directory, "trie 16 MiB buffer, plain, 74 files, bloom", &trie, &bloom, synced);
    drop(trie);
    let blocks = block_batches();
    let small = Options { max_open_files: 74, ..create.clone() };
    measure(&directory, "blocks 4 MiB buffer, snappy", &blocks, &small, synced);
    measure(&directory, "blocks 4 MiB buffer, snappy, buffered", &blocks, &small, Durability::Buffered);
    measure(
        &directory,
        "blocks 4 MiB buffer, plain",
        &blocks,
        &Options { compression: false, ..small.clone() },
        synced,
    );
    measure(
        &directory,
        "blocks 16 MiB buffer, snappy",
        &blocks,
        &Options { write_buffer_size: 16 << 20, ..small },
        synced,
    );
}
