//! Peers as a table for eyes and as lines for scripts.

use karo_protocol::Micros;
use karo_protocol::mesh::{LinkState, PeerRow};
use serde::Serialize;

use crate::ctl::grid::Cell;
use crate::ctl::shown::{Newline, shown};
use crate::ctl::table::{BOLD_RED, DIM, GREEN, RED, Surface, YELLOW};
use crate::ctl::when;

/// A difference of clocks that is worth a colour, in µs: the daemon warns of it too.
const SKEW_WARNED_US: u64 = 60_000_000;

/// A peer in JSON: these keys and no others, in this order.
#[derive(Debug, Serialize)]
pub(super) struct PeerLine<'a> {
    name: &'a str,
    node_id: String,
    fingerprint: String,
    state: &'static str,
    since: String,
    reason: Option<&'a str>,
    address: Option<&'a str>,
    trust: &'static str,
    owner: Option<&'a str>,
    rtt_ms: Option<f64>,
    skew_ms: Option<f64>,
    version: Option<&'a str>,
}

impl<'a> PeerLine<'a> {
    pub(super) fn new(row: &'a PeerRow) -> Self {
        Self {
            name: &row.name,
            node_id: row.node_id.to_string(),
            fingerprint: row.fingerprint.to_string(),
            state: row.state.name(),
            since: when::rfc3339(row.since, 3),
            reason: row.reason.as_deref(),
            address: row.address.as_deref(),
            trust: row.trust.name(),
            owner: row.owner.as_deref(),
            rtt_ms: row.rtt_us.map(millis),
            skew_ms: row.skew_us.map(|us| us as f64 / 1000.0),
            version: row.version.as_deref(),
        }
    }

    /// Makes the line of a peer that was forgotten.
    pub(super) fn removed(row: &'a PeerRow) -> Self {
        Self { state: "removed", ..Self::new(row) }
    }
}

/// Returns µs as ms.
pub(super) fn millis(us: u64) -> f64 {
    us as f64 / 1000.0
}

/// Returns a text that may come from anywhere, made safe for a terminal.
pub(super) fn safe(text: &str) -> String {
    shown(text.as_bytes(), Newline::Arrow)
}

/// Names a peer so that it cannot be taken for another.
pub(super) fn both(row: &PeerRow) -> String {
    format!("{} ({})", safe(&row.name), row.fingerprint)
}

/// Writes a round trip: between neighbours it is some milliseconds, and their tenths tell.
pub(super) fn rtt(us: u64) -> String {
    match us {
        1_000..100_000 => format!("{}.{}ms", us / 1_000, us / 100 % 10),
        _ => when::humanised(Micros(us)),
    }
}

/// Writes a difference of clocks: ours is the one that is compared with.
pub(in crate::ctl) fn skew(us: i64) -> String {
    let sign = if us < 0 { '-' } else { '+' };
    format!("{sign}{}", when::humanised(Micros(us.unsigned_abs())))
}

/// Returns the colour of a state.
pub(super) const fn state_colour(state: LinkState) -> &'static str {
    match state {
        LinkState::Connected => GREEN,
        LinkState::Connecting | LinkState::Authenticating | LinkState::Disconnecting => YELLOW,
        LinkState::Disconnected => DIM,
        LinkState::Failed | LinkState::TimedOut | LinkState::Rejected => RED,
        LinkState::Held => BOLD_RED,
    }
}

/// Columns of the table that every row fills; what no row has anything for is left out behind them.
const COLUMNS_FILLED: usize = 6;

/// Writes the table. Why a link is down is a column of its own, and on a terminal, where ten columns leave no room
/// for a sentence, stands below.
pub(super) fn table(surface: &Surface, rows: &[PeerRow]) -> String {
    let names =
        ["NAME", "FINGERPRINT", "STATE", "SINCE", "ADDRESS", "TRUST", "OWNER", "RTT", "CLOCK", "VERSION"];
    let is_below = surface.columns.is_some();
    let mut names = names.to_vec();
    let mut lines: Vec<Vec<Cell>> = rows.iter().map(|row| cells(surface, row)).collect();
    if !is_below {
        names.push("REASON");
        lines.iter_mut().zip(rows).for_each(|(line, row)| line.push(reason(row)));
    }
    let is_filled = |place: usize| place < COLUMNS_FILLED || lines.iter().any(|line| !line[place].is_empty());
    let filled: Vec<bool> = (0..names.len()).map(is_filled).collect();
    let keep = |place: &mut usize| {
        *place += 1;
        filled[*place - 1]
    };
    let mut place = 0;
    names.retain(|_| keep(&mut place));
    for line in &mut lines {
        let mut place = 0;
        line.retain(|_| keep(&mut place));
    }
    let mut text = surface.grid(&names, &lines);
    if is_below {
        text.push_str(&reasons(surface, rows));
    }
    text
}

/// Writes why links are down, a line each.
fn reasons(surface: &Surface, rows: &[PeerRow]) -> String {
    let mut text = String::new();
    for row in rows.iter().filter(|row| !reason(row).is_empty()) {
        if text.is_empty() {
            text.push('\n');
        }
        surface.coloured(&safe(&row.name), Some(state_colour(row.state)), &mut text);
        let why = row.reason.as_deref().unwrap_or_default();
        text.push_str(&format!(": {}\n", safe(why)));
    }
    text
}

fn reason(row: &PeerRow) -> Cell {
    let is_up = row.state == LinkState::Connected;
    Cell::maybe(row.reason.as_deref().filter(|_| !is_up)).in_colour(Some(state_colour(row.state)))
}

fn cells(surface: &Surface, row: &PeerRow) -> Vec<Cell> {
    let is_far_off = row.skew_us.is_some_and(|us| us.unsigned_abs() > SKEW_WARNED_US);
    vec![
        Cell::new(&row.name),
        Cell::new(row.fingerprint.to_string()).in_colour(Some(DIM)),
        Cell::new(row.state.name()).in_colour(Some(state_colour(row.state))),
        Cell::new(when::short(row.since, &surface.now)).in_colour(Some(DIM)),
        Cell::maybe(row.address.as_deref()),
        Cell::new(row.trust.name()),
        Cell::maybe(row.owner.as_deref()),
        Cell::maybe(row.rtt_us.map(rtt)),
        Cell::maybe(row.skew_us.map(skew)).in_colour(is_far_off.then_some(YELLOW)),
        Cell::maybe(row.version.as_deref()).in_colour(Some(DIM)),
    ]
}
