//! A run of blocks made ready for verification: everything that needs no state and no validator set, in parallel.
//!
//! Nothing here refuses a block. What a rule needs is recorded beside the block, so that [`crate::verify`] can name
//! the first rule that fails in the order of the checks, whatever order the work was done in.

use std::collections::HashMap;

use alloy_primitives::{Address, B256, Bytes};
use rayon::prelude::*;

use crate::{
    block::Block,
    extra::{Extra, Seals, ValidatorType},
    forks::{Generation, Rules},
    hash,
    rlp::RlpError,
    seal::{committed_digest, proposer_digest},
    sender,
    signature::recover_seal,
    transaction::transactions_root,
};

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
    /// Who sealed as proposer: the fee receiver.
    pub proposer: Option<Address>,
    /// Who gave each committed seal.
    pub committed_signers: Vec<Option<Address>>,
    /// Who gave each committed seal of the parent.
    pub parent_signers: Vec<Option<Address>>,
}

/// Decodes, hashes and recovers a run of block records; `previous` is the block before the run, where it is at hand.
///
/// A parent seal that repeats a committed seal of the block before it is not recovered a second time.
pub fn prepare(rules: &Rules, records: Vec<Bytes>, previous: Option<&PreparedBlock>) -> Vec<Prepared> {
    let mut prepared: Vec<Prepared> =
        records.into_par_iter().with_max_len(8).map(|record| PreparedBlock::decode(rules, &record)).collect();
    recover_signers(&mut prepared, rules, previous);
    prepared
}

impl PreparedBlock {
    fn decode(rules: &Rules, record: &Bytes) -> Prepared {
        let block = Block::decode(rules, record)?;
        let (hash, extra) = ibft_hash(&block.header, rules.generation, ValidatorType::Ecdsa);
        let form = rules.transaction_form(block.header.number);
        Ok(Self {
            transactions_root: transactions_root(&block.transactions, form),
            senders: vec![None; block.transactions.len()],
            proposer: None,
            committed_signers: Vec::new(),
            parent_signers: Vec::new(),
            block,
            hash,
            extra,
        })
    }
}

/// The block hash under IBFT with the decoded extra data, or the zero hash and why it cannot be decoded (§3.1).
pub fn ibft_hash(
    header: &crate::block::Header,
    generation: Generation,
    validator_type: ValidatorType,
) -> (B256, Result<Extra, RlpError>) {
    let extra = Extra::decode(&header.extra_data, header.number, generation, validator_type, validator_type);
    let hash = extra.as_ref().map_or(B256::ZERO, |extra| hash::ibft(header, extra, generation, validator_type));
    (hash, extra)
}

/// Who gave the proposer seal of the block with this hash.
pub fn proposer(hash: &B256, extra: &Extra) -> Option<Address> {
    recover_seal(&proposer_digest(hash), &extra.proposer_seal)
}

/// One signature to recover, and where its signer goes.
enum Job<'a> {
    Sender { transaction: &'a crate::transaction::Transaction, number: u64, signer: &'a mut Option<Address> },
    Seal { digest: B256, seal: Bytes, signer: &'a mut Option<Address> },
}

fn recover_signers(prepared: &mut [Prepared], rules: &Rules, previous: Option<&PreparedBlock>) {
    for block in prepared.iter_mut().flatten() {
        if let Ok(extra) = &block.extra {
            block.committed_signers = vec![None; ecdsa_seals(Some(&extra.committed_seals)).len()];
            block.parent_signers = vec![None; ecdsa_seals(extra.parent_committed_seals.as_ref()).len()];
        }
    }
    // For each block, the position among the committed seals one block before of each of its parent seals.
    let repeats: Vec<Vec<Option<usize>>> = (0..prepared.len())
        .map(|index| {
            let before = if index == 0 { previous } else { prepared[index - 1].as_ref().ok() };
            prepared[index].as_ref().map_or(Vec::new(), |block| repeated_seals(block, before))
        })
        .collect();

    let mut jobs = Vec::new();
    for (block, repeats) in prepared.iter_mut().zip(&repeats) {
        let Ok(block) = block else { continue };
        let number = block.block.header.number;
        for (transaction, signer) in block.block.transactions.iter().zip(&mut block.senders) {
            jobs.push(Job::Sender { transaction, number, signer });
        }
        let Ok(extra) = &block.extra else { continue };
        jobs.push(Job::Seal {
            digest: proposer_digest(&block.hash),
            seal: extra.proposer_seal.clone(),
            signer: &mut block.proposer,
        });
        let digest = committed_digest(&block.hash, extra.round);
        for (seal, signer) in ecdsa_seals(Some(&extra.committed_seals)).iter().zip(&mut block.committed_signers) {
            jobs.push(Job::Seal { digest, seal: seal.clone(), signer });
        }
        let digest = committed_digest(&block.block.header.parent_hash, None);
        let seals = ecdsa_seals(extra.parent_committed_seals.as_ref());
        for ((seal, signer), repeat) in seals.iter().zip(&mut block.parent_signers).zip(repeats) {
            if repeat.is_none() {
                jobs.push(Job::Seal { digest, seal: seal.clone(), signer });
            }
        }
    }
    jobs.into_par_iter().with_max_len(16).for_each(|job| match job {
        Job::Sender { transaction, number, signer } => {
            *signer = sender::recover_sender(transaction, rules, number);
        }
        Job::Seal { digest, seal, signer } => *signer = recover_seal(&digest, &seal),
    });

    for (index, repeats) in repeats.into_iter().enumerate() {
        let (before, after) = prepared.split_at_mut(index);
        let before = if index == 0 { previous } else { before[index - 1].as_ref().ok() };
        let (Some(before), Some(Ok(block))) = (before, after.first_mut()) else { continue };
        for (signer, repeat) in block.parent_signers.iter_mut().zip(repeats) {
            if let Some(position) = repeat {
                *signer = before.committed_signers[position];
            }
        }
    }
}

fn ecdsa_seals(seals: Option<&Seals>) -> &[Bytes] {
    match seals {
        Some(Seals::Ecdsa(seals)) => seals,
        _ => &[],
    }
}

fn repeated_seals(block: &PreparedBlock, before: Option<&PreparedBlock>) -> Vec<Option<usize>> {
    let Ok(extra) = &block.extra else { return Vec::new() };
    let committed = match before {
        // The digest of the seals before is that of our parent hash only when the link and the round agree.
        Some(PreparedBlock { hash, extra: Ok(extra), .. })
            if *hash == block.block.header.parent_hash && extra.round.is_none() =>
        {
            ecdsa_seals(Some(&extra.committed_seals))
        }
        _ => &[],
    };
    // A map, keyed against collisions: a hostile pair of blocks may list hundreds of thousands of seals each.
    let positions: HashMap<&Bytes, usize> =
        committed.iter().enumerate().map(|(position, seal)| (seal, position)).collect();
    let seals = ecdsa_seals(extra.parent_committed_seals.as_ref());
    seals.iter().map(|seal| positions.get(seal).copied()).collect()
}
