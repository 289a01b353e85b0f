//! The headers of recorded networks of every generation and type of validators: hashes, lists, seals, and what becomes of
//! them when a bit is changed.
//!
//! The networks are those below the folder that `POLYGON_EDGE_SHARED` names; one of them is in the repository.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use polygon_edge_chain::{
    B256, Bytes,
    block::{Block, Header},
    extra::{Extra, Seals, Validator, ValidatorType},
    forks::{Engine, Forks, Generation, Rules},
    rlp,
    run::{self, Prepared, SealCheck},
    verify::{Parent, Rule, ValidatorSets, Violation, verify_run},
};
use proptest::prelude::*;
use serde_json::Value;

const NETWORKS: [&str; 16] = [
    "v0.6.3/poa-ecdsa",
    "v0.6.3/poa-bls",
    "v0.6.3/pos-ecdsa",
    "v0.6.3/single",
    "v0.6.3/switch",
    "v0.6.3/switch-type",
    "v0.6.3/dev",
    "v1.3.2/poa-ecdsa-london",
    "v1.3.2/poa-bls",
    "v1.3.2/pos-ecdsa",
    "v1.3.2/forks-late",
    "v1.3.2/forks-early",
    "v1.3.2/forks-early-refused",
    "v1.3.2/access-lists",
    "v1.3.2/big-blocks",
    "v1.3.2/switch",
];

/// Blocks that are prepared together.
const RUN: usize = 37;

struct Network {
    name: &'static str,
    rules: Rules,
    genesis: Header,
    /// Block 0 left out.
    records: Vec<Bytes>,
    head_hash: B256,
    genesis_hash: Option<B256>,
}

fn folder(name: &str) -> Option<PathBuf> {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR"));
    let shared = env::var_os("POLYGON_EDGE_SHARED").map_or_else(|| crates.join("../../../shared"), PathBuf::from);
    let places = [crates.join("../../tests/data").join(name), shared.join("golden").join(name)];
    let found = places.into_iter().find(|place| place.join("about.json").exists());
    if found.is_none() {
        eprintln!("without {name}: it is not there");
    }
    found
}

fn networks() -> impl Iterator<Item = Network> {
    NETWORKS.into_iter().filter_map(|name| Some(Network::read(name, &folder(name)?)))
}

fn network(name: &'static str) -> Option<Network> {
    folder(name).map(|folder| Network::read(name, &folder))
}

fn archive(folder: &Path) -> Vec<u8> {
    let plain = folder.join("full.dat");
    if plain.exists() {
        return fs::read(plain).unwrap();
    }
    let output = Command::new("zstd").arg("-dc").arg(folder.join("full.dat.zst")).output();
    let output = output.expect("the zstd program unpacks the recorded archive");
    assert!(output.status.success());
    output.stdout
}

fn height(value: &Value) -> u64 {
    match value {
        Value::String(text) => u64::from_str_radix(text.strip_prefix("0x").unwrap(), 16).unwrap(),
        other => other.as_u64().unwrap_or(0),
    }
}

fn kind(value: &Value) -> ValidatorType {
    if value["validator_type"] == "bls" { ValidatorType::Bls } else { ValidatorType::Ecdsa }
}

fn forks_of(genesis: &Value) -> Forks {
    let first = |name: &str| {
        let fork = &genesis["params"]["forks"][name];
        fork.as_u64().or_else(|| fork["block"].as_u64())
    };
    Forks {
        homestead: first("homestead"),
        eip150: first("EIP150"),
        eip155: first("EIP155"),
        eip158: first("EIP158"),
        byzantium: first("byzantium"),
        constantinople: first("constantinople"),
        petersburg: first("petersburg"),
        istanbul: first("istanbul"),
        london: first("london"),
        london_fix: first("londonfix"),
        tx_hash_with_type: first("txHashWithType"),
    }
}

fn rules_of(name: &str, genesis: &Value) -> Rules {
    let generation = if name.starts_with("v0.6.3") { Generation::G1 } else { Generation::G3 };
    let ibft = &genesis["params"]["engine"]["ibft"];
    let entries = ibft["types"].as_array().cloned().unwrap_or_else(|| vec![ibft.clone()]);
    Rules {
        engine: if ibft.is_null() { Engine::Plain } else { Engine::Ibft },
        validator_types: entries.iter().map(|entry| (height(&entry["from"]), kind(entry))).collect(),
        stake: entries.iter().map(|entry| (height(&entry["from"]), entry["type"] == "PoS")).collect(),
        ..Rules::new(generation, genesis["params"]["chainID"].as_u64().unwrap(), forks_of(genesis))
    }
}

