//! Requests and replies between a user's clients and the same user's daemon, over the Unix socket.
//!
//! A request carries an id, and each reply names the id it answers. A long answer is a stream of
//! pages ([`Reply::Rows`], [`Reply::Events`], [`Reply::Explained`], [`Reply::Rules`]) and one [`Reply::End`], or of
//! [`Reply::Progress`] and what became of it; everything else is one reply. These types may hold raw commands, so
//! no other module that reaches the network may name them.

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use crate::answer::{
    AtomRow, GroupClose, GroupMake, GroupRow, GroupShown, HealthRow, MeshAnswer, MeshQuery, SignalRow,
    SignalsAsk, SummaryAsk, SummaryRow,
};
use crate::audit::{AuditExport, AuditFilter, AuditRow, AuditVerified};
use crate::event::{Event, Redaction};
use crate::explain::{Explain, Explanation};
use crate::frame::{FrameError, decode, encode};
use crate::group::Card;
use crate::logs::{LogsAsk, LogsPage};
use crate::mesh::{
    Candidate, IdentityBackup, IdentityRestore, IdentityShown, MeshStatus, Pair, PairAnswer, Pairing,
    PeerAdd, PeerChange, PeerRow, PeerShown, PeersAsk, PeersTable, Pinged, TestStep,
};
use crate::observation::{OBSERVATION_VERSION, Observation};
use crate::peer::Signed;
use crate::policy::{PolicyChange, PolicyExplained, PolicyPreview, PolicyShown};
use crate::query::{Count, Filter, LeftOut, Query, Row, Tally};
pub use crate::rules::{RefusedRule, Rule, RuleFile, RulesCheck, RulesPage, RulesStatus};
use crate::wider::Wider;
use crate::{Bytes, EventId, RequestId, Timestamp, named_enum};

/// A message that must be of this version: whoever passes a part of it over does something else than was asked for.
#[derive(Deserialize)]
#[serde(transparent)]
struct Exactly<T>(T);

