//! The groups as they are listed: accepted and offered, what this machine is in each, and what keeps it from numbers.

use actix::{Handler, MessageResult};
use karo_core::group::Group;
use karo_protocol::NodeId;
use karo_protocol::answer::GroupRow;
use karo_trust::fingerprint;

use super::actor::GroupsActor;
use super::kept::read_group;
use super::messages::List;
use crate::clock;
use crate::groups_desk::Accepted;

impl GroupsActor {
    /// Returns the groups, accepted or offered.
    fn rows(&self) -> Vec<GroupRow> {
        let groups = self.groups.read();
        let accepted = groups.accepted.values().map(|one| self.row(&one.group, Some(one), None));
        let offered = self.offers.values().filter_map(|(from, signed)| {
            let (_, group) = read_group(signed).ok()?;
            Some(self.row(&group, None, Some(*from)))
        });
        let mut rows: Vec<GroupRow> = accepted.chain(offered).collect();
        rows.sort_by(|one, other| {
            (&one.name, one.accepted_at.is_none()).cmp(&(&other.name, other.accepted_at.is_none()))
        });
        rows
    }

    fn row(&self, group: &Group, accepted: Option<&Accepted>, offered_by: Option<NodeId>) -> GroupRow {
        let file = group.file();
        let own = self.own.as_ref().ok().map(|own| own.node_id());
        let member = own.and_then(|own| group.member(&own));
        let role = match member {
            None => "none".to_owned(),
            Some(member) if member.contributes => "contributes".to_owned(),
            Some(member) => group
                .contributor_of(&member.owner)
                .map_or_else(|| "none".to_owned(), |other| format!("feeds {}", other.name)),
        };
        let today = accepted.map(|accepted| accepted.civil.day_of(clock::now()));
        let called = |node: NodeId| {
            group.member(&node).map_or_else(|| fingerprint(&node).to_string(), |m| m.name.clone())
        };
        let aggregators = today
            .and_then(|day| group.aggregators(day))
            .map(|(first, second)| (called(first), called(second)));
        GroupRow {
            name: file.name.clone(),
            id: group.id(),
            version: file.version,
            accepted_at: accepted.map(|accepted| accepted.accepted_at),
            offered_by: offered_by.map(|node| self.called(&node)),
            members: (file.members.len() as u16, group.owners() as u16),
            role,
            aggregators,
            zone: file.zone.clone(),
            smallest_cohort: file.smallest_cohort,
            problems: accepted.map(|_| self.problems(group)).unwrap_or_default(),
        }
    }

    /// Says what keeps a group from making numbers with us.
    fn problems(&self, group: &Group) -> Vec<String> {
        let mut problems = Vec::new();
        let owners = group.owners();
        let smallest = group.file().smallest_cohort;
        if owners < usize::from(smallest) {
            problems.push(format!(
                "it has {owners} owners, and makes no number of fewer than {smallest}: nothing is answered before more join"
            ));
        }
        if !self.policy.now().groups {
            problems.push("this machine gives nothing: `karoctl policy set groups on` lets it".to_owned());
        }
        let revoked = self.roster.read();
        let names: Vec<&str> = group
            .file()
            .members
            .iter()
            .filter(|member| revoked.is_revoked(&member.card.node))
            .map(|member| member.name.as_str())
            .collect();
        if !names.is_empty() {
            problems.push(format!("these members are revoked here, and get no link: {}", names.join(", ")));
        }
        problems
    }
}

impl Handler<List> for GroupsActor {
    type Result = MessageResult<List>;

    fn handle(&mut self, _: List, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.rows())
    }
}
