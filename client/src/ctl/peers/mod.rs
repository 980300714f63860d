//! `karoctl peers`: the machines that are trusted, and how their links are.

use karo_protocol::local::{Reply, Request};
use karo_protocol::mesh::{
    Change, NAME_ACCEPTED, OWNER_ACCEPTED, PeerChange, PeerRow, PeersAsk, PeersTable, is_name, is_owner,
};

use super::cli::{CalledArgs, PeersArgs, PeersCommand};
use super::exit::{Exit, Trouble};
use super::json;
use super::scene::Scene;
use crate::connection::{Connection, ConnectionError, Patience};
pub(super) use rows::skew;
use rows::{PeerLine, table};

mod add;
mod pair;
mod probe;
mod rows;
mod show;
mod watch;

#[cfg(test)]
#[path = "peers_tests.rs"]
mod tests;

/// Runs the command.
///
/// # Errors
///
/// When the daemon cannot do it.
pub fn run(scene: &mut Scene, args: &PeersArgs) -> Result<Exit, Trouble> {
    let Some(command) = &args.command else {
        return if args.watch { watch::run(scene) } else { list(scene) };
    };
    if args.watch {
        return Err(Trouble::usage("--watch shows the table as it changes, and goes with no other command"));
    }
    match command {
        PeersCommand::Add { node, address, trust, called, expires } => {
            add::run(scene, &add::request(scene, node, address, *trust, called, expires.as_deref())?)
        }
        PeersCommand::Pair(args) => pair::run(scene, args),
        PeersCommand::Trust { name, level } => change(scene, name, Change::Trust(*level)),
        PeersCommand::Rename { name, new } => {
            change(scene, name, Change::Rename(check_name("the new name", new)?))
        }
        PeersCommand::Remove { name } => change(scene, name, Change::Remove),
        PeersCommand::Revoke { name } => change(scene, name, Change::Revoke),
        PeersCommand::Show { name } => show::run(scene, name),
        PeersCommand::Ping { name } => probe::ping(scene, name),
        PeersCommand::Candidates => probe::candidates(scene),
        PeersCommand::Test { name } => probe::test(scene, name),
        PeersCommand::Confirm { name, yes } => confirm(scene, name, *yes),
    }
}

/// Asks for the table.
fn ask(connection: &mut Connection, unless: Option<u64>) -> Result<PeersTable, Trouble> {
    let Reply::Peers(table) = connection.ask(&Request::Peers(PeersAsk { unless }))? else {
        return Err(ConnectionError::Unexpected("the peers").into());
    };
    Ok(table)
}

fn list(scene: &mut Scene) -> Result<Exit, Trouble> {
    let found = ask(&mut scene.connect()?, None)?;
    if found.rows.is_empty() {
        scene.note(
            "there are no peers, and nothing listens; `karoctl peers pair --listen` waits for the first",
        );
        return Ok(Exit::NothingFound);
    }
    if scene.is_json {
        found.rows.iter().try_for_each(|row| json::write_line(&mut scene.out, &PeerLine::new(row)))?;
    } else {
        let text = table(&scene.surface(), &found.rows);
        scene.out.write_all(text.as_bytes())?;
    }
    Ok(Exit::Done)
}

fn change(scene: &mut Scene, peer: &str, change: Change) -> Result<Exit, Trouble> {
    let what = change.clone();
    let mut connection = scene.connect()?;
    connection.wait_for_answers(Patience::LONG);
    let request = Request::PeerChange(PeerChange { peer: peer.to_owned(), change });
    let Reply::Peer(row) = connection.ask(&request)? else {
        return Err(ConnectionError::Unexpected("a peer").into());
    };
    tell(scene, &row, |row| match what {
        Change::Trust(_) => format!("{} is trusted as {}", rows::both(row), row.trust),
        Change::Rename(_) => format!("{} is called so from now on", rows::both(row)),
        Change::Remove => format!("{} is forgotten", rows::both(row)),
        Change::Revoke => {
            format!(
                "{} is refused from now on; its owner is not told, nor is any other machine",
                rows::both(row)
            )
        }
        Change::Confirm => format!("what was held of {} is accepted", rows::both(row)),
    })
}

/// Shows what a peer is since: a sentence for people, its line for scripts.
fn tell(scene: &mut Scene, row: &PeerRow, say: impl Fn(&PeerRow) -> String) -> Result<Exit, Trouble> {
    if scene.is_json {
        json::write_line(&mut scene.out, &PeerLine::new(row))?;
    } else {
        writeln!(scene.out, "{}", say(row))?;
    }
    Ok(Exit::Done)
}

/// Accepts what is held, once the person has seen what that is.
fn confirm(scene: &mut Scene, name: &str, yes: bool) -> Result<Exit, Trouble> {
    if !yes {
        let shown = show::ask(&mut scene.connect()?, name)?;
        let why = shown.row.reason.as_deref().unwrap_or("nothing is held at the moment");
        let question = format!("{}: {}; accept it?", rows::both(&shown.row), rows::safe(why));
        if !scene.confirm_seen(&question)? {
            return Err(Trouble::refused("nothing was accepted"));
        }
    }
    change(scene, name, Change::Confirm)
}

/// Checks what a peer is to be called, and whose it is to be.
fn check_called(called: &CalledArgs) -> Result<(Option<String>, Option<String>), Trouble> {
    let name = called.name.as_ref().map(|name| check_name("--name", name)).transpose()?;
    match &called.owner {
        Some(owner) if !is_owner(owner) => {
            Err(Trouble::usage(format!("--owner is {owner:?}, accepted is {OWNER_ACCEPTED}")))
        }
        Some(_) | None => Ok((name, called.owner.clone())),
    }
}

fn check_name(what: &str, name: &str) -> Result<String, Trouble> {
    match is_name(name) {
        true => Ok(name.to_owned()),
        false => Err(Trouble::usage(format!("{what} is {name:?}, accepted is {NAME_ACCEPTED}"))),
    }
}