/// Declares the requests or replies: a number for each on the wire, and how each is written and read.
macro_rules! messages {
    ($(#[$doc:meta])* $name:ident read as $read:ident { $($(#[$vdoc:meta])* $variant:ident($type:ty) = $kind:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum $name { $($(#[$vdoc])* $variant($type)),+ }

        impl $name {
            /// Returns the type number of the frame that carries this message.
            pub const fn kind(&self) -> u16 {
                match self { $(Self::$variant(_) => $kind),+ }
            }

            /// Makes the whole frame.
            ///
            /// # Errors
            ///
            /// [`FrameError::TooLong`] when the message does not fit a frame.
            pub fn encode(&self, id: RequestId) -> Result<Vec<u8>, FrameError> {
                match self { $(Self::$variant(message) => encode($kind, &(id, message))),+ }
            }

            /// Reads the payload of a frame of that type.
            ///
            /// # Errors
            ///
            /// [`FrameError::UnknownType`] for another type, and whatever [`decode`] finds.
            pub fn decode(kind: u16, payload: &[u8]) -> Result<(RequestId, Self), FrameError> {
                match kind {
                    $($kind => decode(payload).map(|(id, $read(message))| (id, Self::$variant(message))),)+
                    unknown => Err(FrameError::UnknownType(unknown)),
                }
            }
        }
    };
}

messages! {
    /// What a client asks of the daemon.
    Request read as Exactly {
        /// Take this in. Answered by [`Reply::Observed`].
        Observe(Observe) = 0x0001,
        /// Find events. Answered by [`Reply::Rows`] or [`Reply::Events`], then [`Reply::End`].
        Query(Query) = 0x0002,
        /// Count events. Answered by [`Reply::Tallies`].
        Count(Count) = 0x0003,
        /// Forget events for good. Answered by [`Reply::Deleted`].
        Delete(Filter) = 0x0004,
        /// Take in what another history holds. Answered by [`Reply::Imported`].
        Import(Import) = 0x0005,
        /// How are you? Answered by [`Reply::Status`].
        Status(()) = 0x0006,
        /// What is understood of lines, without storing them? Answered by [`Reply::Explained`], one explanation for
        /// each line in its order, then [`Reply::End`], which counts the lines.
        Explain(Explain) = 0x0007,
        /// Which rules are there? Answered by [`Reply::Rules`], then [`Reply::End`], which counts the rules.
        Rules(()) = 0x0008,
        /// Would these rules work, and what would they say? Answered by [`Reply::Rules`], then by
        /// [`Reply::Explained`] when there are lines, then [`Reply::End`], which counts the rules.
        RulesCheck(RulesCheck) = 0x0009,
        /// Read all of the store and check it. Answered by [`Reply::Verified`].
        StoreVerify(()) = 0x0010,
        /// Seal, fold and rewrite what can be smaller. Answered by [`Reply::Compacted`].
        StoreCompact(()) = 0x0011,
        /// Understand what is stored by the tables and rules of today. Answered by [`Reply::Progress`] as it
        /// goes on, and by [`Reply::Reclassified`] at the end.
        Reclassify(Reclassify) = 0x0012,
        /// Who is this machine to others? Answered by [`Reply::Identity`].
        Identity(()) = 0x0020,
        /// The identity in a file of its own, encrypted. Answered by [`Reply::IdentityBackup`].
        IdentityBackup(IdentityBackup) = 0x0021,
        /// Take over a backed-up identity. Answered by [`Reply::Identity`].
        IdentityRestore(IdentityRestore) = 0x0022,
        /// Take over the next key. Answered by [`Reply::Identity`].
        IdentityRotate(()) = 0x0023,
        /// Who are the peers? Answered by [`Reply::Peers`].
        Peers(PeersAsk) = 0x0024,
        /// Trust a node. Answered by [`Reply::Peer`].
        PeerAdd(PeerAdd) = 0x0025,
        /// Change what is known of a peer. Answered by [`Reply::Peer`], with what it was for one that is forgotten.
        PeerChange(PeerChange) = 0x0026,
        /// All that is known of a peer. Answered by [`Reply::PeerShown`].
        PeerShow(String) = 0x0027,
        /// Ping a connected peer. Answered by [`Reply::Pinged`].
        PeerPing(String) = 0x0028,
        /// Try a connection to a peer, step by step. Answered by [`Reply::PeerTested`].
        PeerTest(String) = 0x0029,
        /// What has discovery seen? Answered by [`Reply::Candidates`].
        Candidates(()) = 0x002a,
        /// Pair with another machine. Answered by [`Reply::Pairing`] as it goes on; ends with the session.
        Pair(Pair) = 0x002b,
        /// What the person says to the words. Answered by [`Reply::Pairing`] to the request that began the pairing.
        PairAnswer(PairAnswer) = 0x002c,
        /// What did Karo do? Answered by [`Reply::AuditRows`], then [`Reply::End`].
        Audit(AuditFilter) = 0x002d,
        /// Is the audit as it was written? Answered by [`Reply::AuditVerified`].
        AuditVerify(()) = 0x002e,
        /// The newest signed head of the audit. Answered by [`Reply::AuditHead`].
        AuditHead(()) = 0x002f,
        /// Entries of the audit with their proofs. Answered by [`Reply::AuditExport`].
        AuditExport(AuditFilter) = 0x0030,
        /// Which summaries are there? Answered by [`Reply::Summaries`] in pages, then [`Reply::End`].
        Summaries(SummaryAsk) = 0x0031,
        /// What goes to whom? Answered by [`Reply::Policy`].
        Policy(()) = 0x0032,
        /// Change that. Answered by [`Reply::Policy`], as it is since.
        PolicyChange(PolicyChange) = 0x0033,
        /// What exactly would go to that peer now? Answered by [`Reply::PolicyPreview`].
        PolicyPreview(String) = 0x0034,
        /// Why does what go to that peer? Answered by [`Reply::PolicyExplained`].
        PolicyExplain(String) = 0x0035,
        /// This machine's card, for a group file. Answered by [`Reply::Card`].
        GroupCard(()) = 0x0036,
        /// Make a group file. Answered by [`Reply::Group`].
        GroupMake(GroupMake) = 0x0037,
        /// What is in this file, and what is new in it? Answered by [`Reply::Group`].
        GroupLook(Signed) = 0x0038,
        /// The file of the group of that name, accepted or offered. Answered by [`Reply::Group`].
        GroupShow(String) = 0x0039,
        /// Accept this file: the person has seen what is new. Answered by [`Reply::Group`].
        GroupAccept(Signed) = 0x003a,
        /// Leave the group of that name. Answered by [`Reply::Group`], as it was.
        GroupLeave(String) = 0x003b,
        /// Which groups are there? Answered by [`Reply::Groups`].
        Groups(()) = 0x003c,
        /// Close a past day now. Answered by [`Reply::Atoms`] with that day, once it is closed or has ended.
        GroupClose(GroupClose) = 0x003d,
        /// Which days are closed, given, refused? Of the group of that name, or of all. Answered by [`Reply::Atoms`].
        GroupAtoms(Option<String>) = 0x003e,
        /// Ask a group. Answered by [`Reply::Answer`].
        MeshQuery(MeshQuery) = 0x003f,
        /// How are the nodes? Answered by [`Reply::Health`].
        MeshHealth(()) = 0x0040,
        /// What was unusual about my own days? Answered by [`Reply::Signals`].
        Signals(SignalsAsk) = 0x0041,
        /// What has the daemon logged? Answered by [`Reply::Logs`].
        Logs(LogsAsk) = 0x0042,
    }
}

messages! {
    /// What the daemon answers.
    Reply read as Wider {
        /// What became of an observation.
        Observed(Verdict) = 0x0101,
        /// Some rows of an answer, in its order.
        Rows(Vec<Row>) = 0x0102,
        /// Some events of an answer, in its order.
        Events(Vec<Event>) = 0x0103,
        /// The last of a stream.
        End(End) = 0x0104,
        /// Counts, by key.
        Tallies(Tallies) = 0x0105,
        /// How many events were deleted, after the rewritten segments were synced.
        Deleted(u64) = 0x0106,
        /// What became of imported lines.
        Imported(Imported) = 0x0107,
        /// How the daemon is.
        Status(Box<Status>) = 0x0108,
        /// Some explanations of an answer, in its order.
        Explained(Vec<Explanation>) = 0x0109,
        /// Some rules of an answer.
        Rules(RulesPage) = 0x010a,
        /// What a check of the store found.
        Verified(Verified) = 0x0110,
        /// What compaction did.
        Compacted(Compacted) = 0x0111,
        /// How far a long work has come.
        Progress(Progress) = 0x0112,
        /// What became of understanding everything again.
        Reclassified(Reclassified) = 0x0113,
        /// Who this machine is.
        Identity(Box<IdentityShown>) = 0x0120,
        /// The encrypted identity, for a file of the client's.
        IdentityBackup(Bytes) = 0x0121,
        /// The peers.
        Peers(PeersTable) = 0x0124,
        /// One peer, as it is after what was asked.
        Peer(Box<PeerRow>) = 0x0125,
        /// All that is known of a peer.
        PeerShown(Box<PeerShown>) = 0x0127,
        /// How a ping went.
        Pinged(Pinged) = 0x0128,
        /// How each step of a connection went.
        PeerTested(Vec<TestStep>) = 0x0129,
        /// What discovery has seen.
        Candidates(Vec<Candidate>) = 0x012a,
        /// How far a pairing is.
        Pairing(Pairing) = 0x012b,
        /// Some entries of the audit, in their order.
        AuditRows(Vec<AuditRow>) = 0x012d,
        /// What a check of the audit found.
        AuditVerified(AuditVerified) = 0x012e,
        /// The newest signed head; `None` before the first.
        AuditHead(Option<Signed>) = 0x012f,
        /// Entries with their proofs.
        AuditExport(Box<AuditExport>) = 0x0130,
        /// Some summaries, in their order.
        Summaries(Vec<SummaryRow>) = 0x0131,
        /// The policy.
        Policy(Box<PolicyShown>) = 0x0132,
        /// What would go to a peer.
        PolicyPreview(Box<PolicyPreview>) = 0x0134,
        /// Why.
        PolicyExplained(PolicyExplained) = 0x0135,
        /// A card.
        Card(Box<Card>) = 0x0136,
        /// A group file.
        Group(Box<GroupShown>) = 0x0137,
        /// Groups, in the order of their names.
        Groups(Vec<GroupRow>) = 0x013c,
        /// Days of groups, the newest first.
        Atoms(Vec<AtomRow>) = 0x013e,
        /// What a group answers.
        Answer(Box<MeshAnswer>) = 0x013f,
        /// How the nodes are.
        Health(Vec<HealthRow>) = 0x0140,
        /// What was unusual, the newest first.
        Signals(Vec<SignalRow>) = 0x0141,
        /// Some entries of the log, the oldest first.
        Logs(Box<LogsPage>) = 0x0142,
        /// The request was understood and could not be met, or was not understood.
        Failure(Failure) = 0x01ff,
    }
}

/// Reads only the id off a payload, so that even what cannot be understood is answered by its number.
pub fn peek_id(payload: &[u8]) -> RequestId {
    decode(payload).map_or(RequestId(0), |(id, _): (RequestId, IgnoredAny)| id)
}

/// One observation with the version of its own form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observe {
    /// [`OBSERVATION_VERSION`] of the sender.
    pub version: u16,
    /// What was seen.
    pub observation: Observation,
}

