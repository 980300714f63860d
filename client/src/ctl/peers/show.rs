//! `karoctl peers show`: all that is known of a peer, and what to do.

use karo_protocol::local::{Reply, Request};
use karo_protocol::mesh::{LinkMoment, PeerRow, PeerShown};
use serde::Serialize;

use super::rows::{PeerLine, rtt, safe, skew, state_colour};
use crate::connection::{Connection, ConnectionError};
use crate::ctl::exit::{Exit, Trouble};
use crate::ctl::grid::Cell;
use crate::ctl::scene::Scene;
use crate::ctl::table::{DIM, Surface};
use crate::ctl::{json, when};

pub(super) fn ask(connection: &mut Connection, name: &str) -> Result<PeerShown, Trouble> {
    let Reply::PeerShown(shown) = connection.ask(&Request::PeerShow(name.to_owned()))? else {
        return Err(ConnectionError::Unexpected("all that is known of a peer").into());
    };
    Ok(*shown)
}

pub(super) fn run(scene: &mut Scene, name: &str) -> Result<Exit, Trouble> {
    let shown = ask(&mut scene.connect()?, name)?;
    if scene.is_json {
        json::write_line(&mut scene.out, &ShownLine::new(&shown))?;
    } else {
        let text = text(&scene.surface(), &shown);
        scene.out.write_all(text.as_bytes())?;
    }
    Ok(Exit::Done)
}

/// All that is known of a peer in JSON: the keys of its line first.
#[derive(Serialize)]
struct ShownLine<'a> {
    #[serde(flatten)]
    peer: PeerLine<'a>,
    configured: bool,
    expires_at: Option<String>,
    addresses: &'a [String],
    next_try_at: Option<String>,
    advice: &'a [String],
    witnessed: Option<u64>,
    capabilities: &'a [String],
    history: Vec<MomentLine<'a>>,
}

#[derive(Serialize)]
struct MomentLine<'a> {
    at: String,
    state: &'static str,
    reason: Option<&'a str>,
    address: Option<&'a str>,
}

impl<'a> ShownLine<'a> {
    fn new(shown: &'a PeerShown) -> Self {
        let moment = |at| when::rfc3339(at, 3);
        let history = shown.history.iter().map(|LinkMoment { at, state, reason, address }| MomentLine {
            at: moment(*at),
            state: state.name(),
            reason: reason.as_deref(),
            address: address.as_deref(),
        });
        Self {
            peer: PeerLine::new(&shown.row),
            configured: shown.row.is_configured,
            expires_at: shown.row.expires_at.map(moment),
            addresses: &shown.addresses,
            next_try_at: shown.next_try_at.map(moment),
            advice: &shown.advice,
            witnessed: shown.witnessed,
            capabilities: &shown.capabilities,
            history: history.collect(),
        }
    }
}

fn text(surface: &Surface, shown: &PeerShown) -> String {
    let mut text: String =
        lines(surface, shown).iter().map(|(name, value)| format!("{name:<11} {}\n", safe(value))).collect();
    if !shown.history.is_empty() {
        text.push('\n');
        text.push_str(&history(surface, &shown.history));
    }
    if !shown.advice.is_empty() {
        text.push_str("\nwhat to do:\n");
        shown.advice.iter().for_each(|advice| text.push_str(&format!("  - {}\n", safe(advice))));
    }
    text
}

fn lines(surface: &Surface, shown: &PeerShown) -> Vec<(&'static str, String)> {
    let row = &shown.row;
    let long = |at| when::long(at, surface.now.time_zone());
    let mut lines = vec![
        ("name", row.name.clone()),
        ("node id", row.node_id.to_string()),
        ("fingerprint", row.fingerprint.to_string()),
        ("trust", trust(surface, row)),
    ];
    lines.extend(row.owner.clone().map(|owner| ("owner", owner)));
    let why = row.reason.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
    lines.push(("link", format!("{} since {}{why}", row.state, long(row.since))));
    lines.extend(row.address.clone().map(|address| ("address", address)));
    if shown.addresses.is_empty() {
        lines.push(("dialled at", "nowhere: it must dial this machine".to_owned()));
    } else {
        lines.push(("dialled at", shown.addresses.join(", ")));
    }
    lines.extend(shown.next_try_at.map(|at| ("next try", long(at))));
    lines.extend(row.rtt_us.map(|us| ("round trip", rtt(us))));
    lines.extend(row.skew_us.map(|us| ("its clock", format!("{} against this one", skew(us)))));
    lines.extend(row.version.clone().map(|version| ("version", version)));
    if !shown.capabilities.is_empty() {
        lines.push(("can", shown.capabilities.join(", ")));
    }
    let witnessed = shown.witnessed.map(|size| format!("its audit up to entry {size}"));
    lines.extend(witnessed.map(|what| ("witnessed", what)));
    lines
}

fn trust(surface: &Surface, row: &PeerRow) -> String {
    let until = row.expires_at.map(|at| format!(" until {}", when::long(at, surface.now.time_zone())));
    let by = if row.is_configured { ", by the configuration: it is changed there" } else { "" };
    format!("{}{}{by}", row.trust, until.unwrap_or_default())
}

fn history(surface: &Surface, moments: &[LinkMoment]) -> String {
    let rows: Vec<Vec<Cell>> = moments
        .iter()
        .map(|moment| {
            vec![
                Cell::new(when::short(moment.at, &surface.now)).in_colour(Some(DIM)),
                Cell::new(moment.state.name()).in_colour(Some(state_colour(moment.state))),
                Cell::maybe(moment.address.as_deref()),
                Cell::maybe(moment.reason.as_deref()),
            ]
        })
        .collect();
    surface.grid(&["TIME", "STATE", "ADDRESS", "REASON"], &rows)
}
