//! Header rules in their order: the first rule that fails is the one that is named (§7.1).

use std::fmt;

use alloy_primitives::{Address, B256, b256, hex};

use crate::{
    aggregate::named,
    block::{EMPTY_UNCLES_HASH, Header},
    extra::{Seals, Validator},
    forks::{Engine, Rules},
    rlp::RlpError,
    run::{Prepared, PreparedBlock, SealCheck},
    seal::Agreed,
};

/// mixHash of every block above genesis (§3.2).
pub const ISTANBUL_DIGEST: B256 = b256!("63746963616c2062797a616e74696e65206661756c7420746f6c6572616e6365");

/// The rules a block is held against, in the order of the checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Rule {
    Structure,
    Number,
    ParentLink,
    Constants,
    TransactionsRoot,
    ExtraData,
    ValidatorList,
    ParentSeals,
    ProposerSeal,
    CommittedSeals,
    Execution,
}

impl Rule {
    /// The rule's name in messages and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Structure => "structure",
            Self::Number => "number",
            Self::ParentLink => "parent link",
            Self::Constants => "constants and vote",
            Self::TransactionsRoot => "transactions root",
            Self::ExtraData => "extra data",
            Self::ValidatorList => "validator list",
            Self::ParentSeals => "parent seals",
            Self::ProposerSeal => "proposer seal",
            Self::CommittedSeals => "committed seals",
            Self::Execution => "execution",
        }
    }
}

/// A rule that a block breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {what}: expected {expected}, found {found}", .rule.name())]
pub struct Violation {
    /// Which rule.
    pub rule: Rule,
    /// The field or value it is about.
    pub what: String,
    /// What the rule asks for.
    pub expected: String,
    /// What the block has.
    pub found: String,
}

impl Violation {
    /// A violation of `rule` by `what`.
    pub fn new(rule: Rule, what: impl Into<String>, expected: impl fmt::Display, found: impl fmt::Display) -> Self {
        Self { rule, what: what.into(), expected: expected.to_string(), found: found.to_string() }
    }

    /// A field that cannot be decoded, as a violation of `rule`.
    pub fn undecodable(rule: Rule, error: &RlpError) -> Self {
        Self::new(rule, format!("{} at byte {} of it", error.what, error.offset), &error.expected, &error.found)
    }
}

/// What the checks need of the block before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Parent {
    pub number: u64,
    pub hash: B256,
    pub gas_limit: u64,
    /// The round in which it was agreed (G2, G3): the parent seals of the next block are given over it as well.
    pub round: Option<u64>,
}

impl Parent {
    /// `block` as the parent of the next one.
    pub fn of(block: &PreparedBlock) -> Self {
        let (header, Agreed { hash, round }) = (&block.block.header, block.agreed());
        Self { number: header.number, hash, gas_limit: header.gas_limit, round }
    }
}

/// The validators of consecutive heights: each set holds from its height up to the next entry's.
#[derive(Clone, Debug, Default)]
pub struct ValidatorSets {
    sets: Vec<(u64, Vec<Validator>)>,
}

impl ValidatorSets {
    /// `sets` as (first height, validators in set order), ascending by height.
    pub fn new(mut sets: Vec<(u64, Vec<Validator>)>) -> Self {
        sets.sort_by_key(|(from, _)| *from);
        Self { sets }
    }

    /// The set of block `number`; empty below the first entry.
    pub fn at(&self, number: u64) -> &[Validator] {
        let after = self.sets.partition_point(|(from, _)| *from <= number);
        after.checked_sub(1).map_or(&[], |index| &self.sets[index].1)
    }
}

/// Checks a run in order against the block before it and the validators of each height; everything but execution.
///
/// Returns the number of blocks that hold, and the violation that ended the walk, if any.
pub fn verify_run(
    rules: &Rules,
    run: &[Prepared],
    mut parent: Parent,
    sets: &ValidatorSets,
) -> (usize, Option<Violation>) {
    for (index, prepared) in run.iter().enumerate() {
        let checked = match prepared {
            Ok(block) => verify_block(rules, block, &parent, sets).map(|()| block),
            Err(error) => Err(Violation::undecodable(Rule::Structure, error)),
        };
        match checked {
            Ok(block) => parent = Parent::of(block),
            Err(violation) => return (index, Some(violation)),
        }
    }
    (run.len(), None)
}

fn verify_block(rules: &Rules, block: &PreparedBlock, parent: &Parent, sets: &ValidatorSets) -> Result<(), Violation> {
    let header = &block.block.header;
    let number = header.number;
    expect(Rule::Structure, "uncles", 0, block.block.uncles.len())?;
    expect(Rule::Number, "number", parent.number.wrapping_add(1), number)?;
    expect(Rule::ParentLink, "parentHash", parent.hash, header.parent_hash)?;
    constants(rules, header, parent)?;
    expect(Rule::TransactionsRoot, "txRoot", block.transactions_root, header.transactions_root)?;
    if rules.engine == Engine::Plain {
        return Ok(());
    }
    let extra = block.extra.as_ref().map_err(|error| Violation::undecodable(Rule::ExtraData, error))?;

    let expected = sets.at(number);
    if extra.validators != expected {
        return Err(Violation::new(Rule::ValidatorList, "validators", join(expected), join(&extra.validators)));
    }

    if let Some(seals) = extra.parent_committed_seals.as_ref().filter(|seals| number > 1 && !seals.is_empty()) {
        let members = sets.at(parent.number);
        let needed = rules.quorum(parent.number, members.len());
        let agreed = Agreed { hash: parent.hash, round: parent.round };
        signed_by_quorum(Rule::ParentSeals, seals, &block.parent, agreed, members, needed)?;
    }

    match block.proposer {
        Some(proposer) if is_member(expected, &proposer) => {}
        Some(proposer) => {
            return Err(Violation::new(Rule::ProposerSeal, "signer", "a validator of this block", proposer));
        }
        None => return Err(Violation::new(Rule::ProposerSeal, "seal", "a signature that recovers", length(extra))),
    }

    let needed = rules.quorum(number, expected.len());
    let (seals, agreed) = (&extra.committed_seals, block.agreed());
    signed_by_quorum(Rule::CommittedSeals, seals, &block.committed, agreed, expected, needed)
}

