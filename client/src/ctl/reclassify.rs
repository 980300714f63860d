//! `karoctl reclassify`: understand what is stored by the tables and rules of today.

use karo_protocol::local::{Reclassified, Reclassify, Reply, Request};

use super::cli::ReclassifyArgs;
use super::exit::{Exit, Trouble};
use super::json;
use super::progress::Progress;
use super::scene::Scene;
use crate::connection::{ConnectionError, Patience};

/// Runs the command.
///
/// # Errors
///
/// When there is no answer, or the daemon cannot go on.
pub fn run(scene: &mut Scene, args: ReclassifyArgs) -> Result<Exit, Trouble> {
    let mut connection = scene.connect()?;
    connection.wait_for_answers(Patience::LONG);
    let id = connection.send(&Request::Reclassify(Reclassify { redact: args.redact }))?;
    let mut progress = Progress::new("understanding", 0);
    let done = loop {
        match connection.receive(id) {
            Ok(Reply::Progress(far)) => progress.reach(far.done, far.total),
            Ok(Reply::Reclassified(done)) => break done,
            Ok(_) => return Err(ConnectionError::Unexpected("how far it has come").into()),
            Err(error) => {
                drop(progress);
                let mut trouble = Trouble::from(error);
                trouble
                    .message
                    .push_str("; what is done stays done, and `karoctl reclassify` again does the rest");
                return Err(trouble);
            }
        }
    };
    drop(progress);
    write(scene, args, done)?;
    Ok(Exit::Done)
}

fn write(scene: &mut Scene, args: ReclassifyArgs, done: Reclassified) -> Result<(), Trouble> {
    if scene.is_json {
        return json::write_line(&mut scene.out, &done);
    }
    let Reclassified { events, changed, redacted, segments } = done;
    write!(scene.out, "{events} events looked at, {changed} are understood in another way")?;
    if args.redact {
        write!(scene.out, ", out of {redacted} a secret was cut")?;
    }
    writeln!(scene.out, "; {segments} segments written anew")?;
    Ok(())
}

#[cfg(test)]
#[path = "reclassify_tests.rs"]
mod tests;
