//! One connection to a daemon, in frames.

use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

use karo_protocol::event::Event;
use karo_protocol::frame::Header;
use karo_protocol::limits::FRAME_BYTES_MAX;
use karo_protocol::local::{End, Failure, Observe, Reply, Request, Status, Verdict};
use karo_protocol::query::{Detail, Filter, Order, Query, Row};
use karo_protocol::{Observation, RequestId};

use crate::wait::PATIENCE;

/// An open session; requests are numbered from 1.
#[derive(Debug)]
pub struct Session {
    stream: UnixStream,
    last: u64,
}

impl Session {
    /// Connects; reads and writes give up after [`PATIENCE`].
    ///
    /// # Errors
    ///
    /// As the socket says.
    pub fn connect(socket: &Path) -> io::Result<Self> {
        Self::over(UnixStream::connect(socket)?)
    }

    /// Speaks over a stream that leads to a daemon; reads and writes give up after [`PATIENCE`].
    ///
    /// # Errors
    ///
    /// As the socket says.
    pub fn over(stream: UnixStream) -> io::Result<Self> {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { stream, last: 0 })
    }

    /// Returns the bare stream, for bytes that are no frames.
    pub fn stream(&mut self) -> &mut UnixStream {
        &mut self.stream
    }

    /// Sends a request without waiting for its answer.
    ///
    /// # Errors
    ///
    /// As the socket says.
    pub fn send(&mut self, request: &Request) -> io::Result<RequestId> {
        self.last += 1;
        let id = RequestId(self.last);
        let frame = request.encode(id).expect("a story's request fits a frame");
        self.stream.write_all(&frame)?;
        Ok(id)
    }

    /// Waits for the next reply.
    ///
    /// # Errors
    ///
    /// As the socket says; `InvalidData` when what came is no reply.
    pub fn receive(&mut self) -> io::Result<(RequestId, Reply)> {
        let invalid = |error| io::Error::new(ErrorKind::InvalidData, error);
        let mut header = [0; Header::SIZE];
        self.stream.read_exact(&mut header)?;
        let header = Header::parse(&header, FRAME_BYTES_MAX).map_err(invalid)?;
        let mut payload = vec![0; header.length as usize];
        self.stream.read_exact(&mut payload)?;
        Reply::decode(header.kind, &payload).map_err(invalid)
    }

    /// Asks and waits for the first reply.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send) and [`receive`](Self::receive); `InvalidData` when another request is answered.
    pub fn ask(&mut self, request: &Request) -> io::Result<Reply> {
        let id = self.send(request)?;
        self.reply_to(id)
    }

    fn reply_to(&mut self, id: RequestId) -> io::Result<Reply> {
        match self.receive()? {
            (answered, reply) if answered == id => Ok(reply),
            (answered, reply) => {
                let message = format!("asked {id:?}, answered {answered:?} with {reply:?}");
                Err(io::Error::new(ErrorKind::InvalidData, message))
            }
        }
    }

    /// Delivers one observation.
    ///
    /// # Errors
    ///
    /// As [`ask`](Self::ask), and when the reply is no verdict.
    pub fn observe(&mut self, observation: Observation) -> io::Result<Verdict> {
        match self.ask(&Request::Observe(Observe::new(observation)))? {
            Reply::Observed(verdict) => Ok(verdict),
            other => Err(unexpected(&other)),
        }
    }

    /// Asks how the daemon is.
    ///
    /// # Panics
    ///
    /// When it does not say.
    pub fn status(&mut self) -> Status {
        match self.ask(&Request::Status(())) {
            Ok(Reply::Status(status)) => *status,
            other => panic!("no status but {other:?}"),
        }
    }

    /// Returns whole events that the filter lets through, the earliest first.
    ///
    /// # Panics
    ///
    /// When there is another answer.
    pub fn events(&mut self, filter: Filter) -> Vec<Event> {
        let query =
            Query { filter, is_unique: false, limit: None, order: Order::OldestFirst, detail: Detail::Event };
        let answer = self.query(query).expect("the query is answered");
        let unreadable = answer.end.map_or(0, |end| end.unreadable);
        assert_eq!(unreadable, 0, "every event that was found can be read");
        answer.events
    }

    /// Tells whether an answer covers all of the log by now.
    ///
    /// # Panics
    ///
    /// When there is another answer.
    pub fn covers_everything(&mut self) -> bool {
        let query = Query {
            filter: Filter::default(),
            is_unique: false,
            limit: Some(1),
            order: Order::NewestFirst,
            detail: Detail::Row,
        };
        let answer = self.query(query).expect("the query is answered");
        answer.end.is_some_and(|end| end.partial_since.is_none())
    }

    /// Returns the redacted texts of all events, the earliest first.
    ///
    /// # Panics
    ///
    /// When there is another answer.
    pub fn texts(&mut self) -> Vec<String> {
        let text = |event: &Event| String::from_utf8_lossy(event.command.as_bytes()).into_owned();
        self.events(Filter::default()).iter().map(text).collect()
    }

    /// Asks for events and collects all pages.
    ///
    /// # Errors
    ///
    /// The failure, if the daemon answers with one.
    ///
    /// # Panics
    ///
    /// When the stream breaks or holds something else.
    pub fn query(&mut self, query: Query) -> Result<Answer, Failure> {
        let id = self.send(&Request::Query(query)).expect("the daemon reads");
        let mut answer = Answer::default();
        loop {
            match self.reply_to(id).expect("the daemon answers") {
                Reply::Rows(rows) => answer.rows.extend(rows),
                Reply::Events(events) => answer.events.extend(events),
                Reply::End(end) => {
                    answer.end = Some(end);
                    return Ok(answer);
                }
                Reply::Failure(failure) => return Err(failure),
                other => panic!("not part of an answer: {other:?}"),
            }
        }
    }
}

/// All pages of an answer.
#[derive(Debug, Default)]
pub struct Answer {
    /// Rows, if rows were asked for.
    pub rows: Vec<Row>,
    /// Events, if events were asked for.
    pub events: Vec<Event>,
    /// How it ended.
    pub end: Option<End>,
}

fn unexpected(reply: &Reply) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, format!("unexpected reply {reply:?}"))
}