impl Observe {
    /// Type number of the frame that carries one: the only one that is read in every version.
    pub const KIND: u16 = 0x0001;

    /// Wraps an observation of this version.
    pub const fn new(observation: Observation) -> Self {
        Self { version: OBSERVATION_VERSION, observation }
    }

    /// Reads only the id and the version of an `Observe` payload, whatever else it holds.
    ///
    /// # Errors
    ///
    /// As [`decode`], when not even that can be read.
    pub fn peek_version(payload: &[u8]) -> Result<(RequestId, u16), FrameError> {
        decode(payload).map(|(id, (version, _)): (_, (u16, IgnoredAny))| (id, version))
    }
}

named_enum! {
    /// What became of an observation. On anything but the first three the client spools.
    Verdict, "verdict" {
        /// It is on disk.
        Committed = "committed",
        /// It was on disk already.
        Duplicate = "duplicate",
        /// A rule of the user keeps it out.
        Ignored = "ignored",
        /// The daemon takes nothing at the moment.
        Busy = "busy",
        /// The daemon could not keep it, or does not know its version.
        Failed = "failed",
    }
}

impl Verdict {
    /// Tells whether the record may be forgotten by its sender.
    pub const fn is_settled(self) -> bool {
        match self {
            Self::Committed | Self::Duplicate | Self::Ignored => true,
            Self::Busy | Self::Failed => false,
        }
    }
}

