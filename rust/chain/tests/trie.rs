//! The trie against its slow twin, against published vectors, and against broken databases.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod twin;

use std::collections::BTreeMap;

use polygon_edge_chain::state::{EMPTY_ROOT, StateError};
use polygon_edge_chain::trie::{Entries, NodeBuffer, Trie, ordered_root};
use polygon_edge_chain::{B256, keccak256};
use proptest::prelude::*;
use twin::{Memory, slow_list, slow_root, slow_string};

/// Keys that share long stretches, so that extensions, embedded nodes and deep collapses occur.
fn key() -> impl Strategy<Value = B256> {
    let dense = (0usize..4, prop::collection::vec(0u8..3, 4)).prop_map(|(place, bytes)| {
        let mut key = B256::repeat_byte(0x11);
        let start = [0, 13, 20, 28][place];
        key[start..start + 4].copy_from_slice(&bytes);
        key
    });
    let spread = any::<u8>().prop_map(|seed| keccak256([seed]));
    prop_oneof![3 => dense, 1 => spread]
}

#[derive(Clone, Debug)]
enum Step {
    Insert(B256, Vec<u8>),
    Delete(B256),
    Commit,
    Unload(u32),
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let value = prop_oneof![
        3 => prop::collection::vec(any::<u8>(), 1..3),
        1 => prop::collection::vec(any::<u8>(), 28..80),
    ];
    prop_oneof![
        8 => (key(), value).prop_map(|(key, value)| Step::Insert(key, value)),
        5 => key().prop_map(Step::Delete),
        2 => Just(Step::Commit),
        1 => (0u32..4).prop_map(Step::Unload),
        1 => Just(Step::Reopen),
    ]
}

fn pairs(model: &BTreeMap<B256, Vec<u8>>) -> BTreeMap<Vec<u8>, Vec<u8>> {
    model.iter().map(|(key, value)| (key.to_vec(), value.clone())).collect()
}

