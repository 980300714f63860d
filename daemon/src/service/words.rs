//! What a service manager is told, as the lines of `sd_notify(3)`: decided here, sent by the herald.
//!
//! Pure: states go in, datagrams come out. A status is told when it is another than the one told last, and no text
//! of others makes a line of its own.

use std::time::Duration;

/// Characters of a status at the most: `systemctl status` shows one line.
const STATUS_CHARS_MAX: usize = 400;

/// How long the manager is asked to wait further, each time, while a long start goes on.
pub const EXTENSION: Duration = Duration::from_secs(60);

/// What a serving daemon is like, as far as it is told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// How much of the log can be searched, in percent; `None` when all of it can.
    pub loaded_percent: Option<u8>,
    /// Whether the rest takes more memory than the unit allows.
    pub is_memory_short: bool,
    /// Events that can be found.
    pub events: Option<u64>,
    /// Peers in the roster, and how many of them are linked.
    pub peers: (u32, u32),
    /// Records that wait in the spools.
    pub spooled: u64,
    /// Why nothing is accepted, if nothing is.
    pub refusing: Option<String>,
    /// Actors that have not answered for too long.
    pub stuck: Vec<&'static str>,
    /// Why the configuration read last is not in force.
    pub refused_configuration: Option<String>,
}

/// How far a daemon is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// It opens its store.
    Opening,
    /// It accepts.
    Serving,
    /// It reads its configuration again.
    Reloading,
    /// It stops, or has failed; nothing but that is told any more.
    Ending,
}

/// Everything that is told. Each method returns a datagram, or none when there is nothing to say.
#[derive(Debug)]
pub struct Words {
    stage: Stage,
    standing: Standing,
    told: String,
}

impl Default for Words {
    fn default() -> Self {
        Self::new()
    }
}

impl Words {
    /// Begins before anything is opened.
    pub fn new() -> Self {
        Self { stage: Stage::Opening, standing: Standing::default(), told: String::new() }
    }

    /// A long start goes on: asks for [`EXTENSION`] more, and says with what.
    pub fn opening(&mut self, what: &str) -> Option<String> {
        let extension = format!("EXTEND_TIMEOUT_USEC={}\n", EXTENSION.as_micros());
        (self.stage == Stage::Opening).then(|| extension + &self.status(what).unwrap_or_default())
    }

    /// The daemon accepts durably.
    pub fn ready(&mut self) -> Option<String> {
        (self.stage == Stage::Opening).then(|| self.serve())
    }

    /// The configuration is read again; `monotonic` is the machine's monotonic clock.
    pub fn reloading(&mut self, monotonic: Duration) -> Option<String> {
        if self.stage != Stage::Serving {
            return None;
        }
        self.stage = Stage::Reloading;
        Some(format!("RELOADING=1\nMONOTONIC_USEC={}\n", monotonic.as_micros()))
    }

    /// The configuration was read: in force, or refused for a reason.
    pub fn reloaded(&mut self, refused: Option<String>) -> Option<String> {
        self.standing.refused_configuration = refused;
        match self.stage {
            Stage::Reloading => Some(self.serve()),
            // Two signals in one breath are two readings; the first to be done was told.
            Stage::Serving => self.sentence(),
            Stage::Opening | Stage::Ending => None,
        }
    }

    /// The daemon stops; `why` when it does not because it was told to.
    pub fn stopping(&mut self, why: Option<&str>) -> Option<String> {
        if self.stage == Stage::Ending {
            return None;
        }
        self.stage = Stage::Ending;
        Some("STOPPING=1\n".to_owned() + &self.status(why.unwrap_or("stopping")).unwrap_or_default())
    }

    /// The daemon has failed, for this reason and with this number of the system.
    pub fn failed(&mut self, why: &str, errno: i32) -> String {
        self.stage = Stage::Ending;
        self.status(why).unwrap_or_default() + &format!("ERRNO={errno}\n")
    }

    /// Something of the standing is another; told only if that makes another sentence.
    pub fn change(&mut self, change: impl FnOnce(&mut Standing)) -> Option<String> {
        change(&mut self.standing);
        match self.stage {
            Stage::Serving => self.sentence(),
            Stage::Opening | Stage::Reloading | Stage::Ending => None,
        }
    }

    /// Everybody has answered: the manager's watchdog is fed.
    pub fn alive(&mut self) -> Option<String> {
        (self.stage != Stage::Ending).then(|| "WATCHDOG=1\n".to_owned())
    }

    fn serve(&mut self) -> String {
        self.stage = Stage::Serving;
        "READY=1\n".to_owned() + &self.sentence().unwrap_or_default()
    }

    /// Returns the line of the standing, if it is another than the one told last.
    fn sentence(&mut self) -> Option<String> {
        let sentence = self.standing.sentence();
        self.status(&sentence)
    }

    fn status(&mut self, text: &str) -> Option<String> {
        let line = one_line(text);
        if line == self.told {
            return None;
        }
        self.told.clone_from(&line);
        Some(format!("STATUS={line}\n"))
    }
}

