//! Lines on their way to the daemon: many in a frame, two frames under way, the answers in order.

use std::collections::VecDeque;

use karo_protocol::explain::{Explain, Explanation};
use karo_protocol::limits::EXPLAIN_LINES_MAX;
use karo_protocol::local::{Reply, Request};
use karo_protocol::{Bytes, RawCommand, RequestId};

use crate::connection::{Connection, ConnectionError};
use crate::ctl::exit::Trouble;

/// Requests under way at once: the daemon works on one while the answer to the other is read.
///
/// With [`REQUEST_BYTES_TARGET`] it also keeps both from waiting for one another: of two requests the daemon
/// has taken one at least, and the other fits the socket's buffer whoever reads it.
const WINDOW_MAX: usize = 2;

/// Bytes of lines after which a request is sent; one more line of full length still fits.
const REQUEST_BYTES_TARGET: usize = 32 * 1024;

/// Asks for explanations; each line carries something with it that comes back with its explanation.
pub struct Asker<'a, T> {
    connection: &'a mut Connection,
    cwd: Bytes,
    waiting: Vec<RawCommand>,
    waiting_bytes: usize,
    carried: VecDeque<T>,
    under_way: VecDeque<(RequestId, VecDeque<T>)>,
}

/// What is done with each explanation.
pub type Show<'a, T> = dyn FnMut(T, Explanation) -> Result<(), Trouble> + 'a;

impl<'a, T> Asker<'a, T> {
    /// Starts with nothing asked.
    pub fn new(connection: &'a mut Connection, cwd: Bytes) -> Self {
        Self {
            connection,
            cwd,
            waiting: Vec::new(),
            waiting_bytes: 0,
            carried: VecDeque::new(),
            under_way: VecDeque::new(),
        }
    }

    /// Adds a line; shows what is answered already when there is enough to be sent.
    ///
    /// # Errors
    ///
    /// When the daemon does not answer, or what it answers cannot be shown.
    pub fn push(&mut self, line: RawCommand, carried: T, show: &mut Show<'_, T>) -> Result<(), Trouble> {
        self.waiting_bytes += line.as_bytes().len();
        self.waiting.push(line);
        self.carried.push_back(carried);
        if self.waiting.len() >= EXPLAIN_LINES_MAX || self.waiting_bytes >= REQUEST_BYTES_TARGET {
            self.send(show)?;
        }
        Ok(())
    }

    /// Sends what waits and shows every explanation that is left.
    ///
    /// # Errors
    ///
    /// As [`push`](Self::push).
    pub fn finish(&mut self, show: &mut Show<'_, T>) -> Result<(), Trouble> {
        if !self.waiting.is_empty() {
            self.send(show)?;
        }
        while !self.under_way.is_empty() {
            self.receive(show)?;
        }
        Ok(())
    }

    fn send(&mut self, show: &mut Show<'_, T>) -> Result<(), Trouble> {
        while self.under_way.len() >= WINDOW_MAX {
            self.receive(show)?;
        }
        self.waiting_bytes = 0;
        let lines = std::mem::take(&mut self.waiting);
        let id = self.connection.send(&Request::Explain(Explain { lines, cwd: self.cwd.clone() }))?;
        self.under_way.push_back((id, std::mem::take(&mut self.carried)));
        Ok(())
    }

    /// Shows the answer to the oldest request, page by page.
    fn receive(&mut self, show: &mut Show<'_, T>) -> Result<(), Trouble> {
        let Some((id, mut carried)) = self.under_way.pop_front() else { return Ok(()) };
        loop {
            let reply = self.connection.receive(id)?;
            if let Reply::Explained(explanations) = reply {
                for explanation in explanations {
                    let carried = carried.pop_front().ok_or_else(unasked)?;
                    show(carried, explanation)?;
                }
            } else if matches!(reply, Reply::End(_)) && carried.is_empty() {
                return Ok(());
            } else {
                return Err(unasked().into());
            }
        }
    }
}

const fn unasked() -> ConnectionError {
    ConnectionError::Unexpected("one explanation for each line")
}
