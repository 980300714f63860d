//! `karoctl policy`: what goes to whom, and how that is changed.
//!
//! Before anything that shows a person is switched on, what it shows is said, and a yes is asked for.

use std::collections::BTreeMap;

use karo_protocol::category::CategorySet;
use karo_protocol::local::{Reply, Request};
use karo_protocol::policy::{PeerPolicy, PolicyChange, PolicyExplained, PolicyShown, Sharing};
use karo_protocol::{Category, NodeId};
use serde_json::{Value, json};

use super::cli::{PolicyArgs, PolicyCommand, PolicyKey};
use super::exit::{Exit, Trouble};
use super::json;
use super::scene::Scene;
use crate::connection::{Connection, ConnectionError, Patience};

pub mod preview;

mod text;

#[cfg(test)]
#[path = "policy_tests.rs"]
mod tests;

/// Runs the command.
///
/// # Errors
///
/// When the daemon cannot do it, or the person does not agree.
pub fn run(scene: &mut Scene, args: &PolicyArgs) -> Result<Exit, Trouble> {
    match &args.command {
        None | Some(PolicyCommand::Show) => show(scene),
        Some(PolicyCommand::Set { key, value, peer, yes }) => set(scene, *key, value, peer.as_deref(), *yes),
        Some(PolicyCommand::Preview { peer }) => preview::run(scene, peer),
        Some(PolicyCommand::Explain { peer }) => explain(scene, peer),
    }
}

fn ask(connection: &mut Connection, request: &Request) -> Result<PolicyShown, Trouble> {
    let Reply::Policy(shown) = connection.ask(request)? else {
        return Err(ConnectionError::Unexpected("the policy").into());
    };
    Ok(*shown)
}

fn show(scene: &mut Scene) -> Result<Exit, Trouble> {
    let shown = ask(&mut scene.connect()?, &Request::Policy(()))?;
    tell(scene, &shown, true)
}

fn tell(scene: &mut Scene, shown: &PolicyShown, has_meaning: bool) -> Result<Exit, Trouble> {
    if scene.is_json {
        json::write_line(&mut scene.out, &to_json(shown))?;
    } else {
        let text = text::policy(&scene.surface(), shown, has_meaning);
        scene.out.write_all(text.as_bytes())?;
    }
    Ok(Exit::Done)
}

fn set(
    scene: &mut Scene,
    key: PolicyKey,
    value: &str,
    peer: Option<&str>,
    yes: bool,
) -> Result<Exit, Trouble> {
    let change = match peer {
        Some(peer) => for_peer(scene, key, value, peer)?,
        None => for_all(key, value)?,
    };
    if let PolicyChange::Switch { what: what @ (Sharing::Summaries | Sharing::Groups), to } = change
        && to != Some(false)
    {
        agree(scene, what, to, yes)?;
    }
    let mut connection = scene.connect()?;
    connection.wait_for_answers(Patience::LONG);
    let shown = ask(&mut connection, &Request::PolicyChange(change))?;
    tell(scene, &shown, false)
}

/// Says what a switch shows of a person, and asks whether it is to be on.
///
/// To leave it to the configuration may switch it on as well, so that is asked in the same way.
fn agree(scene: &mut Scene, what: Sharing, to: Option<bool>, yes: bool) -> Result<(), Trouble> {
    let shown = ask(&mut scene.connect()?, &Request::Policy(()))?;
    // With --json the answer is one object, and what a person reads stands beside it.
    if scene.is_json {
        text::sentences(&shown, what).iter().for_each(|sentence| scene.note(&text::safe(sentence)));
    } else {
        writeln!(scene.out, "{}", text::meaning(&shown, what))?;
    }
    let question = match to {
        Some(_) => format!("switch {what} on?"),
        None => format!("leave {what} to the configuration, which may switch it on?"),
    };
    if !yes && !scene.confirm_seen(&question)? {
        return Err(Trouble::refused("nothing was changed"));
    }
    Ok(())
}

fn for_all(key: PolicyKey, value: &str) -> Result<PolicyChange, Trouble> {
    let switch = |what| Ok(PolicyChange::Switch { what, to: switch(value)? });
    match key {
        PolicyKey::Summaries => switch(Sharing::Summaries),
        PolicyKey::Groups => switch(Sharing::Groups),
        PolicyKey::Health => switch(Sharing::Health),
        PolicyKey::Allow => Ok(PolicyChange::Allow(allowed(value)?)),
        PolicyKey::Deny => Ok(PolicyChange::Deny(denied(value)?)),
    }
}

