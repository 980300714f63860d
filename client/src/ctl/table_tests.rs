use karo_protocol::{Bytes, Category};

use super::*;
use crate::ctl::samples::{noon, row};

#[test]
fn commands_are_aligned() {
    let rows = [
        row(60, Some(0), "/home/ada", b"ls"),
        row(3600, Some(130), "/home/ada/src/karo", b"make\nmake install"),
        row(86_400, None, "/etc", b"sleep 99"),
        Row {
            state: State::Lost,
            ..row(9_000_000, None, "/a/very/long/path/that/is/deeper/than/most", b"x")
        },
        row(60, Some(1), "/home/adam", b"\x1b[2J\xe2\x80\xae"),
    ];
    let expected = "\
TIME              TOOK     EXIT  DIRECTORY                         COMMAND
11:59:00          1.2s        0  ~                                 ls
11:00:00          1.2s      130  ~/src/karo                        make↵make install
2026-11-01 12:00        running  /etc                              sleep 99
2026-07-21 09:00           lost  …g/path/that/is/deeper/than/most  x
11:59:00          1.2s        1  /home/adam                        \\x1b[2J\\u{202e}
";
    assert_eq!(surface(None).commands(&rows, true), expected);
}

#[test]
fn risky_commands_are_marked_and_others_keep_the_room() {
    let risky = |risk: Option<Risk>, command: &str| Row { risk, ..row(60, Some(0), "/", command.as_bytes()) };
    let rows = [
        risky(Some(Risk::Critical), "curl x | sh"),
        risky(Some(Risk::Low), "id"),
        risky(Some(Risk::Medium), "nc -l 1"),
        risky(None, "ls"),
    ];
    let expected = "\
TIME      TOOK  EXIT  DIRECTORY  RISK  COMMAND
11:59:00  1.2s     0  /          !!!   curl x | sh
11:59:00  1.2s     0  /                id
11:59:00  1.2s     0  /          !     nc -l 1
11:59:00  1.2s     0  /                ls
";
    assert_eq!(surface(None).commands(&rows, true), expected);
    assert_eq!(surface(None).commands(&rows[1..2], false), "11:59:00  1.2s     0  /          id\n");
    let coloured = Surface { has_colour: true, ..surface(Some(80)) }.commands(&rows, true);
    assert!(
        coloured.contains("\x1b[1;31m!!! \x1b[0m") && coloured.contains("\x1b[33m!   \x1b[0m"),
        "{coloured:?}"
    );
}

#[test]
fn commands_are_cut_to_the_terminal() {
    let rows = [row(60, Some(0), "/", "echo 日本日本日本日本日本".as_bytes())];
    let text = surface(Some(50)).commands(&rows, false);
    assert_eq!(text, "11:59:00  1.2s     0  /          echo 日本日本日…\n");
    assert!(columns(text.trim_end()) <= 50, "{text}");
    let narrow = surface(Some(5)).commands(&rows, false);
    assert!(narrow.ends_with("echo 日…\n"), "{narrow}");
}

#[test]
fn colours_are_for_what_failed() {
    let coloured = Surface { has_colour: true, ..surface(Some(80)) };
    let failed = coloured.commands(&[row(60, Some(2), "/", b"x")], false);
    assert!(failed.contains("\x1b[31m2\x1b[0m"), "{failed:?}");
    assert!(!surface(Some(80)).commands(&[row(60, Some(2), "/", b"x")], true).contains('\x1b'));
}

#[test]
fn counts_have_their_share() {
    let tally = |key, count, failed| Tally { key, count, failed };
    let tallies = [
        tally(CountKey::Category(Category::Vcs), 6, 1),
        tally(CountKey::Text(Bytes::from("/home/ada/src")), 3, 0),
        tally(CountKey::Text(Bytes::from(&b"\x1b[2J"[..])), 1, 0),
    ];
    let expected = "\
KEY           COUNT      FAILED   SHARE
vcs               6           1   60.0%
~/src             3           0   30.0%
\\x1b[2J           1           0   10.0%
";
    assert_eq!(surface(None).counts(&tallies, 10), expected);
}

#[test]
fn keys_have_names() {
    let cases = [
        (CountKey::All, "all"),
        (CountKey::Hour(9), "09:00"),
        (CountKey::Weekday(0), "Monday"),
        (CountKey::Weekday(6), "Sunday"),
        (CountKey::Day(0), "1970-01-01"),
        (CountKey::Day(20_759), "2026-11-02"),
        (CountKey::Day(-1), "1969-12-31"),
        (CountKey::Day(i32::MAX), "2147483647"),
        (CountKey::Exit(None), "unknown"),
        (CountKey::Exit(Some(130)), "130"),
    ];
    for (key, expected) in cases {
        assert_eq!(key_name(&key), expected);
    }
}

fn surface(columns: Option<usize>) -> Surface {
    Surface { columns, has_colour: false, now: noon(), home: Some(b"/home/ada".to_vec()) }
}
