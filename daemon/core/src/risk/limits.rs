//! Every limit of rules and of what is looked at for them, each with its reason.

/// A file of rules, in bytes: the longest of some 3,000 that SigmaHQ publishes has 24 KiB.
pub const FILE_BYTES_MAX: usize = 128 * 1024;

/// All files together, in bytes: every rule that SigmaHQ publishes has 8 MiB.
pub const FILES_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Rules in use, the built-in ones included: ten times what is published for Linux and macOS.
pub const RULES_MAX: usize = 2_000;

/// Refusals that are kept; more than these nobody reads.
pub const REFUSED_MAX: usize = 1_000;

/// Lists, maps and brackets within one another in a file; Sigma needs seven.
pub const NESTING_MAX: usize = 16;

/// A condition, in bytes.
pub const CONDITION_BYTES_MAX: usize = 4 * 1024;

/// Parentheses within one another in a condition, and negations in one.
pub const CONDITION_NESTING_MAX: usize = 32;

/// Values in one rule, all told: the longest of SigmaHQ has some 500.
pub const VALUES_MAX: usize = 2_000;

/// A value of a rule, in bytes.
pub const VALUE_BYTES_MAX: usize = 2 * 1024;

/// A compiled regular expression, in bytes; `(.){200,}`, the largest that SigmaHQ has for Linux, takes half of it.
pub const REGEX_BYTES_MAX: usize = 512 * 1024;

/// Regular expressions in all files of a team's, in bytes once compiled, those of refused rules included: what
/// compiling them costs is spent all the same.
pub const REGEXES_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Values in all rules in use, each that `windash` or an encoding makes included.
pub const VALUES_IN_USE_MAX: usize = 200_000;

/// Dashes in a value under `windash`: each makes five times as many values of it.
pub const WINDASH_DASHES_MAX: usize = 2;

/// Wildcards in a keyword.
pub const KEYWORD_WILDCARDS_MAX: usize = 8;

/// An id, in bytes; a UUID has 36.
pub const ID_BYTES_MAX: usize = 64;

/// A title and a tag, in bytes.
pub const TITLE_BYTES_MAX: usize = 256;

/// Tags of a rule that are kept.
pub const TAGS_MAX: usize = 32;

/// Ids that are kept with an event, the highest level first.
pub const IDS_PER_LINE_MAX: usize = 16;

/// What rules see of a program's command line or of the whole line, in bytes: of a longer one its first three
/// quarters and its last quarter.
pub const TEXT_BYTES_MAX: usize = 8 * 1024;

/// What rules see of any other field, in bytes, and of each value of a list.
pub const FIELD_BYTES_MAX: usize = 4 * 1024;

/// Values of a list that rules see.
pub const LIST_MAX: usize = 128;

/// Programs of a line that rules see, the first ones and the last ones: a line of 64 KiB can name 20,000.
pub const RUNS_FIRST_MAX: usize = 384;

/// See [`RUNS_FIRST_MAX`].
pub const RUNS_LAST_MAX: usize = 128;

/// Bytes of a line's events that are gone through, each counted once for the search for words and once for each
/// rule that is then looked at. Real lines need some hundreds; this keeps the worst ones to a few milliseconds.
pub const WORK_BYTES_MAX: usize = 512 * 1024;

/// What looking at a rule costs beside the bytes that it looks at, in bytes.
pub const RULE_WORK_BYTES: usize = 512;
