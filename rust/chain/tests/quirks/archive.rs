//! The blocks of a recorded archive, with the fee receiver of each: who sealed it, by a reader of seals of its own.

use std::{fs, path::Path, process::Command};

use alloy_primitives::{Address, B256, Bytes, keccak256};
use polygon_edge_chain::{
    block::{Block, Header},
    execute::BlockContext,
    forks::{Generation, Rules},
    rlp::{self, Item, Kind},
};
use secp256k1::ecdsa::{RecoverableSignature, RecoveryId};

/// A file, or its packed form.
pub fn unpacked(path: &Path) -> Vec<u8> {
    if path.exists() {
        return fs::read(path).unwrap();
    }
    let packed = path.with_extension(format!("{}.zst", path.extension().unwrap().to_string_lossy()));
    let output = Command::new("zstd").arg("-dc").arg(packed).output();
    let output = output.expect("the zstd program unpacks the recorded files");
    assert!(output.status.success());
    output.stdout
}

pub struct RecordedBlock {
    pub header: Header,
    pub block: Block,
    pub hash: B256,
    pub context: BlockContext,
}

/// Splits an archive into its blocks.
pub fn read(folder: &Path, rules: &Rules, is_dev: bool) -> Vec<RecordedBlock> {
    let archive = Bytes::from(unpacked(&folder.join("full.dat")));
    let mut blocks = Vec::new();
    let mut offset = rlp::parse(&archive).unwrap().raw.len();
    while offset < archive.len() {
        let item = rlp::parse(&archive[offset..]).unwrap();
        let record = archive.slice(offset..offset + item.raw.len());
        offset += item.raw.len();
        let block = Block::decode(rules, &record).unwrap();
        let header = block.header.clone();
        let fields: Vec<_> = item.list("block").unwrap().next().unwrap().list("header").unwrap().collect();
        let (hash, coinbase) = if is_dev {
            let mut plain = Vec::new();
            header.put(rules.generation, &mut plain);
            (keccak256(plain), Address::try_from(header.miner.as_ref()).unwrap_or_default())
        } else {
            let (hash, seal) = hash_and_seal(&fields, rules.generation);
            (hash, sealer(&hash, &seal))
        };
        let context = BlockContext {
            number: header.number,
            timestamp: header.timestamp,
            gas_limit: header.gas_limit,
            difficulty: header.difficulty,
            coinbase,
            base_fee: header.base_fee,
        };
        blocks.push(RecordedBlock { header, block, hash, context });
    }
    blocks
}

/// The block hash over the filtered extra data (§3.1, §3.4), and the proposer seal.
fn hash_and_seal(header: &[Item<'_>], generation: Generation) -> (B256, Bytes) {
    let extra = header[12].payload;
    let list: Vec<_> = rlp::parse(&extra[32..]).unwrap().list("extra").unwrap().collect();
    let is_bls = list[0].list("validators").unwrap().next().is_some_and(|validator| validator.kind == Kind::List);
    // A list of seals, or bitmap and aggregate.
    let is_empty = |seals: &Item<'_>| seals.payload.is_empty() || seals.payload == [0x80, 0x80];
    let parent_seals = list.get(3).filter(|seals| !is_empty(seals));
    let mut filtered = Vec::new();
    rlp::put_list_with(&mut filtered, |out| {
        out.extend_from_slice(list[0].raw);
        out.push(0x80);
        out.extend_from_slice(if is_bls { &[0xc2, 0x80, 0x80] } else { &[0xc0] });
        match (parent_seals, generation) {
            (Some(seals), _) => out.extend_from_slice(seals.raw),
            (None, Generation::G1) => {}
            (None, _) => out.push(0xc0),
        }
        if generation != Generation::G1 {
            out.push(0x80);
        }
    });
    let mut hashed = Vec::new();
    rlp::put_list_with(&mut hashed, |out| {
        header[..12].iter().for_each(|field| out.extend_from_slice(field.raw));
        rlp::put_bytes(out, &[&extra[..32], &filtered].concat());
    });
    (keccak256(hashed), Bytes::copy_from_slice(list[1].payload))
}

fn sealer(hash: &B256, seal: &Bytes) -> Address {
    let Some((parity, signature)) = seal.split_last() else { return Address::ZERO };
    let parity = RecoveryId::try_from(i32::from(*parity)).unwrap();
    let signature = RecoverableSignature::from_compact(signature, parity).unwrap();
    let key = signature.recover_ecdsa(secp256k1::Message::from_digest(keccak256(hash).0)).unwrap();
    Address::from_raw_public_key(&key.serialize_uncompressed()[1..])
}
