//! The rules of a group file, each with what breaks it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use karo_protocol::address::Address;
use karo_protocol::group::{
    COHORT_MIN, GROUP_RULES_MAX, GROUP_TOOLS_MAX, GroupFile, MEMBERS_MAX, Member, RULE_ID_BYTES_MAX,
    ZONE_BYTES_MAX,
};
use karo_protocol::mesh::{ADDRESS_BYTES_MAX, ADDRESSES_MAX, is_name, is_owner};

use crate::public::public;

/// Why a file is no group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupRefused {
    /// The group's name is no name.
    Name,
    /// Versions are counted from 1.
    Version,
    /// That has not the form of a time zone's name.
    Zone,
    /// It asks for a smaller cohort than any group may have.
    Cohort(u16),
    /// More machines than a group may have.
    Members(usize),
    /// Machines are not in the order of their keys, or one is there twice.
    MemberOrder,
    /// A machine's name is no name, or another one's.
    MemberName(String),
    /// An owner's name is none.
    OwnerName(String),
    /// Two owners whose names differ in capitals alone: to the eye that accepts the file they are one.
    OwnersAlike(String, String),
    /// A machine has too many addresses, or one that is none.
    Addresses(String),
    /// Two machines have one sealing key, so that one of them could open both halves of a report.
    SealingKey(String),
    /// An owner has no contributing machine, or several.
    Contributors {
        /// Whose.
        owner: String,
        /// How many.
        machines: usize,
    },
    /// Fewer owners than its smallest cohort: no atom of it could ever be closed.
    Owners {
        /// How many there are.
        owners: usize,
        /// How many it takes.
        smallest: u16,
    },
    /// Machines of at least two owners must be allowed to add up.
    Aggregators,
    /// Too many tools, or not in order, or one twice.
    Tools,
    /// A tool that is not on the list of public ones: its name would tell what somebody calls their own.
    NotPublic(String),
    /// Too many rules, or not in order, or one twice, or an id that is none.
    Rules,
}

impl fmt::Display for GroupRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name => write!(f, "its name is no name"),
            Self::Version => write!(f, "its version is 0, and versions are counted from 1"),
            Self::Zone => write!(f, "that is no name of a time zone"),
            Self::Cohort(smallest) => {
                write!(f, "its smallest cohort is {smallest}, and no group may go below {COHORT_MIN}")
            }
            Self::Members(count) => write!(f, "{count} machines, and {MEMBERS_MAX} at the most"),
            Self::MemberOrder => write!(f, "its machines are not in the order of their keys, each once"),
            Self::MemberName(name) => write!(f, "a machine is called {name:?}: no name, or another's"),
            Self::OwnerName(name) => write!(f, "an owner is called {name:?}, which is no name"),
            Self::OwnersAlike(one, other) => write!(f, "{one} and {other} differ in capitals alone"),
            Self::Addresses(name) => write!(f, "the addresses of {name} are too many, or not addresses"),
            Self::SealingKey(name) => write!(f, "{name} has the sealing key of another machine"),
            Self::Contributors { owner, machines } => {
                write!(f, "{owner} has {machines} contributing machines, and needs exactly one")
            }
            Self::Owners { owners, smallest } => {
                write!(f, "{owners} owners, and its smallest cohort is {smallest}")
            }
            Self::Aggregators => write!(f, "machines of at least two owners must be allowed to add up"),
            Self::Tools => write!(f, "its tools are too many, or not in order, each once"),
            Self::NotPublic(tool) => write!(f, "{tool} is not on the list of public tools"),
            Self::Rules => write!(f, "its rules are too many, or not in order, each once, or not ids"),
        }
    }
}

impl std::error::Error for GroupRefused {}

pub(super) fn check(file: &GroupFile) -> Result<(), GroupRefused> {
    check_head(file)?;
    check_members(&file.members)?;
    check_owners(file)?;
    check_cells(file)
}

fn check_head(file: &GroupFile) -> Result<(), GroupRefused> {
    if !is_name(&file.name) {
        return Err(GroupRefused::Name);
    }
    if file.version == 0 {
        return Err(GroupRefused::Version);
    }
    if !is_zone(&file.zone) {
        return Err(GroupRefused::Zone);
    }
    if file.smallest_cohort < COHORT_MIN {
        return Err(GroupRefused::Cohort(file.smallest_cohort));
    }
    Ok(())
}

