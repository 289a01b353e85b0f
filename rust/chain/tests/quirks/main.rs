//! Executes the recorded chains of the Go client, both versions and every set of flags, without consensus, and compares
//! every receipt, gas used, receipts root (and so every bloom), transactions root and state root.
//!
//! The folder comes from `POLYGON_EDGE_SHARED`, by default `shared` beside the repository.

#![allow(clippy::unwrap_used, reason = "a test says what went wrong by failing")]

mod archive;
mod genesis_file;
mod memory_state;
mod recorded_receipts;
mod slow_trie;

use std::{
    fs,
    path::{Path, PathBuf},
};

use alloy_primitives::{Address, Bytes};
use genesis_file::{GenesisFile, bytes};
use memory_state::MemoryState;
use polygon_edge_chain::{
    evm::{code::CodeCache, precompile::Precompile},
    execute::{ExecutionError, Executor, TransactionRule, execute_block, genesis_changes},
    forks::{ForkFlags, Generation},
    journal::Journal,
    sender::recover_sender,
    transaction::transactions_root,
};
use serde_json::Value;

/// The recorded chains, or none with a loud word; their absence is an error where CI is set.
fn golden(part: &str) -> Option<PathBuf> {
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let folder = std::env::var_os("POLYGON_EDGE_SHARED").map_or_else(default, PathBuf::from);
    let folder = folder.join("golden").join(part);
    if folder.exists() {
        return Some(folder);
    }
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{} is missing", folder.display());
    eprintln!("NOT RUN: {} is missing; set POLYGON_EDGE_SHARED", folder.display());
    None
}

/// Executes one chain from its genesis; returns the number of blocks and of receipts compared.
fn replay(folder: &Path, generation: Generation) -> (usize, usize) {
    let name = folder.file_name().unwrap().to_string_lossy().into_owned();
    let staking = golden("v0.6.3/pos-ecdsa").unwrap();
    let genesis = GenesisFile::read(folder, generation, &staking);
    let rules = &genesis.rules;
    let mut recorded = recorded_receipts::read(folder);
    let all = recorded.len();
    let mut state = MemoryState::default();
    state.apply(&genesis_changes(&genesis.alloc));
    let mut executor = Executor::new(rules);
    let mut differences = Vec::new();
    let blocks = archive::read(folder, rules, genesis.is_dev);
    for block in &blocks {
        let (header, number) = (&block.header, block.header.number);
        state.hashes.insert(number, block.hash);
        if number == 0 {
            assert_eq!(state.root(), header.state_root, "{name}: genesis");
            continue;
        }
        assert_eq!(state.hashes[&(number - 1)], header.parent_hash, "{name} {number}: parent");
        let transactions = &block.block.transactions;
        let senders: Vec<_> =
            transactions.iter().map(|transaction| recover_sender(transaction, rules, number)).collect();
        let outcome = match executor.execute_block(&block.context, transactions, &senders, &mut state) {
            Ok(outcome) => outcome,
            Err(error) => panic!("{name} block {number}: {error}"),
        };
        assert_eq!(outcome.receipts.len(), transactions.len());
        for (index, receipt) in outcome.receipts.iter().enumerate() {
            let Some(expected) = recorded.remove(&receipt.transaction_hash) else { continue };
            let found = recorded_receipts::describe(
                receipt,
                number,
                index,
                senders[index].unwrap(),
                !expected["bloom"].is_null(),
            );
            if found != expected {
                differences.push(format!("{name} {number}:{index}\n  expected {expected}\n  found    {found}"));
            }
        }
        if outcome.gas_used != header.gas_used {
            differences.push(format!("{name} {number}: gas {} in the header, {}", header.gas_used, outcome.gas_used));
        }
        state.apply(&outcome.changes);
        for (what, found, expected) in [
            (
                "transactions root",
                transactions_root(transactions, rules.transaction_form(number)),
                header.transactions_root,
            ),
            ("receipts root", slow_trie::receipts_root(&outcome.receipts), header.receipts_root),
            ("state root", state.root(), header.state_root),
        ] {
            if found != expected {
                differences.push(format!("{name} {number}: {what} {expected} in the header, {found}"));
            }
        }
        assert!(differences.len() < 40, "{}", differences.iter().take(8).cloned().collect::<Vec<_>>().join("\n"));
    }
    println!("{name}: {} blocks, {all} receipts, {} differences", blocks.len(), differences.len());
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    // Some networks went on after their archive was taken.
    let head = blocks.last().unwrap().header.number;
    recorded.retain(|_, receipt| receipt["block"].as_u64().unwrap() <= head);
    assert!(recorded.is_empty(), "{name}: more receipts recorded than executed");
    (blocks.len(), all)
}

