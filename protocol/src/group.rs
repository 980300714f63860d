//! Groups: who makes numbers together, by one signed file that each operator accepts.
//!
//! A group is what its file says, no more and no less: its id is the BLAKE3 of the signed bytes, so that two nodes
//! that have the same id have the same members, the same time zone and the same cells. Nothing in these types can
//! name a command, a path or a private program.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::node::{Hash, NodeId, Nonce, Signature};
use crate::peer::{Signed, SignedBody};
use crate::{Category, Risk};

/// Owners of the smallest cohort that any group may have.
pub const COHORT_MIN: u16 = 5;

/// Owners of the smallest cohort that a new group has, unless it is told otherwise.
pub const COHORT_RECOMMENDED: u16 = 8;

/// Members of one group: its file stays below a frame, and its aggregator's work below a minute.
pub const MEMBERS_MAX: usize = 1000;

/// Tools of one group that have cells of their own.
pub const GROUP_TOOLS_MAX: usize = 96;

/// Rules of one group that have cells of their own.
pub const GROUP_RULES_MAX: usize = 64;

/// Groups that one node may be in.
pub const GROUPS_MAX: usize = 16;

/// Bytes of a group's name: one word, as a peer's.
pub const GROUP_NAME_BYTES_MAX: usize = 64;

/// Bytes of the name of a time zone.
pub const ZONE_BYTES_MAX: usize = 64;

/// Bytes of a tool's public name.
pub const TOOL_NAME_BYTES_MAX: usize = 32;

/// Bytes of a rule's id.
pub const RULE_ID_BYTES_MAX: usize = 64;

/// How a member's card begins as text.
pub const CARD_PREFIX: &str = "karo:card:";

/// The public half of the key that shares are sealed to: X25519, 32 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SealingKey(pub Hash);

/// A node's key and the key that is sealed to it, signed: all that a group file needs of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Card {
    /// Whose.
    pub node: NodeId,
    /// What shares for it are sealed to.
    pub sealing: SealingKey,
    /// The node's signature over [`CARD_DOMAIN`] and the sealing key.
    pub proof: Signature,
}

/// What is signed in a [`Card`] in front of the sealing key.
pub const CARD_DOMAIN: &[u8] = b"karo/1 sealing key\0";

/// Why a text is no card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotACard;

impl fmt::Display for NotACard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected {CARD_PREFIX} and 256 hexadecimal digits, as `karoctl group card` prints it")
    }
}

impl std::error::Error for NotACard {}

impl fmt::Display for Card {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{CARD_PREFIX}{}{}{}", Hash(self.node.0), self.sealing.0, self.proof)
    }
}

impl FromStr for Card {
    type Err = NotACard;

    fn from_str(text: &str) -> Result<Self, NotACard> {
        let digits = text.strip_prefix(CARD_PREFIX).ok_or(NotACard)?;
        let part = |from: usize, to: usize| digits.get(from..to).ok_or(NotACard);
        let hash = |from, to| part(from, to)?.parse::<Hash>().map_err(|_| NotACard);
        let proof = digits.get(128..).ok_or(NotACard)?.parse().map_err(|_| NotACard)?;
        Ok(Self { node: NodeId(hash(0, 64)?.0), sealing: SealingKey(hash(64, 128)?), proof })
    }
}

/// The name of a program that everybody may know: letters, digits and `. _ + -`, in lower case.
///
/// What is on the list of public tools is for `karo_core::public` to say, which alone makes one of a recorded name;
/// what comes off the wire is checked for its form only, and shown.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ToolName(String);

impl ToolName {
    /// Takes a name that is known to be public; `None` if it has not the form of one.
    pub fn new(name: &str) -> Option<Self> {
        let is_letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || ".+-_[".contains(c);
        let is_name = !name.is_empty() && name.len() <= TOOL_NAME_BYTES_MAX && name.chars().all(is_letter);
        is_name.then(|| Self(name.to_owned()))
    }

    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ToolName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl Serialize for ToolName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for ToolName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::new(&text).ok_or_else(|| serde::de::Error::custom("not the name of a public tool"))
    }
}

/// One machine of a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its key, the key that is sealed to it, and the proof that both are one's.
    pub card: Card,
    /// What its peers may call it.
    pub name: String,
    /// Whose it is. An owner counts once, however many machines they have.
    pub owner: String,
    /// Whether it is the one machine that gives its owner's numbers; the others of that owner give it theirs.
    pub contributes: bool,
    /// Whether it may add up: two of those do for each day.
    pub may_aggregate: bool,
    /// Where it can be reached, each `HOST:PORT`; may be empty.
    pub addresses: Vec<String>,
}

/// What a group is. Signed by whoever made it; accepted by each operator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupFile {
    /// What it is called: one word.
    pub name: String,
    /// The same in all versions of one group: drawn when it was begun.
    pub lineage: Nonce,
    /// Counts its versions, from 1.
    pub version: u64,
    /// Name of its time zone, as `Europe/Berlin`: in it a day is a day, and an hour an hour.
    pub zone: String,
    /// Fewer owners than that never make a number: [`COHORT_MIN`] at least.
    pub smallest_cohort: u16,
    /// Its machines, in the order of their keys; at most [`MEMBERS_MAX`].
    pub members: Vec<Member>,
    /// Tools that have cells of their own, in order, each under the one category in which it is counted there; at
    /// most [`GROUP_TOOLS_MAX`].
    pub tools: Vec<(ToolName, Category)>,
    /// Ids of rules that have cells of their own, in order, each under the one level at which it is counted there; at
    /// most [`GROUP_RULES_MAX`].
    pub rules: Vec<(String, Risk)>,
}

impl SignedBody for GroupFile {
    const NAME: &'static str = "group";

    /// Each of a thousand members takes some three hundred bytes.
    const BYTES_MAX: usize = 768 * 1024;
}

/// What members of a group say about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum GroupTalk {
    /// The sender's own card, so that it can be put into a group file.
    Card(Card),
    /// A group file that its operator accepted, for ours to look at: it is never accepted by itself.
    Offer(Signed),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_has_one_text() {
        let card =
            Card { node: NodeId([1; 32]), sealing: SealingKey(Hash([0xab; 32])), proof: Signature([3; 64]) };
        let text = card.to_string();
        assert_eq!(text.parse(), Ok(card));
        for wrong in [
            "",
            CARD_PREFIX,
            &text[..text.len() - 1],
            &text.replace("karo:card", "karo:cart"),
            &format!("{text}0"),
        ] {
            assert_eq!(wrong.parse::<Card>(), Err(NotACard), "{wrong}");
        }
    }

    #[test]
    fn a_tool_is_one_plain_word() {
        for name in ["git", "g++", "x86_64-linux-gnu-gcc", "["] {
            assert_eq!(ToolName::new(name).expect("a name").as_str(), name);
        }
        for name in ["", "Git", "./run", "a b", "/bin/ls", "caf\u{e9}", "a\u{1b}", &"a".repeat(33)] {
            assert_eq!(ToolName::new(name), None, "{name:?}");
        }
    }
}
