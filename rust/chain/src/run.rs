//! A run of blocks made ready for verification: everything that needs no state and no validator set, in parallel.
//!
//! Nothing here refuses a block. What a rule needs is recorded beside the block, so that [`crate::verify`] can name
//! the first rule that fails in the order of the checks, whatever order the work was done in.

use std::{collections::HashMap, sync::Arc};

use alloy_primitives::{Address, B256, Bytes};
use rayon::prelude::*;

use crate::{
    aggregate::{self, Aggregate, Fault, KeyedSet},
    block::{Block, Header},
    extra::{Extra, Seals, Validator},
    forks::{Engine, Generation, Rules},
    hash,
    rlp::RlpError,
    seal::{Agreed, proposer_digest},
    sender,
    signature::recover_seal,
    transaction::transactions_root,
};

/// Aggregates that are verified together: more save little, and fewer share the work among the cores better.
const AGGREGATES_TOGETHER: usize = 16;

/// A list of more BLS validators than this is compared with the expected one before its keys are read: a hostile block
/// may list tens of thousands, and each key takes as long as four ECDSA seals.
const KEYS_AHEAD: usize = 1024;

/// One block of a run, or why its record is not a block.
pub type Prepared = Result<PreparedBlock, RlpError>;

/// A decoded block with its hash, roots and recovered signers.
#[derive(Debug)]
pub struct PreparedBlock {
    /// Header, transactions, uncles.
    pub block: Block,
    /// Zero when the extra data cannot be decoded, as in the Go client.
    pub hash: B256,
    /// Root over the transactions, to be compared with the header's.
    pub transactions_root: B256,
    /// Sender of each transaction; none where the signature is refused.
    pub senders: Vec<Option<Address>>,
    /// The decoded extra data, or what is wrong with it.
    pub extra: Result<Extra, RlpError>,
    /// The fee receiver: who sealed as proposer, or whom the header names where nobody seals.
    pub proposer: Option<Address>,
    /// Who gave the committed seals.
    pub committed: SealCheck,
    /// Who gave the committed seals of the parent.
    pub parent: SealCheck,
}

/// What came of the seals of one block when they were looked at ahead of the rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SealCheck {
    /// They were not: what they were given over, or by whom, was not known yet.
    Pending,
    /// Who gave each ECDSA seal over `agreed`.
    #[allow(missing_docs)]
    Recovered { agreed: Agreed, signers: Vec<Option<Address>> },
    /// What is wrong, if anything, with a BLS aggregate over `agreed` as one of `members`.
    #[allow(missing_docs)]
    Verified { agreed: Agreed, members: Arc<[Validator]>, outcome: Result<(), Fault> },
}

impl SealCheck {
    /// Looks at `seals` now.
    pub fn now(seals: &Seals, agreed: Agreed, members: &[Validator]) -> Self {
        match seals {
            Seals::Ecdsa(seals) => {
                let digest = agreed.digest();
                let signers = seals.par_iter().with_max_len(16).map(|seal| recover_seal(&digest, seal)).collect();
                Self::Recovered { agreed, signers }
            }
            Seals::Bls { bitmap, signature } => {
                let members: Arc<[Validator]> = members.into();
                let set = Arc::new(KeyedSet::new(Arc::clone(&members)));
                let (bitmap, signature) = (bitmap.clone(), signature.clone());
                let outcome = aggregate::check(&[Aggregate { set, bitmap, signature, agreed }]).pop().unwrap_or(Ok(()));
                Self::Verified { agreed, members, outcome }
            }
        }
    }

    /// Whether it answers for seals over `agreed` by some of `members`.
    pub fn is_of(&self, agreed: Agreed, members: &[Validator]) -> bool {
        match self {
            Self::Pending => false,
            Self::Recovered { agreed: of, .. } => *of == agreed,
            Self::Verified { agreed: of, members: by, .. } => *of == agreed && **by == *members,
        }
    }
}

