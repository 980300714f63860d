//! `[sharing]`: what of this machine goes to whom, where no command says otherwise.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{ConfigError, ToToml, comment, one_of, refused};
use crate::category::CategorySet;
use crate::policy::{PEER_POLICIES_MAX, PeerPolicy, Policy};
use crate::{Category, NodeId};

table! {
    /// What of this machine goes to others. `karoctl policy` shows what holds, previews what a peer would get to the
    /// byte, and changes it at once. A denial beats everything that allows, wherever it stands.
    SharingTable {
        /// Whether summaries are made, and sent to peers with "share-to", "query-from" or "peer". A summary is about
        /// you: how much you did at which hour, with which kinds of tools, how often it failed, how risky it was.
        summaries: bool = false,
        /// Whether this machine takes part in the numbers of the groups it has accepted. Nobody learns what you gave:
        /// two machines add up sealed shares, and only sums of at least five people are ever opened.
        groups: bool = false,
        /// Whether peers with "peer" or "supervisor" may ask for version, link, clock and store; nothing that you did.
        health: bool = true,
        /// Categories whose commands are told of; all of them when empty. Example: ["build", "vcs"].
        allow: Vec<String> = Vec::new(),
        /// Categories whose commands are not told of, whatever is allowed; in groups they count as nothing.
        /// Example: ["security", "database"].
        deny: Vec<String> = Vec::new(),
    }
    besides {
        /// `[[sharing.peers]]`.
        peers: Vec<SharingPeerTable>,
    }
}

table! {
    /// One such table for each peer that gets less than its trust allows; at most 1024.
    SharingPeerTable {
        /// Its key, as `karoctl identity show` prints it on that machine.
        node_id: String = String::new(),
        /// Whether summaries go to it, where its trust allows that.
        summaries: bool = true,
        /// Whether it is told health, where its trust allows that.
        health: bool = true,
        /// Categories whose commands it is not told of.
        deny: Vec<String> = Vec::new(),
    }
}

impl SharingTable {
    pub(super) fn check(&self) -> Result<Policy, ConfigError> {
        if self.peers.len() > PEER_POLICIES_MAX {
            let accepted = format!("at most {PEER_POLICIES_MAX} peers");
            return Err(refused("sharing.peers", format_args!("{} peers", self.peers.len()), accepted));
        }
        let mut peers = BTreeMap::new();
        for (place, table) in self.peers.iter().enumerate() {
            let (node, policy) = table.check(place)?;
            if peers.insert(node, policy).is_some() {
                let key = format!("sharing.peers[{place}].node_id");
                return Err(refused(key, node, "a key that no other of these tables has"));
            }
        }
        Ok(Policy {
            summaries: self.summaries,
            groups: self.groups,
            health: self.health,
            allow: categories("sharing.allow", &self.allow)?,
            deny: categories("sharing.deny", &self.deny)?,
            peers,
        })
    }
}

impl SharingPeerTable {
    fn check(&self, place: usize) -> Result<(NodeId, PeerPolicy), ConfigError> {
        let key = |field: &str| format!("sharing.peers[{place}].{field}");
        let node = self.node_id.parse().map_err(|error: crate::node::NotANodeId| {
            let text = error.to_string();
            refused(key("node_id"), format_args!("{:?}", self.node_id), text.trim_start_matches("expected "))
        })?;
        let deny = categories(&key("deny"), &self.deny)?;
        Ok((node, PeerPolicy { no_summaries: !self.summaries, no_health: !self.health, deny }))
    }
}

fn categories(list: &str, names: &[String]) -> Result<CategorySet, ConfigError> {
    let category = |(place, name): (usize, &String)| {
        name.parse::<Category>().map_err(|error| {
            refused(format!("{list}[{place}]"), format_args!("{name:?}"), one_of(&error.expected))
        })
    };
    names.iter().enumerate().map(category).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "karo:ed25519:11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";

    #[test]
    fn nothing_about_a_person_is_shared_until_told_so() {
        assert_eq!(SharingTable::default().check(), Ok(Policy::default()));
        assert_eq!((Policy::default().summaries, Policy::default().groups), (false, false));
    }

    #[test]
    fn tables_become_a_policy() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let table = SharingTable {
            summaries: true,
            groups: true,
            health: false,
            allow: names(&["vcs", "build"]),
            deny: names(&["security"]),
            peers: vec![SharingPeerTable { summaries: false, deny: names(&["remote"]), ..peer() }],
        };
        let policy = table.check().expect("all of it is right");
        let kept_back = PeerPolicy {
            no_summaries: true,
            no_health: false,
            deny: [Category::Remote].into_iter().collect(),
        };
        let expected = Policy {
            summaries: true,
            groups: true,
            health: false,
            allow: [Category::Build, Category::Vcs].into_iter().collect(),
            deny: [Category::Security].into_iter().collect(),
            peers: [(KEY.parse().expect("it is a key"), kept_back)].into(),
        };
        assert_eq!(policy, expected);
    }

    #[test]
    fn refusals_name_key_value_and_range() {
        type Change = fn(&mut SharingTable);
        let one_of = Category::ALL.iter().map(|category| category.name()).collect::<Vec<_>>().join(", ");
        let unknown = |key: &str| format!("{key} is \"games\", accepted is one of {one_of}");
        let cases: [(Change, String); 6] = [
            (|t| t.allow = vec!["vcs".to_owned(), "games".to_owned()], unknown("sharing.allow[1]")),
            (|t| t.deny = vec!["games".to_owned()], unknown("sharing.deny[0]")),
            (|t| t.peers[0].deny = vec!["games".to_owned()], unknown("sharing.peers[0].deny[0]")),
            (
                |t| t.peers[0].node_id = "laptop".to_owned(),
                "sharing.peers[0].node_id is \"laptop\", accepted is karo:ed25519: and 43 letters of base64url"
                    .to_owned(),
            ),
            (
                |t| t.peers = vec![peer(), peer()],
                format!("sharing.peers[1].node_id is {KEY}, accepted is a key that no other of these tables has"),
            ),
            (
                |t| t.peers = vec![peer(); 1025],
                "sharing.peers is 1025 peers, accepted is at most 1024 peers".to_owned(),
            ),
        ];
        for (change, expected) in cases {
            let mut table = SharingTable { peers: vec![peer()], ..SharingTable::default() };
            change(&mut table);
            let refusal = table.check().expect_err("the value is out of its range");
            assert_eq!(refusal.to_string(), expected);
        }
    }

    fn peer() -> SharingPeerTable {
        SharingPeerTable { node_id: KEY.to_owned(), ..SharingPeerTable::default() }
    }
}
