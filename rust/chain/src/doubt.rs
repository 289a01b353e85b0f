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

#[cfg(test)]
mod tests {
    use alloy_primitives::{B256, Bytes};

    use super::*;
    use crate::{
        block::{Block, EMPTY_UNCLES_HASH, Header},
        extra::Extra,
        forks::Generation,
        rlp::{self, RlpError},
        run::{PreparedBlock, SealCheck},
        state::EMPTY_ROOT,
        transaction::{Form, Transaction},
        verify::ISTANBUL_DIGEST,
    };

    const NEVER: EmptyEnds = EmptyEnds { epoch_size: 10, from: Vec::new() };

    fn transaction() -> Transaction {
        let mut raw = Vec::new();
        rlp::put_list_with(&mut raw, |out| (0..9).for_each(|_| rlp::put_bytes(out, &[])));
        let form = Form { generation: Generation::G1, hashed_with_type: false };
        Transaction::decode_submitted(&raw.into(), form).unwrap()
    }

    fn block(number: u64, timestamp: u64) -> PreparedBlock {
        let header = Header {
            parent_hash: B256::ZERO,
            uncles_hash: EMPTY_UNCLES_HASH,
            miner: Bytes::from_static(&[0; 20]),
            state_root: EMPTY_ROOT,
            transactions_root: EMPTY_ROOT,
            receipts_root: EMPTY_ROOT,
            logs_bloom: Box::new([0; 256]),
            difficulty: number,
            number,
            gas_limit: 1,
            gas_used: 0,
            timestamp,
            extra_data: Bytes::new(),
            mix_hash: ISTANBUL_DIGEST,
            nonce: [0; 8],
            base_fee: 0,
        };
        PreparedBlock {
            block: Block { header, transactions: Vec::new(), uncles: Vec::new() },
            hash: B256::ZERO,
            transactions_root: EMPTY_ROOT,
            senders: Vec::new(),
            extra: Ok(Extra::none()),
            proposer: None,
            committed: SealCheck::Pending,
            parent: SealCheck::Pending,
        }
    }

    fn found(run: &[Prepared], parent_timestamp: u64, empty_ends: &EmptyEnds) -> Vec<(usize, Kind)> {
        doubts(run, parent_timestamp, empty_ends).into_iter().map(|doubt| (doubt.index, doubt.kind)).collect()
    }

    #[test]
    fn a_timestamp_is_held_to_that_of_the_block_before_and_the_first_to_the_one_given() {
        let run: Vec<Prepared> =
            [7, 8, 8, 3, 4].iter().zip(1..).map(|(time, number)| Ok(block(number, *time))).collect();
        assert_eq!(found(&run, 6, &NEVER), [(2, Kind::Timestamp), (3, Kind::Timestamp)]);
        assert_eq!(found(&run[..2], 7, &NEVER), [(0, Kind::Timestamp)]);
        let told = doubts(&run[3..4], 8, &NEVER);
        assert_eq!(told, [Doubt { index: 0, kind: Kind::Timestamp, expected: "after 8".into(), found: "3".into() }]);
    }

    #[test]
    fn a_record_that_is_no_block_has_no_timestamp_to_compare_with() {
        let error = RlpError { what: "block", offset: 0, expected: String::new(), found: String::new() };
        let run = [Ok(block(1, 7)), Err(error), Ok(block(3, 7))];
        assert_eq!(found(&run, 6, &NEVER), [(2, Kind::Timestamp)]);
    }

    #[test]
    fn one_bit_of_a_bloom_is_enough_for_a_doubt() {
        for byte in [0, 255] {
            let mut odd = block(1, 7);
            odd.block.header.logs_bloom[byte] = 1;
            assert_eq!(found(&[Ok(odd)], 6, &NEVER), [(0, Kind::LogsBloom)]);
        }
    }

    #[test]
    fn an_epoch_ends_empty_only_where_that_holds() {
        let with_transactions = |number| {
            let mut block = block(number, number);
            block.block.transactions = vec![transaction(); 2];
            Ok(block)
        };
        let ends = EmptyEnds { epoch_size: 10, from: vec![(20, true), (40, false)] };
        let run: Vec<Prepared> = (1..=50).map(with_transactions).collect();
        assert_eq!(found(&run, 0, &ends), [(19, Kind::EpochEnd), (29, Kind::EpochEnd)]);
        assert_eq!(doubts(&run, 0, &ends)[0].found, "2");
        let empty: Vec<Prepared> = (1..=50).map(|number| Ok(block(number, number))).collect();
        assert_eq!(found(&empty, 0, &ends), []);
        let no_epochs = EmptyEnds { epoch_size: 0, from: vec![(0, true)] };
        assert_eq!(found(&run, 0, &no_epochs), []);
    }
}
