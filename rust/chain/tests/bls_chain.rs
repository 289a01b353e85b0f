//! Chains of our own BLS validators: how many have to seal, what a run looks at ahead, and which block of it is refused.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use polygon_edge_chain::{
    Address, B256, Bytes,
    aggregate::aggregate,
    block::{Block, EMPTY_UNCLES_HASH, Header},
    bls::BlsKey,
    extra::{Extra, Seals, Validator, ValidatorType},
    forks::{Engine, Forks, Generation, Rules},
    hash,
    run::{self, SealCheck},
    seal::{Agreed, proposer_digest},
    signature::SigningKey,
    state::EMPTY_ROOT,
    verify::{ISTANBUL_DIGEST, Parent, Rule, ValidatorSets, verify_run},
};

const GAS_LIMIT: u64 = 8_000_000;

/// Validators with both of their keys.
struct Validators(Vec<(SigningKey, BlsKey)>);

impl Validators {
    fn new(count: u8) -> Self {
        Self(
            (1..=count)
                .map(|seed| (SigningKey::from_bytes([seed; 32]).unwrap(), BlsKey::derive(&[seed; 32])))
                .collect(),
        )
    }

    fn listed(&self, kind: ValidatorType) -> Vec<Validator> {
        let entry = |(ecdsa, bls): &(SigningKey, BlsKey)| Validator {
            address: ecdsa.address(),
            bls_public_key: (kind == ValidatorType::Bls).then(|| bls.public_key()),
        };
        self.0.iter().map(entry).collect()
    }

    fn seals(&self, kind: ValidatorType, agreed: Agreed, signing: &[usize]) -> Seals {
        let digest = agreed.digest();
        match kind {
            ValidatorType::Ecdsa => {
                Seals::Ecdsa(signing.iter().map(|&index| self.0[index].0.sign(&digest).to_vec().into()).collect())
            }
            ValidatorType::Bls => {
                let seal = |&index: &usize| {
                    let (ecdsa, bls) = &self.0[index];
                    (ecdsa.address(), Bytes::from(bls.sign(&digest).to_vec()))
                };
                aggregate(&self.listed(kind), &signing.iter().map(seal).collect::<Vec<_>>()).unwrap()
            }
        }
    }
}

/// What one block of a chain is like.
#[derive(Clone)]
struct Sealing {
    /// Who gives the committed seals of the block.
    signing: Vec<usize>,
    /// Who gives its seals as the next block repeats them: in a network each node collects its own.
    repeated: Vec<usize>,
    round: u64,
}

impl Sealing {
    fn by(signing: &[usize]) -> Self {
        Self { signing: signing.to_vec(), repeated: signing.to_vec(), round: 0 }
    }
}

fn header(number: u64, parent_hash: B256, extra: &Extra, generation: Generation) -> Header {
    Header {
        parent_hash,
        uncles_hash: EMPTY_UNCLES_HASH,
        miner: vec![0; 20].into(),
        state_root: EMPTY_ROOT,
        transactions_root: EMPTY_ROOT,
        receipts_root: EMPTY_ROOT,
        logs_bloom: Box::new([0; 256]),
        difficulty: number,
        number,
        gas_limit: GAS_LIMIT,
        gas_used: 0,
        timestamp: number,
        extra_data: extra.encode(generation).into(),
        mix_hash: ISTANBUL_DIGEST,
        nonce: [0; 8],
        base_fee: 0,
    }
}

const GENESIS: B256 = B256::repeat_byte(0x11);

fn genesis() -> Parent {
    Parent { number: 0, hash: GENESIS, gas_limit: GAS_LIMIT, round: None }
}

/// The records of blocks 1, 2, ... that follow on `GENESIS`.
fn chain(rules: &Rules, validators: &Validators, sealings: &[Sealing]) -> Vec<Bytes> {
    let (mut parent_hash, mut parent_seals) = (GENESIS, None);
    let mut records = Vec::new();
    for (number, sealing) in (1..).zip(sealings) {
        let kind = rules.validator_type(number);
        let mut extra = Extra {
            validators: validators.listed(kind),
            committed_seals: Seals::none(kind),
            parent_committed_seals: parent_seals,
            ..Extra::none()
        };
        let hash = hash::ibft(&header(number, parent_hash, &extra, rules.generation), &extra, rules.generation, kind);
        let round = (rules.generation != Generation::G1).then_some(sealing.round);
        let agreed = Agreed { hash, round };
        let proposer = &validators.0[(number as usize) % validators.0.len()].0;
        extra.proposer_seal = proposer.sign(&proposer_digest(&hash)).to_vec().into();
        extra.committed_seals = validators.seals(kind, agreed, &sealing.signing);
        extra.round = round;
        let header = header(number, parent_hash, &extra, rules.generation);
        parent_hash = hash;
        parent_seals = Some(validators.seals(kind, agreed, &sealing.repeated));
        let mut record = Vec::new();
        Block { header, transactions: Vec::new(), uncles: Vec::new() }.put(rules.generation, &mut record);
        records.push(record.into());
    }
    records
}

