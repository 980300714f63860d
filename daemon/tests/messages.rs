//! The table of messages and the source hold each other: whatever is said at info and above has a class, each class is
//! said, names and ids stay, and the docs and the journal's catalogue are what the table makes of itself.
//!
//! `UPDATE_DOCS=1 cargo test -p karo-daemon --test messages` writes docs, catalogue and golden file anew; what is in
//! the golden file already is never changed by it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use karo_daemon::logging::{Class, pages};

/// What the log says about itself, as entries of its own.
const OF_THE_LOG: [Class; 4] = [Class::JournalAway, Class::JournalBack, Class::EntriesLost, Class::HeldBack];

fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn is_update() -> bool {
    std::env::var_os("UPDATE_DOCS").is_some()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Returns the sources below a directory.
fn sources(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).expect("the sources are there") {
        let path = entry.expect("the sources can be listed").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// One call of a macro that logs.
#[derive(Debug)]
struct Call {
    place: String,
    /// What stands between its parentheses.
    said: String,
}

/// Returns the calls of a macro in a source, outside of comments.
fn calls(path: &Path, name: &str) -> Vec<Call> {
    let text = read(path);
    let start = format!("{name}!(");
    let of_a_comment = |at: usize| text[..at].rsplit('\n').next().is_some_and(|line| line.contains("//"));
    let of_a_longer_name =
        |at: usize| text[..at].ends_with(|before: char| before.is_alphanumeric() || before == '_');
    text.match_indices(&start)
        .filter(|(at, _)| !of_a_comment(*at) && !of_a_longer_name(*at))
        .map(|(at, _)| {
            let line = text[..at].lines().count();
            Call { place: format!("{}:{line}", path.display()), said: inside(&text[at + start.len()..]) }
        })
        .collect()
}

/// Returns what stands before the parenthesis that closes.
fn inside(text: &str) -> String {
    let (mut depth, mut is_quoted, mut before) = (1, false, ' ');
    let end = text.find(|c| {
        match c {
            '"' if before != '\\' => is_quoted = !is_quoted,
            '(' if !is_quoted => depth += 1,
            ')' if !is_quoted => depth -= 1,
            _ => {}
        }
        before = c;
        depth == 0
    });
    text[..end.expect("a call is closed")].to_owned()
}

fn is_of_the_log(path: &Path) -> bool {
    path.starts_with(here().join("src/logging"))
}

/// Returns what is said of each class, with its place.
fn said() -> BTreeMap<String, Vec<Call>> {
    let mut said: BTreeMap<String, Vec<Call>> = BTreeMap::new();
    for path in sources(&here().join("src")) {
        // Examples and tests of the log itself say nothing to an operator.
        let text = read(&path);
        let tests = is_of_the_log(&path).then(|| text.find("#[cfg(test)]")).flatten();
        let lines = tests.map_or(usize::MAX, |tests| text[..tests].lines().count());
        for call in calls(&path, "say") {
            let line: usize = call.place.rsplit(':').next().and_then(|line| line.parse().ok()).unwrap_or(0);
            if line > lines {
                continue;
            }
            let class = call.said.trim_start().strip_prefix("Class::").unwrap_or_else(|| {
                panic!("{}: say!(Class::…, …) is how messages are said", call.place);
            });
            let class = class.split(',').next().unwrap_or_default().to_owned();
            said.entry(class).or_default().push(call);
        }
    }
    said
}

#[test]
fn whatever_is_said_at_info_and_above_has_a_class() {
    for path in sources(&here().join("src")).iter().filter(|path| !is_of_the_log(path)) {
        for level in ["info", "warn", "error"] {
            let bare = calls(path, level);
            assert!(
                bare.is_empty(),
                "say it with a class: `say!(Class::Name, peer = %fingerprint, \"…\")`, a row in logging/table.rs \
                 (id: `systemd-id128 new`), then UPDATE_DOCS=1 cargo test -p karo-daemon --test messages: {bare:?}"
            );
        }
    }
}

/// Crates below know no table: what they say at these levels names its class in a field.
#[test]
fn what_the_crates_below_say_names_its_class() {
    for floor in ["core", "trust", "store", "fabric"] {
        for path in sources(&here().join(floor).join("src")) {
            for level in ["info", "warn", "error"] {
                for Call { place, said } in calls(&path, level) {
                    let name =
                        said.trim_start().strip_prefix("event = \"").and_then(|rest| rest.split('"').next());
                    let class = name.and_then(Class::named);
                    let is_right =
                        class.is_some_and(|class| class.level().as_str().eq_ignore_ascii_case(level));
                    assert!(
                        is_right,
                        "{place}: begin with `event = \"a name of the table\"`, at its level: {said}"
                    );
                }
            }
        }
    }
}

#[test]
fn each_class_is_said() {
    let said = said();
    let below = ["log-damaged", "store-bytes-removed", "views-left"].map(Class::named);
    for class in Class::ALL {
        let is_said = said.contains_key(&format!("{class:?}"))
            || OF_THE_LOG.contains(class)
            || below.contains(&Some(*class));
        assert!(is_said, "nobody says {class:?}; take its row out, its line in the golden file stays");
    }
}

/// What a text of the table takes from an entry is in every entry of that class.
#[test]
fn fields_that_are_named_are_there() {
    let said = said();
    for class in Class::ALL {
        if !class.deed().contains("@KARO_PEER@") {
            continue;
        }
        for call in &said[&format!("{class:?}")] {
            let has_peer = call.said.contains("peer = ") || call.said.contains("%peer");
            assert!(has_peer, "{}: {class:?} speaks of @KARO_PEER@", call.place);
        }
        assert_eq!(class.deed().matches('@').count() % 2, 0);
    }
}

#[test]
fn names_and_ids_are_what_they_were() {
    let path = here().join("tests/golden/messages.txt");
    let mut known = if path.exists() { read(&path) } else { String::new() };
    let line = |class: &Class| format!("{:032x} {}\n", class.id(), class.name());
    if is_update() {
        for class in Class::ALL {
            if !known.contains(&format!(" {}\n", class.name())) {
                known.push_str(&line(class));
            }
        }
        fs::write(&path, &known).expect("the golden file can be written");
    }
    for class in Class::ALL {
        assert!(known.contains(&line(class)), "{class:?} is new, or has another name or id than it had");
    }
    let (mut names, mut ids): (Vec<&str>, Vec<&str>) =
        known.lines().filter_map(|line| line.split_once(' ')).map(|(id, name)| (name, id)).unzip();
    let count = names.len();
    for list in [&mut names, &mut ids] {
        list.sort_unstable();
        list.dedup();
        assert_eq!(list.len(), count, "each name and each id is given once, for good");
    }
    let is_plain = |name: &str| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
    assert!(names.iter().all(|name| is_plain(name)) && ids.iter().all(|id| id.len() == 32));
}

#[test]
fn texts_are_sentences() {
    for class in Class::ALL {
        for text in [class.means(), class.deed()] {
            let is_sentence = text.ends_with('.') && text.starts_with(char::is_uppercase);
            assert!(is_sentence && !text.contains(['|', '\n']), "{class:?}: {text}");
        }
    }
}

#[test]
fn the_docs_and_the_catalogue_are_what_the_table_says() {
    let house = here().parent().expect("the daemon lies in the house");
    let pages = [("docs/messages.md", pages::page()), ("service-units/karod.catalog", pages::catalogue())];
    for (name, made) in pages {
        let path = house.join(name);
        if is_update() {
            fs::write(&path, &made).expect("the page can be written");
        }
        assert_eq!(read(&path), made, "{name}: UPDATE_DOCS=1 cargo test -p karo-daemon --test messages");
    }
}
