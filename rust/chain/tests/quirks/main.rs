//! Replays the recorded quirk chains of the Go client v0.6.3 and compares every receipt,
//! every receipts root (and so every bloom) and every state root.
//!
//! The folder comes from `POLYGON_EDGE_SHARED`, by default `shared` beside the repository.

#![allow(clippy::unwrap_used, reason = "a test says what went wrong by failing")]

mod slow_trie;

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use alloy_primitives::{Address, B256, Bytes, U256, hex, keccak256};
use polygon_edge_chain::{
    evm::precompile::Precompile,
    execute::{BlockContext, ExecutionError, Executor, GenesisAccount, genesis_changes},
    forks::{ForkFlags, Forks, Generation, Rules},
    journal::Fault,
    receipt::Receipt,
    rlp,
    state::{Account, AccountChange, AccountFields, StateError, StateReader},
    transaction::Transaction,
};
use secp256k1::ecdsa::{RecoverableSignature, RecoveryId};
use serde_json::Value;

/// The recorded chains, or none with a loud word; their absence is an error where CI is set.
fn golden(part: &str) -> Option<PathBuf> {
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let folder = std::env::var_os("POLYGON_EDGE_SHARED").map_or_else(default, PathBuf::from);
    let folder = folder.join("golden/quirks").join(part);
    if folder.exists() {
        return Some(folder);
    }
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{} is missing", folder.display());
    eprintln!("NOT RUN: {} is missing; set POLYGON_EDGE_SHARED", folder.display());
    None
}

/// A state in memory; its roots are built anew for every block.
#[derive(Default)]
struct MemoryState {
    accounts: HashMap<Address, Account>,
    storage: HashMap<Address, BTreeMap<U256, U256>>,
    codes: HashMap<B256, Bytes>,
    hashes: HashMap<u64, B256>,
}

impl MemoryState {
    fn apply(&mut self, changes: &[AccountChange]) {
        for change in changes {
            let storage = self.storage.entry(change.address).or_default();
            if change.storage_cleared || change.account.is_none() {
                storage.clear();
            }
            storage.extend(change.storage.iter().copied());
            storage.retain(|_, value| !value.is_zero());
            if let Some(code) = &change.code {
                self.codes.insert(keccak256(code), code.clone());
            }
            let Some(AccountFields { nonce, balance, code_hash }) = change.account else {
                self.accounts.remove(&change.address);
                continue;
            };
            let storage_root = slow_trie::storage_root(storage);
            self.accounts.insert(change.address, Account { nonce, balance, storage_root, code_hash });
        }
    }
}

impl StateReader for MemoryState {
    fn account(&mut self, address: &Address) -> Result<Option<Account>, StateError> {
        Ok(self.accounts.get(address).copied())
    }

    fn storage(&mut self, address: &Address, slot: &U256) -> Result<U256, StateError> {
        let value = self.storage.get(address).and_then(|storage| storage.get(slot));
        Ok(value.copied().unwrap_or_default())
    }

    fn code(&mut self, address: &Address, code_hash: &B256) -> Result<Bytes, StateError> {
        let missing = StateError::MissingCode { hash: *code_hash, address: *address };
        self.codes.get(code_hash).cloned().ok_or(missing)
    }

    fn block_hash(&mut self, number: u64) -> Result<B256, StateError> {
        Ok(self.hashes[&number])
    }
}

struct Block {
    parent_hash: B256,
    state_root: B256,
    receipts_root: B256,
    gas_used: u64,
    context: BlockContext,
    transactions: Vec<Transaction>,
}