/// Tells whether a text has the form of a zone's name: it becomes a place below a directory of zones.
fn is_zone(text: &str) -> bool {
    let is_letter = |c: char| c.is_ascii_alphanumeric() || "_+-".contains(c);
    text.len() <= ZONE_BYTES_MAX
        && text.split('/').all(|word| !word.is_empty() && word.chars().all(is_letter))
}

fn check_members(members: &[Member]) -> Result<(), GroupRefused> {
    if members.len() > MEMBERS_MAX {
        return Err(GroupRefused::Members(members.len()));
    }
    if !members.is_sorted_by(|one, next| one.card.node < next.card.node) {
        return Err(GroupRefused::MemberOrder);
    }
    let mut names = BTreeSet::new();
    let mut keys = BTreeSet::new();
    for member in members {
        if !is_name(&member.name) || !names.insert(&member.name) {
            return Err(GroupRefused::MemberName(member.name.clone()));
        }
        if !is_owner(&member.owner) {
            return Err(GroupRefused::OwnerName(member.owner.clone()));
        }
        if member.addresses.len() > ADDRESSES_MAX || !member.addresses.iter().all(|text| is_address(text)) {
            return Err(GroupRefused::Addresses(member.name.clone()));
        }
        if !keys.insert(member.card.sealing) {
            return Err(GroupRefused::SealingKey(member.name.clone()));
        }
    }
    Ok(())
}

/// Tells whether a text is an address with its port.
fn is_address(text: &str) -> bool {
    // A port of its own is there if another default changes nothing.
    text.len() <= ADDRESS_BYTES_MAX
        && Address::parse(text, 1).is_ok_and(|address| Address::parse(text, 2) == Ok(address))
}

fn check_owners(file: &GroupFile) -> Result<(), GroupRefused> {
    let mut contributing: BTreeMap<&str, usize> = BTreeMap::new();
    let mut adding_up = BTreeSet::new();
    let mut seen: BTreeMap<String, &str> = BTreeMap::new();
    for member in &file.members {
        let first = seen.entry(member.owner.to_lowercase()).or_insert(&member.owner);
        if *first != member.owner {
            return Err(GroupRefused::OwnersAlike((*first).to_owned(), member.owner.clone()));
        }
        *contributing.entry(&member.owner).or_default() += usize::from(member.contributes);
        if member.may_aggregate {
            adding_up.insert(&member.owner);
        }
    }
    if let Some((owner, machines)) = contributing.iter().find(|(_, machines)| **machines != 1) {
        return Err(GroupRefused::Contributors { owner: (*owner).to_owned(), machines: *machines });
    }
    let (owners, smallest) = (contributing.len(), file.smallest_cohort);
    if owners < usize::from(smallest) {
        return Err(GroupRefused::Owners { owners, smallest });
    }
    if adding_up.len() < 2 {
        return Err(GroupRefused::Aggregators);
    }
    Ok(())
}

fn check_cells(file: &GroupFile) -> Result<(), GroupRefused> {
    // One tool stands under one category: else one event could count in two cells of a partition.
    if file.tools.len() > GROUP_TOOLS_MAX || !file.tools.is_sorted_by(|one, next| one.0 < next.0) {
        return Err(GroupRefused::Tools);
    }
    if let Some((tool, _)) = file.tools.iter().find(|(tool, _)| public(tool.as_str()).is_none()) {
        return Err(GroupRefused::NotPublic(tool.to_string()));
    }
    let is_id = |id: &str| {
        !id.is_empty() && id.len() <= RULE_ID_BYTES_MAX && id.bytes().all(|byte| byte.is_ascii_graphic())
    };
    if file.rules.len() > GROUP_RULES_MAX
        || !file.rules.is_sorted_by(|one, next| one.0 < next.0)
        || !file.rules.iter().all(|(id, _)| is_id(id))
    {
        return Err(GroupRefused::Rules);
    }
    Ok(())
}
