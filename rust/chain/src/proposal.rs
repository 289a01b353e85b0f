//! A block of our own on top of the head, built but not sealed: header, roots and extra data (§3.2, §3.3).
//!
//! Who may propose, when, and with which gas limit is decided elsewhere; signing as well.

use alloy_primitives::{Address, B256, Bytes};

use crate::{
    block::{Block, Header},
    execute::{BlockContext, Candidate, ExecutionError, Executor, Fate},
    extra::{Extra, Seals, VANITY, Validator, ValidatorType},
    forks::{Engine, Generation, Rules},
    hash,
    rlp::RlpError,
    run::extra_of,
    seal::Agreed,
    state::StateError,
    state_trie::StateTrie,
    transaction::transactions_root,
    trie::ordered_root,
    verify::{EMPTY_UNCLES_HASH, ISTANBUL_DIGEST},
};

/// Bytes of a candidate with a BLS key: the RLP of both (§3.7).
const BLS_CANDIDATE: usize = 72;

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
    /// Validators of the block, in set order, with keys at a height of BLS validators.
    pub validators: Vec<Validator>,
    /// The candidate of a vote, an address or for BLS validators the RLP of address and key; else 20 zero bytes (§3.7).
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
    /// The chain has no validators that could seal a block.
    #[error("engine: expected ibft, whose blocks are sealed, found another")]
    Engine,
    /// A validator is not of the type of the block's height.
    #[error("validator {validator}: expected {expected}, found another")]
    Validator {
        /// The first such validator.
        validator: Validator,
        /// What the height asks for.
        expected: &'static str,
    },
    /// The miner field is no candidate of the height.
    #[error("miner: expected {expected} bytes, found {found}")]
    Miner {
        /// As many bytes as it may have.
        expected: &'static str,
        /// As many as it has.
        found: usize,
    },
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
        let rules = executor.rules().clone();
        let generation = rules.generation;
        let number = parent.header.number + 1;
        candidate(&rules, number, &terms.miner)?;
        let extra = unsealed_extra(&rules, parent, terms.validators)?;
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
        let hash = hash::ibft(&header, &extra, generation, rules.validator_type(number));
        let block = Block { header, transactions, uncles: Vec::new() };
        Ok(Self { block, hash, fates: built.fates, extra, generation })
    }

    /// What the committed seals are given over when the block is agreed in `round`, which G1 does not write.
    pub fn agreed(&self, round: u64) -> Agreed {
        Agreed { hash: self.hash, round: self.written(round) }
    }

    /// The validators of the block.
    pub fn validators(&self) -> &[Validator] {
        &self.extra.validators
    }

    /// No seal, in the form of the block's height.
    pub fn no_seals(&self) -> &Seals {
        &self.extra.committed_seals
    }

    /// The network form of the block under these seals, agreed in `round`.
    pub fn record(&self, proposer_seal: Bytes, committed_seals: Seals, round: u64) -> Vec<u8> {
        let extra = Extra { proposer_seal, committed_seals, round: self.written(round), ..self.extra.clone() };
        let mut block = self.block.clone();
        block.header.extra_data = extra.encode(self.generation).into();
        let mut out = Vec::new();
        block.put(self.generation, &mut out);
        out
    }

    fn written(&self, round: u64) -> Option<u64> {
        (self.generation != Generation::G1).then_some(round)
    }
}

/// Whether `miner` can be the candidate of a vote in block `number`, or none.
fn candidate(rules: &Rules, number: u64, miner: &Bytes) -> Result<(), ProposalError> {
    match (rules.validator_type(number), miner.len()) {
        (_, 20) | (ValidatorType::Bls, BLS_CANDIDATE) => Ok(()),
        (ValidatorType::Ecdsa, found) => Err(ProposalError::Miner { expected: "20", found }),
        (ValidatorType::Bls, found) => Err(ProposalError::Miner { expected: "20 or 72", found }),
    }
}

/// Validators and the seals of the block before; block 1 has none to repeat (§3.3).
fn unsealed_extra(rules: &Rules, parent: &Predecessor, validators: Vec<Validator>) -> Result<Extra, ProposalError> {
    if rules.engine != Engine::Ibft {
        return Err(ProposalError::Engine);
    }
    let number = parent.header.number;
    let kind = rules.validator_type(number + 1);
    let expected = match kind {
        ValidatorType::Ecdsa => "an address",
        ValidatorType::Bls => "an address and a BLS key",
    };
    let other = |validator: &&Validator| validator.bls_public_key.is_some() != (kind == ValidatorType::Bls);
    if let Some(validator) = validators.iter().find(other) {
        return Err(ProposalError::Validator { validator: *validator, expected });
    }
    let parent_committed_seals = if number == 0 {
        None
    } else {
        let extra = extra_of(rules, &parent.header).map_err(|error| ProposalError::Predecessor { number, error })?;
        Some(extra.committed_seals)
    };
    Ok(Extra {
        vanity: [0; VANITY],
        validators,
        proposer_seal: Bytes::new(),
        committed_seals: Seals::none(kind),
        parent_committed_seals,
        round: None,
    })
}