/// Decodes, hashes and recovers a run of block records; `previous` is the block before the run, where it is at hand.
///
/// A parent seal that repeats a committed seal of the block before it is not looked at a second time.
pub fn prepare(rules: &Rules, records: Vec<Bytes>, previous: Option<&PreparedBlock>) -> Vec<Prepared> {
    let mut prepared: Vec<Prepared> =
        records.into_par_iter().with_max_len(8).map(|record| PreparedBlock::decode(rules, &record)).collect();
    recover_signers(&mut prepared, rules, previous);
    prepared
}

impl PreparedBlock {
    fn decode(rules: &Rules, record: &Bytes) -> Prepared {
        let block = Block::decode(rules, record)?;
        let (hash, extra) = block_hash(rules, &block.header);
        let form = rules.transaction_form(block.header.number);
        Ok(Self {
            transactions_root: transactions_root(&block.transactions, form),
            senders: vec![None; block.transactions.len()],
            proposer: None,
            committed: SealCheck::Pending,
            parent: SealCheck::Pending,
            block,
            hash,
            extra,
        })
    }

    /// What the committed seals of this block are given over, and those in the next block with them.
    pub fn agreed(&self) -> Agreed {
        Agreed { hash: self.hash, round: self.extra.as_ref().ok().and_then(|extra| extra.round) }
    }
}

/// The extra data of a header by the types and the generation of its height; none of its own where nobody seals.
pub fn extra_of(rules: &Rules, header: &Header) -> Result<Extra, RlpError> {
    if rules.engine == Engine::Plain {
        return Ok(Extra::none());
    }
    let (own, parent) = (rules.validator_type(header.number), rules.parent_type(header.number));
    Extra::decode(&header.extra_data, header.number, rules.generation, own, parent)
}

/// The block hash with the decoded extra data, or the zero hash and why it cannot be decoded (§3.1).
pub fn block_hash(rules: &Rules, header: &Header) -> (B256, Result<Extra, RlpError>) {
    let extra = extra_of(rules, header);
    let hash = match (&extra, rules.engine) {
        (_, Engine::Plain) => hash::plain(header, rules.generation),
        (Ok(extra), Engine::Ibft) => hash::ibft(header, extra, rules.generation, rules.validator_type(header.number)),
        (Err(_), Engine::Ibft) => B256::ZERO,
    };
    (hash, extra)
}

/// Who gave the proposer seal of the block with this hash.
pub fn proposer(hash: &B256, extra: &Extra) -> Option<Address> {
    recover_seal(&proposer_digest(hash), &extra.proposer_seal)
}

/// Who receives the fees of the block with this hash: the sealer, or whom the header names where nobody seals (§6.1).
pub fn fee_receiver(rules: &Rules, hash: &B256, header: &Header) -> Option<Address> {
    match rules.engine {
        Engine::Ibft => proposer(hash, &extra_of(rules, header).ok()?),
        Engine::Plain => Some(named_miner(header)),
    }
}

/// The miner field as an address: its last twenty bytes, with zeros before where they are fewer.
fn named_miner(header: &Header) -> Address {
    let miner = &header.miner[header.miner.len().saturating_sub(20)..];
    let mut address = Address::ZERO;
    address[20 - miner.len()..].copy_from_slice(miner);
    address
}

/// One signature to recover, and where its signer goes.
enum Job<'a> {
    Sender { transaction: &'a crate::transaction::Transaction, number: u64, signer: &'a mut Option<Address> },
    Seal { digest: B256, seal: Bytes, signer: &'a mut Option<Address> },
}

/// An aggregate to verify, and where what is wrong with it goes.
type AggregateJob<'a> = (Aggregate, &'a mut Result<(), Fault>);

/// What is known of the parent seals of a block before anything is recovered.
enum ParentSeals {
    /// There is nothing to look at yet.
    Pending,
    /// Given over `agreed`; for each seal its position among those one block before, where it repeats one.
    Ecdsa { agreed: Agreed, repeats: Vec<Option<usize>> },
    /// Given over `agreed` by some of a set; whether they repeat the aggregate one block before.
    Bls { agreed: Agreed, set: Arc<KeyedSet>, repeats: bool },
}

/// The sets of BLS validators that a run lists. They change seldom: their keys are read once in a run.
#[derive(Default)]
struct Sets(Vec<Arc<KeyedSet>>);