fn commit(trie: &mut Trie, source: &Memory) -> B256 {
    let mut out = NodeBuffer::default();
    let root = trie.commit(&mut out, false);
    source.add(out.iter());
    for (hash, node) in out.iter() {
        assert_eq!(*hash, keccak256(node));
        assert!(node.len() >= 32 || *hash == root);
    }
    root
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_sequence_of_changes_gives_the_root_of_the_slow_twin(steps in prop::collection::vec(step(), 1..120)) {
        let source = Memory::default();
        let mut trie = Trie::empty();
        let mut model = BTreeMap::new();
        let mut epoch = 4;
        for step in steps {
            epoch += 1;
            trie.set_epoch(epoch);
            match step {
                Step::Insert(key, value) => {
                    let changed = trie.insert(&key, &value, &source).unwrap();
                    prop_assert_eq!(changed, model.insert(key, value.clone()) != Some(value));
                }
                Step::Delete(key) => {
                    prop_assert_eq!(trie.delete(&key, &source).unwrap(), model.remove(&key).is_some());
                }
                Step::Commit => prop_assert_eq!(commit(&mut trie, &source), slow_root(&pairs(&model))),
                Step::Unload(age) => trie.unload(epoch + 1 - age),
                Step::Reopen => trie = Trie::open(commit(&mut trie, &source)),
            }
            if let Some((key, value)) = model.first_key_value() {
                prop_assert_eq!(trie.get(key, &source).unwrap(), Some(&**value));
            }
        }
        let root = commit(&mut trie, &source);
        prop_assert_eq!(root, slow_root(&pairs(&model)));
        prop_assert!(!trie.is_dirty());
        for key in model.keys() {
            prop_assert_eq!(trie.get(key, &source).unwrap(), model.get(key).map(|value| &**value));
        }
        let entries: Vec<_> = Entries::new(root, &source).map(|entry| entry.unwrap()).collect();
        prop_assert_eq!(entries, model.into_iter().map(|(k, v)| (k, v.into_boxed_slice())).collect::<Vec<_>>());
    }

    #[test]
    fn a_key_that_is_not_there_is_not_found(keys in prop::collection::btree_set(key(), 1..40), other in key()) {
        let source = Memory::default();
        let mut trie = Trie::empty();
        for key in &keys {
            trie.insert(key, &[1], &source).unwrap();
        }
        let mut trie = Trie::open(commit(&mut trie, &source));
        prop_assert_eq!(trie.get(&other, &source).unwrap().is_some(), keys.contains(&other));
        prop_assert_eq!(trie.delete(&other, &source).unwrap(), keys.contains(&other));
    }

    #[test]
    fn inserting_and_deleting_leaves_the_nodes_as_they_were(
        keys in prop::collection::btree_set(key(), 2..40),
        other in key(),
    ) {
        prop_assume!(!keys.contains(&other));
        let source = Memory::default();
        let mut trie = Trie::empty();
        for key in &keys {
            trie.insert(key, key.as_slice(), &source).unwrap();
        }
        let root = commit(&mut trie, &source);
        // From here on every collapse meets siblings that are not in memory.
        let mut trie = Trie::open(root);
        trie.insert(&other, &[7], &source).unwrap();
        let mut trie = Trie::open(commit(&mut trie, &source));
        trie.delete(&other, &source).unwrap();
        prop_assert_eq!(commit(&mut trie, &source), root);
        for key in &keys {
            trie.delete(key, &source).unwrap();
        }
        prop_assert_eq!(commit(&mut trie, &source), EMPTY_ROOT);
    }

    #[test]
    fn ordered_roots_are_those_of_the_slow_twin(items in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..300)) {
        let pairs = items.iter().enumerate().map(|(index, item)| (slow_index(index), item.clone())).collect();
        prop_assert_eq!(ordered_root(&items), slow_root(&pairs));
    }

    #[test]
    fn no_bytes_of_a_node_make_it_panic(data in prop::collection::vec(any::<u8>(), 0..80), key in key()) {
        broken_root(data, &key);
    }

    #[test]
    fn no_list_of_items_makes_it_panic(
        items in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..35), 0..19),
        lists in any::<u32>(),
        key in key(),
    ) {
        let items: Vec<_> = items.iter().enumerate().map(|(index, bytes)| {
            if lists >> index & 1 == 1 { slow_list(&[slow_string(bytes)]) } else { slow_string(bytes) }
        }).collect();
        broken_root(slow_list(&items), &key);
        broken_root(slow_list(&items[..items.len().min(2)]), &key);
    }

    #[test]
    fn one_changed_byte_in_one_node_never_makes_it_panic(
        keys in prop::collection::btree_set(key(), 2..20),
        victim in any::<prop::sample::Index>(),
        place in any::<prop::sample::Index>(),
        flip in 1u8..,
    ) {
        let source = Memory::default();
        let mut trie = Trie::empty();
        let mut out = NodeBuffer::default();
        for key in &keys {
            trie.insert(key, &[1, 2], &source).unwrap();
        }
        let root = trie.commit(&mut out, false);
        source.add(out.iter());
        let (hash, node) = out.get(victim.index(out.len()));
        let mut node = node.to_vec();
        let place = place.index(node.len());
        node[place] ^= flip;
        // Every node is reachable, so reading everything has to meet the broken one.
        source.nodes.lock().unwrap().insert(*hash, node.clone());
        let is_reported = |entry: &Result<_, StateError>| matches!(entry, Err(StateError::BadNode { hash: bad, .. }) if bad == hash);
        prop_assert!(Entries::new(root, &source).any(|entry| is_reported(&entry)));
        // A root made of the broken node itself passes the check of its hash, and is then read as what it is.
        broken_root(node, keys.first().unwrap());
    }
}

/// Everything that reads, on a root of which only this node exists: errors, or works; either way it comes back.
fn broken_root(data: Vec<u8>, key: &B256) {
    let source = Memory::default();
    let root = keccak256(&data);
    source.nodes.lock().unwrap().insert(root, data);
    let is_expected = |error: &StateError| matches!(error, StateError::BadNode { .. } | StateError::MissingNode { .. });
    let outcomes = [
        Trie::open(root).get(key, &source).map(|_| false),
        Trie::open(root).insert(key, &[1], &source),
        Trie::open(root).delete(key, &source),
        Entries::new(root, &source).try_for_each(|entry| entry.map(|_| ())).map(|()| false),
    ];
    assert!(outcomes.iter().all(|outcome| outcome.as_ref().err().is_none_or(is_expected)));
    let mut trie = Trie::open(root);
    if trie.delete(key, &source).is_ok() {
        trie.commit(&mut NodeBuffer::default(), false);
    }
}

