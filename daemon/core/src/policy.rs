//! What of this machine goes to whom: one decision for each kind of sharing and each peer, and the rule that made it.
//!
//! The configuration and what was set by command make one [`Policy`]: a switch or a list that was set by command goes
//! before the configuration's, and denials of both are added up. A denial beats whatever allows. The one decision,
//! [`decide`], is what is done and what is explained, so that they cannot differ.
//!
//! It does not know the roster, and tells nobody anything.

use karo_protocol::category::CategorySet;
use karo_protocol::policy::{
    PEER_POLICIES_MAX, PeerPolicy, Policy, PolicyChange, PolicyExplained, PolicyReason, PolicySet, Sharing,
};
use karo_protocol::{Category, NodeId, Trust};

/// What the switch of summaries says about a person, shown when it is on and before.
pub const MEANING_OF_SUMMARIES: &str = "A summary is about you: it shows to each peer that you trust with it how \
many commands you ran in each hour, day and week, when you worked and when you did not, with which kinds of commands \
and which publicly known programs, how often they failed, how long they took, and how risky they looked. It shows no \
command, no path, no host, and no program of your own. A peer that is new gets the last day by the hour, and the last \
35 days by day and week, and keeps what it gets for up to a year. When you delete something or deny a category, a newer \
version is sent in the place of what was told; nobody can make a peer forget what it has seen.";

/// What the switch of groups says about a person.
pub const MEANING_OF_GROUPS: &str = "In a group nobody learns your numbers: two machines of different people add up \
sealed shares of everybody's day, and only sums of at least five people are ever opened. If those two machines work \
together, they can learn what you gave.";

/// What the switch of health says about a person.
pub const MEANING_OF_HEALTH: &str = "Health shows the version of Karo, the links, the clock and the store of this \
machine to peers with `peer` or `supervisor`. It shows nothing that you did, but that the machine is on.";

/// To whom something would go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receiver<'a> {
    /// Its key.
    pub node: NodeId,
    /// What it is called here.
    pub name: &'a str,
    /// What it is trusted with at this moment.
    pub trust: Trust,
}

/// Why a change of the policy is not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooManyPeers;

impl std::fmt::Display for TooManyPeers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{PEER_POLICIES_MAX} peers have rules of their own, and no more may have")
    }
}

impl std::error::Error for TooManyPeers {}

/// Returns what holds, of what the configuration says and of what was set by command.
pub fn in_force(configured: &Policy, set: &PolicySet) -> Policy {
    let mut peers = configured.peers.clone();
    for (node, more) in &set.peers {
        let policy = peers.entry(*node).or_default();
        *policy = stricter(*policy, *more);
    }
    Policy {
        summaries: set.summaries.unwrap_or(configured.summaries),
        groups: set.groups.unwrap_or(configured.groups),
        health: set.health.unwrap_or(configured.health),
        allow: set.allow.unwrap_or(configured.allow),
        deny: union(configured.deny, set.deny),
        peers,
    }
}

/// Returns what is set once a change is made; `peer` is whom a change of that kind is about.
///
/// # Errors
///
/// [`TooManyPeers`]; then nothing is changed.
pub fn changed(
    set: &PolicySet,
    change: &PolicyChange,
    peer: Option<NodeId>,
) -> Result<PolicySet, TooManyPeers> {
    let mut set = set.clone();
    match change {
        PolicyChange::Switch { what: Sharing::Summaries, to } => set.summaries = *to,
        PolicyChange::Switch { what: Sharing::Groups, to } => set.groups = *to,
        PolicyChange::Switch { what: Sharing::Health, to } => set.health = *to,
        PolicyChange::Allow(allow) => set.allow = *allow,
        PolicyChange::Deny(deny) => set.deny = *deny,
        PolicyChange::Peer { peer: _, policy } => {
            let Some(node) = peer else { return Ok(set) };
            if *policy == PeerPolicy::default() {
                set.peers.remove(&node);
            } else if set.peers.len() >= PEER_POLICIES_MAX && !set.peers.contains_key(&node) {
                return Err(TooManyPeers);
            } else {
                set.peers.insert(node, *policy);
            }
        }
    }
    Ok(set)
}

