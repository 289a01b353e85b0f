//! The readers of foreign bytes against damaged real block records: any answer is right, but a panic.
//!
//! `POLYGON_EDGE_MUTATIONS` sets how many mutants are made, `POLYGON_EDGE_SEED` another sequence of them.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod mutator;

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use mutator::{Damage, Mutator};
use polygon_edge_chain::{
    Address, B256, Bytes,
    block::{self, Block, Header, Outline},
    extra::{Extra, Seals, ValidatorType},
    forks::{Forks, Generation, Rules},
    hash, keccak256,
    rlp::{self, RlpError},
    run::{self, SealCheck},
    trie::ordered_root,
    verify::{Parent, ValidatorSets, verify_run},
};
use rayon::prelude::*;

const MUTATIONS: u64 = 200_000;
const SEED: u64 = 1;
/// Every so many mutants one goes through signature recovery and the header rules as well, which cost a hundred times
/// as much as decoding.
const VERIFIED: u64 = 100;

/// The chain of `poa-ecdsa`: the rules do not have to fit every record, no rule may panic on any.
const FORKS: Forks = Forks {
    homestead: Some(0),
    eip150: Some(0),
    eip155: Some(0),
    eip158: Some(0),
    byzantium: Some(0),
    constantinople: Some(0),
    petersburg: Some(0),
    istanbul: Some(0),
    london: None,
    london_fix: None,
    tx_hash_with_type: None,
};

const RULES: Rules = Rules::new(Generation::G1, 10631, FORKS);

/// The same under other generations and types of validators.
fn reading(generation: Generation, kind: ValidatorType) -> Rules {
    Rules { generation, validator_types: vec![(0, kind)], ..RULES }
}

fn number_from(variable: &str, default: u64) -> u64 {
    env::var(variable).map_or(default, |text| text.parse().expect("a whole number"))
}

fn archives() -> Vec<PathBuf> {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data");
    let shared = env::var_os("POLYGON_EDGE_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"), PathBuf::from);
    let mut archives = vec![tests.join("v0.6.3/poa-ecdsa/full.dat")];
    // Stranger blocks, and those of other generations: validators with keys, rounds, base fees.
    for network in ["quirks/v0.6.3/all-fuzz", "v0.6.3/poa-bls", "v1.3.2/poa-bls", "v1.3.2/poa-ecdsa-london"] {
        let archive = shared.join("golden").join(network).join("full.dat");
        if archive.exists() {
            archives.push(archive);
        } else {
            eprintln!("without the blocks of {network}: {} is missing", archive.display());
        }
    }
    archives
}

/// The block records of an archive, without the metadata.
fn records(archive: &Path) -> Vec<Vec<u8>> {
    let bytes = fs::read(archive).unwrap();
    let mut position = rlp::parse(&bytes).unwrap().raw.len();
    let mut records = Vec::new();
    while position < bytes.len() {
        let record = rlp::parse(&bytes[position..]).unwrap().raw;
        records.push(record.to_vec());
        position += record.len();
    }
    assert!(!records.is_empty(), "{} has no blocks", archive.display());
    records
}

/// How the mutants ended: by reader, result and, where it failed, field.
#[derive(Default)]
struct Outcomes {
    ends: BTreeMap<(&'static str, String), u64>,
    decoded: BTreeMap<Damage, (u64, u64)>,
    slowest: Duration,
}

impl Outcomes {
    fn count<T>(&mut self, reader: &'static str, result: &Result<T, RlpError>) {
        let end = result.as_ref().map_or_else(|error| format!("fails at {}", error.what), |_| "decodes".into());
        self.add(reader, end);
    }

    fn add(&mut self, reader: &'static str, end: String) {
        *self.ends.entry((reader, end)).or_default() += 1;
    }

    fn merge(mut self, other: Self) -> Self {
        for (end, count) in other.ends {
            *self.ends.entry(end).or_default() += count;
        }
        for (damage, (decoded, all)) in other.decoded {
            let entry = self.decoded.entry(damage).or_default();
            *entry = (entry.0 + decoded, entry.1 + all);
        }
        self.slowest = self.slowest.max(other.slowest);
        self
    }

    fn total(&self, reader: &str, decodes: bool) -> u64 {
        let wanted = |end: &str| (end == "decodes") == decodes;
        self.ends.iter().filter(|((name, end), _)| *name == reader && wanted(end)).map(|(_, count)| count).sum()
    }

    fn print(&self) {
        for ((reader, end), count) in &self.ends {
            println!("{count:>10}  {reader}: {end}");
        }
        for (damage, (decoded, all)) in &self.decoded {
            println!("{all:>10}  {damage:?}: {decoded} still are blocks");
        }
        println!("slowest mutant: {:?}", self.slowest);
    }
}

/// Names the mutant that a panic came from.
struct Named(u64);

impl Drop for Named {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("mutant {} of this seed", self.0);
        }
    }
}