/// Every rule on a header that needs nothing but itself and its parent (§3.2, §3.7, §6.10).
///
/// Where nobody seals, the fields that sealing gives a meaning are free; so is the nonce of a block that cannot vote.
fn constants(rules: &Rules, header: &Header, parent: &Parent) -> Result<(), Violation> {
    let (rule, sealed) = (Rule::Constants, rules.engine == Engine::Ibft);
    if sealed {
        expect(rule, "mixHash", ISTANBUL_DIGEST, header.mix_hash)?;
    }
    expect(rule, "sha3Uncles", EMPTY_UNCLES_HASH, header.uncles_hash)?;
    if sealed {
        expect(rule, "difficulty", header.number, header.difficulty)?;
    }
    let votes = sealed && !rules.proof_of_stake(header.number);
    if votes && header.nonce != [0; 8] && header.nonce != [0xff; 8] {
        let found = format!("0x{}", hex::encode(header.nonce));
        return Err(Violation::new(rule, "nonce", "0x0000000000000000 or 0xffffffffffffffff", found));
    }
    if header.gas_used > header.gas_limit {
        let expected = format!("at most the gas limit {}", header.gas_limit);
        return Err(Violation::new(rule, "gasUsed", expected, header.gas_used));
    }
    let bound = parent.gas_limit / 1024;
    if header.gas_limit.abs_diff(parent.gas_limit) > bound {
        let expected = format!("within {bound} of the parent's {}", parent.gas_limit);
        return Err(Violation::new(rule, "gasLimit", expected, header.gas_limit));
    }
    Ok(())
}

/// Holds seals over `agreed` to the members of a set and to their quorum; `check` is what is known of them already.
fn signed_by_quorum(
    rule: Rule,
    seals: &Seals,
    check: &SealCheck,
    agreed: Agreed,
    members: &[Validator],
    needed: usize,
) -> Result<(), Violation> {
    let late;
    let check = if check.is_of(agreed, members) {
        check
    } else {
        late = SealCheck::now(seals, agreed, members);
        &late
    };
    let few = |found: usize| Violation::new(rule, "seals", format!("at least {needed}"), found);
    match (check, seals) {
        (SealCheck::Recovered { signers, .. }, _) => {
            distinct_members(rule, signers, members)?;
            if signers.is_empty() || signers.len() < needed { Err(few(signers.len())) } else { Ok(()) }
        }
        (SealCheck::Verified { outcome, .. }, Seals::Bls { bitmap, signature }) => {
            let signers = if signature.is_empty() { 0 } else { named(bitmap, members.len()).count() };
            if signers == 0 || signers < needed {
                return Err(few(signers));
            }
            outcome.as_ref().map_err(|fault| {
                let (what, expected, found) = fault.describe();
                Violation::new(rule, what, expected, found)
            })?;
            Ok(())
        }
        // Nothing that was looked at is of another kind than the seals.
        (SealCheck::Pending | SealCheck::Verified { .. }, _) => Err(few(0)),
    }
}

fn distinct_members(rule: Rule, signers: &[Option<Address>], members: &[Validator]) -> Result<(), Violation> {
    for (index, signer) in signers.iter().enumerate() {
        let what = format!("seal {index}");
        let Some(signer) = signer else {
            return Err(Violation::new(rule, what, "a signature that recovers", "none"));
        };
        if !is_member(members, signer) {
            return Err(Violation::new(rule, what, "a validator's", signer));
        }
        if signers[..index].contains(&Some(*signer)) {
            return Err(Violation::new(rule, what, "one seal of each validator", format!("a second of {signer}")));
        }
    }
    Ok(())
}

fn is_member(members: &[Validator], address: &Address) -> bool {
    members.iter().any(|member| member.address == *address)
}

fn expect<T: PartialEq + fmt::Display>(rule: Rule, what: &str, expected: T, found: T) -> Result<(), Violation> {
    if expected == found { Ok(()) } else { Err(Violation::new(rule, what, expected, found)) }
}

/// Names a set of validators, of a hostile list as many as anybody reads.
fn join(validators: &[Validator]) -> String {
    const NAMED: usize = 100;
    let named = validators.iter().take(NAMED).map(Validator::to_string).collect::<Vec<_>>().join(", ");
    match validators.len().checked_sub(NAMED) {
        None | Some(0) => format!("[{named}]"),
        Some(more) => format!("[{named} and {more} more]"),
    }
}

fn length(extra: &crate::extra::Extra) -> String {
    format!("{} bytes that do not", extra.proposer_seal.len())
}
