//! What a contributor gave of each day, so that no day is ever given in two ways.
//!
//! Two groups that differ by one owner are that owner, if both get the same day. So a day is given to one group
//! only, once, ever, and with the same numbers; a report that got lost may be made again, and nothing else.
//! A machine that feeds its owner's contributing machine keeps the same ledger: else an owner of two machines could
//! be counted in two groups. On disk before anything leaves; never forgotten.

use karo_protocol::atom::AtomReason;
use karo_protocol::node::{Hash, Nonce};

/// What was given of one day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Given {
    /// To which group, by the hash of its file.
    pub group: Hash,
    /// The hash of the numbers ([`super::counts::DayCounts::hash`]).
    pub table: Hash,
    /// The latest report that was made of them.
    pub report: Nonce,
}

/// Decides whether a day may be given, by what was given of it before.
///
/// # Errors
///
/// [`AtomReason::GivenElsewhere`] and [`AtomReason::Changed`].
pub fn may_give(before: Option<&Given>, group: Hash, table: Hash) -> Result<(), AtomReason> {
    let Some(before) = before else { return Ok(()) };
    if before.group != group {
        return Err(AtomReason::GivenElsewhere);
    }
    if before.table != table {
        return Err(AtomReason::Changed);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_given_to_one_group_with_one_table() {
        let (group, table) = (Hash([1; 32]), Hash([2; 32]));
        assert_eq!(may_give(None, group, table), Ok(()));
        let before = Given { group, table, report: Nonce([3; 16]) };
        assert_eq!(may_give(Some(&before), group, table), Ok(()));
        assert_eq!(may_give(Some(&before), Hash([9; 32]), table), Err(AtomReason::GivenElsewhere));
        assert_eq!(may_give(Some(&before), group, Hash([9; 32])), Err(AtomReason::Changed));
    }
}
