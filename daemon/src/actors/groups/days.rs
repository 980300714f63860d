//! The days of groups, as this machine knows them, and a past one that a person wants closed.

use std::time::Duration;

use actix::{ActorFutureExt, Context, Handler, ResponseActFuture, WrapFuture};
use karo_protocol::NodeId;
use karo_protocol::answer::{AtomRow, AtomState, GroupClose};
use karo_protocol::atom::{AtomId, AtomReason, AtomSays};
use karo_protocol::local::{Failure, FailureCode};
use karo_protocol::node::Hash;
use karo_trust::fingerprint;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::actor::GroupsActor;
use super::closing::BY_HAND_DAYS_MAX;
use super::files::refused;
use super::kept::GivenDay;
use super::messages::{CloseDay, Days};
use crate::groups_desk::Outcome;

/// How long a person waits for a day that they wanted closed.
const CLOSE_PATIENCE: Duration = Duration::from_secs(150);

impl GroupsActor {
    fn day_rows(&self, name: Option<&str>) -> Result<Vec<AtomRow>, Failure> {
        let groups = self.groups.read();
        let only: Option<Vec<Hash>> = name
            .map(|name| groups.find(Some(name)).map(|one| one.ids().collect()))
            .transpose()
            .map_err(refused)?;
        let given = self.ledger.iter().map(|(day, given)| AtomId { group: given.group, day: *day });
        let mut ids: Vec<AtomId> = groups.outcomes.keys().copied().chain(given).collect();
        ids.extend(
            self.refusals.keys().chain(self.machines.leading.keys()).chain(self.machines.helping.keys()),
        );
        ids.retain(|id| only.as_ref().is_none_or(|only| only.contains(&id.group)));
        ids.sort_by_key(|id| (std::cmp::Reverse(id.day), id.group));
        ids.dedup();
        drop(groups);
        Ok(ids.iter().map(|id| self.day_row(id)).collect())
    }

    fn day_row(&self, id: &AtomId) -> AtomRow {
        let groups = self.groups.read();
        let group = groups.by_id(&id.group).and_then(|one| one.version(&id.group));
        let given = self.ledger.get(&id.day).filter(|given| given.group == id.group);
        let refusal = self.refusals.get(id).copied();
        let is_open = self.machines.leading.contains_key(id) || self.machines.helping.contains_key(id);
        let (state, reason, contributors, at) = match groups.outcomes.get(id) {
            Some(Outcome::Closed(_, atom, at)) => {
                (AtomState::Closed, None, Some(atom.contributors), Some(*at))
            }
            _ if is_open => (AtomState::Open, refusal, None, None),
            Some(Outcome::Ended(reason, at)) => (AtomState::Ended, Some(*reason), None, Some(*at)),
            None if given.is_some() => (AtomState::Given, None, None, given.map(|given| given.at)),
            None => (AtomState::Refused, refusal, None, None),
        };
        let called = |node: &NodeId| {
            let member = group.and_then(|group| group.member(node)).map(|member| member.name.clone());
            member.unwrap_or_else(|| fingerprint(node).to_string())
        };
        let ranks = group.and_then(|group| group.aggregators(id.day));
        AtomRow {
            group: group.map(|group| group.file().name.clone()),
            group_id: id.group,
            day: id.day,
            state,
            reason,
            is_given: given.is_some(),
            table: given.map(|given| given.table),
            fed: given.map(|given: &GivenDay| given.fed).unwrap_or_default(),
            contributors,
            aggregators: ranks.map(|(leader, helper)| (called(&leader), called(&helper))),
            at,
        }
    }

    /// Sees to it that a past day is closed, and tells when it is over.
    fn close_by_hand(
        &mut self,
        GroupClose { group, day }: GroupClose,
        ctx: &mut Context<Self>,
    ) -> Result<(AtomId, Option<oneshot::Receiver<()>>), Failure> {
        let accepted = self.groups.read().find(group.as_deref()).cloned().map_err(refused)?;
        let atom = AtomId { group: accepted.group.id(), day };
        if self.groups.read().closed(&atom).is_some() {
            return Ok((atom, None));
        }
        self.may_open(&atom).map_err(|reason| {
            refused(if reason == AtomReason::TooEarly {
                "that day is not over: it is closed from 06:00 of the next day on, or by hand from midnight on"
                    .to_owned()
            } else {
                format!("only the last {BY_HAND_DAYS_MAX} days can be closed by hand: {reason}")
            })
        })?;
        let no_two = "the group's file names no two owners who may add up; its maker has to change that";
        let (leader, _) = accepted.group.aggregators(day).ok_or_else(|| refused(no_two))?;
        let own = self.own_node();
        if own != Some(leader) && !self.linked.contains(&leader) {
            let name =
                accepted.group.member(&leader).map_or_else(|| self.called(&leader), |one| one.name.clone());
            return Err(refused(format!(
                "{name} adds up that day, and is not connected: a day is closed by the two who rank first on it, or never; `karoctl peers show {name}` says why"
            )));
        }
        let (sender, receiver) = oneshot::channel();
        self.waiting.entry(atom).or_default().push(sender);
        if own == Some(leader) {
            self.open(atom, None, ctx);
        } else {
            self.say(leader, atom, AtomSays::Invite { by_hand: true }, ctx);
        }
        Ok((atom, Some(receiver)))
    }
}

impl Handler<Days> for GroupsActor {
    type Result = Result<Vec<AtomRow>, Failure>;

    fn handle(&mut self, Days(name): Days, _: &mut Self::Context) -> Self::Result {
        self.day_rows(name.as_deref())
    }
}

impl Handler<CloseDay> for GroupsActor {
    type Result = ResponseActFuture<Self, Result<Vec<AtomRow>, Failure>>;

    fn handle(&mut self, CloseDay(close): CloseDay, ctx: &mut Self::Context) -> Self::Result {
        let begun = self.close_by_hand(close, ctx);
        let waited = async move {
            let (atom, receiver) = begun?;
            let Some(receiver) = receiver else { return Ok(atom) };
            match timeout(CLOSE_PATIENCE, receiver).await {
                Ok(_) => Ok(atom),
                Err(_) => Err(Failure {
                    code: FailureCode::Busy,
                    message: "the day is still being closed; `karoctl group atoms` shows what comes of it"
                        .to_owned(),
                }),
            }
        };
        Box::pin(waited.into_actor(self).map(|waited, actor, _| Ok(vec![actor.day_row(&waited?)])))
    }
}
