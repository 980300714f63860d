//! Group files: made, looked at, accepted, left, and offered to members.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{ActorFutureExt, AtomicResponse, Context, Handler, WrapFuture};
use karo_core::group::{Group, diff};
use karo_core::public;
use karo_protocol::answer::{GroupEdit, GroupMake, GroupShown};
use karo_protocol::audit::{AuditEntry, Deed, Reason};
use karo_protocol::group::{COHORT_RECOMMENDED, Card, GROUPS_MAX, GroupFile, GroupTalk, Member, ToolName};
use karo_protocol::local::{Failure, FailureCode};
use karo_protocol::mesh::PeerAdd;
use karo_protocol::node::Nonce;
use karo_protocol::peer::{Control, Signed};
use karo_protocol::{Category, NodeId, Timestamp, Trust};
use karo_store::Entry;
use karo_trust::roster::Origin;
use karo_trust::{Chance, System, card, fingerprint, object};

use super::actor::GroupsActor;
use super::kept::{PAST_MAX, group_entries, group_gone, id_of, read_group};
use super::messages::{Accept, Leave, Look, Make, OwnCard, Show, Shown};
use crate::actors::mesh::stopped;
use crate::actors::peers::Add;
use crate::actors::store::Keep;
use crate::actors::talks;
use crate::allowance::Allowance;
use crate::auditor::entry;
use crate::civil::Civil;
use crate::clock;
use crate::groups_desk::Accepted;
use crate::logging::say;

/// A group file is refused by nobody for its age: a person looks at it.
const NEVER: Timestamp = Timestamp::from_micros(i64::MAX);

/// Files that one peer may offer at once: those of the groups that it can be in with us.
const OFFERS_AT_ONCE_MAX: u32 = 2 * GROUPS_MAX as u32;

/// After how long it may offer one more: the cards of a thousand members take a twentieth of a second to verify.
const OFFERS_REFILL: Duration = Duration::from_secs(2);

/// What a person calls this machine in a file that is made here.
const SELF: &str = "self";

/// Tools that have cells in a new group, unless its maker says otherwise: one chunk of those that most teams have.
const DEFAULT_TOOLS: [&str; 32] = [
    "ansible",
    "apt",
    "aws",
    "bash",
    "cargo",
    "curl",
    "docker",
    "gcc",
    "git",
    "go",
    "grep",
    "helm",
    "java",
    "journalctl",
    "kubectl",
    "make",
    "mysql",
    "nmap",
    "node",
    "npm",
    "openssl",
    "pip",
    "psql",
    "python3",
    "rsync",
    "scp",
    "ssh",
    "sudo",
    "systemctl",
    "tar",
    "terraform",
    "vim",
];

pub(super) fn refused(message: impl Into<String>) -> Failure {
    Failure { code: FailureCode::Refused, message: message.into() }
}

impl GroupsActor {
    pub(super) fn own_card(&self) -> Result<Card, Failure> {
        let identity = self.identity()?;
        Ok(card::issue(identity.as_ref(), self.sealing()?.public()))
    }

    fn made(&self, GroupMake { base, edits }: GroupMake) -> Shown {
        let identity = self.identity()?;
        let mut file = match base {
            None => self.new_file()?,
            Some(signed) => {
                let mut file =
                    object::read::<GroupFile>(&signed, None).map_err(|e| refused(e.to_string()))?.body;
                file.version = file
                    .version
                    .checked_add(1)
                    .ok_or_else(|| refused("the file has the last version there can be: it was made up"))?;
                file
            }
        };
        for edit in edits {
            self.edit(&mut file, edit)?;
        }
        file.members.sort_by_key(|member| member.card.node);
        let (now, id) = (clock::now(), Nonce(System::default().draw()));
        let signed = object::sign(identity.as_ref(), file, None, now, NEVER, id);
        self.shown(signed.map_err(|error| refused(error.to_string()))?)
    }

    fn new_file(&self) -> Result<GroupFile, Failure> {
        let own = self.own_card()?;
        let owner = crate::ground::account();
        let member = Member {
            name: fingerprint(&own.node).to_string(),
            card: own,
            owner: if karo_protocol::mesh::is_owner(&owner) { owner } else { "me".to_owned() },
            contributes: true,
            may_aggregate: true,
            addresses: Vec::new(),
        };
        Ok(GroupFile {
            name: "group".to_owned(),
            lineage: Nonce(System::default().draw()),
            version: 1,
            zone: "UTC".to_owned(),
            smallest_cohort: COHORT_RECOMMENDED,
            members: vec![member],
            tools: tools_known(&DEFAULT_TOOLS),
            rules: Vec::new(),
        })
    }