impl Sets {
    /// The set of these validators; none where they are too many to read their keys unasked.
    fn of(&mut self, members: &[Validator]) -> Option<Arc<KeyedSet>> {
        if members.len() > KEYS_AHEAD {
            return None;
        }
        // The last one first: that is where it is found.
        if let Some(set) = self.0.iter().rev().take(2).find(|set| set.members()[..] == *members) {
            return Some(Arc::clone(set));
        }
        let set = Arc::new(KeyedSet::new(members.into()));
        self.0.push(Arc::clone(&set));
        Some(set)
    }
}

fn recover_signers(prepared: &mut [Prepared], rules: &Rules, previous: Option<&PreparedBlock>) {
    let mut sets = Sets::default();
    let mut own_sets: Vec<Option<Arc<KeyedSet>>> = vec![None; prepared.len()];
    let parents: Vec<ParentSeals> = (0..prepared.len())
        .map(|index| {
            let before = if index == 0 { previous } else { prepared[index - 1].as_ref().ok() };
            let Ok(block) = &prepared[index] else { return ParentSeals::Pending };
            let Ok(extra) = &block.extra else { return ParentSeals::Pending };
            let parent = parent_seals(rules, block, extra, before, &mut sets);
            if matches!(extra.committed_seals, Seals::Bls { .. }) {
                own_sets[index] = sets.of(&extra.validators);
            }
            parent
        })
        .collect();

    let (mut jobs, mut aggregates) = (Vec::new(), Vec::<AggregateJob<'_>>::new());
    for ((block, parent), own_set) in prepared.iter_mut().zip(&parents).zip(own_sets) {
        let Ok(block) = block else { continue };
        let (number, agreed) = (block.block.header.number, block.agreed());
        for (transaction, signer) in block.block.transactions.iter().zip(&mut block.senders) {
            jobs.push(Job::Sender { transaction, number, signer });
        }
        if rules.engine == Engine::Plain {
            block.proposer = Some(named_miner(&block.block.header));
            continue;
        }
        let Ok(extra) = &block.extra else { continue };
        jobs.push(Job::Seal {
            digest: proposer_digest(&block.hash),
            seal: extra.proposer_seal.clone(),
            signer: &mut block.proposer,
        });
        look_at(&mut block.committed, &extra.committed_seals, agreed, own_set, &[], &mut jobs, &mut aggregates);
        let Some(seals) = &extra.parent_committed_seals else { continue };
        match parent {
            ParentSeals::Pending => {}
            ParentSeals::Ecdsa { agreed, repeats } => {
                look_at(&mut block.parent, seals, *agreed, None, repeats, &mut jobs, &mut aggregates);
            }
            ParentSeals::Bls { repeats: true, .. } => {}
            ParentSeals::Bls { agreed, set, repeats: false } => {
                let set = Some(Arc::clone(set));
                look_at(&mut block.parent, seals, *agreed, set, &[], &mut jobs, &mut aggregates);
            }
        }
    }
    rayon::join(
        || aggregates.par_chunks_mut(AGGREGATES_TOGETHER).with_max_len(1).for_each(verify_together),
        || {
            jobs.into_par_iter().with_max_len(16).for_each(|job| match job {
                Job::Sender { transaction, number, signer } => {
                    *signer = sender::recover_sender(transaction, rules, number);
                }
                Job::Seal { digest, seal, signer } => *signer = recover_seal(&digest, &seal),
            });
        },
    );

    for (index, parent) in parents.into_iter().enumerate() {
        let (before, after) = prepared.split_at_mut(index);
        let before = if index == 0 { previous } else { before[index - 1].as_ref().ok() };
        let (Some(before), Some(Ok(block))) = (before, after.first_mut()) else { continue };
        repeat(&mut block.parent, parent, &before.committed);
    }
}

/// Prepares `check` for `seals`, and what is to be done for it; seals with a place in `repeats` are filled in later.
fn look_at<'a>(
    check: &'a mut SealCheck,
    seals: &Seals,
    agreed: Agreed,
    set: Option<Arc<KeyedSet>>,
    repeats: &[Option<usize>],
    jobs: &mut Vec<Job<'a>>,
    aggregates: &mut Vec<AggregateJob<'a>>,
) {
    match seals {
        Seals::Ecdsa(seals) => {
            *check = SealCheck::Recovered { agreed, signers: vec![None; seals.len()] };
            let SealCheck::Recovered { signers, .. } = check else { return };
            let digest = agreed.digest();
            for (index, (seal, signer)) in seals.iter().zip(signers).enumerate() {
                if !matches!(repeats.get(index), Some(Some(_))) {
                    jobs.push(Job::Seal { digest, seal: seal.clone(), signer });
                }
            }
        }
        Seals::Bls { bitmap, signature } => {
            let Some(set) = set else { return };
            let members = Arc::clone(set.members());
            *check = SealCheck::Verified { agreed, members, outcome: Err(Fault::Nobody) };
            let SealCheck::Verified { outcome, .. } = check else { return };
            let (bitmap, signature) = (bitmap.clone(), signature.clone());
            aggregates.push((Aggregate { set, bitmap, signature, agreed }, outcome));
        }
    }
}