impl Network {
    fn read(name: &'static str, folder: &Path) -> Self {
        let json = |file: &str| serde_json::from_slice::<Value>(&fs::read(folder.join(file)).unwrap()).unwrap();
        let about = json("about.json");
        let hash = |key: &str| about[key].as_str().map(|text| text.parse().unwrap());
        let rules = rules_of(name, &json("genesis.json"));
        let bytes = archive(folder);
        let mut position = rlp::parse(&bytes).unwrap().raw.len();
        let mut records = Vec::new();
        while position < bytes.len() {
            let record = rlp::parse(&bytes[position..]).unwrap().raw;
            records.push(Bytes::copy_from_slice(record));
            position += record.len();
        }
        let genesis = Block::decode(&rules, &records.remove(0)).unwrap().header;
        Self { name, rules, genesis, records, head_hash: hash("headHash").unwrap(), genesis_hash: hash("genesisHash") }
    }

    fn start(&self) -> Parent {
        let (hash, extra) = run::block_hash(&self.rules, &self.genesis);
        Parent { number: 0, hash, gas_limit: self.genesis.gas_limit, round: extra.unwrap().round }
    }

    /// The set that each block lists of itself: what is checked here is that seals are those of the listed validators.
    fn listed(&self) -> ValidatorSets {
        let headers = [Ok(self.genesis.clone())]
            .into_iter()
            .chain(self.records.iter().map(|record| Block::decode(&self.rules, record).map(|block| block.header)));
        let mut sets: Vec<(u64, Vec<Validator>)> = Vec::new();
        for header in headers.flatten() {
            let validators = run::extra_of(&self.rules, &header).unwrap().validators;
            if sets.last().is_none_or(|(_, before)| *before != validators) {
                sets.push((header.number, validators));
            }
        }
        ValidatorSets::new(sets)
    }

    /// Block `number` with the block before it, both as they are.
    fn pair(&self, number: u64) -> [Bytes; 2] {
        let index = usize::try_from(number).unwrap() - 1;
        [self.records[index - 1].clone(), self.records[index].clone()]
    }
}

fn encoded(rules: &Rules, block: &Block) -> Bytes {
    let mut out = Vec::new();
    block.put(rules.generation, &mut out);
    out.into()
}

/// The block of `record` under other extra data.
fn with_extra(rules: &Rules, record: &Bytes, change: impl FnOnce(&mut Extra)) -> Bytes {
    let mut block = Block::decode(rules, record).unwrap();
    let mut extra = run::extra_of(rules, &block.header).unwrap();
    change(&mut extra);
    block.header.extra_data = extra.encode(rules.generation).into();
    encoded(rules, &block)
}

#[test]
fn recorded_blocks_hold_and_have_their_recorded_hashes() {
    for network in networks() {
        let Network { name, rules, .. } = &network;
        let mut parent = network.start();
        if let Some(expected) = network.genesis_hash {
            assert_eq!(parent.hash, expected, "{name}: genesis");
        }
        let sets = network.listed();
        let mut previous: Option<Vec<Prepared>> = None;
        for records in network.records.chunks(RUN) {
            let before = previous.as_ref().and_then(|blocks| blocks.last()).and_then(|block| block.as_ref().ok());
            let prepared = run::prepare(rules, records.to_vec(), before);
            let ready = prepared.iter().flatten().all(|block| {
                let seals = block.extra.as_ref().unwrap().parent_committed_seals.as_ref();
                let pending = |check: &SealCheck| *check == SealCheck::Pending;
                // Of block 1 the block before was not at hand, and it has no seals to repeat.
                rules.engine == Engine::Plain
                    || (!pending(&block.committed) && seals.is_some() != pending(&block.parent))
            });
            assert!(ready, "{name}: everything is looked at ahead");
            let (held, violation) = verify_run(rules, &prepared, parent, &sets);
            assert_eq!((held, violation), (records.len(), None), "{name}: run after block {}", parent.number);
            parent = Parent::of(prepared.last().unwrap().as_ref().unwrap());
            previous = Some(prepared);
        }
        assert_eq!(parent.hash, network.head_hash, "{name}: head");
        println!("{name}: {} blocks", parent.number);
    }
}

#[test]
fn seals_hold_as_well_when_nothing_was_looked_at_ahead() {
    for name in ["v0.6.3/poa-bls", "v0.6.3/switch", "v1.3.2/poa-bls", "v1.3.2/pos-ecdsa", "v1.3.2/switch"] {
        let Some(network) = network(name) else { continue };
        let (mut parent, sets) = (network.start(), network.listed());
        // One block at a time, without the block before.
        for record in network.records.iter().take(70) {
            let prepared = run::prepare(&network.rules, vec![record.clone()], None);
            assert_eq!(verify_run(&network.rules, &prepared, parent, &sets), (1, None), "{name}");
            parent = Parent::of(prepared[0].as_ref().unwrap());
        }
    }
}

