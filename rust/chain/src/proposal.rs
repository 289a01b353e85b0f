//! A block of our own on top of the head, built but not sealed: header, roots and extra data (§3.2, §3.3).
//!
//! Who may propose, when, and with which gas limit is decided elsewhere; signing as well.

use alloy_primitives::{Address, B256, Bytes};

use crate::{
    block::{Block, Header},
    execute::{BlockContext, Candidate, ExecutionError, Executor, Fate},
    extra::{Extra, Seals, VANITY, Validator, ValidatorType},
    forks::Generation,
    hash,
    rlp::RlpError,
    state::StateError,
    state_trie::StateTrie,
    transaction::transactions_root,
    trie::ordered_root,
    verify::{EMPTY_UNCLES_HASH, ISTANBUL_DIGEST},
};

/// The block that a proposal follows.
#[derive(Clone, Debug)]
pub struct Predecessor {
    /// As it is stored, seals included: they become the parent seals of the proposal.
    pub header: Header,
    /// Its hash.
    pub hash: B256,
}

/// What the proposer decides.
#[derive(Clone, Debug)]
pub struct Terms {
    /// Receiver of fees: the address that will seal.
    pub coinbase: Address,
    /// Seconds since 1970.
    pub timestamp: u64,
    /// Gas limit of the block.
    pub gas_limit: u64,
    /// Validators of the block, in set order.
    pub validators: Vec<Address>,
    /// The candidate of a vote, else 20 zero bytes (§3.7).
    pub miner: Bytes,
    /// The direction of a vote, else zero.
    pub nonce: [u8; 8],
}

/// Why no block can be built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProposalError {
    /// The terms are such that no block can have them, or the state cannot be read.
    #[error(transparent)]
    Execution(#[from] ExecutionError),
    /// The state cannot be read.
    #[error(transparent)]
    State(#[from] StateError),
    /// The extra data of the block before cannot be decoded.
    #[error("extra data of block {number}: {error}")]
    Predecessor {
        /// Its height.
        number: u64,
        /// What is wrong with it.
        error: RlpError,
    },
}

/// A block without seals.
#[derive(Clone, Debug)]
pub struct Proposal {
    /// Header without seals, and the included transactions.
    pub block: Block,
    /// Block hash, which no seal changes.
    pub hash: B256,
    /// What became of each candidate.
    pub fates: Vec<Fate>,
    extra: Extra,
    generation: Generation,
}

impl Proposal {
    /// Builds the block after `parent` from `candidates`, until `enough` says so before one of them.
    ///
    /// `state` is that of `parent`; it takes the changes of the block in, so it is of no use for another one.
    /// `block_hash` gives the hashes of canonical blocks up to `parent`.
    pub fn build<F>(
        executor: &mut Executor,
        parent: &Predecessor,
        terms: Terms,
        candidates: &[Candidate],
        enough: &mut dyn FnMut() -> bool,
        state: &mut StateTrie,
        block_hash: F,
    ) -> Result<Self, ProposalError>
    where
        F: FnMut(u64) -> Result<B256, StateError>,
    {
        let generation = executor.rules().generation;
        let number = parent.header.number + 1;
        let extra = unsealed_extra(parent, &terms.validators, generation)?;
        let context = BlockContext {
            number,
            timestamp: terms.timestamp,
            gas_limit: terms.gas_limit,
            difficulty: number,
            coinbase: terms.coinbase,
            base_fee: 0,
        };
        let built = executor.build_block(&context, candidates, enough, &mut state.reader(block_hash))?;
        let state_root = state.apply(&built.outcome.changes)?;

        let included = candidates.iter().zip(&built.fates).filter(|(_, fate)| **fate == Fate::Included);
        let transactions: Vec<_> = included.map(|(candidate, _)| candidate.transaction.clone()).collect();
        let receipts: Vec<Vec<u8>> = built
            .outcome
            .receipts
            .iter()
            .map(|receipt| {
                let mut encoded = Vec::with_capacity(320);
                receipt.put_consensus(&mut encoded);
                encoded
            })
            .collect();
        let receipts: Vec<&[u8]> = receipts.iter().map(Vec::as_slice).collect();
        let header = Header {
            parent_hash: parent.hash,
            uncles_hash: EMPTY_UNCLES_HASH,
            miner: terms.miner,
            state_root,
            transactions_root: transactions_root(&transactions, executor.rules().transaction_form(number)),
            receipts_root: ordered_root(&receipts),
            // §2.6: never filled, and covered by the hash.
            logs_bloom: Box::new([0; 256]),
            difficulty: number,
            number,
            gas_limit: terms.gas_limit,
            gas_used: built.outcome.gas_used,
            timestamp: terms.timestamp,
            extra_data: extra.encode(generation).into(),
            mix_hash: ISTANBUL_DIGEST,
            nonce: terms.nonce,
            base_fee: 0,
        };
        let hash = hash::ibft(&header, &extra, generation, ValidatorType::Ecdsa);
        let block = Block { header, transactions, uncles: Vec::new() };
        Ok(Self { block, hash, fates: built.fates, extra, generation })
    }

    /// The network form of the block under these seals.
    pub fn record(&self, proposer_seal: Bytes, committed_seals: Vec<Bytes>) -> Vec<u8> {
        let extra = Extra { proposer_seal, committed_seals: Seals::Ecdsa(committed_seals), ..self.extra.clone() };
        let mut block = self.block.clone();
        block.header.extra_data = extra.encode(self.generation).into();
        let mut out = Vec::new();
        block.put(self.generation, &mut out);
        out
    }
}

/// Validators and the seals of the block before; block 1 has none to repeat (§3.3).
fn unsealed_extra(
    parent: &Predecessor,
    validators: &[Address],
    generation: Generation,
) -> Result<Extra, ProposalError> {
    let number = parent.header.number;
    let kind = ValidatorType::Ecdsa;
    let parent_committed_seals = if number == 0 {
        None
    } else {
        let extra = Extra::decode(&parent.header.extra_data, number, generation, kind, kind)
            .map_err(|error| ProposalError::Predecessor { number, error })?;
        Some(extra.committed_seals)
    };
    Ok(Extra {
        vanity: [0; VANITY],
        validators: validators.iter().map(|address| Validator { address: *address, bls_public_key: None }).collect(),
        proposer_seal: Bytes::new(),
        committed_seals: Seals::Ecdsa(Vec::new()),
        parent_committed_seals,
        round: None,
    })
}
