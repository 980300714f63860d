//! The frames of a session: read whole, and answers made into frames of a size.

use karo_protocol::RequestId;
use karo_protocol::frame::Header;
use karo_protocol::limits::{FRAME_BYTES_MAX, PAGE_BYTES_TARGET};
use karo_protocol::local::{FailureCode, Reply as Answer};
use karo_protocol::query::Detail;
use tokio::io::AsyncReadExt;
use tokio::sync::mpsc;

use super::{Over, failure};
use crate::actors::query::Page;
use crate::logging::say;

/// Reads the rest of a frame.
pub(super) async fn read_frame(
    stream: &mut (impl AsyncReadExt + Unpin),
    mut header: [u8; Header::SIZE],
) -> Result<(Header, Vec<u8>), Over> {
    stream.read_exact(&mut header[1..]).await?;
    let header = Header::parse(&header, FRAME_BYTES_MAX).map_err(Over::Malformed)?;
    let mut payload = vec![0; header.length as usize];
    stream.read_exact(&mut payload).await?;
    Ok((header, payload))
}

/// Splits a page into frames of about the size wanted.
pub(super) fn parts(detail: Detail, page: Page) -> Vec<Answer> {
    match detail {
        Detail::Row => split(page.rows, |row| row.command.len() + row.cwd.len(), Answer::Rows),
        Detail::Event => {
            split(page.events, |event| event.command.as_bytes().len() + event.cwd.len() + 256, Answer::Events)
        }
    }
}

fn split<T>(items: Vec<T>, bytes: impl Fn(&T) -> usize, part: impl Fn(Vec<T>) -> Answer) -> Vec<Answer> {
    let mut parts = Vec::new();
    let mut open = Vec::new();
    let mut open_bytes = 0;
    for item in items {
        open_bytes += bytes(&item);
        open.push(item);
        if open_bytes >= PAGE_BYTES_TARGET {
            parts.push(part(std::mem::take(&mut open)));
            open_bytes = 0;
        }
    }
    if !open.is_empty() {
        parts.push(part(open));
    }
    parts
}

/// Writes an answer; a client that has left reads none.
pub(super) async fn say(outgoing: &mpsc::Sender<Vec<u8>>, id: RequestId, answer: Answer) {
    let frame = answer.encode(id).or_else(|error| {
        say!(Class::AnswerUnsendable, %error, "an answer does not fit a frame");
        failure(FailureCode::Bug, "the answer does not fit a frame").encode(id)
    });
    if let Ok(frame) = frame {
        drop(outgoing.send(frame).await);
    }
}