fn verify_pair(network: &Network, records: Vec<Bytes>) -> Option<Violation> {
    let sets = network.listed();
    let before = run::prepare(
        &network.rules,
        network.pair(Block::decode(&network.rules, &records[0]).unwrap().header.number)[..1].to_vec(),
        None,
    );
    let parent = Parent::of(before[0].as_ref().unwrap());
    let prepared = run::prepare(&network.rules, records, None);
    verify_run(&network.rules, &prepared, parent, &sets).1
}

/// A change to the extra data and the rule that it breaks.
type Change = (String, Rule, Box<dyn Fn(&mut Extra)>);

fn flipped(bytes: &Bytes, bit: usize) -> Bytes {
    let mut bytes = bytes.to_vec();
    bytes[bit / 8] ^= 1 << (bit % 8);
    bytes.into()
}

/// Bits of a 65-byte seal that mean something: of its last byte only the lowest one, unless that is set (§2.5).
fn seal_bits(seal: &Bytes) -> Vec<usize> {
    let last = if seal[64] == 1 { 520 } else { 513 };
    (0..last).collect()
}

fn every_change(extra: &Extra, parent: &Extra) -> Vec<Change> {
    let mut changes: Vec<Change> = Vec::new();
    let mut add = |what: String, rule: Rule, change: Box<dyn Fn(&mut Extra)>| changes.push((what, rule, change));
    for (index, validator) in extra.validators.iter().enumerate() {
        for bit in 0..validator.to_bytes().len() * 8 {
            let changed = Validator::from_bytes(&flipped(&validator.to_bytes().into(), bit)).unwrap();
            add(
                format!("validator {index}, bit {bit}"),
                Rule::ValidatorList,
                Box::new(move |extra| extra.validators[index] = changed),
            );
        }
    }
    for bit in seal_bits(&extra.proposer_seal) {
        add(
            format!("proposer seal, bit {bit}"),
            Rule::ProposerSeal,
            Box::new(move |extra| extra.proposer_seal = flipped(&extra.proposer_seal, bit)),
        );
    }
    for bit in 0..if extra.round.is_some() { 64 } else { 0 } {
        add(
            format!("round, bit {bit}"),
            Rule::CommittedSeals,
            Box::new(move |extra| extra.round = extra.round.map(|round| round ^ (1 << bit))),
        );
    }
    let own = |extra: &mut Extra, seals: Seals| extra.committed_seals = seals;
    let parents = |extra: &mut Extra, seals: Seals| extra.parent_committed_seals = Some(seals);
    let slots = [
        (Some(&extra.committed_seals), extra, Rule::CommittedSeals, own as fn(&mut Extra, Seals)),
        (extra.parent_committed_seals.as_ref(), parent, Rule::ParentSeals, parents),
    ];
    for (seals, by, rule, put) in slots {
        let Some(seals) = seals else { continue };
        for (what, changed) in changed_seals(seals, by.validators.len()) {
            add(format!("{} {what}", rule.name()), rule, Box::new(move |extra| put(extra, changed.clone())));
        }
    }
    changes
}

/// Seals that differ in one meaningful bit, and those with a seal less.
fn changed_seals(seals: &Seals, validators: usize) -> Vec<(String, Seals)> {
    let mut changed = Vec::new();
    match seals {
        Seals::Ecdsa(seals) => {
            for (index, seal) in seals.iter().enumerate() {
                for bit in seal_bits(seal) {
                    let mut seals = seals.clone();
                    seals[index] = flipped(seal, bit);
                    changed.push((format!("{index}, bit {bit}"), Seals::Ecdsa(seals)));
                }
                let mut twice = seals.clone();
                twice.push(seal.clone());
                changed.push((format!("{index} twice"), Seals::Ecdsa(twice)));
            }
        }
        Seals::Bls { bitmap, signature } => {
            // Bits of the aggregate: flags, x; and all bits of the bitmap that stand for a validator.
            for bit in 0..signature.len() * 8 {
                let signature = flipped(signature, bit);
                changed.push((format!("aggregate, bit {bit}"), Seals::Bls { bitmap: bitmap.clone(), signature }));
            }
            let mut wide = vec![0; validators.div_ceil(8).max(bitmap.len())];
            let start = wide.len() - bitmap.len();
            wide[start..].copy_from_slice(bitmap);
            for position in 0..validators {
                let mut bitmap = wide.clone();
                let byte = bitmap.len() - 1 - position / 8;
                bitmap[byte] ^= 1 << (position % 8);
                let (bitmap, signature) = (bitmap.into(), signature.clone());
                changed.push((format!("bitmap, validator {position}"), Seals::Bls { bitmap, signature }));
            }
            for length in [0, 1, 48, 95, 97] {
                let mut signature = signature.to_vec();
                signature.resize(length, 0);
                let seals = Seals::Bls { bitmap: bitmap.clone(), signature: signature.into() };
                changed.push((format!("aggregate of {length} bytes"), seals));
            }
        }
    }
    changed
}