/// The end of a stream of pages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// Events that the answer holds.
    pub count: u64,
    /// From when on everything was searched; `None` when all of it was.
    pub partial_since: Option<Timestamp>,
    /// Events that matched and could not be read back because of damage in the store.
    pub unreadable: u64,
}

/// Counts, and how much they cover.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tallies {
    /// In the order of their keys.
    pub tallies: Vec<Tally>,
    /// From when on everything was counted; `None` when all of it was.
    pub partial_since: Option<Timestamp>,
    /// What did not fit the answer.
    #[serde(default)]
    pub left_out: LeftOut,
}

/// Lines of another history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Import {
    /// At most [`IMPORT_LINES_MAX`](crate::limits::IMPORT_LINES_MAX).
    pub lines: Vec<ImportLine>,
}

/// One event of another history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportLine {
    /// What is known of it; an ended command, or a started one.
    pub observation: Observation,
    /// Its id, when it comes from an export of ours.
    pub id: Option<EventId>,
    /// Whether it was lost there: its outcome will never be known.
    pub is_lost: bool,
    /// Markers that stand in its text already.
    pub redactions: Vec<Redaction>,
}

/// What became of imported lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Imported {
    /// On disk, and were not before.
    pub added: u64,
    /// Were on disk already.
    pub duplicates: u64,
    /// Kept out by a rule of the user.
    pub ignored: u64,
}

/// Asks for everything that is stored to be understood again. What is as it should be is not written anew, so a
/// second request does what the first has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Reclassify {
    /// Whether secrets that today's rules of redaction find are cut out of stored texts as well.
    pub redact: bool,
}

/// How far a long work has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Progress {
    /// Records looked at so far.
    pub done: u64,
    /// Records to be looked at, as far as is known.
    pub total: u64,
    /// Events that are another thing than before.
    pub changed: u64,
}

/// What became of understanding everything again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Reclassified {
    /// Events looked at.
    pub events: u64,
    /// Events that are another thing than before.
    pub changed: u64,
    /// Events out of whose text a secret was cut.
    pub redacted: u64,
    /// Segments that were rewritten for it.
    pub segments: u64,
}

/// What a check of the store found.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Verified {
    /// Segments read.
    pub segments: u64,
    /// Records that are as they were written.
    pub records: u64,
    /// Places that are not, at most the first hundred.
    pub damage: Vec<Damage>,
    /// How many such places there are.
    pub damage_count: u64,
    /// Whether the views are what the log says.
    pub views_agree: bool,
}

