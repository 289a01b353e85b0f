//! Decoding, hashing and signature recovery, each beside the work that bounds it.
//!
//! Blocks are those of `tests/data`, so that the figures are of real records.

use std::{hint::black_box, path::Path};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use polygon_edge_chain::{
    B256, Bytes, U256,
    block::Block,
    forks::{Forks, Generation, Rules},
    keccak256, rlp, run,
    signature::recover,
};
use secp256k1::{
    Message, SecretKey,
    ecdsa::{RecoverableSignature, RecoveryId},
};

/// The block records of a flat archive, without its metadata.
fn records(archive: &str) -> Vec<Bytes> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data").join(archive);
    let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut rest = bytes.as_slice();
    let mut records = Vec::new();
    while !rest.is_empty() {
        let record = rlp::first(rest).expect("a recorded archive").raw;
        records.push(Bytes::copy_from_slice(record));
        rest = &rest[record.len()..];
    }
    records.remove(0);
    records
}

fn rules() -> Rules {
    Rules::new(Generation::G1, 10631, Forks { eip155: Some(0), ..Forks::default() })
}

fn decode(criterion: &mut Criterion) {
    let rules = rules();
    let records = records("v0.6.3/poa-ecdsa/full.dat");
    let size = records.iter().map(|record| record.len() as u64).sum();
    let mut group = criterion.benchmark_group("decode");
    group.throughput(Throughput::Bytes(size));
    // A transaction keeps the hash of its bytes: decoding cannot be faster than hashing them.
    group.bench_function("limit: keccak of the transactions", |bencher| {
        let blocks: Vec<Block> = records.iter().map(|record| Block::decode(&rules, record).expect("a block")).collect();
        bencher.iter(|| {
            for transaction in blocks.iter().flat_map(|block| &block.transactions) {
                black_box(keccak256(&transaction.payload));
            }
        });
    });
    group.bench_function("parse", |bencher| {
        bencher.iter(|| records.iter().for_each(|record| drop(black_box(rlp::parse(record)))));
    });
    group.bench_function("Block::decode", |bencher| {
        bencher.iter(|| records.iter().for_each(|record| drop(black_box(Block::decode(&rules, record)))));
    });
    group.finish();
}

fn recovery(criterion: &mut Criterion) {
    let key = SecretKey::from_secret_bytes([7; 32]).expect("a key");
    let digests: Vec<B256> = (0..64u8).map(|index| keccak256([index])).collect();
    let signatures: Vec<RecoverableSignature> = digests
        .iter()
        .map(|digest| RecoverableSignature::sign_ecdsa_recoverable(Message::from_digest(digest.0), &key))
        .collect();
    let seals: Vec<([u8; 64], bool)> = signatures
        .iter()
        .map(|signature| {
            let (parity, bytes) = signature.serialize_compact();
            (bytes, parity == RecoveryId::One)
        })
        .collect();
    let mut group = criterion.benchmark_group("recovery");
    group.throughput(Throughput::Elements(digests.len() as u64));
    group.bench_function("limit: libsecp256k1", |bencher| {
        bencher.iter(|| {
            for (digest, signature) in digests.iter().zip(&signatures) {
                black_box(signature.recover_ecdsa(Message::from_digest(digest.0)).expect("it recovers"));
            }
        });
    });
    group.bench_function("recover", |bencher| {
        bencher.iter(|| {
            for (digest, (seal, odd)) in digests.iter().zip(&seals) {
                black_box(recover(digest, seal, *odd));
            }
        });
    });
    group.finish();
}

fn prepare(criterion: &mut Criterion) {
    let records = records("v0.6.3/poa-ecdsa/full.dat");
    let rules = rules();
    let mut group = criterion.benchmark_group("prepare");
    group.throughput(Throughput::Elements(records.len() as u64));
    group.bench_function("a run of recorded blocks, all cores", |bencher| {
        bencher.iter(|| black_box(run::prepare(&rules, records.clone(), None)));
    });
    group.finish();
}

fn keccak(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("keccak");
    let word = U256::from(7).to_be_bytes::<32>();
    let node = [7u8; 532];
    group.bench_function("32 bytes", |bencher| bencher.iter(|| keccak256(black_box(word))));
    group.bench_function("a full branch", |bencher| bencher.iter(|| keccak256(black_box(node))));
    group.finish();
}

criterion_group!(benches, decode, recovery, prepare, keccak);
criterion_main!(benches);
