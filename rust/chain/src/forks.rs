//! Generation and fork flags as plain values; every rule that depends on a height asks here.

use alloy_primitives::Address;

use crate::{execute::Deployment, extra::ValidatorType, seal, transaction::Form};

/// The three mutually unreadable generations of Polygon Edge IBFT chains (fact sheet §0).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Generation {
    /// Up to v0.7.1, with all of v0.6.x: 15-item headers, IBFT extra of 3 or 4 items when hashing.
    G1,
    /// v0.7.2 to v0.8.1: 15-item headers, IBFT extra always of 5 items.
    G2,
    /// v0.9.0 to v1.3.2: 16-item headers (base fee), IBFT extra always of 5 items.
    G3,
}

/// First active block of each fork; `None` is never. Flags are independent of each other (§5.4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Forks {
    /// `homestead`
    pub homestead: Option<u64>,
    /// `EIP150`
    pub eip150: Option<u64>,
    /// `EIP155`
    pub eip155: Option<u64>,
    /// `EIP158`
    pub eip158: Option<u64>,
    /// `byzantium`
    pub byzantium: Option<u64>,
    /// `constantinople`
    pub constantinople: Option<u64>,
    /// `petersburg`
    pub petersburg: Option<u64>,
    /// `istanbul`
    pub istanbul: Option<u64>,
    /// `london` (G3)
    pub london: Option<u64>,
    /// `londonfix` (G3)
    pub london_fix: Option<u64>,
    /// `txHashWithType` (G3)
    pub tx_hash_with_type: Option<u64>,
}

/// The flags in force at one height.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub struct ForkFlags {
    pub homestead: bool,
    pub eip150: bool,
    pub eip155: bool,
    pub eip158: bool,
    pub byzantium: bool,
    pub constantinople: bool,
    pub petersburg: bool,
    pub istanbul: bool,
    pub london: bool,
    pub london_fix: bool,
    pub tx_hash_with_type: bool,
}

impl Forks {
    /// The flags at block `number`: a fork is active when its first block is at or below it.
    pub fn at(&self, number: u64) -> ForkFlags {
        let active = |first: Option<u64>| first.is_some_and(|first| first <= number);
        ForkFlags {
            homestead: active(self.homestead),
            eip150: active(self.eip150),
            eip155: active(self.eip155),
            eip158: active(self.eip158),
            byzantium: active(self.byzantium),
            constantinople: active(self.constantinople),
            petersburg: active(self.petersburg),
            istanbul: active(self.istanbul),
            london: active(self.london),
            london_fix: active(self.london_fix),
            tx_hash_with_type: active(self.tx_hash_with_type),
        }
    }
}

/// How blocks are agreed on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Engine {
    /// Validators seal; the hash leaves out their seals (§3.1).
    #[default]
    Ibft,
    /// `dev` and `dummy`: nobody seals, the hash covers the whole header.
    Plain,
}

/// The access lists that a chain has (G3, §6.9).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AccessLists {
    /// `contractDeployerAllowList`
    pub deployer_allow: bool,
    /// `contractDeployerBlockList`
    pub deployer_block: bool,
    /// `transactionsAllowList`
    pub transactions_allow: bool,
    /// `transactionsBlockList`
    pub transactions_block: bool,
    /// `bridgeAllowList`
    pub bridge_allow: bool,
    /// `bridgeBlockList`
    pub bridge_block: bool,
}

/// Everything about a chain that a rule may depend on, chosen once from the genesis file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// How blocks are encoded and hashed.
    pub generation: Generation,
    /// `params.chainID`.
    pub chain_id: u64,
    /// First active block of each fork.
    pub forks: Forks,
    /// Blocks below this height use the legacy quorum 2F+1 (`quorumSizeBlockNum`).
    pub quorum_size_block: u64,
    /// Who seals.
    pub engine: Engine,
    /// The validators' type by the height it starts at, ascending; ECDSA below the first entry.
    pub validator_types: Vec<(u64, ValidatorType)>,
    /// Whether validators are those who stake (PoS), by the height it starts at, ascending; they are voted for (PoA)
    /// below the first entry.
    pub stake: Vec<(u64, bool)>,
    /// Contracts that a block puts into the state after its transactions, by height (§6.11).
    pub deployments: Vec<(u64, Deployment)>,
    /// Receivers of the base fee by the block they start at (G3, §5.4).
    pub burn_contracts: Vec<(u64, Address)>,
    /// Which access lists there are (G3).
    pub access_lists: AccessLists,
}

impl Rules {
    /// The rules of a chain with nothing in its genesis file but a chain id and forks.
    pub const fn new(generation: Generation, chain_id: u64, forks: Forks) -> Self {
        Self {
            generation,
            chain_id,
            forks,
            quorum_size_block: 0,
            engine: Engine::Ibft,
            validator_types: Vec::new(),
            stake: Vec::new(),
            deployments: Vec::new(),
            burn_contracts: Vec::new(),
            access_lists: AccessLists {
                deployer_allow: false,
                deployer_block: false,
                transactions_allow: false,
                transactions_block: false,
                bridge_allow: false,
                bridge_block: false,
            },
        }
    }

