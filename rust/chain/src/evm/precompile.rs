//! The precompiled contracts 1 to 9 with Edge's gas, and the two that G2 and G3 have besides (§6.8).

use alloy_primitives::{Address, Bytes, U256, address};
use revm_precompile::{
    PrecompileHalt, blake2, bn254, hash, identity, interface::EthPrecompileResult, modexp, secp256k1,
};

use super::{
    aggregate,
    failure::{BadInput, Failure},
    pairing,
};
use crate::{
    forks::{ForkFlags, Generation},
    journal::Journal,
};

/// The one caller of the native transfer.
const NATIVE_TOKEN: Address = address!("0000000000000000000000000000000000001010");

/// One of the eleven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Precompile {
    Recover,
    Sha256,
    Ripemd160,
    Identity,
    Exponentiation,
    CurveAdd,
    CurveMultiply,
    Pairing,
    Blake2,
    /// 0x2020: moves coins between any two accounts, for the contract of the native token.
    NativeTransfer,
    /// 0x2030: see [`aggregate`].
    AggregatedSignature,
}

fn failure_of(halt: &PrecompileHalt) -> Failure {
    Failure::Precompile(match halt {
        PrecompileHalt::Blake2WrongLength => BadInput::Length,
        PrecompileHalt::Blake2WrongFinalIndicatorFlag => BadInput::Flag,
        PrecompileHalt::Bn254FieldPointNotAMember => BadInput::Coordinate,
        PrecompileHalt::Bn254AffineGFailedToCreate => BadInput::Point,
        // Nothing else is left for these nine.
        _ => return Failure::OutOfGas,
    })
}

impl Precompile {
    /// The precompile at `address` where `flags` are in force.
    #[inline]
    pub fn at(address: &Address, generation: Generation, flags: &ForkFlags) -> Option<Self> {
        let (zeros, number) = address.as_slice().split_last_chunk::<2>()?;
        let number = u16::from_be_bytes(*number);
        if number > 0x2030 || zeros.iter().any(|byte| *byte != 0) {
            return None;
        }
        match number {
            1 => Some(Self::Recover),
            2 => Some(Self::Sha256),
            3 => Some(Self::Ripemd160),
            4 => Some(Self::Identity),
            5 if flags.byzantium => Some(Self::Exponentiation),
            6 if flags.byzantium => Some(Self::CurveAdd),
            7 if flags.byzantium => Some(Self::CurveMultiply),
            8 if flags.byzantium => Some(Self::Pairing),
            9 if flags.istanbul => Some(Self::Blake2),
            0x2020 if generation != Generation::G1 => Some(Self::NativeTransfer),
            0x2030 if generation != Generation::G1 => Some(Self::AggregatedSignature),
            _ => None,
        }
    }

    /// Runs it: gas left and output. Errors: too little gas, or input that it refuses; both take all gas.
    ///
    /// `caller` and `journal` are for the native transfer alone, which changes the state, in a static frame as well.
    pub fn run(
        self,
        input: &[u8],
        gas: u64,
        flags: &ForkFlags,
        caller: &Address,
        journal: &mut Journal<'_>,
    ) -> Result<(u64, Bytes), Failure> {
        let istanbul = flags.istanbul;
        let finish = |result: EthPrecompileResult| {
            let output = result.map_err(|halt| failure_of(&halt))?;
            let left = gas.checked_sub(output.gas_used).ok_or(Failure::OutOfGas)?;
            Ok((left, output.bytes))
        };
        match self {
            Self::Recover => finish(secp256k1::ec_recover_run(input, gas)),
            Self::Sha256 => finish(hash::sha256_run(input, gas)),
            Self::Ripemd160 => finish(hash::ripemd160_run(input, gas)),
            Self::Identity => finish(identity::identity_run(input, gas)),
            Self::Exponentiation => finish(modexp::byzantium_run(input, gas)),
            Self::CurveAdd => finish(bn254::run_add(input, if istanbul { 150 } else { 500 }, gas)),
            Self::CurveMultiply => finish(bn254::run_mul(input, if istanbul { 6_000 } else { 40_000 }, gas)),
            Self::Blake2 => finish(blake2::run(input, gas)),
            Self::Pairing => {
                let (base, each) = if istanbul { (45_000, 34_000) } else { (100_000, 80_000) };
                let cost = base + each * (input.len() / pairing::PAIR_LENGTH) as u64;
                let left = gas.checked_sub(cost).ok_or(Failure::OutOfGas)?;
                let one = pairing::product_is_one(input).map_err(Failure::Precompile)?;
                Ok((left, truth(one)))
            }
            Self::NativeTransfer => {
                let left = gas.checked_sub(21_000).ok_or(Failure::OutOfGas)?;
                transfer(input, caller, journal)?;
                Ok((left, truth(true)))
            }
            Self::AggregatedSignature => {
                let left = gas.checked_sub(150_000).ok_or(Failure::OutOfGas)?;
                Ok((left, truth(aggregate::holds(input).map_err(Failure::Precompile)?)))
            }
        }
    }
}

fn truth(value: bool) -> Bytes {
    let mut output = [0; 32];
    output[31] = u8::from(value);
    Bytes::copy_from_slice(&output)
}

/// Input: from, to, amount.
fn transfer(input: &[u8], caller: &Address, journal: &mut Journal<'_>) -> Result<(), Failure> {
    let words = input.get(..96).ok_or(Failure::Precompile(BadInput::Transfer))?;
    if *caller != NATIVE_TOKEN {
        return Err(Failure::Precompile(BadInput::Caller));
    }
    let [from, to] = [0, 32].map(|start| journal.index(&Address::from_slice(&words[start + 12..start + 32])));
    let amount = U256::from_be_slice(&words[64..]);
    if journal.transfer(from, to, &amount.into()) { Ok(()) } else { Err(Failure::InsufficientBalance) }
}
