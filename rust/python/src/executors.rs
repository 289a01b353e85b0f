//! Executors that calls share, one at a time each.

use std::sync::Mutex;

use polygon_edge_chain::{execute::Executor, forks::Rules};

use crate::lock::lock;

/// Executors that no call uses at the moment, with the code they have analysed.
#[derive(Default)]
pub(crate) struct IdleExecutors(Mutex<Vec<Executor>>);

impl IdleExecutors {
    /// How many are kept; more calls than that at once pay for analysing code again.
    const KEPT: usize = 4;
    /// Bytes of analysed code that each keeps.
    const CODE: usize = 8 << 20;

    /// One that executes by `rules`, with the code it has analysed before where there is such a one.
    pub(crate) fn take(&self, rules: &Rules) -> Executor {
        let idle = lock(&self.0).pop().filter(|executor| executor.rules() == rules);
        idle.unwrap_or_else(|| Executor::with_code_bound(rules, Self::CODE))
    }

    /// Keeps `executor` for the next call.
    pub(crate) fn give_back(&self, mut executor: Executor) {
        executor.release_frames();
        let mut idle = lock(&self.0);
        if idle.len() < Self::KEPT {
            idle.push(executor);
        }
    }
}