    fn edit(&self, file: &mut GroupFile, edit: GroupEdit) -> Result<(), Failure> {
        match edit {
            GroupEdit::Name(name) => file.name = name,
            GroupEdit::Zone(zone) => {
                Civil::named(&zone).map_err(refused)?;
                file.zone = zone;
            }
            GroupEdit::SmallestCohort(smallest) => file.smallest_cohort = smallest,
            GroupEdit::Tools(names) => file.tools = tools(&names)?,
            GroupEdit::Rules(ids) => file.rules = self.levels(&ids)?,
            GroupEdit::Remove(who) => {
                let before = file.members.len();
                file.members.retain(|member| member.name != who && member.card.node.to_string() != who);
                if file.members.len() == before {
                    return Err(refused(format!("the file has no member {who:?}")));
                }
            }
            GroupEdit::Add { who, owner, name, contributes, may_aggregate, addresses } => {
                let known = self.who(&who)?;
                let owner = owner.or(known.owner).ok_or_else(|| {
                    refused(format!(
                        "whose machine {who} is must be said with --owner: the roster does not know"
                    ))
                })?;
                let others = || file.members.iter().filter(|member| member.card.node != known.card.node);
                let is_first = !others().any(|member| member.owner == owner && member.contributes);
                let member = Member {
                    card: known.card,
                    name: name.unwrap_or(known.name),
                    owner,
                    contributes: contributes.unwrap_or(is_first),
                    may_aggregate,
                    addresses: if addresses.is_empty() { known.addresses } else { addresses },
                };
                file.members.retain(|old| old.card.node != member.card.node);
                file.members.push(member);
            }
        }
        Ok(())
    }

    /// Returns ids of rules with the level that each has in this machine's set.
    fn levels(&self, ids: &[String]) -> Result<Vec<(String, karo_protocol::Risk)>, Failure> {
        let loaded = self
            .rules
            .newest()
            .ok_or_else(|| refused("the rules are not loaded yet; try again in a second"))?;
        let level = |id: &String| {
            let rule = loaded.knowledge.rules().listed().find(|rule| rule.id == *id).ok_or_else(|| {
                refused(format!("there is no rule {id:?} here; `karoctl rules` lists those there are"))
            })?;
            Ok((id.clone(), rule.level))
        };
        let mut levels = ids.iter().map(level).collect::<Result<Vec<_>, Failure>>()?;
        levels.sort();
        levels.dedup();
        Ok(levels)
    }

    fn who(&self, who: &str) -> Result<Known, Failure> {
        if who == SELF {
            let card = self.own_card()?;
            let name = fingerprint(&card.node).to_string();
            return Ok(Known { card, name, owner: None, addresses: Vec::new() });
        }
        if let Ok(card) = who.parse::<Card>() {
            if !card::is_genuine(&card) {
                return Err(refused(
                    "the card is not signed by its own key: it was copied wrongly, or made up",
                ));
            }
            let known = self.roster.read().peer(&card.node).cloned();
            let name =
                known.as_ref().map_or_else(|| fingerprint(&card.node).to_string(), |peer| peer.name.clone());
            let addresses = known.iter().flat_map(|peer| &peer.addresses).map(ToString::to_string).collect();
            return Ok(Known { card, name, owner: known.and_then(|peer| peer.owner), addresses });
        }
        let peer = self.roster.read().find(who).cloned().map_err(|error| refused(error.to_string()))?;
        let card = self.cards.get(&peer.node_id).copied().ok_or_else(|| {
            refused(format!(
                "the card of {who} is not known: it comes over a link, or `karoctl group card` prints it on that machine"
            ))
        })?;
        let addresses = peer.addresses.iter().map(ToString::to_string).collect();
        Ok(Known { card, name: peer.name, owner: peer.owner, addresses })
    }