/// What a block is after its own encoding was read back: canonical, without uncles, without what G1 does not write.
fn canonical(block: &Block, generation: Generation) -> Block {
    let mut block = block.clone();
    block.uncles.clear();
    if generation != Generation::G3 {
        block.header.base_fee = 0;
    }
    for transaction in &mut block.transactions {
        transaction.hash = keccak256(&transaction.payload);
    }
    block
}

fn encoded(block: &Block, generation: Generation) -> Bytes {
    let mut out = Vec::new();
    block.put(generation, &mut out);
    out.into()
}

fn check_block(block: &Block, record: &Bytes) {
    for generation in [Generation::G1, Generation::G3] {
        let first = encoded(block, generation);
        let rules = Rules::new(generation, 10631, FORKS);
        let again = Block::decode(&rules, &first).expect("what we write we read");
        assert_eq!(again, canonical(block, generation));
        assert_eq!(encoded(&again, generation), first, "encoding is stable");
    }
    let outline = Outline::decode(record).expect("a block has an outline");
    assert_eq!((&outline.header, outline.transactions), (&block.header, block.transactions.len()));
    let payloads: Vec<&[u8]> = block.transactions.iter().map(|transaction| transaction.payload.as_ref()).collect();
    ordered_root(&payloads);
    let senders = vec![Address::ZERO; payloads.len()];
    let (mut header, mut body) = (Vec::new(), Vec::new());
    block.header.put(Generation::G1, &mut header);
    block::put_stored_body(&block.transactions, &senders, &mut body);
    assert_eq!(block::network_form(&header, &body).expect("our own body"), encoded(block, Generation::G1));
}

/// Decodes the extra data in every reading; what the hash covers must say the same when it is read again.
fn check_extra(header: &Header, outcomes: &mut Outcomes) {
    const READINGS: [(&str, Generation, ValidatorType); 4] = [
        ("extra of G1, ECDSA", Generation::G1, ValidatorType::Ecdsa),
        ("extra of G1, BLS", Generation::G1, ValidatorType::Bls),
        ("extra of G3, ECDSA", Generation::G3, ValidatorType::Ecdsa),
        ("extra of G3, BLS", Generation::G3, ValidatorType::Bls),
    ];
    hash::plain(header, Generation::G1);
    for (name, generation, kind) in READINGS {
        let (block_hash, extra) = run::block_hash(&reading(generation, kind), header);
        outcomes.count(name, &extra);
        let Ok(extra) = extra else {
            assert_eq!(block_hash, B256::ZERO);
            continue;
        };
        let filtered: Bytes = extra.filtered(generation, kind).into();
        let kept = |extra: &Extra| extra.parent_committed_seals.clone().filter(|seals| !seals.is_empty());
        let again = Extra::decode(&filtered, header.number, generation, kind, kind);
        // What is hashed leaves out empty parent seals, which BLS blocks above 1 have to have.
        let Ok(again) = again else {
            assert!(kind == ValidatorType::Bls && header.number > 1 && kept(&extra).is_none(), "what we write we read");
            continue;
        };
        assert_eq!((again.vanity, &again.validators), (extra.vanity, &extra.validators));
        assert!(again.proposer_seal.is_empty() && again.committed_seals.is_empty() && again.round.is_none());
        if kind == ValidatorType::Ecdsa {
            assert_eq!(kept(&again), kept(&extra));
        }
        assert_eq!(again.filtered(generation, kind), filtered, "filtering is stable");
    }
}

fn check(mutator: &Mutator, number: u64, outcomes: &mut Outcomes) {
    let _name = Named(number);
    let (damage, bytes) = mutator.mutant(number);
    let record = Bytes::from(bytes);
    let started = Instant::now();
    outcomes.count("RLP", &rlp::parse(&record));
    let block = Block::decode(&RULES, &record);
    outcomes.count("block", &block);
    let outline = Outline::decode(&record);
    outcomes.count("outline", &outline);
    let entry = outcomes.decoded.entry(damage).or_default();
    *entry = (entry.0 + u64::from(block.is_ok()), entry.1 + 1);
    if let Ok(block) = &block {
        check_block(block, &record);
    }
    if let Ok(outline) = &outline {
        check_extra(&outline.header, outcomes);
    }
    let body = block::network_form(&[0xc0], &record);
    outcomes.count("stored body", &body);
    if number.is_multiple_of(VERIFIED) {
        verify(mutator, number, record, outcomes);
    }
    outcomes.slowest = outcomes.slowest.max(started.elapsed());
}

