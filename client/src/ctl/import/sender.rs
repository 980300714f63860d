//! Lines on their way to the daemon: in batches, a few of them under way at once.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use karo_protocol::Phase;
use karo_protocol::RequestId;
use karo_protocol::limits::{IMPORT_LINES_MAX, ITEMS_MAX, PAGE_BYTES_TARGET};
use karo_protocol::local::{FailureCode, Import, ImportLine, Imported, Reply, Request};

use crate::connection::{Connection, ConnectionError};
use crate::ctl::exit::Trouble;

/// Batches under way at once: the daemon understands one while another is synced and the next is read.
const WINDOW_MAX: usize = 4;

/// How long a daemon may be too busy for the next batch.
const BUSY_MAX: Duration = Duration::from_secs(60);

/// Time before a batch that met a busy daemon is sent again.
const BUSY_PAUSE: Duration = Duration::from_millis(100);

/// Items of a line beside its lists, more than enough: [`ITEMS_MAX`] holds for the whole batch.
const LINE_ITEMS: usize = 48;

/// Bytes of a line beside its texts, more than enough.
const LINE_BYTES: usize = 256;

/// Sends lines and sums up what became of them.
pub struct Sender<'a> {
    connection: &'a mut Connection,
    waiting: Vec<ImportLine>,
    waiting_bytes: usize,
    waiting_items: usize,
    under_way: VecDeque<(RequestId, Request)>,
    taken_at: Instant,
    imported: Imported,
}

impl<'a> Sender<'a> {
    /// Starts with nothing sent.
    pub fn new(connection: &'a mut Connection) -> Self {
        Self {
            connection,
            waiting: Vec::new(),
            waiting_bytes: 0,
            waiting_items: 0,
            under_way: VecDeque::new(),
            taken_at: Instant::now(),
            imported: Imported::default(),
        }
    }

    /// Adds a line, and sends what waits when it is enough.
    ///
    /// # Errors
    ///
    /// When the daemon refuses a batch, or is gone.
    pub fn push(&mut self, line: ImportLine) -> Result<(), Trouble> {
        let (bytes, items) = size(&line);
        let is_full = self.waiting.len() == IMPORT_LINES_MAX
            || self.waiting_bytes + bytes > PAGE_BYTES_TARGET
            || self.waiting_items + items > ITEMS_MAX as usize / 2;
        if is_full && !self.waiting.is_empty() {
            self.send()?;
        }
        self.waiting.push(line);
        self.waiting_bytes += bytes;
        self.waiting_items += items;
        Ok(())
    }

    /// Sends the rest, waits for all answers and returns their sum.
    ///
    /// # Errors
    ///
    /// As [`push`](Self::push).
    pub fn finish(mut self) -> Result<Imported, Trouble> {
        if !self.waiting.is_empty() {
            self.send()?;
        }
        while !self.under_way.is_empty() {
            self.receive()?;
        }
        Ok(self.imported)
    }

    fn send(&mut self) -> Result<(), Trouble> {
        while self.under_way.len() >= WINDOW_MAX {
            self.receive()?;
        }
        let request = Request::Import(Import { lines: std::mem::take(&mut self.waiting) });
        (self.waiting_bytes, self.waiting_items) = (0, 0);
        let id = self.connection.send(&request)?;
        self.under_way.push_back((id, request));
        Ok(())
    }

    /// Receives the answer to the oldest batch; one that met a busy daemon goes to the end of the line.
    fn receive(&mut self) -> Result<(), Trouble> {
        let Some((id, request)) = self.under_way.pop_front() else { return Ok(()) };
        match self.connection.receive(id) {
            Ok(Reply::Imported(imported)) => {
                self.taken_at = Instant::now();
                self.imported.added += imported.added;
                self.imported.duplicates += imported.duplicates;
                self.imported.ignored += imported.ignored;
                Ok(())
            }
            Ok(_) => Err(ConnectionError::Unexpected("what became of imported lines").into()),
            Err(ConnectionError::Failure(failure))
                if failure.code == FailureCode::Busy && self.taken_at.elapsed() < BUSY_MAX =>
            {
                std::thread::sleep(BUSY_PAUSE);
                let id = self.connection.send(&request)?;
                self.under_way.push_back((id, request));
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// Returns at least how many bytes and items the line takes in a frame.
fn size(line: &ImportLine) -> (usize, usize) {
    let observation = &line.observation;
    let parts = match &observation.phase {
        Phase::End(ending) => ending.pipestatus.len(),
        Phase::Start => 0,
    };
    let texts = observation.command.as_bytes().len()
        + observation.cwd.len()
        + observation.shell.user.len()
        + observation.shell.host.len();
    let spans = line.redactions.len();
    (LINE_BYTES + texts + parts * 3 + spans * 12, LINE_ITEMS + parts + spans * 4)
}