    /// Says what is in a file, what is new in it, and why it cannot be accepted here, if so.
    pub(super) fn shown(&self, signed: Signed) -> Shown {
        let object = object::read::<GroupFile>(&signed, None).map_err(|error| refused(error.to_string()))?;
        let file = object.body;
        let groups = self.groups.read();
        let before = groups.accepted.get(&file.lineage);
        let id = id_of(&signed);
        let is_accepted = before.is_some_and(|before| before.group.id() == id);
        let differences = diff(before.filter(|_| !is_accepted).map(|before| before.group.file()), &file);
        let mut differences: Vec<String> =
            differences.into_iter().map(|difference| difference.says).collect();
        if let Some(before) = before.filter(|before| before.maker != object.issuer) {
            let (then, now) = (fingerprint(&before.maker), fingerprint(&object.issuer));
            differences.insert(
                0,
                format!("This version was made by another node, {now}, and the one before by {then}."),
            );
        }
        if is_accepted {
            differences.clear();
        }
        let refused_because = if is_accepted { None } else { self.refusal(&file, id, before).err() };
        Ok(Box::new(GroupShown {
            id,
            maker: object.issuer,
            maker_fingerprint: fingerprint(&object.issuer),
            differences,
            refused_because,
            is_accepted,
            file,
            signed,
        }))
    }

    /// Tells whether a file may be accepted here; if not, why.
    fn refusal(
        &self,
        file: &GroupFile,
        id: karo_protocol::node::Hash,
        before: Option<&Accepted>,
    ) -> Result<Group, String> {
        let group = Group::check(id, file.clone()).map_err(|error| error.to_string())?;
        Civil::named(&file.zone)?;
        let own = self.own_card().map_err(|failure| failure.message)?;
        let member = group.member(&own.node).ok_or("this machine is not a member of it")?;
        if member.card.sealing != own.sealing {
            return Err("it names another sealing key for this machine than the one it has".to_owned());
        }
        if let Some(wrong) = file.members.iter().find(|member| !card::is_genuine(&member.card)) {
            return Err(format!("the card of {} is not signed by its own key", wrong.name));
        }
        if let Some(before) = before.filter(|before| before.group.file().version >= file.version) {
            let version = before.group.file().version;
            return Err(format!(
                "version {version} of this group is accepted already, and this is version {}",
                file.version
            ));
        }
        if before.is_none() && self.groups.read().accepted.len() >= GROUPS_MAX {
            return Err(format!(
                "this machine is in {GROUPS_MAX} groups, and may be in no more; leave one of them"
            ));
        }
        Ok(group)
    }

    /// Takes a group over, once all of it is on disk.
    fn accept(&self, signed: Signed) -> Result<(Accepted, Vec<PeerAdd>), Failure> {
        let (maker, group) = read_group(&signed).map_err(refused)?;
        let groups = self.groups.read();
        let before = groups.accepted.get(&group.file().lineage);
        if before.is_some_and(|before| before.group.id() == group.id()) {
            return Err(refused("this file is accepted already"));
        }
        let group = self.refusal(group.file(), group.id(), before).map_err(refused)?;
        let mut past = before.map(|before| before.past.clone()).unwrap_or_default();
        past.extend(before.map(|before| (before.signed.clone(), Arc::clone(&before.group))));
        past.drain(..past.len().saturating_sub(PAST_MAX));
        let adds = self.strangers(&group);
        let civil = Civil::named(&group.file().zone).map_err(refused)?;
        let accepted =
            Accepted { signed, maker, group: Arc::new(group), civil, accepted_at: clock::now(), past };
        Ok((accepted, adds))
    }

    /// Returns the members that are in no roster yet. Who was revoked stays so.
    fn strangers(&self, group: &Group) -> Vec<PeerAdd> {
        let roster = self.roster.read();
        let own = self.own.as_ref().ok().map(|own| own.node_id());
        let mut names: BTreeSet<String> = roster.peers().into_iter().map(|peer| peer.name.clone()).collect();
        let is_new =
            |node: &NodeId| Some(*node) != own && roster.peer(node).is_none() && !roster.is_revoked(node);
        let members = group.file().members.iter().filter(|member| is_new(&member.card.node));
        let add = members.map(|member| PeerAdd {
            node_id: member.card.node,
            addresses: member.addresses.clone(),
            trust: Trust::Member,
            name: names.insert(member.name.clone()).then(|| member.name.clone()),
            owner: Some(member.owner.clone()),
            expires_at: None,
        });
        add.collect()
    }

