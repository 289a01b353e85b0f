//! Digests that proposers and validators of IBFT sign (§3.5), and the quorum they need (§5.4).

use alloy_primitives::{B256, keccak256};

/// Commit code of the IBFT messages, appended to the hash that committed seals sign.
const COMMIT: u8 = 2;

/// What committed seals are given over: a block in the round in which it was agreed; G1 knows no rounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Agreed {
    pub hash: B256,
    pub round: Option<u64>,
}

impl Agreed {
    /// What a committed seal signs.
    pub fn digest(&self) -> B256 {
        committed_digest(&self.hash, self.round)
    }
}

/// What the proposer seal signs: K(block hash).
pub fn proposer_digest(block_hash: &B256) -> B256 {
    keccak256(block_hash)
}

/// What a committed seal signs: K(K(h || 0x02)), with h the block hash, or K(hash || round) where there is a round.
pub fn committed_digest(block_hash: &B256, round: Option<u64>) -> B256 {
    let proposal = match round {
        None => *block_hash,
        Some(round) => {
            let mut bytes = [0; 40];
            bytes[..32].copy_from_slice(block_hash.as_slice());
            bytes[32..].copy_from_slice(&round.to_be_bytes());
            keccak256(bytes)
        }
    };
    keccak256(wrapped(&proposal))
}

fn wrapped(proposal: &B256) -> B256 {
    let mut bytes = [COMMIT; 33];
    bytes[..32].copy_from_slice(proposal.as_slice());
    keccak256(bytes)
}

/// Seals needed of `size` validators: 2F+1 by the legacy rule, else all when F is 0, else ceil(2N/3); F = floor((N-1)/3).
pub fn quorum(size: usize, legacy: bool) -> usize {
    let faulty = size.saturating_sub(1) / 3;
    if legacy {
        2 * faulty + 1
    } else if faulty == 0 {
        size
    } else {
        (2 * size).div_ceil(3)
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::b256;

    use super::*;

    #[test]
    fn commit_hash_is_wrapped_as_in_the_go_clients_vector() {
        let expected = b256!("8a319084d2e52be9c9192645aa98900413ee2a7c93c2916ef99d62218207d1da");
        assert_eq!(wrapped(&keccak256([1])), expected);
    }

    #[test]
    fn both_quorum_rules() {
        let sizes = [1, 2, 3, 4, 5, 6, 7, 10];
        assert_eq!(sizes.map(|size| quorum(size, true)), [1, 1, 1, 3, 3, 3, 5, 7]);
        assert_eq!(sizes.map(|size| quorum(size, false)), [1, 2, 3, 3, 4, 4, 5, 7]);
    }
}
