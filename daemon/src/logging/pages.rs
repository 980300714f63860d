//! The table of messages as others read it: the page in the docs, and the journal's catalogue.
//!
//! Both are generated, and a test holds them to the table: `UPDATE_DOCS=1 cargo test -p karo-daemon --test messages`.

use std::fmt::Write as _;

use super::Class;

/// Where help is to be had, as the catalogue names it.
const SUPPORT: &str = "file:///usr/share/doc/karo/docs/messages.md";

/// Returns the page of the docs.
pub fn page() -> String {
    let mut page = String::from(PREFACE);
    for class in Class::ALL {
        let (name, id, severity) = (class.name(), class.id(), class.severity());
        let (means, deed) = (class.means(), of_a_person(class.deed()));
        writeln!(page, "| `{name}` | {severity} | {means} | {deed} | `{id:032x}` |").expect(TAKES);
    }
    page
}

/// Returns the catalogue, in the format of `journalctl --update-catalog`.
pub fn catalogue() -> String {
    let mut text = String::from(HEAD);
    for class in Class::ALL {
        let subject = class.means().trim_end_matches('.');
        let (id, deed) = (class.id(), class.deed());
        let (name, severity) = (class.name(), class.severity());
        write!(
            text,
            "\n-- {id:032x}\nSubject: {subject}\nDefined-By: Karo\nSupport: {SUPPORT}\n\n\
             @MESSAGE@\n\nWhat to do: {deed}\n\n\
             (KARO_EVENT={name}, {severity}; `karoctl logs --event {name}` shows all of them.)\n",
        )
        .expect(TAKES);
    }
    text
}

/// Replaces the fields of the catalogue by what a person puts there.
fn of_a_person(text: &str) -> String {
    text.replace("@KARO_PEER@", "PEER")
}

const TAKES: &str = "a string takes whatever is written to it";

const HEAD: &str = "\
# What Karo's messages mean, for `journalctl -x`. Generated from daemon/src/logging/table.rs; do not edit.
# It lies in /usr/lib/systemd/catalog; `journalctl --update-catalog` takes it in.
";

const PREFACE: &str = "\
# Messages

What `karod` says, what it means, and what to do. Generated from `daemon/src/logging/table.rs`; do not edit.

`karoctl logs` shows them, from the journal where that has them and from the daemon's own memory elsewhere:

```
karoctl logs -f                            # as they come
karoctl logs --since yesterday --level warn
karoctl logs --event peer-connected --peer desk --json
```

Where the journal is the log, each message is one entry with these fields:

| field | holds |
| --- | --- |
| `MESSAGE` | what is said, without what follows |
| `MESSAGE_ID` | which message it is, for good: the last column below |
| `KARO_EVENT` | its name: the first column below |
| `KARO_PEER` | the peer that it is about, by its short fingerprint |
| `KARO_QUERY` | the question that it is about, by its id |
| `KARO_...` | whatever else is known, each value under a name of its own |
| `KARO_AT_US` | when it was said (microseconds since the epoch, UTC), if it was delivered more than a second later |
| `PRIORITY` | 3 error, 4 warn, 5 notice, 6 info, 7 debug and trace |
| `SYSLOG_IDENTIFIER` | `karod` |

So `journalctl --user -u karod KARO_EVENT=peer-connected` finds what happened, `-p warning` what may need you, and
`-p notice` shows besides who became trusted and which configuration is in force: notices are right, and worth a look.
Everyday life is at info, as the rest of the system has it. `journalctl -x` explains each message where the package has
put `karod.catalog` in its place; elsewhere root does it with what `karoctl setup` says at its end.

No message holds a command. Whatever came from outside (names of peers, of files, words of a peer) is escaped and cut:
512 bytes a field, 2 KiB a message. Of each class 40 may come at once and one a second after that; what comes faster is
counted and told as `held-back` after 30 seconds, as grave as what it stands for. What could not be written, because the
journal or a terminal stood still, is counted and told as `entries-lost`. Lower levels than info (`log.level` in the
configuration) have neither names nor ids.

| event | severity | what it means | what to do | `MESSAGE_ID` |
| --- | --- | --- | --- | --- |
";