/// One place in the store that is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Damage {
    /// Name of the segment's file.
    pub segment: String,
    /// Where in it, in bytes.
    pub offset: u64,
    /// What is wrong, in words.
    pub reason: String,
}

/// What compaction did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Compacted {
    /// Bytes of the log before.
    pub bytes_before: u64,
    /// Bytes of the log after.
    pub bytes_after: u64,
    /// Segments rewritten.
    pub segments: u64,
}

/// How the daemon is: what `karoctl status`, `store info` and `doctor` show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Version of `karod`.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// When it started.
    pub started_at: Timestamp,
    /// Its wall clock at the answer.
    pub now: Timestamp,
    /// The account it works for.
    pub user: String,
    /// The machine it runs on.
    pub host: String,
    /// Where its data lies.
    pub data_dir: String,
    /// Where its socket lies.
    pub socket: String,
    /// Where it takes spooled records from.
    pub spools: Vec<SpoolStatus>,
    /// What it took in since its start.
    pub intake: Intake,
    /// What it keeps.
    pub store: StoreStatus,
    /// Open sessions, this one included.
    pub sessions: u32,
    /// How many there may be.
    pub sessions_max: u32,
    /// Connections of other users, refused since the start.
    pub refused_foreign: u64,
    /// Frames that were no messages of ours, since the start.
    pub malformed: u64,
    /// Memory that is its own, in bytes.
    pub resident_bytes: u64,
    /// Anything that a person should know, each a sentence.
    pub notices: Vec<String>,
    /// What risk is decided by.
    #[serde(default)]
    pub rules: RulesStatus,
    /// How the mesh is.
    #[serde(default)]
    pub mesh: MeshStatus,
}

/// One spool directory.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SpoolStatus {
    /// Where.
    pub path: String,
    /// Records that wait.
    pub waiting: u64,
    /// Records of a newer version, left for a newer daemon.
    pub newer: u64,
    /// Files that are no whole record.
    pub torn: u64,
}

/// What came in since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Intake {
    /// Taken in and on disk.
    pub committed: u64,
    /// Had come before.
    pub duplicates: u64,
    /// Kept out by a rule of the user.
    pub ignored: u64,
    /// Refused because too much was waiting or the disk was full.
    pub busy: u64,
    /// Could not be kept.
    pub failed: u64,
    /// Of these, how many came through a spool.
    pub spooled: u64,
    /// Records that hooks could put nowhere.
    pub dropped: u64,
}

/// What the store holds.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct StoreStatus {
    /// Events that can be found.
    pub events: u64,
    /// Distinct texts among them.
    pub texts: u64,
    /// When the first of them started.
    pub oldest: Option<Timestamp>,
    /// When the last of them started.
    pub newest: Option<Timestamp>,
    /// From when on everything is searchable; `None` when all of it is.
    pub partial_since: Option<Timestamp>,
    /// Sealed segments.
    pub segments: u64,
    /// Bytes of the log.
    pub log_bytes: u64,
    /// Bytes of the views.
    pub view_bytes: u64,
    /// Bytes that are free on its file system.
    pub free_bytes: u64,
    /// Bytes that are kept free: below it nothing is accepted.
    pub reserve_bytes: u64,
    /// Whether events are accepted; if not, why.
    pub refusing: Option<String>,
    /// Damage found since the start.
    pub damage: u64,
    /// Version of the rules that events are understood by.
    pub rules_version: u32,
}

named_enum! {
    /// What kind of trouble a request met.
    FailureCode, "failure" {
        /// The other side speaks another version.
        VersionMismatch = "version-mismatch",
        /// The request cannot be read or breaks a limit.
        BadRequest = "bad-request",
        /// Too much is going on; later it will work.
        Busy = "busy",
        /// It is not allowed.
        Refused = "refused",
        /// The store is damaged where the answer lies.
        Damaged = "damaged",
        /// The store cannot be written.
        Unwritable = "unwritable",
        /// The daemon is stopping.
        Stopping = "stopping",
        /// A bug of ours.
        Bug = "bug",
    }
}

/// Why there is no answer, in words that the person may see.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The kind of trouble.
    pub code: FailureCode,
    /// What is wrong, and the mend; never holds a command's text.
    pub message: String,
}
