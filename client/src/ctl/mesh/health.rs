//! `karoctl query --mesh health`: how the machines are; about machines, and nothing that anybody did.

use std::borrow::Cow;

use karo_protocol::answer::{Health, HealthRow, Status};
use karo_protocol::local::{Reply, Request};
use serde_json::{Value, json};

use crate::connection::{ConnectionError, Patience};
use crate::ctl::cli::{FilterArgs, Format, MeshArgs, QueryArgs};
use crate::ctl::exit::{Exit, Trouble};
use crate::ctl::grid::Cell;
use crate::ctl::peers::skew;
use crate::ctl::scene::Scene;
use crate::ctl::table::{DIM, GREEN, RED, Surface, YELLOW};
use crate::ctl::{csv, json, when};

/// A difference of clocks that is worth a colour, in µs.
const SKEW_WARNED_US: u64 = 60_000_000;

/// Names of the columns of CSV.
const COLUMNS: [&str; 10] =
    ["name", "status", "program", "now", "skew_ms", "accepting", "damaged", "links", "peers", "witnessed"];

pub(super) fn run(scene: &mut Scene, args: &QueryArgs, format: Format) -> Result<Exit, Trouble> {
    let FilterArgs { since, until, .. } = &args.filter;
    let MeshArgs { mesh: _, group, compare, who } = &args.mesh;
    if since.is_some() || until.is_some() || group.is_some() || compare.is_some() || *who {
        return Err(Trouble::usage(
            "health is of the peers, and of now: it takes no --since, --until, --group, --compare or --who",
        ));
    }
    let mut connection = scene.connect()?;
    connection.wait_for_answers(Patience::LONG);
    let Reply::Health(rows) = connection.ask(&Request::MeshHealth(()))? else {
        return Err(ConnectionError::Unexpected("how the machines are").into());
    };
    if rows.is_empty() {
        scene.note("there is no machine to ask; `karoctl peers` shows who is trusted");
        return Ok(Exit::NothingFound);
    }
    match format {
        Format::Json => rows.iter().try_for_each(|row| json::write_line(&mut scene.out, &to_json(row)))?,
        Format::Csv => {
            csv::write_line(&mut scene.out, &COLUMNS.map(Cow::from), false)?;
            rows.iter()
                .try_for_each(|row| csv::write_line(&mut scene.out, &fields(row), scene.is_terminal))?;
        }
        Format::Table | Format::Text => {
            let text = table(&scene.surface(), &rows);
            scene.out.write_all(text.as_bytes())?;
        }
    }
    let is_lost = |row: &HealthRow| matches!(row.status, Status::NoResponse | Status::Error);
    Ok(if rows.iter().any(is_lost) { Exit::NotCovered } else { Exit::Done })
}

fn to_json(HealthRow { name, status, health, skew_us }: &HealthRow) -> Value {
    json!({
        "name": name,
        "status": status.name(),
        "program": health.as_ref().map(|health| &health.program),
        "now": health.as_ref().map(|health| when::rfc3339(health.now, 3)),
        "skew_ms": skew_us.map(|us| us as f64 / 1000.0),
        "accepting": health.as_ref().map(|health| health.is_accepting),
        "damaged": health.as_ref().map(|health| health.is_damaged),
        "links": health.as_ref().map(|health| health.links.0),
        "peers": health.as_ref().map(|health| health.links.1),
        "witnessed": health.as_ref().map(|health| health.is_witnessed),
    })
}

fn fields(row: &HealthRow) -> Vec<Cow<'static, str>> {
    let object = to_json(row);
    let field = |name: &&str| match &object[*name] {
        Value::Null => Cow::from(""),
        Value::String(text) => text.clone().into(),
        other @ (Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
            other.to_string().into()
        }
    };
    COLUMNS.iter().map(field).collect()
}

fn table(surface: &Surface, rows: &[HealthRow]) -> String {
    let cells: Vec<Vec<Cell>> = rows.iter().map(cells).collect();
    surface.grid(&["NAME", "STATUS", "STORE", "LINKS", "CLOCK", "AUDIT", "VERSION"], &cells)
}

fn cells(HealthRow { name, status, health, skew_us }: &HealthRow) -> Vec<Cell> {
    let (said, colour) = match status {
        Status::Success => ("answered", GREEN),
        Status::AccessDenied => ("says no", DIM),
        Status::NotSupported => ("too old", DIM),
        Status::NoData => ("has nothing", DIM),
        Status::Error => ("failed", RED),
        Status::NoResponse => ("no response", RED),
    };
    let is_far_off = skew_us.is_some_and(|us| us.unsigned_abs() > SKEW_WARNED_US);
    let mut cells = vec![Cell::new(name), Cell::new(said).in_colour(Some(colour))];
    cells.extend(health.as_ref().map_or_else(|| vec![Cell::default(), Cell::default()], of_health));
    cells.push(Cell::maybe(skew_us.map(skew)).in_colour(is_far_off.then_some(YELLOW)));
    cells.extend(match health {
        None => [Cell::default(), Cell::default()],
        Some(Health { is_witnessed, program, .. }) => [
            if *is_witnessed {
                Cell::new("witnessed")
            } else {
                Cell::new("no witness").in_colour(Some(YELLOW))
            },
            Cell::new(program).in_colour(Some(DIM)),
        ],
    });
    cells
}

fn of_health(Health { is_accepting, is_damaged, links, .. }: &Health) -> Vec<Cell> {
    let (store, colour) = match (is_damaged, is_accepting) {
        (true, _) => ("damaged", Some(RED)),
        (false, false) => ("refuses", Some(RED)),
        (false, true) => ("well", None),
    };
    vec![Cell::new(store).in_colour(colour), Cell::new(format!("{} of {}", links.0, links.1))]
}
