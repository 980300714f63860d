//! `karoctl delete`: forget commands for good.

use karo_protocol::local::{Reply, Request};
use serde_json::json;

use super::cli::DeleteArgs;
use super::exit::{Exit, Trouble};
use super::filter::filter;
use super::scene::{Scene, current_directory};
use super::{json, query};
use crate::connection::{ConnectionError, Patience};

/// Runs the command.
///
/// # Errors
///
/// When nothing says what to delete, the person does not agree, or the daemon cannot.
pub fn run(scene: &mut Scene, args: &DeleteArgs) -> Result<Exit, Trouble> {
    let cwd = current_directory();
    let filter = filter(&args.words, &args.ids, &args.filter, &scene.bearings(&cwd))?;
    if filter.is_empty() {
        return Err(Trouble::usage(
            "nothing says what to delete; name events by id, or give at least one of the options of `karoctl query`",
        ));
    }
    let counted = query::tallies(scene, &mut scene.connect()?, filter.clone(), None)?;
    let count: u64 = counted.tallies.iter().map(|tally| tally.count).sum();
    let is_partial = counted.partial_since.is_some();
    if count == 0 && !is_partial {
        write_deleted(scene, 0)?;
        return Ok(Exit::NothingFound);
    }
    let at_least = if is_partial { "at least " } else { "" };
    let things = if count == 1 { "event" } else { "events" };
    if !args.yes && !scene.confirm(&format!("delete {at_least}{count} {things} for good?"))? {
        return Err(Trouble::refused("nothing was deleted"));
    }
    // A person may have thought for longer than the daemon keeps a silent session open.
    let mut connection = scene.connect()?;
    connection.wait_for_answers(Patience::LONG);
    let Reply::Deleted(deleted) = connection.ask(&Request::Delete(filter))? else {
        return Err(ConnectionError::Unexpected("the number of deleted events").into());
    };
    write_deleted(scene, deleted)?;
    Ok(if deleted == 0 { Exit::NothingFound } else { Exit::Done })
}

fn write_deleted(scene: &mut Scene, deleted: u64) -> Result<(), Trouble> {
    if scene.is_json {
        return json::write_line(&mut scene.out, &json!({ "deleted": deleted }));
    }
    writeln!(scene.out, "{deleted} deleted")?;
    Ok(())
}

#[cfg(test)]
#[path = "delete_tests.rs"]
mod tests;