/// Splits an archive into its blocks; the fee receiver is set by the caller.
fn read_archive(archive: &Bytes) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut offset = rlp::parse(archive).unwrap().raw.len();
    while offset < archive.len() {
        let item = rlp::parse(&archive[offset..]).unwrap();
        offset += item.raw.len();
        let mut parts = item.list("block").unwrap();
        let header: Vec<_> = parts.required("header").unwrap().list("header").unwrap().collect();
        let transactions = parts.required("transactions").unwrap().list("transactions").unwrap();
        blocks.push(Block {
            parent_hash: header[0].hash("parentHash").unwrap(),
            state_root: header[3].hash("stateRoot").unwrap(),
            receipts_root: header[5].hash("receiptsRoot").unwrap(),
            gas_used: header[10].u64("gasUsed").unwrap(),
            context: BlockContext {
                number: header[8].u64("number").unwrap(),
                timestamp: header[11].u64("timestamp").unwrap(),
                gas_limit: header[9].u64("gasLimit").unwrap(),
                difficulty: header[7].u64("difficulty").unwrap(),
                coinbase: Address::ZERO,
                base_fee: 0,
            },
            transactions: transactions.map(|item| Transaction::decode_legacy(&item, archive).unwrap()).collect(),
        });
    }
    blocks
}

/// The sender by the rules of v0.6.3 (§2.5): high s accepted, parity taken from the low byte of v.
fn recover(transaction: &Transaction, flags: &ForkFlags, chain_id: u64) -> Option<Address> {
    let low = |bytes: &[u8]| bytes.iter().rev().take(8).rev().fold(0u64, |low, byte| low << 8 | u64::from(*byte));
    let v = low(&transaction.v);
    let unprotected = !flags.eip155 || v == 27 || v == 28;
    let offset = if unprotected { 27 } else { 35 + 2 * chain_id };
    let parity = v.wrapping_sub(offset) as u8;
    let mut payload = Vec::new();
    rlp::put_list_with(&mut payload, |out| {
        rlp::put_u64(out, transaction.nonce);
        rlp::put_u256(out, &transaction.gas_price);
        rlp::put_u64(out, transaction.gas);
        rlp::put_bytes(out, transaction.to.as_ref().map_or(&[], |to| to.as_slice()));
        rlp::put_u256(out, &transaction.value);
        rlp::put_bytes(out, &transaction.input);
        if !unprotected && chain_id != 0 {
            rlp::put_u64(out, chain_id);
            rlp::put_u64(out, 0);
            rlp::put_u64(out, 0);
        }
    });
    let mut signature = [0; 64];
    signature[..32].copy_from_slice(&transaction.r.to_be_bytes::<32>());
    signature[32..].copy_from_slice(&transaction.s.to_be_bytes::<32>());
    let parity = RecoveryId::try_from(i32::from(parity)).ok().filter(|_| parity < 2)?;
    let signature = RecoverableSignature::from_compact(&signature, parity).ok()?;
    let key = signature.recover(secp256k1::Message::from_digest(keccak256(&payload).0)).ok()?;
    Some(Address::from_raw_public_key(&key.serialize_uncompressed()[1..]))
}

fn number(value: &Value) -> U256 {
    match value {
        Value::Null => U256::ZERO,
        Value::Number(number) => number.as_u64().map(U256::from).unwrap(),
        other => other.as_str().unwrap().parse().unwrap(),
    }
}

fn bytes(value: &Value) -> Bytes {
    value.as_str().map(|text| hex::decode(text).unwrap().into()).unwrap_or_default()
}

struct Chain {
    rules: Rules,
    alloc: Vec<(Address, GenesisAccount)>,
    validator: Address,
}

fn read_genesis(folder: &Path, generation: Generation) -> Chain {
    let genesis: Value = serde_json::from_slice(&fs::read(folder.join("genesis.json")).unwrap()).unwrap();
    let forks = &genesis["params"]["forks"];
    // A number in generation 1, an object with it in generation 3 (§5.4).
    let fork = |name: &str| forks[name].as_u64().or_else(|| forks[name]["block"].as_u64());
    let forks = Forks {
        homestead: fork("homestead"),
        eip150: fork("EIP150"),
        eip155: fork("EIP155"),
        eip158: fork("EIP158"),
        byzantium: fork("byzantium"),
        constantinople: fork("constantinople"),
        petersburg: fork("petersburg"),
        istanbul: fork("istanbul"),
        ..Forks::default()
    };
    let chain_id = genesis["params"]["chainID"].as_u64().unwrap();
    let mut alloc = Vec::new();
    for (address, account) in genesis["genesis"]["alloc"].as_object().unwrap() {
        let storage = account["storage"].as_object().into_iter().flatten();
        let account = GenesisAccount {
            balance: account.get("balance").map(number),
            nonce: u64::try_from(number(&account["nonce"])).unwrap(),
            code: bytes(&account["code"]),
            storage: storage.map(|(slot, value)| (slot.parse().unwrap(), number(value))).collect(),
        };
        alloc.push((address.parse().unwrap(), account));
    }
    let extra = bytes(&genesis["genesis"]["extraData"]);
    let extra = rlp::parse(&extra[32..]).unwrap();
    let validators = extra.list("extra").unwrap().next().unwrap();
    let validator = validators.list("validators").unwrap().next().unwrap().address("validator").unwrap();
    Chain { rules: Rules::new(generation, chain_id, forks), alloc, validator }
}

