//! `karoctl peers --watch`: the table again at each change, until the daemon or the person stops.

use std::collections::BTreeMap;
use std::time::Duration;

use karo_protocol::NodeId;
use karo_protocol::mesh::PeerRow;

use super::rows::{PeerLine, table};
use crate::ctl::exit::{Exit, Trouble};
use crate::ctl::json;
use crate::ctl::scene::Scene;

/// How long one answer may take: the daemon holds it back for some seconds while nothing changes.
const PATIENCE: Duration = Duration::from_secs(120);

/// Goes to the first corner of the terminal and clears what is seen; what was scrolled away stays the person's.
const CLEAR: &str = "\x1b[H\x1b[2J";

/// Goes there. What is seen is written over, since a terminal may keep whatever is cleared: it would fill with tables.
const HOME: &str = "\x1b[H";

/// Clears what an older line had more than the one that was just written, and what an older table had.
const REST_OF_LINE: &str = "\x1b[K\n";
const REST: &str = "\x1b[J";

pub(super) fn run(scene: &mut Scene) -> Result<Exit, Trouble> {
    let mut connection = scene.connect()?;
    connection.wait_for_answers(PATIENCE);
    let mut known: Option<BTreeMap<NodeId, PeerRow>> = None;
    let mut change = None;
    loop {
        let found = super::ask(&mut connection, change)?;
        change = Some(found.change);
        let rows: BTreeMap<NodeId, PeerRow> =
            found.rows.iter().map(|row| (row.node_id, row.clone())).collect();
        if known.as_ref() == Some(&rows) {
            continue;
        }
        if scene.is_json {
            write_changes(scene, known.as_ref(), &found.rows, &rows)?;
        } else {
            write_table(scene, known.is_none(), &found.rows)?;
        }
        scene.out.flush()?;
        known = Some(rows);
    }
}

fn write_table(scene: &mut Scene, is_first: bool, rows: &[PeerRow]) -> Result<(), Trouble> {
    let text = match rows {
        [] => "there are no peers\n".to_owned(),
        rows => table(&scene.surface(), rows),
    };
    match (scene.is_terminal, is_first) {
        (true, true) => write!(scene.out, "{CLEAR}{text}")?,
        (true, false) => write!(scene.out, "{HOME}{}{REST}", text.replace('\n', REST_OF_LINE))?,
        (false, true) => write!(scene.out, "{text}")?,
        (false, false) => write!(scene.out, "\n{text}")?,
    }
    Ok(())
}

/// Writes a line for each peer that is another than before, and one for each that is gone.
fn write_changes(
    scene: &mut Scene,
    before: Option<&BTreeMap<NodeId, PeerRow>>,
    rows: &[PeerRow],
    after: &BTreeMap<NodeId, PeerRow>,
) -> Result<(), Trouble> {
    for row in rows {
        if before.and_then(|before| before.get(&row.node_id)) != Some(row) {
            json::write_line(&mut scene.out, &PeerLine::new(row))?;
        }
    }
    let gone = before.into_iter().flatten().filter(|(node, _)| !after.contains_key(node));
    for (_, row) in gone {
        json::write_line(&mut scene.out, &PeerLine::removed(row))?;
    }
    Ok(())
}