fn replay_all(folder: &str, generation: Generation, except: &[&str]) -> Option<(usize, usize)> {
    let folder = golden(folder)?;
    let mut folders: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.retain(|folder| folder.is_dir() && !except.iter().any(|name| folder.ends_with(name)));
    folders.sort();
    let receipts = folders.iter().map(|folder| replay(folder, generation).1).sum();
    Some((folders.len(), receipts))
}

#[test]
fn every_quirk_of_the_first_generation_is_reproduced() {
    let Some((chains, receipts)) = replay_all("quirks/v0.6.3", Generation::G1, &[]) else { return };
    assert_eq!(chains, 13);
    assert!(receipts > 21_000, "{receipts} receipts compared");
}

#[test]
fn every_quirk_of_the_last_generation_is_reproduced() {
    let Some((chains, receipts)) = replay_all("quirks/v1.3.2", Generation::G3, &[]) else { return };
    assert_eq!(chains, 17);
    assert!(receipts > 12_000, "{receipts} receipts compared");
}

#[test]
fn recorded_networks_of_the_first_generation_are_executed_without_consensus() {
    let Some((chains, receipts)) = replay_all("v0.6.3", Generation::G1, &[]) else { return };
    assert_eq!(chains, 7);
    assert!(receipts > 500, "{receipts} receipts compared");
}

/// `polybft` is another engine; `forks-early-refused` has a block that is refused.
#[test]
fn recorded_networks_of_the_last_generation_are_executed_without_consensus() {
    let except = ["polybft", "forks-early-refused"];
    let Some((chains, receipts)) = replay_all("v1.3.2", Generation::G3, &except) else { return };
    assert_eq!(chains, 8);
    assert!(receipts > 1_500, "{receipts} receipts compared");
}

/// Its first blocks with transactions were signed for a fork that is not active there.
#[test]
fn the_block_that_no_client_accepts_is_refused_by_the_rule_of_senders() {
    let Some(folder) = golden("v1.3.2/forks-early-refused") else { return };
    let genesis = GenesisFile::read(&folder, Generation::G3, &folder);
    let mut state = MemoryState::default();
    state.apply(&genesis_changes(&genesis.alloc));
    let refused = archive::read(&folder, &genesis.rules, false).into_iter().skip(1).find_map(|block| {
        let (transactions, number) = (&block.block.transactions, block.header.number);
        let senders: Vec<_> =
            transactions.iter().map(|transaction| recover_sender(transaction, &genesis.rules, number)).collect();
        let outcome = execute_block(&genesis.rules, &block.context, transactions, &senders, &mut state);
        outcome.map(|outcome| state.apply(&outcome.changes)).err().map(|error| (number, error))
    });
    let Some((3, ExecutionError::Transaction { rule: TransactionRule::Sender, .. })) = refused else {
        panic!("{refused:?}")
    };
}

#[test]
fn recorded_calls_of_precompiles_agree() {
    let Some(file) = golden("quirks/precompile-calls.jsonl") else { return };
    let text = fs::read_to_string(file).unwrap();
    let mut compared = 0;
    let (mut state, mut codes) = (MemoryState::default(), CodeCache::default());
    let mut journal = Journal::new(&mut state, &mut codes);
    for line in text.lines() {
        let call: Value = serde_json::from_str(line).unwrap();
        let flags = ForkFlags { byzantium: true, istanbul: call["istanbul"].as_bool().unwrap(), ..Default::default() };
        let mut address = Address::ZERO;
        address.0[19] = call["address"].as_u64().unwrap() as u8;
        let input = bytes(&call["input"]);
        let gas = call["gasPassed"].as_u64().unwrap();
        let (success, left, output) = match Precompile::at(&address, Generation::G3, &flags)
            .map(|it| it.run(&input, gas, &flags, &Address::ZERO, &mut journal))
        {
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