fn bls(generation: Generation) -> Rules {
    Rules { validator_types: vec![(0, ValidatorType::Bls)], ..Rules::new(generation, 1, Forks::default()) }
}

/// How many blocks hold, and the rule that ends them.
fn verdict(rules: &Rules, validators: &Validators, records: Vec<Bytes>) -> (usize, Option<Rule>) {
    let prepared = run::prepare(rules, records, None);
    let mut sets = vec![(0, validators.listed(rules.validator_type(0)))];
    sets.extend(rules.validator_types.iter().map(|(first, kind)| (*first, validators.listed(*kind))));
    let (held, violation) = verify_run(rules, &prepared, genesis(), &ValidatorSets::new(sets));
    (held, violation.map(|violation| violation.rule))
}

#[test]
fn as_many_seals_as_the_quorum_asks_for_are_enough() {
    let validators = Validators::new(6);
    for generation in [Generation::G1, Generation::G2, Generation::G3] {
        let rules = bls(generation);
        // Of six validators the old rule asks for three, the new one for four.
        let records = |signing: &[usize]| chain(&rules, &validators, &vec![Sealing::by(signing); 3]);
        assert_eq!(verdict(&rules, &validators, records(&[0, 2, 4, 5])), (3, None));
        assert_eq!(verdict(&rules, &validators, records(&[0, 2, 5])), (0, Some(Rule::CommittedSeals)));
        let legacy = Rules { quorum_size_block: 3, ..rules.clone() };
        assert_eq!(verdict(&legacy, &validators, records(&[0, 2, 5])), (2, Some(Rule::CommittedSeals)));
        assert_eq!(verdict(&legacy, &validators, records(&[0, 2])), (0, Some(Rule::CommittedSeals)));
    }
}

#[test]
fn parent_seals_need_the_quorum_of_the_parent() {
    let validators = Validators::new(4);
    let rules = bls(Generation::G3);
    let few = Sealing { repeated: vec![1, 2], ..Sealing::by(&[0, 1, 2]) };
    let sealings = [Sealing::by(&[0, 1, 2]), few, Sealing::by(&[0, 1, 2])];
    assert_eq!(verdict(&rules, &validators, chain(&rules, &validators, &sealings)), (2, Some(Rule::ParentSeals)));
}

#[test]
fn rounds_and_seals_that_each_node_collects_for_itself_hold() {
    let validators = Validators::new(4);
    for generation in [Generation::G1, Generation::G2, Generation::G3] {
        let rules = bls(generation);
        let sealings: Vec<_> = (0..40)
            .map(|number| Sealing {
                round: number % 3,
                repeated: if number % 2 == 0 { vec![0, 1, 2] } else { vec![1, 2, 3] },
                ..Sealing::by(&[0, 1, 2])
            })
            .collect();
        let records = chain(&rules, &validators, &sealings);
        assert_eq!(verdict(&rules, &validators, records.clone()), (40, None));
        let prepared = run::prepare(&rules, records, None);
        // What repeats is taken over, what differs is looked at: both before the rules are.
        for (index, pair) in prepared.windows(2).enumerate() {
            let [Ok(before), Ok(block)] = pair else { unreachable!() };
            assert_eq!(block.parent, before.committed, "{index}");
            assert!(matches!(&block.parent, SealCheck::Verified { outcome: Ok(()), .. }), "{index}");
        }
    }
}