/// Runs a mutant behind its original, or behind any other record, through recovery and the header rules.
fn verify(mutator: &Mutator, number: u64, record: Bytes, outcomes: &mut Outcomes) {
    let mut random = mutator::Random::new(!mutator.seed, number);
    let before = Bytes::copy_from_slice(&mutator.records[random.below(mutator.records.len())].raw);
    let kinds = [ValidatorType::Ecdsa, ValidatorType::Bls];
    let rules = reading([Generation::G1, Generation::G3][random.below(2)], kinds[random.below(2)]);
    let prepared = run::prepare(&rules, vec![before, record], None);
    for start in 0..prepared.len() {
        let Ok(block) = &prepared[start] else { continue };
        // A parent and a set of validators that fit, so that the walk gets as far as it can.
        let header = &block.block.header;
        let (number, hash, gas_limit) = (header.number.wrapping_sub(1), header.parent_hash, header.gas_limit);
        let parent = Parent { number, hash, gas_limit, round: Some(0) };
        let listed = block.extra.as_ref().map_or(Vec::new(), |extra| extra.validators.clone());
        let sets = ValidatorSets::new(vec![(0, listed)]);
        let (_, violation) = verify_run(&rules, &prepared[start..=start], parent, &sets);
        let end = violation.map_or("passes".into(), |violation| format!("breaks {}", violation.rule.name()));
        outcomes.add("header rules", end);
    }
}

#[test]
fn damaged_records_are_read_without_a_panic() {
    let (mutations, seed) = (number_from("POLYGON_EDGE_MUTATIONS", MUTATIONS), number_from("POLYGON_EDGE_SEED", SEED));
    let corpus: Vec<Vec<u8>> = archives().iter().flat_map(|archive| records(archive)).collect();
    let mutator = Mutator::new(corpus, seed);
    println!("{mutations} mutants of {} records, seed {seed}", mutator.records.len());
    let started = Instant::now();
    let outcomes = (0..mutations)
        .into_par_iter()
        .fold(Outcomes::default, |mut outcomes, number| {
            check(&mutator, number, &mut outcomes);
            outcomes
        })
        .reduce(Outcomes::default, Outcomes::merge);
    outcomes.print();
    println!("{:?}", started.elapsed());
    // A mutator that breaks everything, or nothing, would prove little.
    for reader in ["block", "outline", "extra of G1, ECDSA"] {
        for decodes in [true, false] {
            assert!(outcomes.total(reader, decodes) >= mutations / 100, "{reader}, decodes: {decodes}");
        }
    }
}

#[test]
fn recorded_blocks_encode_to_themselves() {
    let archive = archives().remove(0);
    for record in records(&archive) {
        let record = Bytes::from(record);
        let block = Block::decode(&RULES, &record).unwrap();
        assert_eq!(encoded(&block, Generation::G1), record);
        assert_eq!(canonical(&block, Generation::G1), block);
    }
}

#[test]
fn many_seals_that_repeat_those_of_the_block_before_cost_no_more_than_their_number() {
    // Seals of one byte: the cheapest way for a hostile peer to name many.
    const SEALS: usize = 300_000;
    let record = Bytes::from(records(&archives()[0]).swap_remove(5));
    let mut before = Block::decode(&RULES, &record).unwrap();
    before.header.extra_data = with_seals(&before.header, None, SEALS, 1);
    let (before_hash, extra) = run::block_hash(&RULES, &before.header);
    assert!(matches!(extra.unwrap().committed_seals, Seals::Ecdsa(seals) if seals.len() == SEALS));
    let mut block = before.clone();
    block.header.parent_hash = before_hash;
    block.header.number += 1;
    block.header.extra_data = with_seals(&block.header, Some(SEALS), 0, 2);
    let records = vec![encoded(&before, Generation::G1), encoded(&block, Generation::G1)];
    let started = Instant::now();
    let prepared = run::prepare(&RULES, records, None);
    let took = started.elapsed();
    let check = &prepared[1].as_ref().unwrap().parent;
    assert!(matches!(check, SealCheck::Recovered { signers, .. } if *signers == vec![None; SEALS]));
    // One by one it would be 10^11 comparisons, minutes; so it takes a fraction of a second.
    assert!(took < Duration::from_secs(20), "{took:?}");
}

/// The extra data of `header` with so many parent seals and committed seals, each a single byte.
fn with_seals(header: &Header, parent_seals: Option<usize>, committed_seals: usize, seal: u8) -> Bytes {
    let mut out = header.extra_data[..32].to_vec();
    rlp::put_list_with(&mut out, |out| {
        rlp::put_list(out, &[]);
        rlp::put_bytes(out, &[]);
        rlp::put_list(out, &vec![seal; committed_seals]);
        if let Some(count) = parent_seals {
            rlp::put_list(out, &vec![seal; count]);
        }
    });
    out.into()
}
