//! `karoctl summary`: what this machine tells of its person, and what others told this machine of themselves.

use karo_protocol::Timestamp;
use karo_protocol::answer::{SummaryAsk, SummaryOf, SummaryRow};
use karo_protocol::local::{Reply, Request};
use karo_protocol::summary::Period;

use super::cli::{SummaryArgs, SummaryCommand};
use super::exit::{Exit, Trouble};
use super::mesh::moment;
use super::scene::Scene;
use super::{json, when};
use crate::connection::{ConnectionError, Patience};

pub mod text;

mod lines;

#[cfg(test)]
#[path = "summary_tests.rs"]
mod tests;

pub use lines::to_json;

/// Days that are shown unless others are asked for.
const DAYS: i64 = 7;

/// Runs the command.
///
/// # Errors
///
/// When the options do not go together, or the daemon cannot answer.
pub fn run(scene: &mut Scene, args: &SummaryArgs) -> Result<Exit, Trouble> {
    let of = match &args.command {
        None | Some(SummaryCommand::Show) => SummaryOf::Own,
        Some(SummaryCommand::Sent { peer }) => SummaryOf::Sent(peer.clone()),
        Some(SummaryCommand::Received { peer }) => SummaryOf::Received(peer.clone()),
        Some(SummaryCommand::Ask { peer }) => SummaryOf::From(peer.clone()),
        Some(SummaryCommand::Preview { peer }) => {
            if !args.period.is_empty() || args.since.is_some() || args.until.is_some() || args.full {
                return Err(Trouble::usage("a preview is whole and of now: it takes none of these options"));
            }
            return super::policy::preview::run(scene, peer);
        }
    };
    let ask = ask(scene, args, of)?;
    let rows = rows(scene, &ask)?;
    if rows.is_empty() {
        nothing(scene, &ask);
        return Ok(Exit::NothingFound);
    }
    if scene.is_json {
        rows.iter().try_for_each(|row| json::write_line(&mut scene.out, &lines::row(row)))?;
    } else {
        let text = text::rows(&scene.surface(), &rows, args.full);
        scene.out.write_all(text.as_bytes())?;
    }
    Ok(Exit::Done)
}

fn ask(scene: &Scene, args: &SummaryArgs, of: SummaryOf) -> Result<SummaryAsk, Trouble> {
    let since = moment(scene, "--since", args.since.as_deref())?;
    let until = moment(scene, "--until", args.until.as_deref())?;
    if let (Some(since), Some(until)) = (since, until)
        && since >= until
    {
        return Err(Trouble::usage("--since is not before --until, so nothing can lie between them"));
    }
    let since = since.or_else(|| until.is_none().then(|| week_ago(scene)));
    let periods = if args.period.is_empty() { vec![Period::Daily] } else { args.period.clone() };
    Ok(SummaryAsk { of, periods, since, until })
}

/// Returns when the day began that lies so many days back.
fn week_ago(scene: &Scene) -> Timestamp {
    let span = jiff::Span::new().try_days(DAYS);
    let then = span.and_then(|span| scene.now().checked_sub(span)).and_then(|then| then.start_of_day());
    then.map_or_else(|_| Timestamp::default(), |then| when::from_jiff(then.timestamp()))
}

fn rows(scene: &Scene, ask: &SummaryAsk) -> Result<Vec<SummaryRow>, Trouble> {
    let mut connection = scene.connect()?;
    // A peer that is asked may be slow, and old summaries are read from the disk.
    connection.wait_for_answers(Patience::LONG);
    let id = connection.send(&Request::Summaries(ask.clone()))?;
    let mut rows = Vec::new();
    loop {
        let reply = connection.receive(id)?;
        if let Reply::Summaries(page) = reply {
            rows.extend(page);
        } else if matches!(reply, Reply::End(_)) {
            return Ok(rows);
        } else {
            return Err(ConnectionError::Unexpected("a page of summaries").into());
        }
    }
}

/// Says why there may be nothing to show.
fn nothing(scene: &Scene, ask: &SummaryAsk) {
    let why = match &ask.of {
        SummaryOf::Own => "there is no summary of that time: the day is not over, or nothing was recorded",
        SummaryOf::Sent(_) => {
            "no summary of that time was sent; `karoctl policy show` says whether any would be"
        }
        SummaryOf::Received(_) => "no summary of that time was received",
        SummaryOf::From(_) => "it has no summary of that time for this machine",
    };
    scene.note(why);
}