fn slow_index(index: usize) -> Vec<u8> {
    slow_string(&index.to_be_bytes().into_iter().skip_while(|&byte| byte == 0).collect::<Vec<u8>>())
}

#[test]
fn ordered_roots_at_every_length_where_keys_grow() {
    for count in [0, 1, 2, 16, 127, 128, 129, 130, 255, 256, 257, 1000, 65_537] {
        let items: Vec<Vec<u8>> = (0..count).map(|index| vec![index as u8; 1 + index % 50]).collect();
        let pairs = items.iter().enumerate().map(|(index, item)| (slow_index(index), item.clone())).collect();
        assert_eq!(ordered_root(&items), slow_root(&pairs), "{count} items");
    }
}

#[test]
fn the_empty_trie_has_the_empty_root_and_no_nodes() {
    let source = Memory::default();
    let mut out = NodeBuffer::default();
    assert_eq!(Trie::empty().commit(&mut out, false), EMPTY_ROOT);
    assert_eq!(ordered_root::<&[u8]>(&[]), EMPTY_ROOT);
    let mut trie = Trie::open(EMPTY_ROOT);
    assert_eq!(trie.get(&B256::ZERO, &source).unwrap(), None);
    trie.insert(&B256::ZERO, &[1], &source).unwrap();
    assert!(trie.is_dirty());
    trie.delete(&B256::ZERO, &source).unwrap();
    assert_eq!(trie.commit(&mut out, false), EMPTY_ROOT);
    assert!(out.is_empty());
    assert_eq!(source.reads(), 0);
}

