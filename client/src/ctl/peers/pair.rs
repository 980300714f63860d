//! `karoctl peers pair`: two people see the same four words, and each says so.
//!
//! A yes is never given blindly: what was typed before the words were seen is forgotten, Enter alone is a no, and
//! without a terminal the words of the other side must be handed in and be the same.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::time::Duration;

use karo_protocol::address::{Address, parse_ip};
use karo_protocol::local::{Reply, Request};
use karo_protocol::mesh::{Pair, PairAnswer, PairSide, Pairing};
use karo_protocol::peer::PAIR_PORT;
use serde_json::{Value, json};

use super::check_called;
use super::rows::{PeerLine, both, safe};
use crate::connection::ConnectionError;
use crate::ctl::cli::PairArgs;
use crate::ctl::exit::{Exit, Trouble};
use crate::ctl::json;
use crate::ctl::scene::Scene;
use crate::ctl::shown::columns;
use crate::ctl::table::{PLAIN, Surface};

/// How long the next step of the other side may take: its window is 120 s, and the daemon says when it closes.
const PATIENCE: Duration = Duration::from_secs(180);

/// Bytes of the line of words that is handed in.
const WORDS_BYTES_MAX: u64 = 1024;

const BOLD: &str = "\x1b[1m";

pub(super) fn run(scene: &mut Scene, args: &PairArgs) -> Result<Exit, Trouble> {
    let side = side(args)?;
    let (name, owner) = check_called(&args.called)?;
    if !scene.has_person && args.words_from.is_none() {
        return Err(Trouble::refused(
            "there is no terminal on which a person could compare the words; add --words-from FILE, a pipe from \
             which the words of the other side are read",
        ));
    }
    let mut connection = scene.connect()?;
    connection.wait_for_answers(PATIENCE);
    let id = connection.send(&Request::Pair(Pair { side, trust: args.trust, name, owner }))?;
    let mut refusal = None;
    loop {
        let Reply::Pairing(pairing) = connection.receive(id)? else {
            return Err(ConnectionError::Unexpected("how far the pairing is").into());
        };
        tell(scene, &pairing)?;
        match pairing {
            Pairing::Waiting { .. } | Pairing::Waited => {}
            Pairing::Words { words, .. } => {
                let answer = judge(scene, args.words_from.as_deref(), &words)?;
                refusal = answer.err();
                connection.send(&Request::PairAnswer(PairAnswer { is_yes: refusal.is_none() }))?;
            }
            Pairing::Paired(_) => return Ok(Exit::Done),
            // What this side has said itself is the better reason.
            Pairing::Failed { reason } => return Err(Trouble::refused(refusal.unwrap_or(reason))),
        }
    }
}

fn side(args: &PairArgs) -> Result<PairSide, Trouble> {
    match (&args.listen, &args.target) {
        (Some(listen), _) => Ok(PairSide::Listen { address: listener(listen)? }),
        (None, Some(target)) => dialled(target),
        (None, None) => Err(Trouble::usage("one side waits with --listen, the other names CODE@ADDR")),
    }
}

fn listener(text: &str) -> Result<Option<String>, Trouble> {
    if text.is_empty() {
        return Ok(None);
    }
    let at = parse_ip(text, PAIR_PORT);
    let wrong = || {
        Trouble::usage(format!(
            "--listen {text:?} is no IP address of this machine, as 10.0.0.1 or [::]:9239"
        ))
    };
    Ok(Some(at.ok_or_else(wrong)?.to_string()))
}

fn dialled(text: &str) -> Result<PairSide, Trouble> {
    let wrong =
        |why: String| Trouble::usage(format!("{text:?} is not CODE@ADDR, as the other side shows it: {why}"));
    let (code, address) = text.split_once('@').ok_or_else(|| wrong("there is no @ in it".to_owned()))?;
    if code.is_empty() {
        return Err(wrong("there is nothing before the @".to_owned()));
    }
    let address = Address::parse(address, PAIR_PORT).map_err(|error| wrong(error.to_string()))?;
    Ok(PairSide::Dial { code: code.to_owned(), address: address.to_string() })
}

