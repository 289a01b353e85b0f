//! Which instructions exist and what they cost, built once from the generation and the fork flags (§6.5).

use super::opcode::*;
use crate::forks::{ForkFlags, Generation};

/// The most items a stack may hold.
pub const STACK_LIMIT: usize = 1024;

/// What is checked and charged before an instruction runs.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// The part of the gas that does not depend on operands.
    pub gas: u32,
    /// Fewest items on the stack.
    pub minimum: u16,
    /// Most items above `minimum`, so that one comparison finds both too few and too many.
    pub span: u16,
}

impl Entry {
    /// Whether the instruction does not exist.
    pub fn is_undefined(&self) -> bool {
        self.minimum == UNDEFINED.minimum
    }
}

/// Does not exist: no stack height satisfies it.
const UNDEFINED: Entry = Entry { gas: 0, minimum: u16::MAX, span: 0 };

/// How SSTORE is metered (§6.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StorageMetering {
    /// 20000 for zero to non-zero, else 5000.
    Simple,
    /// EIP-1283: constantinople without petersburg and istanbul.
    Net1283,
    /// EIP-2200: istanbul.
    Net2200,
}

/// Instructions and gas of one (generation, flags) pair.
#[derive(Clone, Debug)]
pub struct Table {
    /// By opcode.
    pub entries: [Entry; 256],
    /// What it was built from.
    pub generation: Generation,
    /// What it was built from.
    pub flags: ForkFlags,
    /// SSTORE.
    pub metering: StorageMetering,
    /// EXP, per byte of the exponent.
    pub exponent_byte: u64,
    /// CALL, CALLCODE, DELEGATECALL, STATICCALL without value and new account.
    pub call: u64,
    /// SELFDESTRUCT without new account.
    pub self_destruct: u64,
}

impl Table {
    /// Builds the table of a chain at the blocks where `flags` are in force.
    pub fn new(generation: Generation, flags: ForkFlags) -> Self {
        let mut table = Self {
            entries: [UNDEFINED; 256],
            generation,
            flags,
            metering: match flags {
                ForkFlags { istanbul: true, .. } => StorageMetering::Net2200,
                ForkFlags { constantinople: true, petersburg: false, .. } => StorageMetering::Net1283,
                _ => StorageMetering::Simple,
            },
            exponent_byte: if flags.eip158 { 50 } else { 10 },
            call: if flags.eip150 { 700 } else { 40 },
            self_destruct: if flags.eip150 { 5000 } else { 0 },
        };
        table.fill_pure();
        table.fill_context();
        table.fill_effects();
        table
    }

    /// The stack heights an instruction accepts follow from what it takes and leaves.
    fn set(&mut self, opcode: u8, gas: u32, takes: u16, leaves: u16) {
        let most = STACK_LIMIT as u16 + takes - leaves;
        self.entries[usize::from(opcode)] =
            Entry { gas, minimum: takes, span: most.min(STACK_LIMIT as u16).wrapping_sub(takes) };
    }

    fn fill_pure(&mut self) {
        for (opcode, gas) in [(ADD, 3), (SUB, 3), (MUL, 5), (DIV, 5), (SDIV, 5), (MOD, 5), (SMOD, 5), (EXP, 10)] {
            self.set(opcode, gas, 2, 1);
        }
        for opcode in [LT, GT, SLT, SGT, EQ, AND, OR, XOR, BYTE] {
            self.set(opcode, 3, 2, 1);
        }
        self.set(ADDMOD, 8, 3, 1);
        self.set(MULMOD, 8, 3, 1);
        // §6.7.5: one item is enough.
        self.set(SIGNEXTEND, 5, 1, 0);
        self.set(ISZERO, 3, 1, 1);
        self.set(NOT, 3, 1, 1);
        if self.flags.constantinople {
            for opcode in [SHL, SHR, SAR] {
                self.set(opcode, 3, 2, 1);
            }
        }
        self.set(KECCAK256, 30, 2, 1);
        self.set(POP, 2, 1, 0);
        for opcode in PUSH1..=PUSH32 {
            self.set(opcode, 3, 0, 1);
        }
        for index in 0..16u8 {
            let depth = u16::from(index) + 1;
            self.set(DUP1 + index, 3, depth, depth + 1);
            self.set(SWAP1 + index, 3, depth + 1, depth + 1);
        }
        self.set(STOP, 0, 0, 0);
        self.set(JUMP, 8, 1, 0);
        self.set(JUMPI, 10, 2, 0);
        self.set(JUMPDEST, 1, 0, 0);
        self.set(MLOAD, 3, 1, 1);
        self.set(MSTORE, 3, 2, 0);
        self.set(MSTORE8, 3, 2, 0);
    }

