//! Why a frame fails, in the words of the Go client, which tools compare.

/// Why a frame failed. Every failure takes all gas of the frame (§6.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Gas ran out, or fell to 2300 or less before SSTORE under istanbul.
    OutOfGas,
    /// Too few items on the stack.
    StackUnderflow,
    /// More than 1024 items on the stack.
    StackOverflow,
    /// An instruction that does not exist, or not under these flags.
    UnknownOpcode,
    /// A jump to something else than a JUMPDEST.
    InvalidJump,
    /// A change of state inside a static call.
    WriteProtection,
    /// An offset or length of 2^64 or more, or memory beyond 0xffffffffe0 (§6.7.6).
    OffsetOverflow,
    /// RETURNDATACOPY beyond the returned data.
    ReturnDataOutOfBounds,
    /// Call depth, balance, collision, code size or deposit: decided outside of the frame.
    Depth,
    /// The caller has less than the value.
    InsufficientBalance,
    /// There is a contract at the new address already.
    Collision,
    /// More than 24576 bytes of code under EIP158.
    CodeSize,
    /// The gas left does not pay for the code.
    CodeDeposit,
    /// A precompile refused its input.
    Precompile(BadInput),
    /// The nonce of the creator is 2^64-1 (G3).
    NonceOverflow,
    /// An access list does not allow it (G3).
    NotAuthorised,
    /// A call that an access list refuses (G3).
    AccessList(ListRefusal),
    /// Nothing about the frame: the whole block cannot go on; the reason is in the state.
    Fault,
}

impl Failure {
    /// The failure in the words of the Go client, which tools compare.
    pub fn client_text(self) -> &'static str {
        match self {
            Self::OutOfGas => "out of gas",
            Self::StackUnderflow => "stack underflow",
            Self::StackOverflow => "stack overflow",
            Self::UnknownOpcode => "opcode not found",
            Self::InvalidJump => "invalid jump destination",
            Self::WriteProtection => "write protection",
            Self::OffsetOverflow => "gas uint64 overflow",
            Self::ReturnDataOutOfBounds => "return data out of bounds",
            Self::Depth => "max call depth exceeded",
            Self::InsufficientBalance => "insufficient balance for transfer",
            Self::Collision => "contract address collision",
            Self::CodeSize => "evm: max code size exceeded",
            Self::CodeDeposit => "contract creation code storage out of gas",
            Self::Precompile(input) => input.client_text(),
            Self::NonceOverflow => "nonce uint64 overflow",
            Self::NotAuthorised => "not in allow list",
            Self::AccessList(refusal) => refusal.client_text(),
            Self::Fault => "the block cannot go on",
        }
    }
}

/// What is wrong with the input of a precompile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadInput {
    /// BLAKE2: not 213 bytes.
    Length,
    /// BLAKE2: a final flag that is neither 0 nor 1.
    Flag,
    /// Pairing: not whole pairs.
    Size,
    /// A coordinate that is not below the field's prime.
    Coordinate,
    /// A point that is not on its curve.
    Point,
    /// Native transfer: fewer than three words.
    Transfer,
    /// Native transfer: by another account than the native token.
    Caller,
    /// Aggregated signature: not the expected encoding, or a point at infinity or outside its group.
    Aggregate,
}

impl BadInput {
    /// The fault in the words of the Go client.
    pub fn client_text(self) -> &'static str {
        match self {
            Self::Length => "bad length",
            Self::Flag => "bad flag",
            Self::Size => "bad size",
            Self::Coordinate => "bn256: coordinate exceeds modulus",
            Self::Point => "bn256: malformed point",
            Self::Transfer => "invalid input data",
            Self::Caller => "unauthorized caller",
            Self::Aggregate => "invalid input",
        }
    }
}

/// Why a list does not do what a call asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListRefusal {
    /// Fewer bytes than a selector has.
    NoSelector,
    /// Not one word behind the selector.
    Length,
    /// No function of the list.
    Function,
    /// An admin about himself.
    OwnRole,
}

impl ListRefusal {
    /// In the words of the Go client.
    pub fn client_text(self) -> &'static str {
        match self {
            Self::NoSelector => "input is too short for a function call",
            Self::Length => "wrong input size, expected 32",
            Self::Function => "function not found",
            Self::OwnRole => "cannot remove admin role from caller",
        }
    }
}