impl Standing {
    /// Says it for `systemctl status`: what needs a person first.
    fn sentence(&self) -> String {
        let mut parts = Vec::new();
        if !self.stuck.is_empty() {
            parts.push(format!("no answer from {}", self.stuck.join(", ")));
        }
        if let Some(reason) = &self.refusing {
            parts.push(format!("nothing is accepted: {reason}"));
        }
        if let Some(reason) = &self.refused_configuration {
            parts.push(format!("the changed configuration is not in force: {reason}"));
        }
        match (self.loaded_percent, self.events) {
            (Some(percent), _) if self.is_memory_short => {
                parts.push(format!("accepting; no memory to search more than {percent} % of the history"));
            }
            (Some(percent), _) => parts.push(format!("accepting; {percent} % of the history searchable")),
            (None, Some(events)) => parts.push(counted(events, "event", "events")),
            (None, None) => parts.push("accepting".to_owned()),
        }
        let (peers, linked) = self.peers;
        if peers > 0 {
            parts.push(format!("{linked} of {} linked", counted(peers.into(), "peer", "peers")));
        }
        if self.spooled > 0 {
            parts.push(format!("{} in the spool", counted(self.spooled, "record", "records")));
        }
        parts.join("; ")
    }
}

fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// Makes one line of a text, whatever is in it: a line end would begin another assignment.
fn one_line(text: &str) -> String {
    let mut line = String::new();
    for character in text.chars().map(|character| if character.is_control() { ' ' } else { character }) {
        if !(character == ' ' && line.ends_with(' ')) {
            line.push(character);
        }
    }
    match line.trim().char_indices().nth(STATUS_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &line.trim()[..end]),
        None => line.trim().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn serving() -> Words {
        let mut words = Words::new();
        assert_eq!(words.ready().as_deref(), Some("READY=1\nSTATUS=accepting\n"));
        words
    }

    #[test]
    fn a_life_is_told_in_its_order() {
        let mut words = Words::new();
        let opening = words.opening("opening the store");
        assert_eq!(opening.as_deref(), Some("EXTEND_TIMEOUT_USEC=60000000\nSTATUS=opening the store\n"));
        assert_eq!(words.opening("opening the store").as_deref(), Some("EXTEND_TIMEOUT_USEC=60000000\n"));
        assert_eq!(words.change(|standing| standing.loaded_percent = Some(0)), None, "it does not serve yet");
        let ready = words.ready();
        assert_eq!(ready.as_deref(), Some("READY=1\nSTATUS=accepting; 0 % of the history searchable\n"));
        assert_eq!(words.opening("opening the store"), None, "it is open");
        let reloading = words.reloading(Duration::from_micros(17));
        assert_eq!(reloading.as_deref(), Some("RELOADING=1\nMONOTONIC_USEC=17\n"));
        assert_eq!(words.reloading(Duration::from_micros(18)), None, "it is told already");
        assert_eq!(words.reloaded(None).as_deref(), Some("READY=1\n"));
        assert_eq!(words.stopping(None).as_deref(), Some("STOPPING=1\nSTATUS=stopping\n"));
        assert_eq!(words.stopping(None), None);
        assert_eq!(words.change(|standing| standing.spooled = 3), None, "it has stopped");
        assert_eq!((words.alive(), words.reloaded(None), words.ready()), (None, None, None));
    }

    #[test]
    fn a_status_is_told_when_it_is_another() {
        let mut words = serving();
        let change = |standing: &mut Standing| (standing.events, standing.peers) = (Some(1), (3, 2));
        assert_eq!(words.change(change).as_deref(), Some("STATUS=1 event; 2 of 3 peers linked\n"));
        assert_eq!(words.change(change), None);
        let stuck = words.change(|standing| {
            standing.stuck = vec!["store", "query"];
            standing.refusing = Some("the disk is full".to_owned());
        });
        let expected = "STATUS=no answer from store, query; nothing is accepted: the disk is full; 1 event; 2 of 3 \
                        peers linked\n";
        assert_eq!(stuck.as_deref(), Some(expected));
        let spooled = words.change(|standing| *standing = Standing { spooled: 2, ..Standing::default() });
        assert_eq!(spooled.as_deref(), Some("STATUS=accepting; 2 records in the spool\n"));
    }

    #[test]
    fn a_failed_start_has_a_number_and_a_sentence() {
        let told = Words::new().failed("the data directory is a file", 20);
        assert_eq!(told, "STATUS=the data directory is a file\nERRNO=20\n");
    }

    #[test]
    fn a_refused_configuration_is_told_and_forgotten() {
        let mut words = serving();
        assert!(words.reloading(Duration::ZERO).is_some());
        let refused = words.reloaded(Some("log.level is loud".to_owned()));
        let expected =
            "READY=1\nSTATUS=the changed configuration is not in force: log.level is loud; accepting\n";
        assert_eq!(refused.as_deref(), Some(expected));
        assert!(words.reloading(Duration::ZERO).is_some());
        assert_eq!(words.reloaded(None).as_deref(), Some("READY=1\nSTATUS=accepting\n"));
    }

    #[test]
    fn no_text_makes_a_line_of_its_own() {
        let mut words = Words::new();
        let told = words.failed("/a\nREADY=1\r\n\u{85}STOPPING=1\u{2028}\0MAINPID=1", 5);
        assert_eq!(told.lines().count(), 2, "{told:?}");
        assert!(
            told.starts_with("STATUS=/a READY=1 STOPPING=1") && told.ends_with("\nERRNO=5\n"),
            "{told:?}"
        );
        let told = words.failed(&"ä".repeat(1000), 5);
        assert_eq!(told.chars().count(), "STATUS=…\nERRNO=5\n".chars().count() + STATUS_CHARS_MAX);
    }
}
