//! What trie work costs, beside the Keccak of the same bytes, which no trie can do without.

use std::collections::HashSet;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use polygon_edge_chain::state::{
    AccountChange, AccountFields, EMPTY_CODE_HASH, EMPTY_ROOT, NodeSource, StateError, StateReader,
};
use polygon_edge_chain::state_trie::{NewState, StateTrie, TrieOptions};
use polygon_edge_chain::trie::ordered_root;
use polygon_edge_chain::{Address, B256, U256, keccak256};

const ACCOUNTS: u64 = 100_000;
const CHANGES: u64 = 2_000;
const SLOTS: u64 = 50_000;
const SLOT_CHANGES: u64 = 500;

/// A database without anything: all is in memory.
struct Nothing;

impl NodeSource for Nothing {
    fn node(&self, _hash: &B256) -> Result<Option<Vec<u8>>, StateError> {
        Ok(None)
    }

    fn code(&self, _hash: &B256) -> Result<Option<Vec<u8>>, StateError> {
        Ok(None)
    }
}

/// Always the same numbers, without order.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }

    /// `count` different numbers below `limit`.
    fn different(&mut self, count: u64, limit: u64) -> Vec<u64> {
        let mut seen = HashSet::new();
        std::iter::repeat_with(|| self.below(limit)).filter(|&n| seen.insert(n)).take(count as usize).collect()
    }
}

fn address(number: u64) -> Address {
    Address::left_padding_from(&number.to_be_bytes())
}

fn transfer(number: u64, nonce: u64) -> AccountChange {
    let balance = U256::from(10).pow(U256::from(21)) - U256::from(nonce);
    AccountChange {
        address: address(number),
        account: Some(AccountFields { nonce, balance, code_hash: EMPTY_CODE_HASH }),
        storage_cleared: false,
        storage: Vec::new(),
        code: None,
    }
}

fn contract(slots: &[u64], value: u64) -> Vec<AccountChange> {
    let mut change = transfer(7, 1);
    change.storage = slots.iter().map(|slot| (U256::from(*slot), U256::from(value + slot + 1))).collect();
    vec![change]
}

fn state(parallel: bool, changes: &[AccountChange]) -> StateTrie {
    let options = TrieOptions { memory_budget: 1 << 30, parallel };
    let mut state = StateTrie::open(EMPTY_ROOT, Arc::new(Nothing), options).expect("the empty state is always there");
    apply(&mut state, changes);
    state
}

fn apply(state: &mut StateTrie, changes: &[AccountChange]) -> Arc<NewState> {
    state.apply(changes).expect("all nodes are in memory");
    let run = state.take_new_state();
    state.committed(&run);
    run
}

/// Processor time of this thread, so that a busy machine does not count; where the system does not tell, the clock.
fn thread_time(start: Instant) -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = text.split(' ').next().and_then(|first| first.parse().ok());
    nanoseconds.map_or_else(|| start.elapsed(), Duration::from_nanos)
}

/// Runs `blocks` blocks and prints nodes per second, beside Keccak alone over the same nodes.
fn compare(name: &str, state: &mut StateTrie, changes: impl FnMut(u64) -> Vec<AccountChange>, blocks: u64) {
    let changes: Vec<_> = (0..blocks).map(changes).collect();
    let start = Instant::now();
    let (before, clock_before) = (thread_time(start), Instant::now());
    let runs: Vec<_> = changes.iter().map(|changes| apply(state, changes)).collect();
    let (between, clock_between) = (thread_time(start), Instant::now());
    for run in &runs {
        for (_, node) in run.nodes() {
            black_box(keccak256(node));
        }
    }
    let after = thread_time(start);
    let nodes: usize = runs.iter().map(|run| run.nodes().len()).sum();
    let bytes: usize = runs.iter().map(|run| run.node_bytes()).sum();
    let rate = |time: Duration| nodes as f64 / time.as_secs_f64();
    println!(
        "{name}: {nodes} nodes, {bytes} bytes, {} bytes in memory; {:.0} nodes/s by the clock, {:.0} by processor \
         time of this thread; Keccak alone {:.0} nodes/s by processor time",
        state.memory(),
        rate(clock_between - clock_before),
        rate(between - before),
        rate(after - between),
    );
}

fn accounts(criterion: &mut Criterion) {
    let all: Vec<_> = (0..ACCOUNTS).map(|number| transfer(number, 0)).collect();
    let mut group = criterion.benchmark_group("accounts");
    for parallel in [false, true] {
        let mut state = state(parallel, &all);
        let mut numbers = Numbers(1);
        let mut block = |block| {
            numbers.different(CHANGES, ACCOUNTS).into_iter().map(|n| transfer(n, block + 1)).collect::<Vec<_>>()
        };
        let name = if parallel { "two threads" } else { "one thread" };
        compare(&format!("accounts, {name}"), &mut state, &mut block, 200);
        let mut height = 200;
        group.sample_size(20).throughput(Throughput::Elements(CHANGES)).bench_function(name, |bencher| {
            bencher.iter_batched(
                || {
                    height += 1;
                    block(height)
                },
                |changes| apply(&mut state, &changes),
                BatchSize::PerIteration,
            );
        });
    }
    let mut state = state(false, &all);
    let mut numbers = Numbers(2);
    group.throughput(Throughput::Elements(CHANGES)).bench_function("reads", |bencher| {
        bencher.iter_batched(
            || numbers.different(CHANGES, ACCOUNTS),
            |block| {
                let mut reader = state.reader(|_| Ok(B256::ZERO));
                for number in block {
                    black_box(reader.account(&address(number)).expect("all nodes are in memory"));
                }
            },
            BatchSize::PerIteration,
        );
    });
}

fn storage(criterion: &mut Criterion) {
    let mut state = state(false, &contract(&(0..SLOTS).collect::<Vec<_>>(), 0));
    let mut numbers = Numbers(3);
    let mut block = |block| contract(&numbers.different(SLOT_CHANGES, SLOTS), block + 1);
    compare("storage", &mut state, &mut block, 200);
    let mut height = 200;
    let mut group = criterion.benchmark_group("storage");
    group.sample_size(20).throughput(Throughput::Elements(SLOT_CHANGES)).bench_function("one contract", |bencher| {
        bencher.iter_batched(
            || {
                height += 1;
                block(height)
            },
            |changes| apply(&mut state, &changes),
            BatchSize::PerIteration,
        );
    });
}

fn ordered(criterion: &mut Criterion) {
    let items: Vec<[u8; 110]> = (0..1000u32)
        .map(|index| {
            let mut item = [0xaa; 110];
            item[..4].copy_from_slice(&index.to_be_bytes());
            item
        })
        .collect();
    let mut group = criterion.benchmark_group("ordered root");
    group.throughput(Throughput::Elements(1000));
    group.bench_function("1000 transactions", |bencher| bencher.iter(|| ordered_root(black_box(&items))));
    group.bench_function("Keccak of 1000 transactions", |bencher| {
        bencher.iter(|| items.iter().for_each(|item| _ = black_box(keccak256(item))));
    });
}

criterion_group!(benches, accounts, storage, ordered);
criterion_main!(benches);
