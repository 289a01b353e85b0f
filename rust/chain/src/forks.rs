//! Generation and fork flags as plain values; every rule that depends on a height asks here.

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
}
