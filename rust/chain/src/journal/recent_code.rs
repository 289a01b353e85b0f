//! The cache that lets destroyed code run (§6.7.3).

use std::sync::Arc;

use super::AccountIndex;
use crate::evm::code::Code;

/// The most recently read codes of a block, by account, whatever has become of the account (§6.7.3).
#[derive(Clone, Debug, Default)]
pub(super) struct RecentCode {
    /// Most recent last.
    entries: Vec<(AccountIndex, Option<Arc<Code>>)>,
}

impl RecentCode {
    const CAPACITY: usize = 20;

    /// The code last read for `account`, if it is still kept; it becomes the most recent.
    pub(super) fn get(&mut self, account: AccountIndex) -> Option<Option<Arc<Code>>> {
        let last = self.entries.len().checked_sub(1)?;
        let found = self.entries.iter().rposition(|(index, _)| *index == account)?;
        if found != last {
            self.entries[found..].rotate_left(1);
        }
        Some(self.entries[last].1.clone())
    }

    /// Keeps a code, and forgets the least recent one when there are too many.
    pub(super) fn add(&mut self, account: AccountIndex, code: Option<Arc<Code>>) {
        if self.entries.len() == Self::CAPACITY {
            self.entries.remove(0);
        }
        self.entries.push((account, code));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_twentieth_other_code_drives_out_the_least_recently_used() {
        let mut recent = RecentCode::default();
        (0..20).for_each(|index| recent.add(AccountIndex(index), None));
        assert!(recent.get(AccountIndex(0)).is_some(), "and it is the most recent now");
        recent.add(AccountIndex(20), None);
        let kept: Vec<u32> = (0..21).filter(|index| recent.get(AccountIndex(*index)).is_some()).collect();
        assert_eq!(kept, [0].into_iter().chain(2..21).collect::<Vec<u32>>());
    }
}
