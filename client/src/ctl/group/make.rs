//! Making a group file, and changing one. Nothing is accepted by it.

use std::path::Path;

use karo_protocol::Risk;
use karo_protocol::answer::{GroupEdit, GroupMake, GroupShown};
use karo_protocol::group::{COHORT_RECOMMENDED, GROUP_RULES_MAX};
use karo_protocol::local::Request;
use karo_protocol::mesh::{NAME_ACCEPTED, OWNER_ACCEPTED, is_name, is_owner};
use serde_json::json;

use super::{ask, file, safe};
use crate::connection::Connection;
use crate::ctl::cli::{AddArgs, CreateArgs};
use crate::ctl::exit::{Exit, Trouble};
use crate::ctl::rules::ask as rules;
use crate::ctl::scene::Scene;
use crate::ctl::{json, owned_file};

pub(super) fn create(scene: &mut Scene, args: &CreateArgs) -> Result<Exit, Trouble> {
    owned_file::refuse_taken(&args.file, args.force)?;
    let mut edits = vec![
        GroupEdit::Name(word("--name", &args.name)?),
        GroupEdit::Zone(zone(scene, args.zone.as_deref())?),
        GroupEdit::SmallestCohort(args.smallest.unwrap_or(COHORT_RECOMMENDED)),
    ];
    // A group that begins has well-known tools already; the daemon has the list of those that are public.
    match one_word(&args.tools) {
        Some("default") => {}
        Some("none") => edits.push(GroupEdit::Tools(Vec::new())),
        Some(_) | None => edits.push(GroupEdit::Tools(args.tools.clone())),
    }
    if let Some(owner) = &args.owner {
        edits.push(GroupEdit::Add {
            who: "self".to_owned(),
            owner: Some(checked_owner(owner)?),
            name: args.machine.as_deref().map(|name| word("--machine", name)).transpose()?,
            contributes: None,
            may_aggregate: true,
            addresses: args.address.clone(),
        });
    }
    let mut connection = scene.connect()?;
    edits.push(GroupEdit::Rules(match one_word(&args.rules) {
        Some("default") => gravest(&mut connection)?,
        Some("none") => Vec::new(),
        Some(_) | None => args.rules.clone(),
    }));
    let made = ask(&mut connection, &Request::GroupMake(GroupMake { base: None, edits }))?;
    file::write(&args.file, &made.signed, args.force)?;
    tell(
        scene,
        &args.file,
        &made,
        "add the others with `karoctl group add`, then hand the file to everybody in it",
    )
}

/// Returns the one word that a list is, if it is one.
fn one_word(list: &[String]) -> Option<&str> {
    match list {
        [word] => Some(word),
        _ => None,
    }
}

/// Returns the ids of Karo's own rules that matter most, which every member has.
fn gravest(connection: &mut Connection) -> Result<Vec<String>, Trouble> {
    let mut found = rules::all(connection, &Request::Rules(()))?.rules.rules;
    // A team's own rules are files somewhere; those that come with Karo are in no directory of anybody's.
    found.retain(|rule| rule.level == Risk::Critical && !rule.file.starts_with('/'));
    found.sort_by(|first, second| first.id.cmp(&second.id));
    found.truncate(GROUP_RULES_MAX);
    Ok(found.into_iter().map(|rule| rule.id).collect())
}

fn zone(scene: &Scene, asked: Option<&str>) -> Result<String, Trouble> {
    if let Some(zone) = asked {
        return match jiff::tz::TimeZone::get(zone) {
            Ok(_) => Ok(zone.to_owned()),
            Err(_) => Err(Trouble::usage(format!(
                "--zone is {zone:?}, accepted is the name of a time zone, as Europe/Berlin or UTC"
            ))),
        };
    }
    scene.now().time_zone().iana_name().map(str::to_owned).ok_or_else(|| {
        Trouble::usage("this machine's time zone has no name; say one with --zone, as Europe/Berlin or UTC")
    })
}

fn word(option: &str, name: &str) -> Result<String, Trouble> {
    match is_name(name) {
        true => Ok(name.to_owned()),
        false => Err(Trouble::usage(format!("{option} is {name:?}, accepted is {NAME_ACCEPTED}"))),
    }
}

fn checked_owner(owner: &str) -> Result<String, Trouble> {
    match is_owner(owner) {
        true => Ok(owner.to_owned()),
        false => Err(Trouble::usage(format!("--owner is {owner:?}, accepted is {OWNER_ACCEPTED}"))),
    }
}

pub(super) fn add(scene: &mut Scene, args: &AddArgs) -> Result<Exit, Trouble> {
    let contributes = match (args.contributes, args.feeds) {
        (true, _) => Some(true),
        (false, true) => Some(false),
        (false, false) => None,
    };
    let edit = GroupEdit::Add {
        who: args.who.clone(),
        owner: args.owner.as_deref().map(checked_owner).transpose()?,
        name: args.name.as_deref().map(|name| word("--name", name)).transpose()?,
        contributes,
        may_aggregate: !args.no_aggregate,
        addresses: args.address.clone(),
    };
    change(scene, &args.file, edit)
}

pub(super) fn remove(scene: &mut Scene, path: &Path, member: &str) -> Result<Exit, Trouble> {
    change(scene, path, GroupEdit::Remove(member.to_owned()))
}

fn change(scene: &mut Scene, path: &Path, edit: GroupEdit) -> Result<Exit, Trouble> {
    let base = Some(file::read(path)?);
    let make = GroupMake { base, edits: vec![edit] };
    let made = ask(&mut scene.connect()?, &Request::GroupMake(make))?;
    file::write(path, &made.signed, true)?;
    tell(
        scene,
        path,
        &made,
        "everybody in it accepts this file, or stays with the one before and out of this one",
    )
}

/// Says what was made, and what comes next.
fn tell(scene: &mut Scene, path: &Path, made: &GroupShown, next: &str) -> Result<Exit, Trouble> {
    if scene.is_json {
        let line = json!({
            "file": path.to_string_lossy(),
            "group": super::show::to_json(made),
        });
        json::write_line(&mut scene.out, &line)?;
        return Ok(Exit::Done);
    }
    let owners = super::show::owners(&made.file);
    writeln!(
        scene.out,
        "{}: group {}, version {}, {} of {}",
        safe(&path.to_string_lossy()),
        safe(&made.file.name),
        made.file.version,
        crate::ctl::bars::counted(made.file.members.len() as u64, "machine", "machines"),
        crate::ctl::bars::counted(owners as u64, "person", "people"),
    )?;
    writeln!(scene.out, "id {}", made.id)?;
    if let Some(why) = &made.refused_because {
        super::say(scene, &format!("it cannot be accepted yet: {}", safe(why)))?;
    }
    super::say(scene, &format!("nothing is accepted by this; {next}"))?;
    Ok(Exit::Done)
}