/// Ethereum's TrieTests, trieanyorder_secureTrie.json: keys are hashed.
#[test]
fn published_secure_trie_vectors() {
    let vectors: [(&[(&str, &str)], &str); 4] = [
        (
            &[("A", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")],
            "e9e2935138352776cad724d31c9fa5266a5c593bb97726dd2a908fe6d53284df",
        ),
        (
            &[("doe", "reindeer"), ("dog", "puppy"), ("dogglesworth", "cat")],
            "d4cd937e4a4368d7931a9cf51686b7e10abb3dce38a39000fd7902a092b64585",
        ),
        (
            &[("do", "verb"), ("horse", "stallion"), ("doge", "coin"), ("dog", "puppy")],
            "29b235a58c3c25ab83010c327d5932bcf05324b7d6b1185e650798034783ca9d",
        ),
        (&[("foo", "bar"), ("food", "bass")], "1385f23a33021025d9e87cca5c66c00de06178807b96a9acc92b7d651ccde842"),
    ];
    for (pairs, root) in vectors {
        for is_reversed in [false, true] {
            let source = Memory::default();
            let mut trie = Trie::empty();
            let mut pairs = pairs.to_vec();
            if is_reversed {
                pairs.reverse();
            }
            for (key, value) in pairs {
                trie.insert(&keccak256(key), value.as_bytes(), &source).unwrap();
            }
            assert_eq!(commit(&mut trie, &source), root.parse::<B256>().unwrap());
        }
    }
}

#[test]
fn a_second_walk_and_an_unchanged_value_cost_no_reads_and_no_nodes() {
    let source = Memory::default();
    let mut trie = Trie::empty();
    for index in 0..1000u32 {
        trie.insert(&keccak256(index.to_be_bytes()), &[7; 70], &source).unwrap();
    }
    let mut trie = Trie::open(commit(&mut trie, &source));
    let key = keccak256(5u32.to_be_bytes());
    assert!(trie.get(&key, &source).unwrap().is_some());
    let reads = source.reads();
    assert!((3..8).contains(&reads), "{reads} reads");
    assert!(!trie.insert(&key, &[7; 70], &source).unwrap());
    let mut out = NodeBuffer::default();
    trie.commit(&mut out, false);
    assert!(out.is_empty());
    assert!(trie.insert(&key, &[8; 70], &source).unwrap());
    trie.commit(&mut out, false);
    assert_eq!(out.len(), reads, "the nodes on the way, and no others");
    assert_eq!(source.reads(), reads);
}

#[test]
fn a_collapse_reads_the_sibling_that_is_left() {
    let source = Memory::default();
    let (left, right) = (B256::repeat_byte(0x11), B256::repeat_byte(0x22));
    let mut trie = Trie::empty();
    trie.insert(&left, &[1; 40], &source).unwrap();
    trie.insert(&right, &[2; 40], &source).unwrap();
    let root = commit(&mut trie, &source);
    let mut trie = Trie::open(root);
    trie.delete(&left, &source).unwrap();
    assert_eq!(source.reads(), 3);
    assert_eq!(commit(&mut trie, &source), slow_root(&BTreeMap::from([(right.to_vec(), vec![2; 40])])));

    let missing = Trie::open(root).get(&right, &source).map(|_| keccak256(slow_leaf(&right, &[2; 40]))).unwrap();
    source.nodes.lock().unwrap().remove(&missing).unwrap();
    let error = Trie::open(root).delete(&left, &source).unwrap_err();
    assert_eq!(error, StateError::MissingNode { hash: missing, root });
}

/// The leaf below a branch at the root: the first nibble is gone.
fn slow_leaf(key: &B256, value: &[u8]) -> Vec<u8> {
    let mut path = key.to_vec();
    path[0] = 0x30 | path[0] & 0x0f;
    slow_list(&[slow_string(&path), slow_string(value)])
}

#[test]
fn a_node_under_a_wrong_hash_is_bad() {
    let source = Memory::default();
    let mut trie = Trie::empty();
    trie.insert(&B256::ZERO, &[1; 40], &source).unwrap();
    commit(&mut trie, &source);
    let node = source.nodes.lock().unwrap().values().next().unwrap().clone();
    let elsewhere = B256::repeat_byte(9);
    source.nodes.lock().unwrap().insert(elsewhere, node);
    let error = Trie::open(elsewhere).get(&B256::ZERO, &source).unwrap_err();
    assert!(matches!(error, StateError::BadNode { hash, .. } if hash == elsewhere), "{error}");
}

#[test]
fn hashing_on_threads_gives_the_same_root_and_the_same_nodes() {
    let source = Memory::default();
    let mut outcomes = [false, true].map(|parallel| {
        let mut trie = Trie::empty();
        let mut out = NodeBuffer::default();
        for round in 0..3u32 {
            for index in 0..1000u32 {
                trie.insert(&keccak256((index + round * 700).to_be_bytes()), &round.to_be_bytes(), &source).unwrap();
            }
            trie.commit(&mut out, parallel);
        }
        (trie.root(), out.iter().map(|(hash, node)| (*hash, node.to_vec())).collect::<Vec<_>>())
    });
    assert!(outcomes[0].1.len() > 3000);
    outcomes.iter_mut().for_each(|outcome| outcome.1.sort());
    assert_eq!(outcomes[0], outcomes[1]);
}

#[test]
fn unloading_frees_what_was_not_used_and_keeps_what_changed() {
    let source = Memory::default();
    let mut trie = Trie::empty();
    for index in 0..1000u32 {
        trie.insert(&keccak256(index.to_be_bytes()), &[7; 70], &source).unwrap();
    }
    commit(&mut trie, &source);
    trie.unload(0);
    let full = trie.memory();
    trie.set_epoch(1);
    trie.insert(&keccak256([9]), &[1], &source).unwrap();
    trie.unload(1);
    let kept = trie.memory();
    assert!(kept > 0 && kept < full / 20, "{kept} of {full} bytes");
    trie.unload(2);
    assert_eq!(trie.memory(), kept, "changes stay");
    commit(&mut trie, &source);
    trie.unload(2);
    assert_eq!(trie.memory(), 0);
    assert_eq!(trie.get(&keccak256([9]), &source).unwrap(), Some(&[1][..]));
}
