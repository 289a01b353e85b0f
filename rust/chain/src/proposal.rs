//! A block of our own on top of the head, built but not sealed: header, roots and extra data (§3.2, §3.3), or on a
//! chain of the engine `dev` none of that.
//!
//! Who may propose, when, and with which gas limit is decided elsewhere; signing as well.

use alloy_primitives::{Address, B256, Bytes};

use crate::{
    block::{Block, EMPTY_UNCLES_HASH, Header},
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
    verify::ISTANBUL_DIGEST,
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
    /// Empty where nobody seals.
    pub miner: Bytes,
    /// The direction of a vote, else zero.
    pub nonce: [u8; 8],
    /// In wei; zero on chains of IBFT, whatever their forks, and before G3.
    pub base_fee: u64,
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
    /// The terms name who seals or votes, on a chain where nobody does.
    #[error("{what}: expected {expected} where nobody seals, found {found}")]
    Unsealed {
        /// Which of the terms.
        what: &'static str,
        /// What it is on such a chain.
        expected: &'static str,
        /// What it was.
        found: String,
    },
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

/// A block without seals; one of the engine `dev` is finished as it is.
#[derive(Clone, Debug)]
pub struct Proposal {
    /// Header without seals, and the included transactions.
    pub block: Block,
    /// Block hash, which no seal changes.
    pub hash: B256,
    /// What became of each candidate.
    pub fates: Vec<Fate>,
    /// None where nobody seals.
    extra: Option<Extra>,
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
        let (extra, difficulty, mix_hash) = match rules.engine {
            Engine::Ibft => {
                candidate(&rules, number, &terms.miner)?;
                (Some(unsealed_extra(&rules, parent, terms.validators)?), number, ISTANBUL_DIGEST)
            }
            Engine::Plain => {
                nobody(&terms)?;
                (None, 0, B256::ZERO)
            }
        };
        let context = BlockContext {
            number,
            timestamp: terms.timestamp,
            gas_limit: terms.gas_limit,
            difficulty,
            coinbase: terms.coinbase,
            base_fee: terms.base_fee,
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
            difficulty,
            number,
            gas_limit: terms.gas_limit,
            gas_used: built.outcome.gas_used,
            timestamp: terms.timestamp,
            extra_data: extra.as_ref().map(|extra| extra.encode(generation)).unwrap_or_default().into(),
            mix_hash,
            nonce: terms.nonce,
            base_fee: terms.base_fee,
        };
        let hash = match &extra {
            Some(extra) => hash::ibft(&header, extra, generation, rules.validator_type(number)),
            None => hash::plain(&header, generation),
        };
        let block = Block { header, transactions, uncles: Vec::new() };
        Ok(Self { block, hash, fates: built.fates, extra, generation })
    }

    /// What the committed seals are given over when the block is agreed in `round`, which G1 does not write.
    pub fn agreed(&self, round: u64) -> Agreed {
        Agreed { hash: self.hash, round: self.written(round) }
    }

    /// The validators of the block.
    pub fn validators(&self) -> &[Validator] {
        self.extra.as_ref().map_or(&[], |extra| &extra.validators)
    }

    /// No seal, in the form of the block's height; none where nobody seals.
    pub fn no_seals(&self) -> Option<&Seals> {
        self.extra.as_ref().map(|extra| &extra.committed_seals)
    }

    /// The network form of the block under these seals, agreed in `round`; seals are of no use where nobody seals.
    pub fn record(&self, proposer_seal: Bytes, committed_seals: Seals, round: u64) -> Vec<u8> {
        let mut block = self.block.clone();
        if let Some(extra) = &self.extra {
            let extra = Extra { proposer_seal, committed_seals, round: self.written(round), ..extra.clone() };
            block.header.extra_data = extra.encode(self.generation).into();
        }
        encoded(&block, self.generation)
    }

    /// The network form of the block as it is, which is that of a block that nobody seals.
    pub fn unsealed_record(&self) -> Vec<u8> {
        encoded(&self.block, self.generation)
    }

    fn written(&self, round: u64) -> Option<u64> {
        (self.generation != Generation::G1).then_some(round)
    }
}

fn encoded(block: &Block, generation: Generation) -> Vec<u8> {
    let mut out = Vec::new();
    block.put(generation, &mut out);
    out
}

/// Whether the terms leave out all that a chain without validators has no use for: its fees go to the address zero,
/// which the client reads out of the empty miner field.
fn nobody(terms: &Terms) -> Result<(), ProposalError> {
    let unsealed = |what, expected, found| Err(ProposalError::Unsealed { what, expected, found });
    if !terms.miner.is_empty() {
        return unsealed("miner", "no bytes", terms.miner.len().to_string());
    }
    if terms.coinbase != Address::ZERO {
        return unsealed("coinbase", "the zero address", terms.coinbase.to_string());
    }
    if !terms.validators.is_empty() {
        return unsealed("validators", "none", terms.validators.len().to_string());
    }
    Ok(())
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
