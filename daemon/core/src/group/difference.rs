//! What a person has to see before they accept a group file: what it changes, in sentences.

use std::collections::{BTreeMap, BTreeSet};

use karo_protocol::group::{GroupFile, Member};

/// What a change is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DifferenceKind {
    /// Another group altogether, or an older file of this one.
    Identity,
    /// What a number needs: the smallest cohort, the time zone.
    Terms,
    /// An owner came.
    OwnerJoined,
    /// An owner left.
    OwnerLeft,
    /// A machine came, left, or changed.
    Machine,
    /// Who may add up.
    Aggregator,
    /// What has cells of its own.
    Cells,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// What it is about.
    pub kind: DifferenceKind,
    /// The change as a sentence.
    pub says: String,
}

/// Returns what a file changes against the one before it, or all that it says if there is none; in the order of
/// [`DifferenceKind`].
pub fn diff(before: Option<&GroupFile>, after: &GroupFile) -> Vec<Difference> {
    let mut found = Vec::new();
    identity(before, after, &mut found);
    terms(before, after, &mut found);
    owners(before, after, &mut found);
    machines(before, after, &mut found);
    cells(before, after, &mut found);
    found.sort_by_key(|difference| difference.kind);
    found
}

fn tell(found: &mut Vec<Difference>, kind: DifferenceKind, says: String) {
    found.push(Difference { kind, says });
}

fn identity(before: Option<&GroupFile>, after: &GroupFile, found: &mut Vec<Difference>) {
    let kind = DifferenceKind::Identity;
    let Some(before) = before else {
        tell(found, kind, format!("It is a new group, {}, in its version {}.", after.name, after.version));
        return;
    };
    if before.lineage != after.lineage {
        let says = format!("It is another group than {} and only shares its place.", before.name);
        tell(found, kind, says);
    }
    if before.name != after.name {
        tell(found, kind, format!("It was called {} and is called {}.", before.name, after.name));
    }
    if before.version >= after.version {
        let says = format!("It is not newer: version {} after version {}.", after.version, before.version);
        tell(found, kind, says);
    }
}

fn terms(before: Option<&GroupFile>, after: &GroupFile, found: &mut Vec<Difference>) {
    let kind = DifferenceKind::Terms;
    match before.map(|before| before.smallest_cohort) {
        Some(smallest) if smallest == after.smallest_cohort => {}
        Some(smallest) => {
            let direction = if smallest > after.smallest_cohort { "only " } else { "" };
            let says = format!(
                "A number needed {smallest} owners and needs {direction}{} from here on.",
                after.smallest_cohort
            );
            tell(found, kind, says);
        }
        None => tell(found, kind, format!("A number needs {} owners.", after.smallest_cohort)),
    }
    match before.map(|before| before.zone.as_str()) {
        Some(zone) if zone == after.zone => {}
        Some(zone) => {
            tell(found, kind, format!("Its days were those of {zone} and are those of {}.", after.zone))
        }
        None => tell(found, kind, format!("Its days are those of {}.", after.zone)),
    }
}

fn owners(before: Option<&GroupFile>, after: &GroupFile, found: &mut Vec<Difference>) {
    let names = |file: &GroupFile| -> BTreeSet<String> {
        file.members.iter().map(|member| member.owner.clone()).collect()
    };
    let (before, after) = (before.map(names).unwrap_or_default(), names(after));
    for owner in after.difference(&before) {
        tell(found, DifferenceKind::OwnerJoined, format!("{owner} is in the group."));
    }
    for owner in before.difference(&after) {
        tell(found, DifferenceKind::OwnerLeft, format!("{owner} has left the group."));
    }
}

fn machines(before: Option<&GroupFile>, after: &GroupFile, found: &mut Vec<Difference>) {
    let by_key = |file: &'_ GroupFile| -> BTreeMap<_, Member> {
        file.members.iter().map(|member| (member.card.node, member.clone())).collect()
    };
    let (before, after) = (before.map(by_key).unwrap_or_default(), by_key(after));
    for (node, member) in &after {
        match before.get(node) {
            Some(old) => machine_changed(old, member, found),
            None => machine_came(member, found),
        }
    }
    for member in before.iter().filter(|(node, _)| !after.contains_key(node)).map(|(_, member)| member) {
        let says = format!("{}, a machine of {}, has left the group.", member.name, member.owner);
        tell(found, DifferenceKind::Machine, says);
    }
}

fn machine_came(member: &Member, found: &mut Vec<Difference>) {
    let Member { name, owner, .. } = member;
    let deed = if member.contributes { "gives the numbers of" } else { "is another machine of" };
    tell(found, DifferenceKind::Machine, format!("{name} {deed} {owner}."));
    if member.may_aggregate {
        tell(found, DifferenceKind::Aggregator, format!("{name} of {owner} may add up."));
    }
}

fn machine_changed(old: &Member, new: &Member, found: &mut Vec<Difference>) {
    let (kind, name) = (DifferenceKind::Machine, &new.name);
    if old.name != new.name {
        tell(found, kind, format!("{} is called {name}.", old.name));
    }
    if old.owner != new.owner {
        tell(found, kind, format!("{name} was a machine of {} and is one of {}.", old.owner, new.owner));
    }
    if old.contributes != new.contributes {
        let deed = if new.contributes { "gives" } else { "no longer gives" };
        tell(found, kind, format!("{name} {deed} the numbers of {}.", new.owner));
    }
    if old.card.sealing != new.card.sealing {
        tell(found, kind, format!("{name} has another sealing key."));
    }
    if old.addresses != new.addresses {
        let places = if new.addresses.is_empty() { "nowhere".to_owned() } else { new.addresses.join(", ") };
        tell(found, kind, format!("{name} is to be reached at {places}."));
    }
    if old.may_aggregate != new.may_aggregate {
        let may = if new.may_aggregate { "may" } else { "may no longer" };
        tell(found, DifferenceKind::Aggregator, format!("{name} of {} {may} add up.", new.owner));
    }
}

fn cells(before: Option<&GroupFile>, after: &GroupFile, found: &mut Vec<Difference>) {
    let tools = |file: &GroupFile| -> BTreeSet<String> {
        file.tools.iter().map(|(tool, category)| format!("The tool {tool}, as {category},")).collect()
    };
    let rules = |file: &GroupFile| -> BTreeSet<String> {
        file.rules.iter().map(|(rule, level)| format!("The rule {rule}, as {level},")).collect()
    };
    for names in [&tools as &dyn Fn(&GroupFile) -> BTreeSet<String>, &rules] {
        let (before, after) = (before.map(names).unwrap_or_default(), names(after));
        for name in after.difference(&before) {
            tell(found, DifferenceKind::Cells, format!("{name} has a number of its own."));
        }
        for name in before.difference(&after) {
            tell(found, DifferenceKind::Cells, format!("{name} has no number of its own any more."));
        }
    }
}