/// Returns the categories that are told to nobody, nor counted in groups.
pub fn kept_back(policy: &Policy) -> CategorySet {
    let is_listed = policy.allow != CategorySet::default();
    let is_kept = |category: &Category| {
        is_listed && !policy.allow.contains(*category) || policy.deny.contains(*category)
    };
    Category::ALL.iter().copied().filter(is_kept).collect()
}

/// Returns the categories that are not told to that peer.
pub fn kept_back_from(policy: &Policy, peer: &NodeId) -> CategorySet {
    let of_peer = policy.peers.get(peer).map(|peer| peer.deny).unwrap_or_default();
    union(kept_back(policy), of_peer)
}

/// Tells whether what was kept back of something is all that is to be kept back by now.
pub fn covers(kept: CategorySet, wanted: CategorySet) -> bool {
    wanted.iter().all(|category| kept.contains(category))
}

/// Tells whether every category is kept back.
pub fn is_nothing_left(kept_back: CategorySet) -> bool {
    Category::ALL.iter().all(|category| kept_back.contains(*category))
}

/// Decides whether something goes to a peer, and says which rule decides and how it is changed.
pub fn decide(policy: &Policy, what: Sharing, to: &Receiver<'_>) -> PolicyReason {
    let (is_allowed, rule, change) = match what {
        Sharing::Summaries => summaries(policy, to),
        Sharing::Groups => groups(policy, to),
        Sharing::Health => health(policy, to),
    };
    PolicyReason { what, is_allowed, rule, change }
}

/// Says about each kind of sharing what goes to a peer and why.
pub fn explain(policy: &Policy, to: &Receiver<'_>) -> PolicyExplained {
    PolicyExplained {
        peer: to.name.to_owned(),
        reasons: Sharing::ALL.iter().map(|what| decide(policy, *what, to)).collect(),
        denied: kept_back_from(policy, &to.node),
    }
}

/// Says what the switches mean for the person, each in a sentence or two.
pub fn meaning() -> Vec<String> {
    [MEANING_OF_SUMMARIES, MEANING_OF_GROUPS, MEANING_OF_HEALTH].map(ToOwned::to_owned).into()
}

/// Whether it goes, the rule that decides, and the command that changes it.
type Decided = (bool, String, String);

fn summaries(policy: &Policy, to: &Receiver<'_>) -> Decided {
    let Receiver { node, name, trust } = *to;
    let kept = policy.peers.get(&node).is_some_and(|peer| peer.no_summaries);
    if !policy.summaries {
        let rule = "summaries are switched off for everybody";
        return (false, rule.to_owned(), "karoctl policy set summaries on".to_owned());
    }
    if kept {
        let rule = format!("a rule of its own keeps summaries from {name}, whatever it is trusted with");
        return (false, rule, format!("karoctl policy set summaries on --peer {name}"));
    }
    if !trust.gets_summaries() && !trust.may_query() {
        let rule = format!("{name} is trusted as {trust}, which gets no summaries");
        return (false, rule, format!("karoctl peers trust {name} share-to"));
    }
    if is_nothing_left(kept_back_from(policy, &node)) {
        let rule = format!("every category is kept back from {name}, so nothing is left to tell");
        return (false, rule, "karoctl policy show".to_owned());
    }
    let how = match (trust.gets_summaries(), trust.may_query()) {
        (true, true) => "are sent to it, and it may ask for them",
        (true, false) => "are sent to it",
        (false, _) => "go to it when it asks",
    };
    let rule = format!("summaries are switched on, and {name} is trusted as {trust}: they {how}");
    (true, rule, format!("karoctl policy set summaries off --peer {name}"))
}

fn groups(policy: &Policy, to: &Receiver<'_>) -> Decided {
    if !policy.groups {
        let rule = "this machine contributes to no group";
        return (false, rule.to_owned(), "karoctl policy set groups on".to_owned());
    }
    let rule = format!(
        "groups are switched on: {} gets sums of at least five people, and sealed shares that it cannot open alone, \
         for each group that has both of you as members",
        to.name
    );
    (true, rule, "karoctl policy set groups off".to_owned())
}

