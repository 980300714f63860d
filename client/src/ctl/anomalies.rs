//! `karoctl anomalies`: what was unusual about one's own days, with what caused it. Nobody else can ask this.

use karo_protocol::answer::{SignalRow, SignalsAsk};
use karo_protocol::local::{Reply, Request};
use serde_json::json;

use super::cli::AnomaliesArgs;
use super::exit::{Exit, Trouble};
use super::explain::prose::put;
use super::mesh::{meaning, moment};
use super::scene::Scene;
use super::shown::{Newline, cut_end, shown};
use super::table::{DIM, Surface, YELLOW};
use super::{days, json, when};
use crate::connection::{ConnectionError, Patience};

#[cfg(test)]
#[path = "anomalies_tests.rs"]
mod tests;

/// What is fitted to where nobody says.
const COLUMNS: usize = 80;

/// Days that are looked at unless others are asked for: the zone is told from the day before them on.
const DAYS: i64 = 31;

/// Runs the command.
///
/// # Errors
///
/// When the options do not go together, or there is no answer.
pub fn run(scene: &mut Scene, args: &AnomaliesArgs) -> Result<Exit, Trouble> {
    let ask = ask(scene, args)?;
    let mut connection = scene.connect()?;
    // A month and the baseline before it are read from the store.
    connection.wait_for_answers(Patience::LONG);
    let Reply::Signals(rows) = connection.ask(&Request::Signals(ask))? else {
        return Err(ConnectionError::Unexpected("what was unusual").into());
    };
    if rows.is_empty() {
        scene.note("nothing was unusual on these days, as far as there is something to compare them with");
        return Ok(Exit::NothingFound);
    }
    if scene.is_json {
        for SignalRow { day, signal, because, causes } in &rows {
            let line = json!({ "day": days::iso(*day), "signal": signal.name(), "because": because, "causes": causes });
            json::write_line(&mut scene.out, &line)?;
        }
    } else {
        let text = text(&scene.surface(), &rows);
        scene.out.write_all(text.as_bytes())?;
    }
    Ok(Exit::Done)
}

fn ask(scene: &Scene, args: &AnomaliesArgs) -> Result<SignalsAsk, Trouble> {
    let since = moment(scene, "--since", args.since.as_deref())?;
    let until = moment(scene, "--until", args.until.as_deref())?;
    let now = scene.now();
    let month = jiff::Span::new().try_days(DAYS).and_then(|span| now.checked_sub(span));
    let from =
        since.unwrap_or_else(|| month.map_or_else(|_| when::now(), |then| when::from_jiff(then.timestamp())));
    let zone = when::zone_between(now.time_zone(), from, until.unwrap_or(when::from_jiff(now.timestamp())));
    Ok(SignalsAsk { since, until, zone })
}

fn text(surface: &Surface, rows: &[SignalRow]) -> String {
    let columns = surface.columns.unwrap_or(COLUMNS);
    let mut text = String::new();
    let mut day_before = None;
    for SignalRow { day, signal, because, causes } in rows {
        if day_before != Some(*day) {
            if day_before.is_some() {
                text.push('\n');
            }
            text.push_str(&days::long(*day));
            text.push('\n');
        }
        day_before = Some(*day);
        let start = text.len();
        put(&mut text, "  ", &format!("{signal}: {}", meaning(*signal)), Some(columns));
        surface.paint(&mut text, start, signal.name(), YELLOW);
        put(&mut text, "    ", &shown(because.as_bytes(), Newline::Arrow), Some(columns));
        let start = text.len();
        for cause in causes {
            let cause = shown(cause.as_bytes(), Newline::Arrow);
            text.push_str(&format!("      {}\n", cut_end(&cause, columns.saturating_sub(6).max(8))));
        }
        surface.paint_lines(&mut text, start, DIM);
    }
    text
}
