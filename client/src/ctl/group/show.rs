//! What a group file says, for eyes and for scripts.

use std::collections::BTreeSet;

use karo_protocol::answer::GroupShown;
use karo_protocol::group::{GroupFile, Member};
use karo_protocol::local::Request;
use karo_protocol::node::{Fingerprint, NodeId};
use serde_json::{Value, json};

use super::{COLUMNS, ask, groups, look, safe};
use crate::ctl::exit::{Exit, Trouble};
use crate::ctl::explain::prose::put;
use crate::ctl::grid::Cell;
use crate::ctl::json;
use crate::ctl::scene::Scene;
use crate::ctl::table::{DIM, GREEN, RED, Surface, YELLOW};

pub(super) fn run(scene: &mut Scene, what: Option<&str>) -> Result<Exit, Trouble> {
    let mut connection = scene.connect()?;
    let found = match what {
        Some(what) => look(&mut connection, what)?,
        None => {
            let rows = groups(&mut connection)?;
            match rows.as_slice() {
                [] => {
                    scene.note("this machine is in no group; `karoctl group create` begins one");
                    return Ok(Exit::NothingFound);
                }
                [only] => ask(&mut connection, &Request::GroupShow(only.name.clone()))?,
                [..] => {
                    let names: Vec<String> = rows.iter().map(|row| safe(&row.name)).collect();
                    return Err(Trouble::usage(format!("there are several groups: {}", names.join(", "))));
                }
            }
        }
    };
    if scene.is_json {
        json::write_line(&mut scene.out, &to_json(&found))?;
    } else {
        let text = text(&scene.surface(), &found);
        scene.out.write_all(text.as_bytes())?;
    }
    Ok(Exit::Done)
}

/// Returns how many people a file names.
pub(super) fn owners(file: &GroupFile) -> usize {
    file.members.iter().map(|member| &member.owner).collect::<BTreeSet<_>>().len()
}

/// Returns all that is in a file, and what is new in it.
pub(super) fn to_json(found: &GroupShown) -> Value {
    let GroupFile { name, lineage, version, zone, smallest_cohort, members, tools, rules } = &found.file;
    let member = |Member { card, name, owner, contributes, may_aggregate, addresses }: &Member| {
        json!({
            "name": name,
            "owner": owner,
            "node_id": card.node.to_string(),
            "card": card.to_string(),
            "contributes": contributes,
            "may_aggregate": may_aggregate,
            "addresses": addresses,
        })
    };
    let tools =
        tools.iter().map(|(tool, category)| json!({ "name": tool.as_str(), "category": category.name() }));
    let rules = rules.iter().map(|(id, level)| json!({ "id": id, "level": level.name() }));
    json!({
        "id": found.id.to_string(),
        "name": name,
        "lineage": lineage.to_string(),
        "version": version,
        "zone": zone,
        "smallest_cohort": smallest_cohort,
        "maker": found.maker.to_string(),
        "members": members.iter().map(member).collect::<Vec<_>>(),
        "tools": tools.collect::<Vec<_>>(),
        "rules": rules.collect::<Vec<_>>(),
        "differences": found.differences,
        "refused_because": found.refused_because,
        "accepted": found.is_accepted,
    })
}

/// Writes what a file is: whose, which, and whether it is accepted.
pub(super) fn head(surface: &Surface, found: &GroupShown) -> String {
    let file = &found.file;
    let mut text = format!("Group {}, version {}\n", safe(&file.name), file.version);
    let maker = file.members.iter().find(|member| member.card.node == found.maker);
    let maker = match maker {
        Some(member) => {
            format!("{} of {} ({})", safe(&member.name), safe(&member.owner), found.maker_fingerprint)
        }
        None => format!("a machine that is not in it ({})", found.maker_fingerprint),
    };
    let (state, colour) = match (found.is_accepted, &found.refused_because) {
        (true, _) => ("accepted here".to_owned(), GREEN),
        (false, Some(why)) => (format!("cannot be accepted here: {}", safe(why)), RED),
        (false, None) => ("not accepted here".to_owned(), YELLOW),
    };
    for (name, value) in [("id", found.id.to_string()), ("made by", maker)] {
        text.push_str(&format!("{name:<9}{value}\n"));
    }
    let start = text.len();
    put(&mut text, "state    ", &state, Some(surface.columns.unwrap_or(COLUMNS)));
    surface.paint(&mut text, start, state.split(':').next().unwrap_or_default(), colour);
    text
}

fn text(surface: &Surface, found: &GroupShown) -> String {
    let file = &found.file;
    let width = Some(surface.columns.map_or(COLUMNS, |columns| columns.min(COLUMNS)));
    let mut text = head(surface, found);
    put(&mut text, "days     ", &format!("begin at midnight in {}", safe(&file.zone)), width);
    let people = format!(
        "{}; a day with numbers of fewer than {} is never closed",
        owners(file),
        file.smallest_cohort
    );
    put(&mut text, "people   ", &people, width);
    let tools: Vec<String> = file.tools.iter().map(|(tool, _)| safe(tool.as_str())).collect();
    let tools = if tools.is_empty() { "none has a line of its own".to_owned() } else { tools.join(" ") };
    put(&mut text, "tools    ", &tools, width);
    let rules = match file.rules.len() {
        0 => "none has a line of its own".to_owned(),
        1 => "1 has a line of its own; --json names it".to_owned(),
        count => format!("{count} have lines of their own; --json names them"),
    };
    put(&mut text, "rules    ", &rules, width);
    text.push('\n');
    let members: Vec<Vec<Cell>> = file.members.iter().map(cells).collect();
    text.push_str(&surface.grid(&["MACHINE", "OF", "ROLE", "ADDS UP", "KEY", "ADDRESSES"], &members));
    text
}

fn cells(member: &Member) -> Vec<Cell> {
    let gives = if member.contributes { "contributes" } else { "feeds" };
    vec![
        Cell::new(&member.name),
        Cell::new(&member.owner),
        Cell::new(gives),
        Cell::new(if member.may_aggregate { "may" } else { "never" }),
        Cell::new(fingerprint(&member.card.node).to_string()).in_colour(Some(DIM)),
        Cell::new(member.addresses.join(", ")).in_colour(Some(DIM)),
    ]
}

/// Returns the short form of a key, for the eye: the first bytes of its BLAKE3.
fn fingerprint(node: &NodeId) -> Fingerprint {
    let mut short = [0; Fingerprint::LENGTH];
    short.copy_from_slice(&blake3::hash(node.as_bytes()).as_bytes()[..Fingerprint::LENGTH]);
    Fingerprint(short)
}