fn verify_together(jobs: &mut [AggregateJob<'_>]) {
    let aggregates: Vec<Aggregate> = jobs.iter().map(|(aggregate, _)| aggregate.clone()).collect();
    for ((_, outcome), found) in jobs.iter_mut().zip(aggregate::check(&aggregates)) {
        **outcome = found;
    }
}

/// Takes over what was found of the seals one block before where the parent seals repeat them.
fn repeat(check: &mut SealCheck, parent: ParentSeals, before: &SealCheck) {
    match (parent, before) {
        (ParentSeals::Ecdsa { repeats, .. }, SealCheck::Recovered { signers: before, .. }) => {
            let SealCheck::Recovered { signers, .. } = check else { return };
            for (signer, repeat) in signers.iter_mut().zip(repeats) {
                if let Some(position) = repeat {
                    *signer = before[position];
                }
            }
        }
        (ParentSeals::Bls { repeats: true, .. }, before @ SealCheck::Verified { .. }) => *check = before.clone(),
        _ => {}
    }
}

fn parent_seals(
    rules: &Rules,
    block: &PreparedBlock,
    extra: &Extra,
    before: Option<&PreparedBlock>,
    sets: &mut Sets,
) -> ParentSeals {
    let parent_hash = block.block.header.parent_hash;
    let (Some(seals), before) =
        (&extra.parent_committed_seals, before.filter(|before| before.extra.is_ok() && before.hash == parent_hash))
    else {
        return ParentSeals::Pending;
    };
    let agreed = match before {
        Some(before) => before.agreed(),
        // Without the block before, only chains without rounds tell what its seals were given over.
        None if rules.generation == Generation::G1 => Agreed { hash: parent_hash, round: None },
        None => return ParentSeals::Pending,
    };
    match seals {
        Seals::Ecdsa(list) => ParentSeals::Ecdsa { agreed, repeats: repeated_seals(list, before) },
        Seals::Bls { .. } => {
            let Some(listed) = before.and_then(|before| before.extra.as_ref().ok()) else {
                return ParentSeals::Pending;
            };
            match sets.of(&listed.validators) {
                // That set is the one its own seals are looked at with.
                Some(set) => ParentSeals::Bls { agreed, set, repeats: *seals == listed.committed_seals },
                None => ParentSeals::Pending,
            }
        }
    }
}

/// For each of the parent seals its position among the committed seals one block before.
fn repeated_seals(seals: &[Bytes], before: Option<&PreparedBlock>) -> Vec<Option<usize>> {
    let committed = match before.map(|before| &before.extra) {
        Some(Ok(Extra { committed_seals: Seals::Ecdsa(committed), .. })) => committed.as_slice(),
        _ => &[],
    };
    // A map, keyed against collisions: a hostile pair of blocks may list hundreds of thousands of seals each.
    let positions: HashMap<&Bytes, usize> =
        committed.iter().enumerate().map(|(position, seal)| (seal, position)).collect();
    seals.iter().map(|seal| positions.get(seal).copied()).collect()
}
