//! Receipts as they were recorded: the short form of the quirk chains, and answers of the JSON-RPC of networks.

use std::{collections::HashMap, path::Path};

use alloy_primitives::{Address, B256, U256, hex};
use polygon_edge_chain::receipt::{Log, Receipt};
use serde_json::{Value, json};

use crate::archive::unpacked;

/// The lines of `receipts.jsonl` by transaction hash, each reduced to what a receipt says.
pub fn read(folder: &Path) -> HashMap<B256, Value> {
    let text = String::from_utf8(unpacked(&folder.join("receipts.jsonl"))).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.map(|line| if line.get("hash").is_some() { short(line) } else { answer(&line) }).collect()
}

fn hash(value: &Value) -> B256 {
    value.as_str().unwrap().parse().unwrap()
}

fn short(mut line: Value) -> (B256, Value) {
    line["bloom"] = Value::Null;
    if line.get("contractAddress").is_none() {
        line["contractAddress"] = Value::Null;
    }
    (hash(&line["hash"]), line)
}

fn lower(value: &Value) -> Value {
    value.as_str().map_or(Value::Null, |text| text.to_lowercase().into())
}

fn number(value: &Value) -> u64 {
    value.as_str().unwrap().parse::<U256>().unwrap().to()
}

/// Without the indices of logs, which v0.6.3 counts wrongly.
fn answer(line: &Value) -> (B256, Value) {
    let log = |log: &Value| json!({"address": lower(&log["address"]), "data": log["data"], "topics": log["topics"]});
    let logs: Vec<Value> = line["logs"].as_array().into_iter().flatten().map(log).collect();
    let reduced = json!({
        "block": number(&line["blockNumber"]), "index": number(&line["transactionIndex"]),
        "hash": line["transactionHash"], "from": lower(&line["from"]), "status": number(&line["status"]),
        "gasUsed": number(&line["gasUsed"]), "cumulativeGasUsed": number(&line["cumulativeGasUsed"]),
        "contractAddress": lower(&line["contractAddress"]), "bloom": line["logsBloom"], "logs": logs,
    });
    (hash(&line["transactionHash"]), reduced)
}

/// A receipt in the shape of the recorded ones; with a bloom where `bloom` asks for it.
pub fn describe(receipt: &Receipt, block: u64, index: usize, sender: Address, bloom: bool) -> Value {
    let lower = |address: Address| format!("0x{}", hex::encode(address));
    let log = |log: &Log| {
        let topics: Vec<String> = log.topics.iter().map(ToString::to_string).collect();
        json!({"address": lower(log.address), "data": hex::encode_prefixed(&log.data), "topics": topics})
    };
    json!({
        "block": block, "index": index, "hash": receipt.transaction_hash.to_string(), "from": lower(sender),
        "status": u64::from(receipt.success), "gasUsed": receipt.gas_used,
        "cumulativeGasUsed": receipt.cumulative_gas_used, "contractAddress": receipt.contract_address.map(lower),
        "bloom": bloom.then(|| hex::encode_prefixed(receipt.bloom())),
        "logs": receipt.logs.iter().map(log).collect::<Vec<Value>>(),
    })
}