fn read_receipts(folder: &Path) -> Vec<Value> {
    let plain = folder.join("receipts.jsonl");
    let text = if plain.exists() {
        fs::read(plain).unwrap()
    } else {
        let output = Command::new("zstd").arg("-dc").arg(folder.join("receipts.jsonl.zst")).output();
        let output = output.expect("the zstd program unpacks the recorded receipts");
        assert!(output.status.success());
        output.stdout
    };
    text.split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect()
}

/// A receipt in the shape of the recorded ones.
fn describe(receipt: &Receipt, block: u64, index: usize, sender: Address) -> Value {
    let lower = |address: Address| format!("0x{}", hex::encode(address));
    let logs: Vec<Value> = receipt
        .logs
        .iter()
        .map(|log| {
            let topics: Vec<String> = log.topics.iter().map(ToString::to_string).collect();
            serde_json::json!({"address": lower(log.address), "data": hex::encode_prefixed(&log.data), "topics": topics})
        })
        .collect();
    let mut described = serde_json::json!({
        "block": block, "index": index, "hash": receipt.transaction_hash.to_string(), "from": lower(sender),
        "status": u64::from(receipt.success), "gasUsed": receipt.gas_used,
        "cumulativeGasUsed": receipt.cumulative_gas_used, "logs": logs,
    });
    if let Some(address) = receipt.contract_address {
        described["contractAddress"] = lower(address).into();
    }
    described
}

/// Replays one chain up to the first block that is refused by name; returns the number of receipts compared and the
/// height of that block.
fn replay(folder: &Path, generation: Generation) -> (usize, Option<u64>) {
    let name = folder.file_name().unwrap().to_string_lossy().into_owned();
    let chain = read_genesis(folder, generation);
    let archive = Bytes::from(fs::read(folder.join("full.dat")).unwrap());
    let recorded = read_receipts(folder);
    let mut recorded = recorded.iter();
    let mut state = MemoryState::default();
    state.apply(&genesis_changes(&chain.alloc));
    let mut executor = Executor::new(&chain.rules);
    let mut compared = 0;
    let mut differences = Vec::new();
    for block in read_archive(&archive) {
        let number = block.context.number;
        if number == 0 {
            assert_eq!(slow_trie::state_root(&state.accounts), block.state_root, "{name}: genesis");
            continue;
        }
        state.hashes.insert(number - 1, block.parent_hash);
        let context = BlockContext { coinbase: chain.validator, ..block.context };
        let flags = chain.rules.forks.at(number);
        let senders: Vec<_> =
            block.transactions.iter().map(|transaction| recover(transaction, &flags, chain.rules.chain_id)).collect();
        let outcome = match executor.execute_block(&context, &block.transactions, &senders, &mut state) {
            Ok(outcome) => outcome,
            Err(ExecutionError::Block { rule, .. }) if rule.contains("§6.6") => {
                assert!(context.gas_limit >= 1 << 63 || context.timestamp >= 1 << 63);
                return report(&name, compared, &differences, Some(number));
            }
            Err(ExecutionError::Fault { fault: Fault::UnknownPrecompile(_), .. }) if generation == Generation::G3 => {
                return report(&name, compared, &differences, Some(number));
            }
            Err(error) => panic!("{name} block {number}: {error}"),
        };
        for (index, receipt) in outcome.receipts.iter().enumerate() {
            let expected = recorded.next().expect("as many receipts as recorded");
            let found = describe(receipt, number, index, senders[index].unwrap());
            compared += 1;
            if found != *expected {
                differences.push(format!("{name} {number}:{index}\n  expected {expected}\n  found    {found}"));
            }
        }
        if outcome.gas_used != block.gas_used {
            differences.push(format!("{name} {number}: gas {} in the header, {}", block.gas_used, outcome.gas_used));
        }
        state.apply(&outcome.changes);
        for (what, found, expected) in [
            ("receipts root", slow_trie::receipts_root(&outcome.receipts), block.receipts_root),
            ("state root", slow_trie::state_root(&state.accounts), block.state_root),
        ] {
            if found != expected {
                differences.push(format!("{name} {number}: {what} {expected} in the header, {found}"));
            }
        }
    }
    assert!(recorded.next().is_none(), "{name}: more receipts recorded than executed");
    report(&name, compared, &differences, None)
}