fn health(policy: &Policy, to: &Receiver<'_>) -> Decided {
    let Receiver { node, name, trust } = *to;
    if !policy.health {
        let rule = "health is switched off for everybody";
        return (false, rule.to_owned(), "karoctl policy set health on".to_owned());
    }
    if policy.peers.get(&node).is_some_and(|peer| peer.no_health) {
        let rule = format!("a rule of its own keeps health from {name}, whatever it is trusted with");
        return (false, rule, format!("karoctl policy set health on --peer {name}"));
    }
    if !matches!(trust, Trust::Peer | Trust::Supervisor) {
        let rule = format!("{name} is trusted as {trust}, which may not ask after health");
        return (false, rule, format!("karoctl peers trust {name} supervisor"));
    }
    let rule = format!("health is switched on, and {name} is trusted as {trust}: it may ask after it");
    (true, rule, format!("karoctl policy set health off --peer {name}"))
}

/// Returns what keeps back what either does.
fn stricter(one: PeerPolicy, other: PeerPolicy) -> PeerPolicy {
    PeerPolicy {
        no_summaries: one.no_summaries || other.no_summaries,
        no_health: one.no_health || other.no_health,
        deny: union(one.deny, other.deny),
    }
}

fn union(one: CategorySet, other: CategorySet) -> CategorySet {
    one.iter().chain(other.iter()).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NODE: NodeId = NodeId([7; 32]);

    fn set_of(categories: &[Category]) -> CategorySet {
        categories.iter().copied().collect()
    }

    fn to(trust: Trust) -> Receiver<'static> {
        Receiver { node: NODE, name: "laptop", trust }
    }

    fn on() -> Policy {
        Policy { summaries: true, groups: true, ..Policy::default() }
    }

    #[test]
    fn by_default_nothing_about_a_person_goes_to_anybody() {
        for trust in Trust::ALL {
            for what in [Sharing::Summaries, Sharing::Groups] {
                let reason = decide(&Policy::default(), what, &to(*trust));
                assert!(!reason.is_allowed, "{what} to {trust}");
                assert_eq!(reason.change, format!("karoctl policy set {what} on"));
            }
        }
    }

    #[test]
    fn trust_decides_once_it_is_switched_on() {
        let allowed = |what| {
            let goes = |trust: &&Trust| decide(&on(), what, &to(**trust)).is_allowed;
            Trust::ALL.iter().filter(goes).copied().collect::<Vec<_>>()
        };
        assert_eq!(allowed(Sharing::Summaries), [Trust::ShareTo, Trust::QueryFrom, Trust::Peer]);
        assert_eq!(allowed(Sharing::Health), [Trust::Peer, Trust::Supervisor]);
    }

    #[test]
    fn a_rule_of_one_peer_holds_for_that_peer_alone() {
        let rule = PeerPolicy { no_summaries: true, no_health: true, deny: CategorySet::default() };
        let policy = Policy { peers: [(NODE, rule)].into(), ..on() };
        for what in [Sharing::Summaries, Sharing::Health] {
            let reason = decide(&policy, what, &to(Trust::Peer));
            assert!(!reason.is_allowed && reason.rule.contains("a rule of its own"), "{}", reason.rule);
            let other = Receiver { node: NodeId([8; 32]), ..to(Trust::Peer) };
            assert!(decide(&policy, what, &other).is_allowed);
        }
    }

    #[test]
    fn a_denial_beats_whatever_allows_wherever_it_stands() {
        let configured = Policy {
            allow: set_of(&[Category::Vcs, Category::Security]),
            deny: set_of(&[Category::Security]),
            ..on()
        };
        let set = PolicySet {
            allow: Some(set_of(&[Category::Vcs, Category::Security, Category::Database, Category::Build])),
            deny: set_of(&[Category::Database]),
            ..PolicySet::default()
        };
        let policy = in_force(&configured, &set);
        let told = || {
            let kept = kept_back(&policy);
            Category::ALL.iter().copied().filter(|one| !kept.contains(*one)).collect::<Vec<_>>()
        };
        assert_eq!(told(), [Category::Vcs, Category::Build]);
        let rule = PeerPolicy { deny: set_of(&[Category::Build]), ..PeerPolicy::default() };
        let policy = Policy { peers: [(NODE, rule)].into(), ..policy };
        assert!(kept_back_from(&policy, &NODE).contains(Category::Build));
        assert!(!kept_back(&policy).contains(Category::Build));
    }

    #[test]
    fn what_keeps_everything_back_leaves_nothing_to_tell() {
        let policy = Policy { deny: Category::ALL.iter().copied().collect(), ..on() };
        assert!(!decide(&policy, Sharing::Summaries, &to(Trust::Peer)).is_allowed);
    }

    #[test]
    fn a_command_switches_and_gives_back_to_the_configuration() {
        let switch = |set: &PolicySet, to| {
            changed(set, &PolicyChange::Switch { what: Sharing::Summaries, to }, None).unwrap()
        };
        let is_on = |set: &PolicySet| in_force(&Policy::default(), set).summaries;
        let set = switch(&PolicySet::default(), Some(true));
        assert!(is_on(&set));
        assert!(!is_on(&switch(&set, Some(false))) && !is_on(&switch(&set, None)));
        let rule = PeerPolicy { no_summaries: true, ..PeerPolicy::default() };
        let of_peer = |policy| PolicyChange::Peer { peer: "laptop".to_owned(), policy };
        let set = changed(&set, &of_peer(rule), Some(NODE)).unwrap();
        assert_eq!(in_force(&Policy::default(), &set).peers, [(NODE, rule)].into());
        let set = changed(&set, &of_peer(PeerPolicy::default()), Some(NODE)).unwrap();
        assert!(set.peers.is_empty());
    }

    #[test]
    fn peers_with_rules_have_an_end() {
        let rule = PeerPolicy { no_summaries: true, ..PeerPolicy::default() };
        let mut set = PolicySet::default();
        for number in 0..PEER_POLICIES_MAX as u16 {
            let mut key = [0; 32];
            key[..2].copy_from_slice(&number.to_be_bytes());
            set.peers.insert(NodeId(key), rule);
        }
        let change = PolicyChange::Peer { peer: "laptop".to_owned(), policy: rule };
        assert_eq!(changed(&set, &change, Some(NODE)), Err(TooManyPeers));
        assert!(changed(&set, &change, Some(NodeId([0; 32]))).is_ok());
    }

    prop_compose! {
        fn any_set()(categories in prop::collection::vec(prop::sample::select(Category::ALL), 0..6)) -> CategorySet {
            categories.into_iter().collect()
        }
    }

    prop_compose! {
        fn any_policy()(
            (summaries, groups, health) in any::<(bool, bool, bool)>(),
            (allow, deny) in (any_set(), any_set()),
            of_peer in prop::option::of((any::<bool>(), any::<bool>(), any_set())),
        ) -> Policy {
            let rule = |(no_summaries, no_health, deny)| (NODE, PeerPolicy { no_summaries, no_health, deny });
            Policy { summaries, groups, health, allow, deny, peers: of_peer.into_iter().map(rule).collect() }
        }
    }

    proptest! {
        #[test]
        fn a_denial_of_the_configuration_cannot_be_set_away(
            configured in any_policy(), (allow, deny) in (prop::option::of(any_set()), any_set()),
        ) {
            let set = PolicySet { allow, deny, ..PolicySet::default() };
            let policy = in_force(&configured, &set);
            let kept = kept_back_from(&policy, &NODE);
            let peer = configured.peers.get(&NODE).map(|peer| peer.deny).unwrap_or_default();
            prop_assert!(configured.deny.iter().chain(peer.iter()).chain(deny.iter()).all(|one| kept.contains(one)));
        }
    }
}
