//! The state root of a recorded genesis allocation (§5.5).
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::path::PathBuf;
use std::sync::Arc;

mod twin;

use polygon_edge_chain::state::{AccountChange, AccountFields, EMPTY_CODE_HASH, EMPTY_ROOT};
use polygon_edge_chain::state_trie::{StateTrie, StateView, TrieOptions};
use polygon_edge_chain::{Address, B256, Bytes, U256, keccak256};
use serde_json::Value;

/// The recorded data, or none (said aloud) where there is none; on CI their absence is a failure.
fn golden() -> Option<PathBuf> {
    let shared = std::env::var_os("POLYGON_EDGE_SHARED")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared")), PathBuf::from);
    let folder = shared.join("golden");
    if folder.is_dir() {
        return Some(folder);
    }
    assert!(std::env::var("CI").as_deref() != Ok("true"), "no recorded data in {}", folder.display());
    eprintln!("SKIPPED: no recorded data in {} (set POLYGON_EDGE_SHARED)", folder.display());
    None
}

fn quantity(value: &Value) -> U256 {
    value.as_str().map_or(U256::ZERO, |text| text.parse().unwrap())
}

fn bytes(value: &Value) -> Bytes {
    value.as_str().map_or(Bytes::new(), |text| text.parse().unwrap())
}

fn allocation(genesis: &Value) -> Vec<AccountChange> {
    let accounts = genesis["genesis"]["alloc"].as_object().unwrap();
    let changes = accounts.iter().map(|(address, account)| {
        let code = bytes(&account["code"]);
        let storage = account["storage"].as_object().into_iter().flatten();
        let code_hash = if code.is_empty() { EMPTY_CODE_HASH } else { keccak256(&code) };
        let nonce = quantity(&account["nonce"]).to();
        AccountChange {
            address: address.parse().unwrap(),
            account: Some(AccountFields { nonce, balance: quantity(&account["balance"]), code_hash }),
            storage_cleared: false,
            storage: storage.map(|(slot, value)| (slot.parse().unwrap(), quantity(value))).collect(),
            code: (!code.is_empty()).then_some(code),
        }
    });
    changes.collect()
}

#[test]
fn recorded_allocations_give_the_recorded_state() {
    let Some(golden) = golden() else { return };
    // Left out: `v1.3.2/access-lists` and `v1.3.2/polybft`, whose genesis writes more than the allocation.
    let chains = [
        "v0.6.3/dev",
        "v0.6.3/poa-bls",
        "v0.6.3/poa-ecdsa",
        "v0.6.3/pos-ecdsa",
        "v0.6.3/single",
        "v0.6.3/switch",
        "v0.6.3/switch-type",
        "v1.3.2/big-blocks",
        "v1.3.2/forks-early",
        "v1.3.2/forks-late",
        "v1.3.2/poa-bls",
        "v1.3.2/poa-ecdsa-london",
        "v1.3.2/pos-ecdsa",
        "v1.3.2/switch",
    ];
    for chain in chains {
        let folder = golden.join(chain);
        let recorded = std::fs::read_to_string(folder.join("state.jsonl")).unwrap();
        let genesis: Value =
            serde_json::from_str(&std::fs::read_to_string(folder.join("genesis.json")).unwrap()).unwrap();
        let database = Arc::new(twin::Memory::default());
        let mut state = StateTrie::open(EMPTY_ROOT, database.clone(), TrieOptions::default()).unwrap();
        let root = state.apply(&allocation(&genesis)).unwrap();
        database.add(state.take_new_state().nodes());
        let mut view = StateView::open(root, database).unwrap();
        let mut accounts = 0;
        for line in recorded.lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            if line["number"] != 0 {
                continue;
            }
            assert_eq!(root, line["stateRoot"].as_str().unwrap().parse::<B256>().unwrap(), "{chain}");
            let address: Address = line["address"].as_str().unwrap().parse().unwrap();
            let account = view.account(&address).unwrap().unwrap_or_default();
            let balance: U256 = line["balance"].as_str().unwrap().parse().unwrap();
            assert_eq!(account.balance, balance, "{chain} {address}");
            assert_eq!(account.nonce, line["nonce"].as_u64().unwrap(), "{chain} {address}");
            for (field, hash) in [("storageRoot", account.storage_root), ("codeHash", account.code_hash)] {
                if let Some(text) = line[field].as_str() {
                    assert_eq!(hash, text.parse::<B256>().unwrap(), "{chain} {address} {field}");
                }
            }
            accounts += 1;
        }
        assert!(accounts > 0, "{chain}: no account of block 0 is recorded");
    }
}