/// Makes what holds for one peer: one thing of it is new, the rest is as it was set.
fn for_peer(scene: &Scene, key: PolicyKey, value: &str, peer: &str) -> Result<PolicyChange, Trouble> {
    let change: Box<dyn Fn(&mut PeerPolicy)> = match key {
        PolicyKey::Summaries => {
            let is_kept = switch(value)? == Some(false);
            Box::new(move |policy| policy.no_summaries = is_kept)
        }
        PolicyKey::Health => {
            let is_kept = switch(value)? == Some(false);
            Box::new(move |policy| policy.no_health = is_kept)
        }
        PolicyKey::Deny => {
            let deny = denied(value)?;
            Box::new(move |policy| policy.deny = deny)
        }
        PolicyKey::Groups | PolicyKey::Allow => {
            return Err(Trouble::usage(
                "--peer goes with summaries, health and deny: a group's numbers are of no peer, and what a peer may \
                 have is its trust (`karoctl peers trust`)",
            ));
        }
    };
    let mut connection = scene.connect()?;
    let Reply::PeerShown(found) = connection.ask(&Request::PeerShow(peer.to_owned()))? else {
        return Err(ConnectionError::Unexpected("all that is known of a peer").into());
    };
    let set = ask(&mut connection, &Request::Policy(()))?.set.peers;
    let mut policy = set.get(&found.row.node_id).copied().unwrap_or_default();
    change(&mut policy);
    // Its key and not its name: whoever is renamed in between is not meant.
    Ok(PolicyChange::Peer { peer: found.row.node_id.to_string(), policy })
}

fn switch(value: &str) -> Result<Option<bool>, Trouble> {
    match value {
        "on" => Ok(Some(true)),
        "off" => Ok(Some(false)),
        "default" => Ok(None),
        _ => Err(Trouble::usage(format!("VALUE is {value:?}, accepted is on, off, default"))),
    }
}

fn allowed(value: &str) -> Result<Option<CategorySet>, Trouble> {
    match value {
        "default" => Ok(None),
        "all" => Ok(Some(CategorySet::default())),
        "none" => Err(Trouble::usage(
            "to tell of nothing, switch summaries and groups off; `allow all` tells of every category but the denied",
        )),
        _ => categories(value).map(Some),
    }
}

fn denied(value: &str) -> Result<CategorySet, Trouble> {
    match value {
        "none" | "default" => Ok(CategorySet::default()),
        _ => categories(value),
    }
}

fn categories(value: &str) -> Result<CategorySet, Trouble> {
    let category = |name: &str| {
        let found = name.trim().parse::<Category>();
        found.map_err(|error| {
            Trouble::usage(format!("{name:?} is no category, accepted is one of: {}", error.expected))
        })
    };
    value.split(',').map(category).collect()
}

fn explain(scene: &mut Scene, peer: &str) -> Result<Exit, Trouble> {
    let reply = scene.connect()?.ask(&Request::PolicyExplain(peer.to_owned()))?;
    let Reply::PolicyExplained(explained) = reply else {
        return Err(ConnectionError::Unexpected("what goes to a peer and why").into());
    };
    if scene.is_json {
        json::write_line(&mut scene.out, &explained_json(&explained))?;
    } else {
        let text = text::explained(&scene.surface(), &explained);
        scene.out.write_all(text.as_bytes())?;
    }
    Ok(Exit::Done)
}

fn names(set: CategorySet) -> Vec<&'static str> {
    set.iter().map(Category::name).collect()
}

fn to_json(PolicyShown { policy, set, meaning, names: called }: &PolicyShown) -> Value {
    json!({
        "summaries": policy.summaries,
        "groups": policy.groups,
        "health": policy.health,
        "allow": names(policy.allow),
        "deny": names(policy.deny),
        "peers": peers_json(&policy.peers, called),
        "set": {
            "summaries": set.summaries,
            "groups": set.groups,
            "health": set.health,
            "allow": set.allow.map(names),
            "deny": names(set.deny),
            "peers": peers_json(&set.peers, called),
        },
        "meaning": meaning,
    })
}

fn peers_json(peers: &BTreeMap<NodeId, PeerPolicy>, called: &[(NodeId, String)]) -> Vec<Value> {
    let line = |(node, policy): (&NodeId, &PeerPolicy)| {
        json!({
            "node_id": node.to_string(),
            "name": name_of(*node, called),
            "summaries": !policy.no_summaries,
            "health": !policy.no_health,
            "deny": names(policy.deny),
        })
    };
    peers.iter().map(line).collect()
}

fn name_of(node: NodeId, called: &[(NodeId, String)]) -> Option<&str> {
    called.iter().find(|(known, _)| *known == node).map(|(_, name)| name.as_str())
}

fn explained_json(PolicyExplained { peer, reasons, denied }: &PolicyExplained) -> Value {
    let reason = |reason: &karo_protocol::policy::PolicyReason| {
        json!({
            "what": reason.what.name(),
            "allowed": reason.is_allowed,
            "rule": reason.rule,
            "change": (!reason.change.is_empty()).then_some(&reason.change),
        })
    };
    json!({
        "peer": peer,
        "reasons": reasons.iter().map(reason).collect::<Vec<_>>(),
        "denied": names(*denied),
    })
}