#[test]
fn a_changed_bit_of_lists_seals_bitmaps_keys_and_rounds_breaks_its_rule() {
    // Blocks before and behind switches of the type and changes of the set among them.
    for (name, numbers) in [
        ("v0.6.3/poa-ecdsa", vec![21]),
        ("v0.6.3/poa-bls", vec![2, 40]),
        ("v0.6.3/switch", vec![60, 61]),
        ("v0.6.3/switch-type", vec![25, 26]),
        ("v1.3.2/poa-bls", vec![22, 55, 56]),
        ("v1.3.2/pos-ecdsa", vec![2, 31]),
        ("v1.3.2/switch", vec![20, 21]),
    ] {
        let Some(network) = network(name) else { continue };
        let sets = network.listed();
        for number in numbers {
            let records = network.pair(number);
            let before = run::prepare(&network.rules, records[..1].to_vec(), None);
            let before = before[0].as_ref().unwrap();
            let parent = Parent::of(before);
            let header = Block::decode(&network.rules, &records[1]).unwrap().header;
            let extra = run::extra_of(&network.rules, &header).unwrap();
            let changes = every_change(&extra, before.extra.as_ref().unwrap());
            assert!(changes.len() > 500, "{name}, block {number}");
            // Each by itself: in a run the first that breaks would hide the others.
            let step = env::var("POLYGON_EDGE_EVERY_BIT").map_or(29, |_| 1);
            for (what, rule, change) in changes.iter().step_by(step) {
                let changed = with_extra(&network.rules, &records[1], change);
                let prepared = run::prepare(&network.rules, vec![changed], Some(before));
                let (_, violation) = verify_run(&network.rules, &prepared, parent, &sets);
                let broken = violation.map(|violation| violation.rule);
                assert_eq!(broken, Some(*rule), "{name}, block {number}: {what}");
            }
            let same = with_extra(&network.rules, &records[1], |_| {});
            assert_eq!(same, records[1], "{name}, block {number}: nothing else was changed");
        }
    }
}

