//! What the Go client forgets to check: blocks that keep every rule and that no honest proposer makes (§7.1).

use std::fmt;

use crate::run::Prepared;

/// What is doubtful about a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Its timestamp is not after its parent's.
    Timestamp,
    /// Its header has a bloom, which nobody fills (§2.6).
    LogsBloom,
    /// It ends an epoch of proof of stake and holds transactions (§6.11).
    EpochEnd,
}

impl Kind {
    /// Its name in messages and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Timestamp => "timestamp order",
            Self::LogsBloom => "logs bloom",
            Self::EpochEnd => "epoch end",
        }
    }
}

/// One doubt about one block of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doubt {
    /// Position of the block in the run.
    pub index: usize,
    /// What it is about.
    pub kind: Kind,
    /// What an honest proposer would have written.
    pub expected: String,
    /// What the block has.
    pub found: String,
}

/// Where the last block of an epoch holds no transactions.
#[derive(Clone, Debug)]
pub struct EmptyEnds {
    /// Blocks in an epoch, at least one.
    pub epoch_size: u64,
    /// From which height on ends are empty, or are not, ascending; below the first they are not.
    pub from: Vec<(u64, bool)>,
}

impl EmptyEnds {
    fn at(&self, number: u64) -> bool {
        let after = self.from.partition_point(|(from, _)| *from <= number);
        let empty = after.checked_sub(1).is_some_and(|index| self.from[index].1);
        empty && number > 0 && number.checked_rem(self.epoch_size) == Some(0)
    }
}

/// The doubts about the blocks of `run` in their order, `parent_timestamp` being that of the block before the first.
pub fn doubts(run: &[Prepared], mut parent_timestamp: u64, empty_ends: &EmptyEnds) -> Vec<Doubt> {
    let mut found = Vec::new();
    for (index, block) in run.iter().enumerate() {
        let Ok(block) = block else { continue };
        let (header, transactions) = (&block.block.header, block.block.transactions.len());
        let mut doubt = |kind, expected: &dyn fmt::Display, value: &dyn fmt::Display| {
            found.push(Doubt { index, kind, expected: expected.to_string(), found: value.to_string() });
        };
        if header.timestamp <= parent_timestamp {
            doubt(Kind::Timestamp, &format_args!("after {parent_timestamp}"), &header.timestamp);
        }
        if header.logs_bloom.iter().any(|byte| *byte != 0) {
            doubt(Kind::LogsBloom, &"zeros", &"a bloom");
        }
        if transactions > 0 && empty_ends.at(header.number) {
            doubt(Kind::EpochEnd, &"no transactions", &transactions);
        }
        parent_timestamp = header.timestamp;
    }
    found
}
