//! What sessions ask about groups and of them.

use actix::{Addr, Recipient};
use karo_protocol::answer::{GroupClose, GroupMake, MeshQuery};
use karo_protocol::local::Reply as Answer;
use karo_protocol::peer::Signed;

use super::GroupsActor;
use super::messages::{Accept, CloseDay, Days, Leave, List, Look, Make, OwnCard, Show};
use crate::actors::mesh::{fallible, stopping};
use crate::actors::questions::{Ask, AskHealth};

/// Who is asked.
#[derive(Clone)]
pub struct GroupDesk {
    /// Files, days.
    pub groups: Addr<GroupsActor>,
    /// Questions to groups.
    pub ask: Recipient<Ask>,
    /// Questions about nodes.
    pub health: Recipient<AskHealth>,
}

impl GroupDesk {
    /// Returns this machine's card.
    pub async fn card(&self) -> Answer {
        fallible(self.groups.send(OwnCard).await, |card| Answer::Card(Box::new(card)))
    }

    /// Makes a file.
    pub async fn make(&self, make: GroupMake) -> Answer {
        fallible(self.groups.send(Make(make)).await, Answer::Group)
    }

    /// Says what is in a file.
    pub async fn look(&self, signed: Signed) -> Answer {
        fallible(self.groups.send(Look(signed)).await, Answer::Group)
    }

    /// Returns the file of a group.
    pub async fn show(&self, name: String) -> Answer {
        fallible(self.groups.send(Show(name)).await, Answer::Group)
    }

    /// Accepts a file.
    pub async fn accept(&self, signed: Signed) -> Answer {
        fallible(self.groups.send(Accept(signed)).await, Answer::Group)
    }

    /// Leaves a group.
    pub async fn leave(&self, name: String) -> Answer {
        fallible(self.groups.send(Leave(name)).await, Answer::Group)
    }

    /// Returns the groups.
    pub async fn list(&self) -> Answer {
        self.groups.send(List).await.map_or_else(|_| stopping(), Answer::Groups)
    }

    /// Closes a past day.
    pub async fn close(&self, close: GroupClose) -> Answer {
        fallible(self.groups.send(CloseDay(close)).await, Answer::Atoms)
    }

    /// Returns the days of groups.
    pub async fn atoms(&self, name: Option<String>) -> Answer {
        fallible(self.groups.send(Days(name)).await, Answer::Atoms)
    }

    /// Asks a group.
    pub async fn query(&self, query: MeshQuery) -> Answer {
        fallible(self.ask.send(Ask(query)).await, Answer::Answer)
    }

    /// Asks how the nodes are.
    pub async fn health(&self) -> Answer {
        self.health.send(AskHealth).await.map_or_else(|_| stopping(), Answer::Health)
    }
}