    fn fill_context(&mut self) {
        let flags = self.flags;
        for opcode in [ADDRESS, ORIGIN, CALLER, CALLVALUE, CALLDATASIZE, CODESIZE, GASPRICE, PC, MSIZE, GAS] {
            self.set(opcode, 2, 0, 1);
        }
        for opcode in [COINBASE, TIMESTAMP, NUMBER, DIFFICULTY, GASLIMIT] {
            self.set(opcode, 2, 0, 1);
        }
        let (balance, external) = match flags {
            ForkFlags { istanbul: true, eip150, .. } => (700, if eip150 { 700 } else { 20 }),
            ForkFlags { eip150: true, .. } => (400, 700),
            _ => (20, 20),
        };
        self.set(BALANCE, balance, 1, 1);
        self.set(EXTCODESIZE, external, 1, 1);
        self.set(EXTCODECOPY, external, 4, 0);
        self.set(CALLDATALOAD, 3, 1, 1);
        self.set(CALLDATACOPY, 3, 3, 0);
        self.set(CODECOPY, 3, 3, 0);
        self.set(BLOCKHASH, 20, 1, 1);
        if flags.byzantium {
            self.set(RETURNDATASIZE, 2, 0, 1);
            self.set(RETURNDATACOPY, 3, 3, 0);
        }
        if flags.constantinople {
            self.set(EXTCODEHASH, if flags.istanbul { 700 } else { 400 }, 1, 1);
        }
        if flags.istanbul {
            self.set(CHAINID, 2, 0, 1);
            self.set(SELFBALANCE, 5, 0, 1);
        }
        if flags.london {
            self.set(BASEFEE, 2, 0, 1);
        }
    }

    fn fill_effects(&mut self) {
        let flags = self.flags;
        let load = match flags {
            ForkFlags { istanbul: true, .. } => 800,
            ForkFlags { eip150: true, .. } => 200,
            _ => 50,
        };
        self.set(SLOAD, load, 1, 1);
        self.set(SSTORE, 0, 2, 0);
        for topics in 0..=4u8 {
            self.set(LOG0 + topics, 375, 2 + u16::from(topics), 0);
        }
        self.set(CREATE, 32000, 3, 1);
        self.set(CALL, 0, 7, 1);
        self.set(CALLCODE, 0, 7, 1);
        self.set(RETURN, 0, 2, 0);
        self.set(SELFDESTRUCT, 0, 1, 0);
        if flags.homestead {
            self.set(DELEGATECALL, 0, 6, 1);
        }
        if flags.byzantium {
            self.set(STATICCALL, 0, 6, 1);
            self.set(REVERT, 0, 2, 0);
        }
        if flags.constantinople {
            self.set(CREATE2, 32000, 4, 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepts(table: &Table, opcode: u8, height: u16) -> bool {
        let entry = table.entries[usize::from(opcode)];
        height.wrapping_sub(entry.minimum) <= entry.span
    }

    fn defined(generation: Generation, flags: ForkFlags) -> Vec<u8> {
        let table = Table::new(generation, flags);
        (0..=255).filter(|opcode| (0..=1024).any(|height| accepts(&table, *opcode, height))).collect()
    }

    #[test]
    fn each_flag_brings_its_instructions_and_no_others() {
        let frontier = defined(Generation::G1, ForkFlags::default());
        let added = |generation, flags| {
            let mut found = defined(generation, flags);
            found.retain(|opcode| !frontier.contains(opcode));
            found
        };
        let none = ForkFlags::default();
        assert_eq!(added(Generation::G1, ForkFlags { homestead: true, ..none }), [DELEGATECALL]);
        let byzantium = [RETURNDATASIZE, RETURNDATACOPY, STATICCALL, REVERT];
        assert_eq!(added(Generation::G1, ForkFlags { byzantium: true, ..none }), byzantium);
        let constantinople = [SHL, SHR, SAR, EXTCODEHASH, CREATE2];
        assert_eq!(added(Generation::G1, ForkFlags { constantinople: true, ..none }), constantinople);
        assert_eq!(added(Generation::G1, ForkFlags { istanbul: true, ..none }), [CHAINID, SELFBALANCE]);
        assert_eq!(added(Generation::G3, ForkFlags { london: true, ..none }), [BASEFEE]);
        assert!(added(Generation::G1, ForkFlags { eip150: true, eip158: true, ..none }).is_empty());
    }

    #[test]
    fn one_comparison_finds_too_few_and_too_many_items() {
        let table = Table::new(Generation::G1, ForkFlags::default());
        for (opcode, least, most) in [
            (ADD, 2, 1024),
            (SIGNEXTEND, 1, 1024),
            (PUSH1, 0, 1023),
            (DUP16, 16, 1023),
            (SWAP16, 17, 1024),
            (CALL, 7, 1024),
        ] {
            let accepted: Vec<u16> = (0..=1024).filter(|height| accepts(&table, opcode, *height)).collect();
            assert_eq!((accepted.first(), accepted.last()), (Some(&least), Some(&most)), "{opcode:#x}");
        }
    }

    #[test]
    fn petersburg_and_istanbul_decide_on_net_metering() {
        let flags = ForkFlags { constantinople: true, ..ForkFlags::default() };
        let metering = |flags| Table::new(Generation::G1, flags).metering;
        assert_eq!(metering(ForkFlags::default()), StorageMetering::Simple);
        assert_eq!(metering(flags), StorageMetering::Net1283);
        assert_eq!(metering(ForkFlags { petersburg: true, ..flags }), StorageMetering::Simple);
        assert_eq!(metering(ForkFlags { petersburg: true, istanbul: true, ..flags }), StorageMetering::Net2200);
    }
}