#[test]
fn what_kills_the_go_client_is_refused() {
    let Some(network) = network("v1.3.2/poa-bls") else { return };
    let [before, record] = network.pair(30);
    let block = Block::decode(&network.rules, &record).unwrap();
    let list = rlp::parse(&block.header.extra_data[32..]).unwrap();
    let items: Vec<Vec<u8>> = list.list("extra").unwrap().map(|item| item.raw.to_vec()).collect();
    assert_eq!(items.len(), 5);
    let verdict = |items: &[Vec<u8>]| {
        let mut block = block.clone();
        let mut extra = block.header.extra_data[..32].to_vec();
        rlp::put_list(&mut extra, &items.concat());
        block.header.extra_data = extra.into();
        verify_pair(&network, vec![before.clone(), encoded(&network.rules, &block)])
    };
    assert_eq!(verdict(&items), None);
    let mut hostile = vec![items[..3].to_vec()];
    for (index, item) in [
        (3, vec![0xc0]),
        (3, vec![0xc1, 0x80]),
        (3, vec![0x80]),
        (4, vec![0x01]),
        (4, vec![0x82, 1, 2]),
        (4, vec![0x87, 1, 2, 3, 4, 5, 6, 7]),
        (4, vec![0x89, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
        (4, vec![0xc0]),
        (2, vec![0xc1, 0x80]),
        (2, vec![0x80]),
        (0, vec![0x80]),
    ] {
        let mut items = items.clone();
        items[index] = item;
        hostile.push(items);
    }
    for items in hostile {
        let violation = verdict(&items).expect("a rule is broken");
        assert_eq!(violation.rule, Rule::ExtraData, "{violation}");
    }
    // No seals at all are decoded, and are too few.
    for none in [vec![0xc0], vec![0xc2, 0x80, 0x80]] {
        let mut items = items.clone();
        items[2] = none;
        assert_eq!(verdict(&items).unwrap().rule, Rule::CommittedSeals);
    }
}

#[test]
fn bits_of_a_bitmap_beyond_the_set_say_nothing() {
    // As in the Go client, which stores such a block: a copy of the seals that stands in no hash.
    let Some(network) = network("v0.6.3/poa-bls") else { return };
    let [before, record] = network.pair(30);
    let wide = with_extra(&network.rules, &record, |extra| {
        let Seals::Bls { bitmap, .. } = &mut extra.committed_seals else { unreachable!() };
        *bitmap = [&[0xf0, 0], bitmap.as_ref()].concat().into();
    });
    assert_ne!(wide, record);
    assert_eq!(verify_pair(&network, vec![before, wide]), None);
}

#[test]
fn the_nonce_is_free_where_nobody_votes() {
    for (name, number, broken) in [("v0.6.3/pos-ecdsa", 7, None), ("v0.6.3/poa-ecdsa", 7, Some(Rule::Constants))] {
        let Some(network) = network(name) else { continue };
        let [before, record] = network.pair(number);
        let mut block = Block::decode(&network.rules, &record).unwrap();
        block.header.nonce[3] ^= 1;
        let violation = verify_pair(&network, vec![before, encoded(&network.rules, &block)]);
        assert_eq!(violation.map(|violation| violation.rule), broken, "{name}");
    }
}

/// Bytes that are sometimes points: of keys and signatures of the chain, of nothing, of anything.
fn item(real: Vec<Bytes>, length: usize) -> impl Strategy<Value = Bytes> {
    let real = proptest::sample::select(real);
    prop_oneof![
        real.clone(),
        (real, 0..length * 8).prop_map(|(bytes, bit)| flipped(&bytes, bit)),
        proptest::collection::vec(any::<u8>(), length).prop_map(Bytes::from),
        proptest::collection::vec(any::<u8>(), 0..2 * length).prop_map(Bytes::from),
        Just(Bytes::from([vec![0xc0], vec![0; length - 1]].concat())),
    ]
}

#[test]
fn hostile_keys_bitmaps_and_aggregates_never_pass() {
    let Some(network) = network("v0.6.3/poa-bls") else { return };
    let [before, record] = network.pair(40);
    let block = Block::decode(&network.rules, &record).unwrap();
    let extra = run::extra_of(&network.rules, &block.header).unwrap();
    let (Seals::Bls { bitmap, signature }, Some(Seals::Bls { signature: parent, .. })) =
        (&extra.committed_seals, &extra.parent_committed_seals)
    else {
        unreachable!()
    };
    let signatures = vec![signature.clone(), parent.clone()];
    let keys: Vec<Bytes> =
        extra.validators.iter().map(|validator| validator.bls_public_key.unwrap().to_vec().into()).collect();
    let before = run::prepare(&network.rules, vec![before], None);
    let before = before[0].as_ref().unwrap();
    let position = 0..extra.validators.len();
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) };
    let bitmaps =
        prop_oneof![Just(bitmap.clone()), proptest::collection::vec(any::<u8>(), 0..40).prop_map(Bytes::from)];
    let strategy =
        (bitmaps, item(signatures.clone(), 96), item(signatures, 96), item(keys, 48), position, any::<bool>());
    proptest!(config, |((bits, own, parents, key, position, trusted) in strategy)| {
        let mut expected = extra.validators.clone();
        let changed = with_extra(&network.rules, &record, |extra| {
            extra.committed_seals = Seals::Bls { bitmap: bits.clone(), signature: own.clone() };
            extra.parent_committed_seals = Some(Seals::Bls { bitmap: bitmap.clone(), signature: parents.clone() });
            if let Ok(key) = key.as_ref().try_into() {
                extra.validators[position].bls_public_key = Some(key);
            }
            // A set that the chain has chosen may hold keys that are none, such as a vote brought in.
            if trusted {
                expected.clone_from(&extra.validators);
            }
        });
        let sets = ValidatorSets::new(vec![(0, extra.validators.clone()), (40, expected)]);
        let prepared = run::prepare(&network.rules, vec![changed.clone()], Some(before));
        let (held, violation) = verify_run(&network.rules, &prepared, Parent::of(before), &sets);
        if held == 1 {
            // What passes is the block itself, at most under other bits beyond the set.
            let block = Block::decode(&network.rules, &changed).unwrap();
            let again = run::extra_of(&network.rules, &block.header).unwrap();
            prop_assert_eq!(&again.validators, &extra.validators);
            prop_assert_eq!(&again.parent_committed_seals, &extra.parent_committed_seals);
        } else {
            prop_assert!(violation.unwrap().rule >= Rule::ValidatorList);
        }
    });
}
