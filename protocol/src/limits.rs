//! Every limit that both sides must agree on, each with its reason.

/// A command's text, in bytes; longer ones are cut and flagged.
///
/// Sixty-four times the longest line seen in a year of real history, and half of what one
/// environment string may hold on Linux (`MAX_ARG_STRLEN`, 128 KiB).
pub const COMMAND_BYTES_MAX: usize = 64 * 1024;

/// A working directory, in bytes: `PATH_MAX` on Linux.
pub const CWD_BYTES_MAX: usize = 4096;

/// User, host, tty and parent names, in bytes: `HOST_NAME_MAX` and `LOGIN_NAME_MAX` are below it.
pub const NAME_BYTES_MAX: usize = 256;

/// Parts of a pipeline whose status is kept.
pub const PIPESTATUS_MAX: usize = 64;

/// A frame's payload, in bytes.
pub const FRAME_BYTES_MAX: u32 = 1024 * 1024;

/// Nesting of arrays and maps in a payload.
pub const DEPTH_MAX: usize = 16;

/// Items (array elements, map keys and map values) in a payload, all told.
pub const ITEMS_MAX: u32 = 65_536;

/// Words in one filter: more is not a search any more.
pub const FILTER_WORDS_MAX: usize = 32;

/// Event ids that one filter may name, so that a filter always fits a frame.
pub const FILTER_IDS_MAX: usize = 1024;

/// What a sender puts in one page at the most, in bytes, far enough below a frame's limit that one
/// more event of the largest size still fits.
pub const PAGE_BYTES_TARGET: usize = 256 * 1024;

/// Events in one page: each has some twenty items, and [`ITEMS_MAX`] holds for the whole page.
pub const PAGE_EVENTS_MAX: usize = 512;

/// Keys in one answer with counts: each has up to eight items, and [`ITEMS_MAX`] holds for all of them.
pub const TALLIES_MAX: usize = 8192;

/// Names of all keys in one answer with counts, in bytes: the rest of the frame is for their numbers.
pub const TALLIES_TEXT_BYTES_MAX: usize = FRAME_BYTES_MAX as usize / 2;

/// Lines in one `Import` request, for the same reason.
pub const IMPORT_LINES_MAX: usize = 1024;

/// Lines in one `Explain` request: what its answers hold is many times as much.
pub const EXPLAIN_LINES_MAX: usize = 256;

/// Bytes of one explanation in a frame, so that a frame always holds one: the rest is left out and the
/// explanation says so. The redacted text of the longest line takes a part of it.
pub const EXPLANATION_BYTES_MAX: usize = 512 * 1024;

/// Items of one explanation in a frame, for the same reason: a line of 64 KiB can run thirty thousand programs.
pub const EXPLANATION_ITEMS_MAX: usize = ITEMS_MAX as usize / 2;

/// A field that a rule matched, in bytes: what an eye can take in; the rest is cut.
pub const MATCH_FIELD_BYTES_MAX: usize = 512;

/// A rule file that a client sends to be checked, in bytes: the largest of SigmaHQ has a tenth of it.
pub const RULE_FILE_BYTES_MAX: usize = 256 * 1024;

/// Rule files in one `RulesCheck` request; [`FRAME_BYTES_MAX`] holds for them together as well.
pub const RULE_FILES_MAX: usize = 1024;

/// A text of a rule in an answer, in bytes: its path is the longest, by `PATH_MAX` on Linux.
pub const RULE_TEXT_BYTES_MAX: usize = 4096;

/// Tags of a rule in an answer: the most tagged of SigmaHQ has a dozen.
pub const RULE_TAGS_MAX: usize = 64;

/// Bytes of a configuration file: a larger one is no configuration.
pub const CONFIG_BYTES_MAX: u64 = 1024 * 1024;

/// Characters of a passphrase that seals a key, at least: the file may be copied, and tried at leisure.
pub const PASSPHRASE_CHARS_MIN: usize = 12;

/// Files in one spool directory: what a shell writes in weeks without a daemon.
pub const SPOOL_FILES_MAX: usize = 4096;

/// Bytes of a socket path: `sun_path` holds 108 with its closing NUL.
pub const SOCKET_PATH_BYTES_MAX: usize = 107;
