//! The policy for eyes.

use karo_protocol::category::CategorySet;
use karo_protocol::policy::{PeerPolicy, PolicyExplained, PolicyShown, Sharing};

use super::{name_of, names};
use crate::ctl::explain::prose::{listed, put};
use crate::ctl::shown::{Newline, cut_end, pad, shown};
use crate::ctl::table::{DIM, GREEN, Surface, YELLOW};

/// What is pleasant to read at the most, and what is fitted to where nobody says.
const COLUMNS: usize = 80;

/// Columns of what stands in front of the text.
const HEAD: usize = 11;

/// What is shown of a key that has no name.
const KEY_COLUMNS: usize = 24;

/// Returns a text that may come from anywhere, made safe for a terminal.
pub(super) fn safe(text: &str) -> String {
    shown(text.as_bytes(), Newline::Arrow)
}

/// Writes what goes to whom, and what that shows of a person if it was not said before.
pub(super) fn policy(surface: &Surface, found: &PolicyShown, has_meaning: bool) -> String {
    let width = Some(surface.columns.map_or(COLUMNS, |columns| columns.min(COLUMNS)));
    let PolicyShown { policy, set, .. } = found;
    let mut text = String::new();
    let switches = [
        ("summaries", policy.summaries, set.summaries, "peers with share-to, query-from or peer"),
        ("groups", policy.groups, set.groups, "the groups that were accepted, in sealed shares"),
        ("health", policy.health, set.health, "peers with peer or supervisor"),
    ];
    for (name, is_on, set, whom) in switches {
        let by = if set.is_some() { "set by command" } else { "by the configuration" };
        let (state, says, colour) = match is_on {
            true => ("on", format!("on, for {whom}; {by}"), GREEN),
            false => ("off", format!("off: nothing goes to anybody; {by}"), DIM),
        };
        let start = text.len();
        put(&mut text, &head(name), &says, width);
        surface.paint(&mut text, start + HEAD, state, colour);
    }
    if policy.summaries || policy.groups {
        put(&mut text, &head("told of"), &told_of(policy.allow, policy.deny), width);
    }
    for (node, peer) in &policy.peers {
        let name = name_of(*node, &found.names).map_or_else(|| cut_end(&node.to_string(), KEY_COLUMNS), safe);
        put(&mut text, &head(&name), &for_peer(*peer), width);
    }
    for (what, is_on) in [(Sharing::Summaries, policy.summaries), (Sharing::Groups, policy.groups)] {
        if has_meaning && is_on {
            text.push('\n');
            text.push_str(&meaning(found, what));
        }
    }
    text
}

/// Returns what stands in front of a line: a name, and at least a space behind it.
fn head(name: &str) -> String {
    let mut head = format!("{name} ");
    pad(&mut head, HEAD);
    head
}

/// Says what a switch shows of a person.
pub(super) fn meaning(found: &PolicyShown, what: Sharing) -> String {
    let mut text = String::new();
    sentences(found, what).iter().for_each(|sentence| put(&mut text, "", &safe(sentence), Some(COLUMNS)));
    text
}

/// Returns what is said of a switch: the daemon says one sentence for each, in their order. Of one that says anything
/// else all is shown, so that nothing is kept from whoever decides.
pub(super) fn sentences(found: &PolicyShown, what: Sharing) -> &[String] {
    let own = usize::from(what.index());
    match found.meaning.get(own..=own) {
        Some(sentence) if found.meaning.len() == Sharing::ALL.len() => sentence,
        Some(_) | None => &found.meaning,
    }
}

fn told_of(allow: CategorySet, deny: CategorySet) -> String {
    let (allow, deny) = (names(allow), names(deny));
    let allowed = if allow.is_empty() { "every category".to_owned() } else { listed(&allow) };
    match deny.is_empty() {
        true => allowed,
        false => format!("{allowed}; never of {}", listed(&deny)),
    }
}

fn for_peer(PeerPolicy { no_summaries, no_health, deny }: PeerPolicy) -> String {
    let mut parts = Vec::new();
    if no_summaries {
        parts.push("gets no summaries".to_owned());
    }
    if no_health {
        parts.push("is not told health".to_owned());
    }
    if deny != CategorySet::default() {
        parts.push(format!("is not told of {}", listed(&names(deny))));
    }
    if parts.is_empty() {
        parts.push("has no rules of its own any more".to_owned());
    }
    parts.join(", ")
}

/// Writes what goes to one peer, and which rule decides.
pub(super) fn explained(surface: &Surface, found: &PolicyExplained) -> String {
    let width = Some(surface.columns.map_or(COLUMNS, |columns| columns.min(COLUMNS)));
    let mut text = format!("What goes to {}:\n", safe(&found.peer));
    for reason in &found.reasons {
        let start = text.len();
        let goes = if reason.is_allowed { "yes" } else { "no" };
        let name = reason.what.name();
        put(&mut text, &format!("  {name:<HEAD$}{goes:<5}"), &safe(&reason.rule), width);
        let colour = if reason.is_allowed { GREEN } else { YELLOW };
        surface.paint(&mut text, start + 2 + HEAD, goes, colour);
        if !reason.change.is_empty() {
            let start = text.len();
            put(&mut text, &" ".repeat(2 + HEAD + 5), &safe(&reason.change), width);
            surface.paint_lines(&mut text, start, DIM);
        }
    }
    if found.denied != CategorySet::default() {
        put(&mut text, &format!("  {:<HEAD$}", "never of"), &listed(&names(found.denied)), width);
    }
    text
}