fn report(name: &str, compared: usize, differences: &[String], refused: Option<u64>) -> (usize, Option<u64>) {
    println!("{name}: {compared} receipts, {} differences, refused block {refused:?}", differences.len());
    assert!(differences.is_empty(), "{}", differences.iter().take(20).cloned().collect::<Vec<_>>().join("\n"));
    (compared, refused)
}

#[test]
fn every_receipt_of_the_quirk_chains_is_reproduced() {
    let Some(folder) = golden("v0.6.3") else { return };
    let mut folders: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    let results: Vec<_> = folders.iter().map(|folder| replay(folder, Generation::G1)).collect();
    let compared: usize = results.iter().map(|(compared, _)| compared).sum();
    println!("{compared} receipts in {} chains", results.len());
    assert_eq!(results.len(), 13);
    assert!(compared > 21_000, "{compared} receipts compared");
}

/// v1.3.2 without london, access lists and the two precompiles of its own, which are not executed yet.
#[test]
fn receipts_of_the_last_generation_are_reproduced_where_its_additions_are_not_used() {
    let Some(folder) = golden("v1.3.2") else { return };
    for (name, least) in [
        ("all-fuzz", 7116),
        ("all", 500),
        ("byzantium", 500),
        ("constantinople", 500),
        ("homestead", 500),
        ("frontier", 500),
    ] {
        let (compared, refused) = replay(&folder.join(name), Generation::G3);
        assert!(compared >= least, "{name}: {compared} receipts compared, refused block {refused:?}");
    }
}

#[test]
fn recorded_calls_of_precompiles_agree() {
    let Some(file) = golden("precompile-calls.jsonl") else { return };
    let text = fs::read_to_string(file).unwrap();
    let mut compared = 0;
    for line in text.lines() {
        let call: Value = serde_json::from_str(line).unwrap();
        let flags = ForkFlags { byzantium: true, istanbul: call["istanbul"].as_bool().unwrap(), ..Default::default() };
        let mut address = Address::ZERO;
        address.0[19] = call["address"].as_u64().unwrap() as u8;
        let input = bytes(&call["input"]);
        let gas = call["gasPassed"].as_u64().unwrap();
        let (success, left, output) = match Precompile::at(&address, &flags).map(|it| it.run(&input, gas, &flags)) {
            Some(Ok((left, output))) => (1, left, output),
            Some(Err(_)) => (0, 0, Bytes::new()),
            None => (1, gas, Bytes::new()),
        };
        let place = format!("{} {}", call["chain"], call["tx"]);
        assert_eq!(call["success"], success, "{place}");
        assert_eq!(call["callCost"], gas - left, "{place}");
        assert_eq!(call["returnSize"], output.len(), "{place}");
        let area = bytes(&call["outputArea"]);
        let copied = output.len().min(area.len());
        assert_eq!(area[..copied], output[..copied], "{place}");
        compared += 1;
    }
    assert_eq!(compared, 586);
}