    fn keep_group(
        &self,
        entries: Vec<Entry>,
        deed: AuditEntry,
        then: impl FnOnce(&mut Self, &mut Context<Self>) -> Shown + 'static,
        adds: Vec<PeerAdd>,
    ) -> AtomicResponse<Self, Shown> {
        let (keep, peers) = (self.keep.clone(), self.peers.clone());
        let kept = async move {
            // First the members, then the group: a group of strangers would be one that nobody answers in.
            for peer in adds {
                let name = peer.name.clone().unwrap_or_else(|| fingerprint(&peer.node_id).to_string());
                let Some(peers) = &peers else { return Err(stopped()) };
                let added = peers.add.send(Add { add: peer, origin: Origin::Group, next_key: None }).await;
                match added {
                    Ok(Ok(_)) => {}
                    Ok(Err(failure)) => {
                        return Err(refused(format!("{name} cannot be made a member: {}", failure.message)));
                    }
                    Err(_) => return Err(stopped()),
                }
            }
            keep.send(Keep { entries, deeds: vec![deed] }).await.unwrap_or_else(|_| Err(stopped()))
        };
        let done = kept.into_actor(self).map(move |kept, actor, ctx| {
            kept?;
            then(actor, ctx)
        });
        AtomicResponse::new(Box::pin(done))
    }

    /// Takes what a member says of groups.
    pub(super) fn on_group_talk(&mut self, node: NodeId, talk: GroupTalk) {
        match talk {
            GroupTalk::Card(card) if card.node == node && card::is_genuine(&card) => {
                self.cards.insert(node, card);
            }
            GroupTalk::Card(_) => {
                say!(Class::CardForeign, peer = %fingerprint(&node), "a peer told a card that is not its own");
            }
            GroupTalk::Offer(signed) => self.on_offer(node, signed),
        }
    }

    fn on_offer(&mut self, node: NodeId, signed: Signed) {
        let now = Instant::now();
        let full = || Allowance::new(OFFERS_AT_ONCE_MAX, OFFERS_REFILL, now);
        if !self.offering.entry(node).or_insert_with(full).take(now) {
            tracing::debug!(peer = %fingerprint(&node), "a peer offers more files than are looked at");
            return;
        }
        let Ok(shown) = self.shown(signed) else { return };
        if shown.is_accepted || shown.refused_because.is_some() {
            return;
        }
        let is_known = self.offers.contains_key(&shown.file.lineage);
        if !is_known && self.offers.len() >= GROUPS_MAX && !self.make_room(node) {
            return;
        }
        // A version that the group's own maker signed goes before any number that somebody else wrote into one.
        let maker = self.groups.read().accepted.get(&shown.file.lineage).map(|accepted| accepted.maker);
        let newer = |(_, old): &(NodeId, Signed)| {
            object::read::<GroupFile>(old, None).is_ok_and(|old| {
                let old_rank = (Some(old.issuer) == maker, old.body.version);
                old_rank < (Some(shown.maker) == maker, shown.file.version)
            })
        };
        if self.offers.get(&shown.file.lineage).is_none_or(newer) {
            say!(Class::GroupOffered, peer = %fingerprint(&node), group = shown.file.name, "a group file is offered");
            self.offers.insert(shown.file.lineage, (node, shown.signed));
        }
    }

    /// Lets go of an offer of whoever has made most of them, if that leaves them more than this one has: nobody can
    /// keep the others' from being seen.
    fn make_room(&mut self, newcomer: NodeId) -> bool {
        let mut counts: BTreeMap<NodeId, usize> = BTreeMap::new();
        for (node, _) in self.offers.values() {
            *counts.entry(*node).or_default() += 1;
        }
        let own = counts.get(&newcomer).copied().unwrap_or_default();
        let most = counts.into_iter().max_by_key(|(_, count)| *count).filter(|(_, count)| *count > own + 1);
        let Some((greedy, _)) = most else { return false };
        let last =
            self.offers.iter().rev().find(|(_, (node, _))| *node == greedy).map(|(lineage, _)| *lineage);
        last.is_some_and(|lineage| self.offers.remove(&lineage).is_some())
    }

    /// Tells a peer whose link came up what it needs of us: our card, and the files of the groups it is in.
    pub(super) fn greet(&self, node: NodeId) {
        let Some(peers) = &self.peers else { return };
        if let Ok(card) = self.own_card() {
            talks::tell(&peers.tell, node, Control::Group(GroupTalk::Card(card)));
        }
        for accepted in self.groups.read().accepted.values() {
            if accepted.group.member(&node).is_some() {
                talks::tell(&peers.tell, node, Control::Group(GroupTalk::Offer(accepted.signed.clone())));
            }
        }
    }
}

/// Somebody who is to be a member.
struct Known {
    card: Card,
    name: String,
    owner: Option<String>,
    addresses: Vec<String>,
}

fn tools_known(names: &[&str]) -> Vec<(ToolName, Category)> {
    let known = |name: &&str| {
        let tool = public::public(name)?;
        let category = public::category_of(&tool)?;
        Some((tool, category))
    };
    let mut tools: Vec<_> = names.iter().filter_map(known).collect();
    tools.sort();
    tools
}

