//! The table of messages: every class that the daemon says at level info and above.
//!
//! A row holds name, id, severity, what it means, and what an operator does. Names and ids are stable for good: units,
//! alerts and catalogues rest on them. A new class gets a new id (`systemd-id128 new`), one that is no longer said stays
//! behind in `golden.txt`, and its id is never given again.

use super::class::classes;

classes! {
    // Starting and stopping.
    Accepting = "accepting", 0x8ceb6f2c06a74773000603082d4dd557, Info,
        "The socket is open, and what is taken in is on disk before it is acknowledged.",
        "Nothing.";
    Searchable = "searchable", 0x6728e418f5c3d4225ed16211b0c13d38, Info,
        "Everything in the store can be found.",
        "Nothing.";
    Stopping = "stopping", 0x101503344bfd6d6d4db33afdc92692fa, Info,
        "The daemon stops; the field says why.",
        "Nothing, if somebody stopped it; look at the entries before it otherwise.";
    StopIncomplete = "stop-incomplete", 0xa4bcc9f5ed581c6ced677f1f179198df, Warn,
        "A part of the daemon did not end in time, or ended before it was asked to.",
        "Nothing acknowledged is lost. If it comes again, report it with the entries before it.";
    LoaderFailed = "loader-failed", 0xe8ca2a1b4ee93905b8732b2888d81bfa, Error,
        "What is in the store cannot be searched: its loading could not be begun.",
        "Restart karod.";
    SearchGone = "search-gone", 0x271b291447e36bcc4335aa9ea4eef0cb, Error,
        "The part that searches has ended; the daemon follows it.",
        "The service manager starts it anew. Report it with the entries before it.";
    Panicked = "panicked", 0x188fcc13ab6189d94ccfa168c36e01ce, Error,
        "A part of the daemon met a bug and ended; the field says where.",
        "The service manager starts it anew. Report it with the entries before it.";
    AnswerUnsendable = "answer-unsendable", 0xc67eb8fcb1461c400c9ef56af8e848be, Error,
        "An answer to a client does not fit a frame, which is a bug.",
        "Ask for less at once, and report it.";
    CoreDumpsOn = "core-dumps-on", 0x12471fbae4354138a9868471e5d026c9, Warn,
        "Core dumps could not be switched off: a core would hold commands.",
        "Set LimitCORE=0 in the unit, or `ulimit -c 0` in the shell that starts karod.";
    MachineSlept = "machine-slept", 0xe67dc9b6c3c542026023d77ebedce71d, Info,
        "The machine slept; links are tried anew.",
        "Nothing.";
    NoAnswer = "no-answer", 0xdf3b496f15aacb5a14eeca9ff28d15fb, Error,
        "Parts of the daemon have not answered for a third of the time that the service manager's watchdog allows; the \
         field names them.",
        "If they stay away the service manager starts the daemon anew; nothing acknowledged is lost. Look at what they \
         wait for: a disk or a file system that hangs.";
    LimitCut = "limit-cut", 0x2a24746ea5457882acd048bd9fd8bef7, Warn,
        "A limit of the configuration does not fit into what the system allows the daemon, and was cut to that.",
        "Raise in the unit what the message names, or lower the limit in the configuration.";
    MemoryShort = "memory-short", 0x41d9b53f3b1a4c5393c3f4d4b9d54621, Warn,
        "The whole history takes more memory than the unit allows: what started before the moment of the field is on disk, \
         and cannot be found.",
        "Raise MemoryHigh= and MemoryMax= in the unit (`systemctl --user edit karod`, docs/service.md), and restart karod.";
    // The log itself.
    JournalAway = "journal-away", 0x800ed99f4f4d08a7690c28f2ef21eb9f, Warn,
        "The journal takes nothing; the log goes to standard error until it does.",
        "Look at `systemctl status systemd-journald`.";
    JournalBack = "journal-back", 0x2892b56f0210b16d02f04e107debc184, Info,
        "The journal takes entries again.",
        "Nothing. What was logged meanwhile is on standard error, and in `karoctl logs --ring`.";
    EntriesLost = "entries-lost", 0x2893ae184e91aa82c3e6ceb66ffe83f1, Warn,
        "So many entries found no room while the log could not be written.",
        "Look at what held it up: a frozen journal, or a terminal that is stopped. `karoctl logs --ring` \
         may still have them.";
    HeldBack = "held-back", 0x1d2221a868ecc78e9aaeacc934b3b453, Info,
        "Further entries of that class came too fast and were counted only.",
        "Look at the entries of that class before this one.";
    LevelUnchanged = "level-unchanged", 0x70534344cdc3dbe8fd02d471f4ed24ce, Warn,
        "The level of the log could not be changed.",
        "Restart karod.";
    // Configuration.
    ConfigReloaded = "config-reloaded", 0x43fd37b5219fd4af9b3bbe642c1d150e, Notice,
        "The configuration was read again and is in force.",
        "Nothing.";
    ConfigRefused = "config-refused", 0x2dc097ce7266f85c650f0936d9fc4791, Error,
        "The configuration cannot be used, and the old one stays in force.",
        "Mend what the entry names, then send another HUP.";
    ConfigPartly = "config-partly", 0xc25dc89a37878204ac9a48f0ca0fec65, Error,
        "The configuration could not be put in force everywhere.",
        "Send another HUP; restart karod if it comes again.";
    ConfigNeedsRestart = "config-needs-restart", 0x8dbd2c9175beddb8ca29d368542fb546, Warn,
        "A change of that key takes a restart.",
        "Restart karod when it suits.";
    ConfigPeersRefused = "config-peers-refused", 0x7994d3a6fc45138350890ec85ba65348, Error,
        "The peers of the configuration are refused, and those before stay.",
        "Mend what the entry names in [mesh], then send a HUP.";
    // The store.
    LogEndMended = "log-end-mended", 0xcba46334b29e3103e7afbce2fc505c30, Warn,
        "The end of the log was torn by a crash and set aside; nothing acknowledged is lost.",
        "Nothing. What was set aside lies in damaged/ beside the log.";
    LogDamaged = "log-damaged", 0x97043b48909a68d5bb368aef916414af, Error,
        "A place in the log cannot be read: the disk, or somebody, changed what was written.",
        "Run `karoctl store verify`, look at the disk's own log, and restore the place from a backup if \
         you have one.";
    StoreMigrated = "store-migrated", 0x91382f78dd68b75d2d29b088621f1351, Notice,
        "The store was of an older format and has been migrated; older versions of karod refuse it from \
         here on.",
        "Nothing.";
    DiskFull = "disk-full", 0x5490815badf8b619bc08e3e98b5c7150, Warn,
        "The disk is too full: nothing is accepted until there is room.",
        "Make room on the file system of the data directory; hooks spool meanwhile, and it goes on by \
         itself.";
    DiskRoomy = "disk-roomy", 0x4643ddd6efcd57a109332d6c30da0357, Info,
        "There is room on the disk again, and commands are accepted.",
        "Nothing.";
    StoreUpkeepFailed = "store-upkeep-failed", 0x9e7997f7544ce4ef08a731070fc37fe2, Warn,
        "Retention or compaction of the store failed; nothing is lost.",
        "Look at the error. It is tried again; `karoctl store compact` tries at once.";
    StoreUncleanClose = "store-unclean-close", 0x179a38d02a39618d5ad75de6bc2923ff, Warn,
        "The store was not closed in order; nothing acknowledged is lost.",
        "Nothing; the next start takes a little longer.";
    StoreBytesRemoved = "store-bytes-removed", 0x5d22bb88663f0ea877fe40ca4ed66555, Warn,
        "Damaged bytes were removed with a deletion, because nobody can tell whether they held what must \
         be gone.",
        "Run `karoctl store verify`, and look at the disk's own log.";
    ViewsRebuilt = "views-rebuilt", 0xb61abe7fc07567ab6f1f9da20a7f8754, Info,
        "The views are made anew from the log.",
        "Nothing.";
    ViewsDamaged = "views-damaged", 0x2e84d32379ec48bb0da9ff0492b838ca, Warn,
        "The views were damaged and set aside; they are made anew from the log.",
        "Nothing. If it comes again, look at the disk's own log.";
    ViewsBehind = "views-behind", 0xa4f99d045be6556f9711578e2d70a6f1, Warn,
        "The views cannot be kept up; they are made anew at the next start.",
        "Restart karod when it suits.";
    ViewsLeft = "views-left", 0x9846f76e6669b16abcce5b3631db4c16, Warn,
        "Old damaged views could not be removed.",
        "Remove the directory that the entry names.";
    // What comes in.
    SpoolUnwatched = "spool-unwatched", 0x8aec645125cf0a1bde4643f882ef613c, Warn,
        "A spool cannot be watched; it is looked through every 5 seconds.",
        "Raise fs.inotify.max_user_watches or max_user_instances if the error says so.";
    SpoolUnusable = "spool-unusable", 0x5d897d4fc0f4881f071c016b91935d91, Warn,
        "A spool cannot be read or made.",
        "Look at owner and mode of the directory: `karoctl doctor` names what they should be.";
    SpoolNewer = "spool-newer", 0xd9cbec6628f39a4c770868cc19f33294, Warn,
        "A record of a newer version waits in the spool for a newer karod.",
        "Restart karod if it was upgraded.";
    SpoolTorn = "spool-torn", 0xd0db469da436ea68c91f37a46bb73b5b, Warn,
        "A record whose writer was interrupted was removed; one command is missing.",
        "Nothing, unless it comes often: then look whether the file system of the spool is full.";
    SpoolForeign = "spool-foreign", 0x05f732160cd081241a639cb09466cda8, Warn,
        "What lies in the spool is not a file of ours, and is left alone.",
        "Look who put it there, and remove it.";
    SpoolStuck = "spool-stuck", 0x694c3559f25468f7b0ad0e2212183680, Warn,
        "A record in the spool cannot be read or removed.",
        "Look at owner and mode of the file.";
    HistoryUnreadable = "history-unreadable", 0xc5726096e0f48a707e37ec60d5dd1ddb, Warn,
        "A followed history cannot be read, or is too large.",
        "Mend or shorten the file, or take it out of record.follow.";
    HistoryUnwatched = "history-unwatched", 0x801fe62441da5de1fdb22f024dadd220, Warn,
        "A followed history cannot be watched.",
        "See that its directory exists and can be read, then send a HUP.";
    ShellUnwatched = "shell-unwatched", 0xca8a3ddc963ced672f9a5af50fe1474e, Warn,
        "A shell cannot be watched: commands it leaves behind are called lost only after the next start.",
        "Nothing, unless it comes often: then look how many shells are open.";
    LostUnmarked = "lost-unmarked", 0x8e0714e6816a2451070cb417c4e5e3c3, Warn,
        "Commands whose shell has gone could not be marked as lost.",
        "Nothing; the next start does it.";
    SocketResting = "socket-resting", 0xb8a0272aa92a3003c31876be245a16f4, Warn,
        "No connection can be accepted at the moment; clients spool.",
        "Look at the error: too few descriptors, mostly. Raise LimitNOFILE.";
    SessionsFull = "sessions-full", 0xf4ef93fdb2b9946b404f83d84e6c43be, Warn,
        "A client was turned away because too many are connected; it spools.",
        "Look who holds connections, or raise socket.sessions_max.";
    ClientForeign = "client-foreign", 0x63804f7a583bd6a742b915046e686011, Warn,
        "A connection of another user, or of nobody, was refused.",
        "Look who tries: the socket is for its owner alone.";
    // Rules.
    RulesInForce = "rules-in-force", 0x958d2326c31e741d8e4f9f5eaf258679, Info,
        "Rules were read and are in force.",
        "Nothing.";
    RuleRefused = "rule-refused", 0x25d23f6e7c8a3e566e02569509444ca9, Warn,
        "A rule cannot be used; the others are in force.",
        "Mend it: `karoctl rules check` says the same while you do.";
    RulesUnwatched = "rules-unwatched", 0x97041fe5aa3f1d2a311f86baaa86f00a, Warn,
        "The directory of rules cannot be watched.",
        "Send a HUP after changing rules.";
    // Identity and peers.
    IdentityReady = "identity-ready", 0xa13b853ad4c3ea38c3017a7e7dfa5ca5, Info,
        "This machine has an identity.",
        "Nothing.";
    IdentityUnusable = "identity-unusable", 0x9e2df7e96c2355d1d2ee9d2c403ef6bd, Error,
        "This machine has no identity that can be used, so it has no peers; recording goes on.",
        "Do what the reason says; `karoctl doctor` repeats it.";
    IdentityUnwritten = "identity-unwritten", 0x7638aed53ed5322ea0e9ec1596858d4d, Error,
        "A change of the identity is in its file and could not be written into the log.",
        "Restart karod: it goes on with what is in the file.";
    KeyUnforgotten = "key-unforgotten", 0x62d638585c0e7dbb8378440e0522d0cd, Warn,
        "The previous key could not be removed from its file yet.",
        "Nothing; it is tried again soon. Look at the error if it comes again.";
    PeersHeard = "peers-heard", 0xf7ef4dc648909ab50e190c86603d7d90, Info,
        "The daemon listens for peers.",
        "Nothing.";
    PeersUnheard = "peers-unheard", 0x19709f84cb05691cdbb49c47f13eea5e, Error,
        "Peers cannot be listened for.",
        "Look whether the address exists and the port is free: mesh.listen in the configuration.";
    PeersUnlistened = "peers-unlistened", 0x11f7d80aa1a1cb49814860fc48e60e7f, Info,
        "The daemon no longer listens for peers.",
        "Nothing.";
    PeersResting = "peers-resting", 0x5b3d773ab26614853f265e25d24fba27, Warn,
        "No peer can be accepted at the moment.",
        "Look at the error: too few descriptors, mostly. Raise LimitNOFILE.";
    PeerConnected = "peer-connected", 0x3d979554d813854e0061dffd7ba21595, Info,
        "A link to that peer stands.",
        "Nothing.";
    PeerLost = "peer-lost", 0x1f10d4955953042aa1d2913f6b3b304e, Info,
        "The link to that peer went down; it is dialled again by itself.",
        "Nothing, unless it stays down: `karoctl peers show @KARO_PEER@` says why.";
    PeerParted = "peer-parted", 0x02a2b317c3c46e75560692dfcc9a961f, Info,
        "A link to that peer was ended, with that reason, by one of both.",
        "Nothing, if the reason is known; `karoctl peers show @KARO_PEER@` says more.";
    PeerRefused = "peer-refused", 0x291b86c4bde2a2de4fee4bc6b3d807eb, Info,
        "A connection of that peer was refused by the roster.",
        "Nothing, if it is meant to be: `karoctl peers show @KARO_PEER@` says how it is trusted.";
    PeerTwice = "peer-twice", 0x0ea2d2d3dca9c8aac468f5e9049bba85, Error,
        "Two daemons live with the key of that peer, and both links are down: a key was copied.",
        "Find the copy. Until you know which one is right, revoke the key: `karoctl peers revoke \
         @KARO_PEER@`.";
    PeerClockFar = "peer-clock-far", 0x6b21c00fbfe7c89eb477724c71f776a9, Warn,
        "The clock of that peer and this one are more than a minute apart.",
        "See that both machines keep time.";
    PeerClockAgrees = "peer-clock-agrees", 0x52858e957a42c769cee262171c669609, Info,
        "The clock of that peer and this one agree again.",
        "Nothing.";
    PeerAuditForked = "peer-audit-forked", 0x7d5d187ba1cec7a9d5452600a0634725, Error,
        "The audit that a peer shows is not the one it showed before, or ours is not what a peer has seen.",
        "Find out why: a restored disk, or somebody rewrote it. `karoctl audit verify` on both machines.";
    PeerAuditNew = "peer-audit-new", 0xb29f7e961afd924a28c5351da810781c, Warn,
        "A peer has begun another audit.",
        "Ask its owner why; `karoctl peers confirm @KARO_PEER@` accepts it.";
    Paired = "paired", 0x68e3cd81ff6b24216c53ac7484a376c0, Notice,
        "A pairing came to its end: that peer is trusted.",
        "Nothing, if it was you. Otherwise revoke it: `karoctl peers revoke @KARO_PEER@`.";
    PairingFailed = "pairing-failed", 0x6356fcc66958d79801309bd562a64fc7, Info,
        "A pairing came to nothing.",
        "Nothing; begin anew if it was you.";
    PeerKeyChanged = "peer-key-changed", 0x82e93dd85d8889c955b15793436efd53, Notice,
        "A peer has another key, which its previous key had announced.",
        "Nothing.";
    RotationHeld = "rotation-held", 0x63e78d163f74057eeabc40268c697543, Warn,
        "A peer's change of key waits for a person, here or there.",
        "Ask its owner, by another way, whether that is the new key; then `karoctl peers confirm \
         @KARO_PEER@`.";
    RotationRefused = "rotation-refused", 0x129a03f458709a4ea749687a4b872f01, Warn,
        "A peer's change of key is refused.",
        "Ask its owner; pair anew if it has a new key.";
    RotationKnown = "rotation-known", 0xa08e3cd097cf29e24370f1032f7f44b5, Info,
        "A peer knows this machine's new key.",
        "Nothing.";
    RotationForgotten = "rotation-forgotten", 0x4403bb26974aced2009c8eec37dd8a46, Warn,
        "The next key of a peer could not be remembered.",
        "Nothing; the next link tells it again.";
    // The audit.
    AuditBegunAnew = "audit-begun-anew", 0x369acff95811791ae0804d31bd2e43e0, Error,
        "The audit cannot go on where it was, and another one begins.",
        "Look whether the data was restored from an older copy, or the disk lost its end. Peers see the \
         change and ask.";
    AuditBroken = "audit-broken", 0x6c6fa4bb716965b62358dc93306a65cf, Error,
        "The audit could not be begun or signed.",
        "Look at the error, then restart karod.";
    AuditUnwritten = "audit-unwritten", 0xd12b2ab2734534e03086a01741863a09, Error,
        "The last entries of the audit could not be written before the stop.",
        "Look at the disk: the entries before say what is wrong with it.";
    AuditDelayed = "audit-delayed", 0x0cff8659d6d725ba9d77d31411d05941, Warn,
        "The store is too busy for an entry of the audit; it is counted, or tried again.",
        "Nothing, unless it comes often: then look at the disk.";
    AuditUpkeepFailed = "audit-upkeep-failed", 0x7dd4335e53892ec84a7edb040f3308af, Warn,
        "A part of the audit's own upkeep could not be written; it is made up for later.",
        "Nothing, unless it comes often: then look at the disk.";
    // Discovery.
    DiscoveryOn = "discovery-on", 0x900a9c0eec26cba4980968b4964d7612, Info,
        "Candidates for peers are looked for.",
        "Nothing; [discovery] in the configuration switches it.";
    DiscoveryOff = "discovery-off", 0x86835162641a2dff882036cb2424cc57, Info,
        "Candidates for peers are no longer looked for.",
        "Nothing.";
    DiscoveryAnnounced = "discovery-announced", 0xa593e5cc00b7f73ea605c335955cc1fe, Info,
        "This machine is announced in the local network.",
        "Nothing.";
    DiscoveryFailed = "discovery-failed", 0x48c0706cf6d9ab8d87043fc826434c09, Warn,
        "Looking for candidates, or the announcement, does not work; it rests and is tried again.",
        "Look at the error: network and name server of this machine.";
    DiscoveryFlooded = "discovery-flooded", 0xfecf63156904bf1ba62028de8e0eebff, Warn,
        "Somebody floods the network with announcements, and looking for candidates rests.",
        "Find who does it, or switch discovery.mdns off.";
    DiscoveryCut = "discovery-cut", 0x3d4b91a529a2627027bbda10449ef0e6, Warn,
        "The zone names more, or answers slower, than is looked at in one round.",
        "Make the zone smaller; peers can be added by hand: `karoctl peers add`.";
    // Groups.
    GroupOffered = "group-offered", 0x4f09560f17b839fd4f33703257232109, Notice,
        "A peer offers a group file; nothing of it is in force.",
        "Look at it with `karoctl group show`, and accept it or not.";
    GroupUnreadable = "group-unreadable", 0x427ed1d414087c0be1f366c8a34ffdeb, Error,
        "A group that was accepted cannot be read from the store.",
        "Accept its file again: `karoctl group accept`.";
    DayClosing = "day-closing", 0xcf01cc485774ebf2579ed408e24813a6, Info,
        "A day of a group is being closed with this machine's help.",
        "Nothing.";
    DayClosed = "day-closed", 0xa0b7aa56bc14fe7d691ffd9a449a8e26, Info,
        "A day of a group is closed.",
        "Nothing.";
    DayEnded = "day-ended", 0x41eaafc453b569dc12739e0afcd5428d, Info,
        "A day of a group ended without an atom; the reason is in the entry.",
        "Nothing; `karoctl group atoms` shows all days.";
    DayGivenUp = "day-given-up", 0x25b322e60a74242ac575ff067adf0fd1, Error,
        "The closing of a day was given up because of this machine.",
        "Look at the error and at the disk; `karoctl group close` tries again.";
    DayUngiven = "day-ungiven", 0x9f671ca2d85aa71ed83d933f1bea79ff, Info,
        "A peer asked for a day that is not given; the reason is in the entry.",
        "Nothing; `karoctl policy explain` says what goes to whom.";
    DayUnsigned = "day-unsigned", 0xa236260b3e2463beb28dbe15e03d937f, Error,
        "A report, table or seal could not be signed.",
        "See that identity.key is as it was: `karoctl doctor`.";
    ReportUnkept = "report-unkept", 0x7cbb1d4e44387a873b6a20ee5c582b79, Error,
        "What would be given of a day cannot be written down, and is not given.",
        "Look at the error and at the disk; the day is given when it is asked for again.";
    ReportRefused = "report-refused", 0x9384545854a22112fa18c83ad228d844, Warn,
        "What was given of a day is not as this machine left it, and is not given again.",
        "See who can write in the data directory, reports/; the day is closed without this machine.";
    ReportRemains = "report-remains", 0x63f9814d7ee474f6f79f7c54fbac44c7, Warn,
        "What was given of a day is needed no more, and could not be removed.",
        "Remove the file that is named; nothing secret is in it.";
    AtomRefused = "atom-refused", 0x9a1791510f32730a9325dc4a05ed2b14, Warn,
        "A closed day that a peer showed does not verify, and is not kept.",
        "Nothing, unless it comes often: then ask the owner of the machines that closed it.";
    AtomUnsound = "atom-unsound", 0xb4a74a8e0221b1001155e5ed2f5f79db, Error,
        "A day that was closed with this machine's help does not verify, and is not kept.",
        "Report it with the entries before it.";
    EndUnwritten = "end-unwritten", 0x21c9398af0561a01ff3b883d79ee8784, Warn,
        "The store is too busy to remember how a day ended.",
        "Nothing.";
    MemberFaulty = "member-faulty", 0x6c8daabd73b3b6f93fb5d4cd00db5281, Warn,
        "A member of a group did what no honest node does; what it sent is not counted.",
        "Ask its owner what runs there.";
    CardForeign = "card-foreign", 0x79b9ecb0126ce36caab9531fa2826b08, Warn,
        "A peer told a card that is not its own; it is not kept.",
        "Ask its owner what runs there.";
    FeedRefused = "feed-refused", 0xba736eaf22dc4a7236e696f328d76e89, Warn,
        "Numbers of another machine of this owner are refused.",
        "Look at that machine: it is older, or not trusted as yours.";
    // Questions.
    QuestionAsked = "question-asked", 0xd2fc9c2afc5c7a12eeb79cf42c33a726, Info,
        "A question that was asked here goes to peers; the field says to how many.",
        "Nothing; `karoctl audit` has it too.";
    QuestionAnswered = "question-answered", 0x7bf47d324da3455d9275ad26540abd04, Info,
        "A peer's question was answered, or refused by the policy; the query is the number that peer gave it.",
        "Nothing; `karoctl policy explain @KARO_PEER@` says what it may ask.";
    // Summaries and policy.
    SummaryRefused = "summary-refused", 0x498406ed19246404c5eeac25304ddefe, Warn,
        "A summary of a peer is refused.",
        "Nothing, unless it comes often: then ask its owner what runs there.";
    SummariesUnwritten = "summaries-unwritten", 0x4bf214ab8e52fc5d7317ede029333278, Warn,
        "What is known of summaries could not be written; nothing is told meanwhile.",
        "Look at the disk; it is tried again.";
    PolicyUnreadable = "policy-unreadable", 0x5d9a10504c7275fe0d9aac3eb9ba4e16, Error,
        "The policy cannot be read from the store, and nothing is shared until it is set again.",
        "Set it again: `karoctl policy set`.";
}
