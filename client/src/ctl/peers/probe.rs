//! `karoctl peers ping`, `test` and `candidates`: what the network says at the moment.

use karo_protocol::Micros;
use karo_protocol::local::{Reply, Request};
use karo_protocol::mesh::{Candidate, Pinged, TestStep};
use serde_json::json;

use super::rows::{millis, rtt, safe, skew};
use crate::connection::{ConnectionError, Patience};
use crate::ctl::exit::{Exit, Trouble};
use crate::ctl::grid::Cell;
use crate::ctl::scene::Scene;
use crate::ctl::table::{DIM, GREEN, RED};
use crate::ctl::{json, when};

pub(super) fn ping(scene: &mut Scene, name: &str) -> Result<Exit, Trouble> {
    let Reply::Pinged(Pinged { name, rtt_us, skew_us, path }) =
        scene.connect()?.ask(&Request::PeerPing(name.to_owned()))?
    else {
        return Err(ConnectionError::Unexpected("how a ping went").into());
    };
    if scene.is_json {
        let (rtt_ms, skew_ms) = (millis(rtt_us), skew_us as f64 / 1000.0);
        let line = json!({ "name": name, "rtt_ms": rtt_ms, "skew_ms": skew_ms, "path": path });
        json::write_line(&mut scene.out, &line)?;
    } else {
        let (rtt, clock) = (rtt(rtt_us), skew(skew_us));
        writeln!(scene.out, "{} answered in {rtt}, its clock {clock}, by {}", safe(&name), safe(&path))?;
    }
    Ok(Exit::Done)
}

pub(super) fn test(scene: &mut Scene, name: &str) -> Result<Exit, Trouble> {
    let mut connection = scene.connect()?;
    connection.wait_for_answers(Patience::LONG);
    let Reply::PeerTested(steps) = connection.ask(&Request::PeerTest(name.to_owned()))? else {
        return Err(ConnectionError::Unexpected("how each step of a connection went").into());
    };
    if scene.is_json {
        for TestStep { step, took_us, error, advice } in &steps {
            let took_ms = millis(*took_us);
            let line = json!({ "step": step, "took_ms": took_ms, "error": error, "advice": advice });
            json::write_line(&mut scene.out, &line)?;
        }
    } else {
        let rows: Vec<Vec<Cell>> = steps.iter().map(step_cells).collect();
        let mut text = scene.surface().grid(&["STEP", "TOOK", "RESULT"], &rows);
        let advice = steps.iter().filter_map(|step| step.advice.as_deref());
        advice.for_each(|advice| text.push_str(&format!("-> {}\n", safe(advice))));
        scene.out.write_all(text.as_bytes())?;
    }
    Ok(if steps.iter().any(|step| step.error.is_some()) { Exit::Refused } else { Exit::Done })
}

fn step_cells(TestStep { step, took_us, error, .. }: &TestStep) -> Vec<Cell> {
    let result = match error {
        Some(error) => Cell::new(error).in_colour(Some(RED)),
        None => Cell::new("ok").in_colour(Some(GREEN)),
    };
    vec![Cell::new(step), Cell::new(when::humanised(Micros(*took_us))).in_colour(Some(DIM)), result]
}

pub(super) fn candidates(scene: &mut Scene) -> Result<Exit, Trouble> {
    let Reply::Candidates(found) = scene.connect()?.ask(&Request::Candidates(()))? else {
        return Err(ConnectionError::Unexpected("what discovery has seen").into());
    };
    if found.is_empty() {
        scene.note(
            "discovery has seen nobody; it looks only where [discovery] of the configuration tells it to",
        );
        return Ok(Exit::NothingFound);
    }
    if scene.is_json {
        for candidate in &found {
            let line = json!({
                "name": candidate.name,
                "fingerprint": candidate.fingerprint.map(|fingerprint| fingerprint.to_string()),
                "addresses": candidate.addresses,
                "version": candidate.version,
                "source": candidate.source,
                "seen_at": when::rfc3339(candidate.seen_at, 3),
                "peer": candidate.peer,
            });
            json::write_line(&mut scene.out, &line)?;
        }
        return Ok(Exit::Done);
    }
    let surface = scene.surface();
    let cells = |candidate: &Candidate| {
        vec![
            Cell::new(&candidate.name),
            Cell::maybe(candidate.fingerprint.map(|fingerprint| fingerprint.to_string())),
            Cell::new(&candidate.source).in_colour(Some(DIM)),
            Cell::new(when::short(candidate.seen_at, &surface.now)).in_colour(Some(DIM)),
            Cell::maybe(candidate.version.as_deref()).in_colour(Some(DIM)),
            Cell::maybe(candidate.peer.as_deref()).in_colour(Some(GREEN)),
            Cell::new(candidate.addresses.join(", ")),
        ]
    };
    let rows: Vec<Vec<Cell>> = found.iter().map(cells).collect();
    let names = ["NAME", "FINGERPRINT", "BY", "SEEN", "VERSION", "PEER", "ADDRESSES"];
    scene.out.write_all(surface.grid(&names, &rows).as_bytes())?;
    scene.note("this is what they say of themselves: nobody is trusted for it");
    Ok(Exit::Done)
}