fn tools(names: &[String]) -> Result<Vec<(ToolName, Category)>, Failure> {
    let tool = |name: &String| {
        let tool = public::public(name).ok_or_else(|| {
            refused(format!("{name:?} is not on the list of public tools, and only those have cells: a private name would tell who uses it"))
        })?;
        let category = public::category_of(&tool).unwrap_or(Category::Other);
        Ok((tool, category))
    };
    let mut tools = names.iter().map(tool).collect::<Result<Vec<_>, Failure>>()?;
    tools.sort();
    tools.dedup();
    Ok(tools)
}

impl Handler<OwnCard> for GroupsActor {
    type Result = Result<Card, Failure>;

    fn handle(&mut self, _: OwnCard, _: &mut Self::Context) -> Self::Result {
        self.own_card()
    }
}

impl Handler<Make> for GroupsActor {
    type Result = Shown;

    fn handle(&mut self, Make(make): Make, _: &mut Self::Context) -> Self::Result {
        self.made(make)
    }
}

impl Handler<Look> for GroupsActor {
    type Result = Shown;

    fn handle(&mut self, Look(signed): Look, _: &mut Self::Context) -> Self::Result {
        self.shown(signed)
    }
}

impl Handler<Show> for GroupsActor {
    type Result = Shown;

    /// An offered version goes before the accepted one, for that is what is to be decided about; an offered group that
    /// only bears the name of an accepted one does not.
    fn handle(&mut self, Show(name): Show, _: &mut Self::Context) -> Self::Result {
        let accepted = self.groups.read().find(Some(&name)).cloned();
        let is_meant = |group: &Group| match &accepted {
            Ok(accepted) => group.file().lineage == accepted.group.file().lineage,
            Err(_) => group.file().name == name,
        };
        let offered = self.offers.values().find_map(|(_, signed)| {
            let (_, group) = read_group(signed).ok()?;
            is_meant(&group).then(|| signed.clone())
        });
        match offered {
            Some(signed) => self.shown(signed),
            None => self.shown(accepted.map_err(refused)?.signed),
        }
    }
}

impl Handler<Accept> for GroupsActor {
    type Result = AtomicResponse<Self, Shown>;

    fn handle(&mut self, Accept(signed): Accept, _: &mut Self::Context) -> Self::Result {
        let (accepted, adds) = match self.accept(signed) {
            Ok(accepted) => accepted,
            Err(failure) => return AtomicResponse::new(Box::pin(async { Err(failure) }.into_actor(self))),
        };
        let deed = AuditEntry {
            peer: Some(accepted.maker),
            other: Some(accepted.group.id()),
            count: accepted.group.file().members.len() as u64,
            reason: Reason::Command,
            ..entry(Deed::GroupAccepted)
        };
        let lineage = accepted.group.file().lineage;
        let entries = group_entries(&accepted, self.groups.read().accepted.get(&lineage));
        let then = move |actor: &mut Self, ctx: &mut Context<Self>| {
            let signed = accepted.signed.clone();
            actor.offers.remove(&lineage);
            actor.groups.change(|groups| groups.accepted.insert(lineage, accepted));
            let linked: Vec<NodeId> = actor.linked.iter().copied().collect();
            linked.into_iter().for_each(|node| actor.greet(node));
            actor.look_at_days(ctx);
            actor.shown(signed)
        };
        self.keep_group(entries, deed, then, adds)
    }
}

impl Handler<Leave> for GroupsActor {
    type Result = AtomicResponse<Self, Shown>;

    fn handle(&mut self, Leave(name): Leave, _: &mut Self::Context) -> Self::Result {
        let found = self.groups.read().find(Some(&name)).cloned();
        let shown = found.map_err(refused).and_then(|found| Ok((self.shown(found.signed.clone())?, found)));
        let (shown, found) = match shown {
            Ok(found) => found,
            Err(failure) => return AtomicResponse::new(Box::pin(async { Err(failure) }.into_actor(self))),
        };
        let lineage = found.group.file().lineage;
        let deed =
            AuditEntry { other: Some(found.group.id()), reason: Reason::Command, ..entry(Deed::GroupLeft) };
        let entries = group_gone(&found);
        let then = move |actor: &mut Self, _: &mut Context<Self>| {
            actor.groups.change(|groups| groups.accepted.remove(&lineage));
            actor.forget_machines(|id| found.version(&id.group).is_some());
            Ok(shown)
        };
        self.keep_group(entries, deed, then, Vec::new())
    }
}
