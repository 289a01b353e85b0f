//! A genesis file, read as far as execution needs it.

use std::{fs, path::Path};

use alloy_primitives::{Address, Bytes, U256, address, hex, keccak256};
use polygon_edge_chain::{
    evm::access_list,
    execute::{Deployment, GenesisAccount},
    forks::{AccessLists, Forks, Generation, Rules},
};
use serde_json::Value;

/// The staking contract.
const STAKING: Address = address!("0000000000000000000000000000000000001001");

pub struct GenesisFile {
    pub rules: Rules,
    pub alloc: Vec<(Address, GenesisAccount)>,
    /// Blocks of `dev` have no seals: fees go to their miner.
    pub is_dev: bool,
}

/// A number as JSON number, decimal or hexadecimal text; absent is zero.
fn number(value: &Value) -> U256 {
    match value {
        Value::Null => U256::ZERO,
        Value::Number(number) => number.as_u64().map(U256::from).unwrap(),
        other => other.as_str().unwrap().parse().unwrap(),
    }
}

pub fn bytes(value: &Value) -> Bytes {
    value.as_str().map(|text| hex::decode(text).unwrap().into()).unwrap_or_default()
}

fn read(folder: &Path) -> Value {
    serde_json::from_slice(&fs::read(folder.join("genesis.json")).unwrap()).unwrap()
}

fn account(account: &Value) -> GenesisAccount {
    let storage = account["storage"].as_object().into_iter().flatten();
    GenesisAccount {
        balance: account.get("balance").map(number),
        nonce: u64::try_from(number(&account["nonce"])).unwrap(),
        code: bytes(&account["code"]),
        storage: storage.map(|(slot, value)| (slot.parse().unwrap(), number(value))).collect(),
    }
}

impl GenesisFile {
    /// `staking` is a folder whose genesis file has the staking contract, for chains that deploy it later.
    pub fn read(folder: &Path, generation: Generation, staking: &Path) -> Self {
        let genesis = read(folder);
        let params = &genesis["params"];
        let forks = &params["forks"];
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
            london: fork("london"),
            london_fix: fork("londonfix"),
            tx_hash_with_type: fork("txHashWithType"),
        };
        let mut alloc: Vec<(Address, GenesisAccount)> = Vec::new();
        for (address, entry) in genesis["genesis"]["alloc"].as_object().unwrap() {
            alloc.push((address.parse().unwrap(), account(entry)));
        }
        let mut rules = Rules::new(generation, params["chainID"].as_u64().unwrap(), forks);
        let burn_contracts = params["burnContract"].as_object().into_iter().flatten();
        rules.burn_contracts = burn_contracts
            .map(|(first, address)| (first.parse().unwrap(), address.as_str().unwrap().parse().unwrap()))
            .collect();
        for entry in params["engine"]["ibft"]["types"].as_array().into_iter().flatten() {
            if let Some(height) = entry.get("deployment") {
                let contract = account(&read(staking)["genesis"]["alloc"][STAKING.to_checksum(None)]);
                let height = u64::try_from(number(height)).unwrap();
                rules
                    .deployments
                    .push((height, Deployment { address: STAKING, account: predeploy(entry, contract.code) }));
            }
        }
        rules.access_lists = access_lists(params, &mut alloc);
        Self { rules, alloc, is_dev: params["engine"].get("dev").is_some() }
    }
}

/// The staking contract without validators (§5.6).
fn predeploy(entry: &Value, code: Bytes) -> GenesisAccount {
    assert!(entry.get("validators").is_none());
    let count = |name: &str, default: u64| entry.get(name).map_or(U256::from(default), number);
    let (least, most) = (count("minValidatorCount", 1), count("maxValidatorCount", (1 << 53) - 2));
    let storage = vec![(U256::from(5), least), (U256::from(6), most)];
    GenesisAccount { balance: Some(U256::ZERO), nonce: 0, code, storage }
}

/// Which lists there are, and what they make of the alloc: a balance of 1, and the roles, admins last (§5.5).
fn access_lists(params: &Value, alloc: &mut Vec<(Address, GenesisAccount)>) -> AccessLists {
    let mut lists = AccessLists::default();
    for (name, exists, list) in [
        ("contractDeployerAllowList", &mut lists.deployer_allow, access_list::DEPLOYER_ALLOW),
        ("contractDeployerBlockList", &mut lists.deployer_block, access_list::DEPLOYER_BLOCK),
        ("transactionsAllowList", &mut lists.transactions_allow, access_list::TRANSACTIONS_ALLOW),
        ("transactionsBlockList", &mut lists.transactions_block, access_list::TRANSACTIONS_BLOCK),
        ("bridgeAllowList", &mut lists.bridge_allow, access_list::BRIDGE_ALLOW),
        ("bridgeBlockList", &mut lists.bridge_block, access_list::BRIDGE_BLOCK),
    ] {
        let Some(members) = params.get(name) else { continue };
        *exists = true;
        let mut storage = Vec::new();
        for (members, role) in [(&members["enabledAddresses"], 1), (&members["adminAddresses"], 2)] {
            for member in members.as_array().into_iter().flatten() {
                let member: Address = member.as_str().unwrap().parse().unwrap();
                let slot = U256::from_be_bytes(member.into_word().0);
                storage.retain(|(known, _)| *known != slot);
                storage.push((slot, U256::from(role)));
            }
        }
        let found = alloc.iter().position(|(address, _)| *address == list);
        let account = match found {
            Some(position) => &mut alloc[position].1,
            None => {
                alloc.push((list, GenesisAccount::default()));
                &mut alloc.last_mut().unwrap().1
            }
        };
        account.balance = Some(U256::from(1));
        account.storage.extend(storage);
    }
    lists
}

#[test]
fn the_addresses_of_the_lists_are_those_of_the_fact_sheet() {
    assert_eq!(access_list::DEPLOYER_ALLOW, address!("0200000000000000000000000000000000000000"));
    assert_eq!(access_list::TRANSACTIONS_BLOCK, address!("0300000000000000000000000000000000000002"));
    assert_eq!(access_list::BRIDGE_ALLOW, address!("0200000000000000000000000000000000000004"));
    assert_eq!(keccak256("setAdmin(address)")[..4], [0x70, 0x4b, 0x6c, 0x02]);
}
