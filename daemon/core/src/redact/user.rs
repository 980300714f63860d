//! What the user says: patterns of secrets that no table knows, and texts that are never cut.

use std::borrow::Cow;
use std::ops::Range;

use karo_protocol::config::Expression;
use karo_protocol::event::Secret;

use super::Found;
use super::found::Rank;

/// Matches that one pattern may have in one text, as each may be a pass over what is left of it: a text with more
/// is cut from there on.
const MATCHES_MAX: usize = 256;

/// Texts that are never cut.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Allowed<'a>(pub(super) &'a [Expression]);

impl Allowed<'_> {
    /// Tells whether a pattern describes all of a secret.
    pub(super) fn is_allowed(self, text: &[u8], secret: &Range<usize>) -> bool {
        self.0.iter().any(|allowed| allowed.matches(&text[secret.clone()]))
    }
}

/// Finds what the user's own patterns describe: their first group, or all that they match.
pub(super) fn find(found: &mut Found<'_>, extra: &[Expression]) {
    for pattern in extra {
        let mut at = 0;
        let reason = || Cow::Owned(format!("pattern {} of [redact] extra", pattern.source()));
        for count in 0.. {
            let Some(secret) = pattern.find(found.text, at) else { break };
            if count == MATCHES_MAX {
                found.push(at..found.text.len(), Secret::Custom, Rank::User, reason);
                break;
            }
            at = secret.whole.end.max(at + 1);
            found.push(secret.group.unwrap_or(secret.whole), Secret::Custom, Rank::User, reason);
        }
    }
}
