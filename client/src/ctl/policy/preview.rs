//! What a peer would get now: what it says, and the exact bytes that would be signed and sent.

use karo_protocol::local::{Reply, Request};
use karo_protocol::policy::{PolicyPreview, PreviewedObject};
use serde_json::{Value, json};

use super::text::safe;
use crate::connection::{ConnectionError, Patience};
use crate::ctl::bars::counted;
use crate::ctl::exit::{Exit, Trouble};
use crate::ctl::scene::Scene;
use crate::ctl::table::{DIM, Surface};
use crate::ctl::{base64, json, summary, when};

/// Bytes in a line of them: with their place and their letters, 77 columns.
const LINE_BYTES: usize = 16;

/// Runs `karoctl policy preview`, which `karoctl summary preview` is as well.
///
/// # Errors
///
/// When there is no answer.
pub fn run(scene: &mut Scene, peer: &str) -> Result<Exit, Trouble> {
    let mut connection = scene.connect()?;
    connection.wait_for_answers(Patience::LONG);
    let Reply::PolicyPreview(preview) = connection.ask(&Request::PolicyPreview(peer.to_owned()))? else {
        return Err(ConnectionError::Unexpected("what would go to a peer").into());
    };
    if scene.is_json {
        json::write_line(&mut scene.out, &to_json(&preview))?;
    } else {
        let text = text(&scene.surface(), &preview);
        scene.out.write_all(text.as_bytes())?;
    }
    Ok(if preview.objects.is_empty() { Exit::NothingFound } else { Exit::Done })
}

fn to_json(PolicyPreview { peer, nothing_because, objects }: &PolicyPreview) -> Value {
    let object = |object: &PreviewedObject| {
        json!({
            "goes_at": when::rfc3339(object.goes_at, 3),
            "summary": summary::to_json(&object.summary),
            "bytes": base64::encode(&object.bytes.0),
        })
    };
    json!({
        "peer": peer,
        "nothing_because": nothing_because,
        "objects": objects.iter().map(object).collect::<Vec<_>>(),
    })
}

fn text(surface: &Surface, preview: &PolicyPreview) -> String {
    let peer = safe(&preview.peer);
    let mut text = match (&preview.nothing_because, preview.objects.len()) {
        (Some(why), _) => format!("{peer} gets nothing: {}\n", safe(why)),
        (None, 0) => format!("{peer} gets nothing at the moment: there is no summary that it has not\n"),
        (None, count) => {
            format!(
                "{peer} gets {}; nothing was sent for this:\n",
                counted(count as u64, "summary", "summaries")
            )
        }
    };
    for object in &preview.objects {
        let title = summary::text::title(&object.summary);
        text.push_str(&format!("\n{title}, goes {}\n", when::short(object.goes_at, &surface.now)));
        summary::text::summary(&mut text, surface, &object.summary);
        let count = counted(object.bytes.0.len() as u64, "byte", "bytes");
        text.push_str(&format!("  {count}, as they are signed and sent:\n"));
        let start = text.len();
        dump(&object.bytes.0, &mut text);
        surface.paint_lines(&mut text, start, DIM);
    }
    text
}

/// Writes bytes by place, number and letter, as `xxd` does.
fn dump(bytes: &[u8], text: &mut String) {
    for (line, chunk) in bytes.chunks(LINE_BYTES).enumerate() {
        let mut hex = String::new();
        for (place, byte) in chunk.iter().enumerate() {
            hex.push_str(if place == LINE_BYTES / 2 { "  " } else { " " });
            hex.push_str(&format!("{byte:02x}"));
        }
        let letter =
            |byte: &u8| if byte.is_ascii_graphic() || *byte == b' ' { char::from(*byte) } else { '.' };
        let letters: String = chunk.iter().map(letter).collect();
        let width = LINE_BYTES * 3 + 1;
        let letters = letters.trim_end_matches(' ');
        text.push_str(&format!("  {:06x} {hex:<width$}  {letters}\n", line * LINE_BYTES));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_shown_by_place_number_and_letter() {
        let mut text = String::new();
        dump(b"\x92karo/1 summary\x00\xff\x1b[", &mut text);
        let expected = "  \
000000  92 6b 61 72 6f 2f 31 20  73 75 6d 6d 61 72 79 00  .karo/1 summary.
  000010  ff 1b 5b                                          ..[
";
        assert_eq!(text, expected);
    }
}