#[test]
fn validators_change_their_type_and_back() {
    let validators = Validators::new(4);
    for generation in [Generation::G1, Generation::G3] {
        let (ecdsa, bls) = (ValidatorType::Ecdsa, ValidatorType::Bls);
        let rules = Rules {
            validator_types: vec![(0, ecdsa), (3, bls), (7, ecdsa), (8, bls)],
            ..Rules::new(generation, 1, Forks::default())
        };
        let records = chain(&rules, &validators, &vec![Sealing::by(&[1, 2, 3]); 10]);
        assert_eq!(verdict(&rules, &validators, records.clone()), (10, None));
        // Under a schedule that is one block off, the first block of another type cannot be read.
        let late = Rules { validator_types: vec![(0, ecdsa), (4, bls), (7, ecdsa), (8, bls)], ..rules.clone() };
        assert_eq!(verdict(&late, &validators, records), (2, Some(Rule::ExtraData)));
    }
}

#[test]
fn one_bad_aggregate_among_many_ends_the_run_before_its_block() {
    let validators = Validators::new(4);
    let rules = bls(Generation::G1);
    let good = chain(&rules, &validators, &vec![Sealing::by(&[0, 1, 2]); 50]);
    for bad in [0, 15, 16, 49] {
        let mut records = good.clone();
        let mut block = Block::decode(&rules, &records[bad]).unwrap();
        let mut extra = run::extra_of(&rules, &block.header).unwrap();
        // Seals of the neighbour: points of the group, of the right validators, over another block.
        let other = Block::decode(&rules, &good[if bad == 0 { 1 } else { bad - 1 }]).unwrap();
        extra.committed_seals = run::extra_of(&rules, &other.header).unwrap().committed_seals;
        block.header.extra_data = extra.encode(rules.generation).into();
        let mut record = Vec::new();
        block.put(rules.generation, &mut record);
        records[bad] = record.into();
        assert_eq!(verdict(&rules, &validators, records), (bad, Some(Rule::CommittedSeals)));
    }
}

#[test]
fn a_set_that_the_block_lists_but_nobody_chose_is_refused_before_its_keys_are_read() {
    let validators = Validators::new(1);
    let rules = bls(Generation::G1);
    let records = chain(&rules, &validators, &[Sealing::by(&[0]), Sealing::by(&[0])]);
    let mut block = Block::decode(&rules, &records[1]).unwrap();
    let mut extra = run::extra_of(&rules, &block.header).unwrap();
    let stranger = |index: u16| Validator {
        address: Address::from_slice(&[&[7; 18][..], &index.to_be_bytes()].concat()),
        bls_public_key: Some([index as u8; 48]),
    };
    extra.validators = (0..60_000).map(stranger).collect();
    block.header.extra_data = extra.encode(rules.generation).into();
    let mut record = Vec::new();
    block.put(rules.generation, &mut record);
    let records = vec![records[0].clone(), record.into()];
    let prepared = run::prepare(&rules, records.clone(), None);
    assert_eq!(prepared[1].as_ref().unwrap().committed, SealCheck::Pending);
    assert_eq!(verdict(&rules, &validators, records), (1, Some(Rule::ValidatorList)));
}

#[test]
fn blocks_that_nobody_seals_have_the_plain_hash_and_pay_whom_they_name() {
    for generation in [Generation::G1, Generation::G3] {
        let rules = Rules { engine: Engine::Plain, ..Rules::new(generation, 1, Forks::default()) };
        let mut parent_hash = GENESIS;
        let mut records = Vec::new();
        for number in 1..=3 {
            let free = Header {
                difficulty: 0,
                mix_hash: B256::ZERO,
                extra_data: vec![number as u8; 5].into(),
                miner: vec![number as u8; [0, 20, 22][number as usize - 1]].into(),
                nonce: [9; 8],
                ..header(number, parent_hash, &Extra::none(), generation)
            };
            parent_hash = hash::plain(&free, generation);
            let mut record = Vec::new();
            Block { header: free, transactions: Vec::new(), uncles: Vec::new() }.put(generation, &mut record);
            records.push(record.into());
        }
        let prepared = run::prepare(&rules, records.clone(), None);
        let paid: Vec<_> = prepared.iter().map(|block| block.as_ref().unwrap().proposer.unwrap()).collect();
        assert_eq!(paid, [Address::ZERO, Address::repeat_byte(2), Address::repeat_byte(3)]);
        assert_eq!(verify_run(&rules, &prepared, genesis(), &ValidatorSets::default()), (3, None));
        // The same under IBFT is nothing.
        let sealed = Rules { engine: Engine::Ibft, ..rules };
        let prepared = run::prepare(&sealed, records, None);
        let (held, violation) = verify_run(&sealed, &prepared, genesis(), &ValidatorSets::default());
        assert_eq!((held, violation.unwrap().rule), (0, Rule::Constants));
    }
}