/// Returns whether both sides see the same words, else why this side says no.
fn judge(
    scene: &mut Scene,
    words_from: Option<&Path>,
    words: &[String],
) -> Result<Result<(), String>, Trouble> {
    let Some(path) = words_from else {
        let is_yes = scene.confirm_seen("does the other screen show the same four words, in this order?")?;
        return Ok(is_yes.then_some(()).ok_or_else(|| "you said no: nothing is trusted".to_owned()));
    };
    let theirs = read_words(path)?;
    let is_same =
        theirs.split_whitespace().map(str::to_lowercase).eq(words.iter().map(|word| word.to_lowercase()));
    let refusal = || {
        format!(
            "the other side's words are not the same ({}): nothing is trusted, and somebody may stand between the two",
            safe(theirs.trim())
        )
    };
    Ok(is_same.then_some(()).ok_or_else(refusal))
}

fn read_words(path: &Path) -> Result<String, Trouble> {
    let failed = |error: io::Error| Trouble::file("read the words from", path, &error);
    let mut line = String::new();
    if path == Path::new("-") {
        io::stdin().lock().take(WORDS_BYTES_MAX).read_line(&mut line).map_err(failed)?;
    } else {
        let file = File::open(path).map_err(failed)?;
        BufReader::new(file.take(WORDS_BYTES_MAX)).read_line(&mut line).map_err(failed)?;
    }
    Ok(line)
}

/// Shows how far it is, at once: the other person waits for it.
fn tell(scene: &mut Scene, pairing: &Pairing) -> Result<(), Trouble> {
    if scene.is_json {
        json::write_line(&mut scene.out, &to_json(pairing))?;
    } else {
        let text = text(&scene.surface(), pairing);
        scene.out.write_all(text.as_bytes())?;
    }
    scene.out.flush()?;
    Ok(())
}

fn to_json(pairing: &Pairing) -> Value {
    match pairing {
        Pairing::Waiting { code, addresses, seconds } => {
            json!({ "pairing": "waiting", "code": code, "addresses": addresses, "seconds": seconds })
        }
        Pairing::Words { words, node_id, fingerprint } => json!({
            "pairing": "words",
            "words": words.join(" "),
            "node_id": node_id.to_string(),
            "fingerprint": fingerprint.to_string(),
        }),
        Pairing::Waited => json!({ "pairing": "waited" }),
        Pairing::Paired(row) => json!({ "pairing": "paired", "peer": PeerLine::new(row) }),
        Pairing::Failed { reason } => json!({ "pairing": "failed", "reason": reason }),
    }
}

fn text(surface: &Surface, pairing: &Pairing) -> String {
    match pairing {
        Pairing::Waiting { addresses, .. } if addresses.is_empty() => {
            "Waiting for the other side.\n".to_owned()
        }
        Pairing::Waiting { code, addresses, seconds } => {
            let one = if addresses.len() > 1 { ", by the first of these that it reaches" } else { "" };
            let mut text = format!("On the other machine, within {seconds} s{one}:\n\n");
            for address in addresses {
                text.push_str(&format!("    karoctl peers pair {}@{}\n", safe(code), safe(address)));
            }
            text.push('\n');
            text
        }
        Pairing::Words { words, fingerprint, .. } => {
            format!(
                "The other side is {fingerprint}. Both screens must show:\n\n{}\n",
                framed(surface, words)
            )
        }
        Pairing::Waited => "You said yes. Waiting for the other side to say yes as well.\n".to_owned(),
        Pairing::Paired(row) => {
            let way = match row.address {
                Some(_) => "`karoctl peers` shows its link",
                None => {
                    "it says of no address where it could be dialled, so it must dial this machine; if this one listens on \
                     loopback only as well, see [mesh] listen of the configuration, on either"
                }
            };
            format!("{} is trusted as {}; {way}\n", both(row), row.trust)
        }
        // The reason is said with the exit code.
        Pairing::Failed { .. } => String::new(),
    }
}

/// Frames the words, so that nothing else on the screen can be taken for them.
fn framed(surface: &Surface, words: &[String]) -> String {
    let words = words.iter().map(|word| safe(word)).collect::<Vec<_>>().join("    ");
    let line = "─".repeat(columns(&words) + 8);
    let (on, off) = if surface.has_colour { (BOLD, PLAIN) } else { ("", "") };
    let blank = " ".repeat(columns(&words) + 8);
    format!("    ┌{line}┐\n    │{blank}│\n    │    {on}{words}{off}    │\n    │{blank}│\n    └{line}┘\n")
}

#[cfg(test)]
#[path = "pair_tests.rs"]
mod tests;
