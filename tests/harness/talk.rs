//! A conversation between a client and a daemon, as bytes: recorded of one version, and played to another.
//!
//! A recording is text: `connection` begins one, `> HEX` is a frame of the client, `< HEX` one of the daemon, and a line
//! that begins with `#` is for whoever reads it.

use std::fmt::Write as _;
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use karo_protocol::frame::Header;
use karo_protocol::local::peek_id;

use crate::wait::PATIENCE;

/// How often a recorder looks for the next connection.
const STEP: Duration = Duration::from_millis(2);

/// Who sent a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The client.
    Client,
    /// The daemon.
    Daemon,
}

/// One frame, header and payload, with who sent it.
pub type Said = (Side, Vec<u8>);

/// All that was said, connection by connection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Talk {
    /// The connections, in the order in which they were opened.
    pub connections: Vec<Vec<Said>>,
}

impl Talk {
    /// Reads a recording.
    ///
    /// # Panics
    ///
    /// When it is none.
    pub fn parse(text: &str) -> Self {
        let mut talk = Self::default();
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            if line == "connection" {
                talk.connections.push(Vec::new());
                continue;
            }
            let side = match &line[..2] {
                "> " => Side::Client,
                "< " => Side::Daemon,
                other => panic!("a line of a recording begins with > or <, not with {other:?}"),
            };
            talk.connections.last_mut().expect("a connection was begun").push((side, bytes(&line[2..])));
        }
        talk
    }

    /// Writes it as [`parse`](Self::parse) reads it.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for connection in &self.connections {
            text.push_str("connection\n");
            for (side, frame) in connection {
                text.push_str(if *side == Side::Client { "> " } else { "< " });
                frame.iter().for_each(|byte| write!(text, "{byte:02x}").expect("text takes it"));
                text.push('\n');
            }
        }
        text
    }

    /// Stands between the client that the deed runs, which finds `own`, and the daemon, and notes what they say.
    ///
    /// # Panics
    ///
    /// When the one cannot listen or the other is not there.
    pub fn record<T>(own: &Path, daemon: &Path, deed: impl FnOnce() -> T) -> (Self, T) {
        let listener = UnixListener::bind(own).expect("the place is free");
        listener.set_nonblocking(true).expect("it is ours");
        let (notes, is_over) = (Mutex::new(Vec::new()), AtomicBool::new(false));
        let done = std::thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(Ordering::SeqCst) {
                    match listener.accept() {
                        Ok((client, _)) => {
                            let number = begin(&notes);
                            client.set_nonblocking(false).expect("it is ours");
                            let daemon = UnixStream::connect(daemon).expect("the daemon runs");
                            let copy = |stream: &UnixStream| stream.try_clone().expect("it can be copied");
                            let (back, forth) = (copy(&client), copy(&daemon));
                            let notes = &notes;
                            scope.spawn(move || carry(client, forth, notes, number, Side::Client));
                            scope.spawn(move || carry(daemon, back, notes, number, Side::Daemon));
                        }
                        Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::sleep(STEP),
                        Err(error) => panic!("nobody can connect: {error}"),
                    }
                }
            });
            let done = deed();
            is_over.store(true, Ordering::SeqCst);
            done
        });
        std::fs::remove_file(own).expect("it is ours");
        (Self { connections: notes.into_inner().expect("nobody panicked") }, done)
    }

    /// Plays the daemon to the client that the deed runs: to each request the answers that were given then.
    ///
    /// # Panics
    ///
    /// When the client asks otherwise than the one of the recording: another kind of request, or under another number.
    pub fn answer<T>(&self, own: &Path, deed: impl FnOnce() -> T) -> T {
        let listener = UnixListener::bind(own).expect("the place is free");
        let done = std::thread::scope(|scope| {
            scope.spawn(|| {
                for connection in &self.connections {
                    let (mut client, _) = listener.accept().expect("it listens");
                    client.set_read_timeout(Some(PATIENCE)).expect("it is ours");
                    for (side, frame) in connection {
                        match side {
                            Side::Daemon => client.write_all(frame).expect("the client reads"),
                            Side::Client => {
                                let asked = read_frame(&mut client).expect("the client asks on");
                                assert_eq!(label(&asked), label(frame), "the client asks otherwise");
                            }
                        }
                    }
                }
            });
            deed()
        });
        std::fs::remove_file(own).expect("it is ours");
        done
    }

    /// Plays the client to a daemon: asks what was asked then, and returns what is said with it.
    ///
    /// # Panics
    ///
    /// When the daemon does not answer with as many frames.
    pub fn ask(&self, daemon: &Path) -> Self {
        let ask = |connection: &Vec<Said>| {
            let mut stream = UnixStream::connect(daemon).expect("the daemon runs");
            stream.set_read_timeout(Some(PATIENCE)).expect("it is ours");
            let say = |(side, frame): &Said| match side {
                Side::Client => {
                    stream.write_all(frame).expect("the daemon reads");
                    (*side, frame.clone())
                }
                Side::Daemon => (*side, read_frame(&mut stream).expect("the daemon answers")),
            };
            connection.iter().map(say).collect()
        };
        Self { connections: self.connections.iter().map(ask).collect() }
    }

    /// Returns the payloads of what one side said, with the kinds of their frames.
    pub fn said_by(&self, who: Side) -> impl Iterator<Item = (u16, &[u8])> {
        let frames = self.connections.iter().flatten().filter(move |(side, _)| *side == who);
        frames.map(|(_, frame)| (label(frame).0, &frame[Header::SIZE..]))
    }
}

/// Begins a connection, and returns its number.
fn begin(notes: &Mutex<Vec<Vec<Said>>>) -> usize {
    let mut notes = notes.lock().expect("nobody panicked");
    notes.push(Vec::new());
    notes.len() - 1
}

/// Carries frames from one to the other until there are no more, and notes each before the other can answer it.
fn carry(mut from: UnixStream, mut to: UnixStream, notes: &Mutex<Vec<Vec<Said>>>, number: usize, side: Side) {
    while let Ok(frame) = read_frame(&mut from) {
        notes.lock().expect("nobody panicked")[number].push((side, frame.clone()));
        if to.write_all(&frame).is_err() {
            break;
        }
    }
    // Whoever has gone already knows that nothing comes any more.
    _ = to.shutdown(std::net::Shutdown::Write);
}

/// Reads one frame, of whatever version.
fn read_frame(stream: &mut UnixStream) -> io::Result<Vec<u8>> {
    let mut frame = vec![0; Header::SIZE];
    stream.read_exact(&mut frame)?;
    let length = u32::from_be_bytes([frame[8], frame[9], frame[10], frame[11]]) as usize;
    frame.resize(Header::SIZE + length, 0);
    stream.read_exact(&mut frame[Header::SIZE..])?;
    Ok(frame)
}

/// Returns the kind of a frame and the number of the request that it is about.
fn label(frame: &[u8]) -> (u16, u64) {
    (u16::from_be_bytes([frame[6], frame[7]]), peek_id(&frame[Header::SIZE..]).0)
}

fn bytes(hex: &str) -> Vec<u8> {
    let digit = |byte: u8| (byte as char).to_digit(16).expect("a recording is hexadecimal") as u8;
    hex.as_bytes().chunks_exact(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recording_reads_back() {
        let talk = Talk {
            connections: vec![vec![(Side::Client, vec![0, 255]), (Side::Daemon, vec![16])], Vec::new()],
        };
        assert_eq!(talk.to_text(), "connection\n> 00ff\n< 10\nconnection\n");
        assert_eq!(Talk::parse(&format!("# why\n{}", talk.to_text())), talk);
    }
}