    /// The flags at block `number`, without those that the generation does not know: a `london` of G2 does nothing.
    pub fn flags(&self, number: u64) -> ForkFlags {
        let flags = self.forks.at(number);
        let known = self.generation == Generation::G3;
        ForkFlags {
            london: flags.london && known,
            london_fix: flags.london_fix && known,
            tx_hash_with_type: flags.tx_hash_with_type && known,
            ..flags
        }
    }

    /// How transactions of block `number` are read and hashed (§2.5).
    pub fn transaction_form(&self, number: u64) -> Form {
        Form { generation: self.generation, hashed_with_type: self.flags(number).tx_hash_with_type }
    }

    /// Who receives the base fee of block `number`: the entry with the greatest start up to it; below the first start,
    /// the one with the greatest start of all (§5.4). None where no entry is.
    pub fn burn_contract(&self, number: u64) -> Option<Address> {
        let started = self.burn_contracts.iter().filter(|(first, _)| *first <= number).max_by_key(|(first, _)| *first);
        let entry = started.or_else(|| self.burn_contracts.iter().max_by_key(|(first, _)| *first));
        entry.map(|(_, address)| *address)
    }

    /// What block `number` puts into the state after its transactions, if anything.
    pub fn deployment(&self, number: u64) -> Option<&Deployment> {
        self.deployments.iter().find(|(height, _)| *height == number).map(|(_, deployment)| deployment)
    }

    /// The type of the validators of block `number`: that of its list and of its committed seals (§3.3).
    pub fn validator_type(&self, number: u64) -> ValidatorType {
        in_force(&self.validator_types, number).unwrap_or(ValidatorType::Ecdsa)
    }

    /// The type of the parent seals in block `number`: that of the block before (§3.3).
    pub fn parent_type(&self, number: u64) -> ValidatorType {
        self.validator_type(number.saturating_sub(1))
    }

    /// Whether the validators of block `number` are those who stake. Their blocks do not vote: the nonce is free (§3.7).
    pub fn proof_of_stake(&self, number: u64) -> bool {
        in_force(&self.stake, number).unwrap_or(false)
    }

    /// Seals that block `number` needs of `size` validators (§5.4).
    pub fn quorum(&self, number: u64, size: usize) -> usize {
        seal::quorum(size, number < self.quorum_size_block)
    }
}

/// The entry with the greatest start up to `number`, of entries that ascend.
fn in_force<T: Copy>(entries: &[(u64, T)], number: u64) -> Option<T> {
    let after = entries.partition_point(|(first, _)| *first <= number);
    after.checked_sub(1).map(|index| entries[index].1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_holds_at_a_height_is_the_last_entry_that_has_started() {
        let rules = Rules {
            quorum_size_block: 50,
            validator_types: vec![(0, ValidatorType::Ecdsa), (20, ValidatorType::Bls), (40, ValidatorType::Ecdsa)],
            stake: vec![(30, true)],
            ..Rules::new(Generation::G1, 1, Forks::default())
        };
        let types = [0, 19, 20, 21, 39, 40, 41].map(|number| rules.validator_type(number));
        let (ecdsa, bls) = (ValidatorType::Ecdsa, ValidatorType::Bls);
        assert_eq!(types, [ecdsa, ecdsa, bls, bls, bls, ecdsa, ecdsa]);
        assert_eq!([0, 20, 21, 40, 41].map(|number| rules.parent_type(number)), [ecdsa, ecdsa, bls, bls, ecdsa]);
        assert_eq!([0, 29, 30, u64::MAX].map(|number| rules.proof_of_stake(number)), [false, false, true, true]);
        assert_eq!([49, 50].map(|number| rules.quorum(number, 6)), [3, 4]);
        let plain = Rules::new(Generation::G1, 1, Forks::default());
        assert_eq!((plain.validator_type(7), plain.proof_of_stake(7)), (ecdsa, false));
    }

    #[test]
    fn flags_of_the_last_generation_do_nothing_before_it() {
        let forks = Forks {
            london: Some(5),
            london_fix: Some(5),
            tx_hash_with_type: Some(5),
            istanbul: Some(5),
            ..Forks::default()
        };
        for (generation, known) in [(Generation::G1, false), (Generation::G2, false), (Generation::G3, true)] {
            let rules = Rules::new(generation, 1, forks);
            let flags = rules.flags(5);
            assert_eq!((flags.london, flags.london_fix, flags.tx_hash_with_type), (known, known, known));
            assert!(flags.istanbul && !rules.flags(4).istanbul);
        }
    }

    #[test]
    fn below_the_first_start_the_last_burn_contract_receives() {
        let contract = Address::repeat_byte;
        let mut rules = Rules::new(Generation::G3, 1, Forks::default());
        assert_eq!(rules.burn_contract(7), None);
        rules.burn_contracts = vec![(30, contract(3)), (10, contract(1)), (20, contract(2))];
        let found = [9, 10, 19, 20, 30, 99].map(|number| rules.burn_contract(number).unwrap_or_default());
        assert_eq!(found, [3, 1, 1, 2, 3, 3].map(contract));
    }
}
