//! Passphrases: asked for on the terminal without an echo, or read from a file of the user's own.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use karo_protocol::limits::PASSPHRASE_CHARS_MIN;
use karo_protocol::mesh::Passphrase;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use super::cli::PassphraseArgs;
use super::exit::Trouble;
use super::scene::Scene;

/// Bytes of a passphrase at the most.
const PASSPHRASE_BYTES_MAX: usize = 1024;

/// What is asked on the terminal.
const QUESTION: &str = "Passphrase: ";

/// How often a person who types too short a one is asked.
const TRIES_MAX: usize = 3;

/// How often a passphrase is to be typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Times {
    /// Once: a wrong one is found out at once.
    Once,
    /// Twice: a slip of the finger would lock the file for good.
    Twice,
}

/// Gets the passphrase from where the user wants it to come.
///
/// # Errors
///
/// When there is none, the two are not the same, or its file is not safe.
pub fn get(scene: &mut Scene, args: &PassphraseArgs, times: Times) -> Result<Passphrase, Trouble> {
    let passphrase = match &args.passphrase_file {
        Some(path) => from_file(path)?,
        None => {
            scene.out.flush()?;
            match times {
                Times::Once => (scene.secret)(QUESTION)?,
                Times::Twice => ask_for_a_new_one(scene.secret)?,
            }
        }
    };
    if times == Times::Twice {
        judge(&passphrase).map_err(Trouble::refused)?;
    }
    if passphrase.is_empty() {
        return Err(Trouble::refused("a passphrase that is empty protects nothing"));
    }
    Ok(Passphrase(passphrase))
}

/// Asks until one is long enough, which is said before it is typed once more.
fn ask_for_a_new_one(secret: fn(&str) -> Result<String, Trouble>) -> Result<String, Trouble> {
    let mut first = secret(QUESTION)?;
    for _ in 1..TRIES_MAX {
        match judge(&first) {
            Ok(()) => break,
            Err(why) => first = secret(&format!("{why}\n{QUESTION}"))?,
        }
    }
    judge(&first).map_err(Trouble::refused)?;
    if secret("Once more: ")? != first {
        return Err(Trouble::refused("the two are not the same; nothing was written"));
    }
    Ok(first)
}

/// Tells whether the daemon would take it to seal a key with.
fn judge(passphrase: &str) -> Result<(), String> {
    match passphrase.chars().count() {
        PASSPHRASE_CHARS_MIN.. => Ok(()),
        count => {
            Err(format!("a passphrase of {count} characters; at least {PASSPHRASE_CHARS_MIN} are demanded"))
        }
    }
}

/// Reads the first line of a file that nobody else can read.
fn from_file(path: &Path) -> Result<String, Trouble> {
    let failed = |error: io::Error| Trouble::file("read", path, &error);
    let file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if metadata.is_file() && metadata.mode() & 0o077 != 0 {
        let path = path.display();
        return Err(Trouble::refused(format!("{path} can be read by others; run chmod 600 {path}")));
    }
    let mut bytes = Vec::new();
    file.take(PASSPHRASE_BYTES_MAX as u64 + 2).read_to_end(&mut bytes).map_err(failed)?;
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.len() > PASSPHRASE_BYTES_MAX {
        return Err(too_long());
    }
    String::from_utf8(line.to_vec())
        .map_err(|_| Trouble::refused(format!("the first line of {} is not UTF-8", path.display())))
}

fn too_long() -> Trouble {
    Trouble::refused(format!("the passphrase is longer than {PASSPHRASE_BYTES_MAX} bytes"))
}

/// Asks on the terminal of this process, whatever its standard input and output are.
///
/// # Errors
///
/// When there is no terminal, or the person gives up.
pub fn ask_on_terminal(question: &str) -> Result<String, Trouble> {
    let terminal = OpenOptions::new().read(true).write(true).open("/dev/tty");
    let no_terminal =
        |_| Trouble::refused("there is no terminal to ask for the passphrase on; add --passphrase-file FILE");
    let terminal = terminal.map_err(no_terminal)?;
    let failed = |error: io::Error| Trouble::refused(format!("could not read from the terminal: {error}"));
    let silence = Silence::on(&terminal).map_err(failed)?;
    (&terminal).write_all(question.as_bytes()).map_err(failed)?;
    let typed = typed(&terminal);
    drop(silence);
    // The line's end was not echoed either.
    (&terminal).write_all(b"\n").map_err(failed)?;
    typed
}

/// A terminal that shows nothing of what is typed; dropped, it is as it was.
struct Silence<'a> {
    terminal: &'a File,
    before: Termios,
}

impl<'a> Silence<'a> {
    fn on(terminal: &'a File) -> io::Result<Self> {
        let before = tcgetattr(terminal)?;
        let mut silent = before.clone();
        // Without signals from keys, Ctrl-C is read as a byte, and cannot leave the terminal silent behind us.
        silent.local_modes -= LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG;
        tcsetattr(terminal, OptionalActions::Flush, &silent)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Silence<'_> {
    fn drop(&mut self) {
        // A terminal that has gone away has nothing to be set back.
        tcsetattr(self.terminal, OptionalActions::Drain, &self.before).ok();
    }
}

/// Reads keys up to the end of a line.
fn typed(mut keys: impl Read) -> Result<String, Trouble> {
    let mut line = Vec::new();
    let mut key = [0];
    loop {
        let count = keys.read(&mut key);
        let count =
            count.map_err(|error| Trouble::refused(format!("could not read from the terminal: {error}")))?;
        match (count, key[0]) {
            // End of input, Ctrl-C, Ctrl-D, Ctrl-\: the person gives up.
            (0, _) | (_, 0x03 | 0x04 | 0x1c) => return Err(Trouble::refused("no passphrase was given")),
            (_, b'\r' | b'\n') => break,
            (_, 0x08 | 0x7f) => forget_last(&mut line),
            (_, 0x15) => line.clear(),
            (_, byte) => line.push(byte),
        }
        if line.len() > PASSPHRASE_BYTES_MAX {
            return Err(too_long());
        }
    }
    String::from_utf8(line).map_err(|_| Trouble::refused("what was typed is not UTF-8"))
}

/// Takes the last character away, all its bytes.
fn forget_last(line: &mut Vec<u8>) {
    while line.pop().is_some_and(|byte| byte & 0xc0 == 0x80) {}
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::ctl::exit::Exit;
    use crate::ctl::samples::scene;
    use crate::fake::{FakeDaemon, private_directory};

    #[test]
    fn keys_become_a_line() {
        for (keys, line) in [
            ("correct horse\r", Some("correct horse")),
            ("a\u{e9}\u{7f}b\n", Some("ab")),
            ("abc\u{15}d\n", Some("d")),
            ("\u{7f}\u{8}x\n", Some("x")),
            ("abc\u{3}\n", None),
            ("abc", None),
        ] {
            assert_eq!(typed(keys.as_bytes()).ok().as_deref(), line, "{keys:?}");
        }
        assert!(typed("x".repeat(1025).as_bytes()).is_err());
    }

    #[test]
    fn a_file_of_a_passphrase_is_its_owners() {
        let directory = private_directory();
        let path = directory.path().join("phrase");
        std::fs::write(&path, "correct horse\r\nsecond line\n").expect("there is room");
        let mode =
            |mode| std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).expect("it is ours");
        mode(0o640);
        let refusal = from_file(&path).expect_err("a group can read it").message;
        assert!(refusal.contains("can be read by others; run chmod 600"), "{refusal}");
        mode(0o600);
        assert_eq!(from_file(&path).as_deref(), Ok("correct horse"));
    }

    #[test]
    fn a_slip_is_found_when_it_is_typed_twice() {
        let daemon = FakeDaemon::serve_all(Vec::new());
        let (mut scene, _) = scene(&daemon);
        scene.secret =
            |question| Ok(if question == QUESTION { "correct horse" } else { "battery staple" }.to_owned());
        let asked = PassphraseArgs::default();
        let refusal = get(&mut scene, &asked, Times::Twice).map_err(|trouble| trouble.exit);
        assert_eq!(refusal, Err(Exit::Refused));
        assert_eq!(get(&mut scene, &asked, Times::Once), Ok(Passphrase("correct horse".to_owned())));
        scene.secret = |_| Ok(String::new());
        assert!(get(&mut scene, &asked, Times::Once).is_err());
    }

    thread_local! {
        static ASKED: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    }

    /// Notes the question, and gives one answer after the other.
    fn answer(question: &str, answers: &[&str]) -> Result<String, Trouble> {
        ASKED.with_borrow_mut(|asked| {
            asked.push(question.to_owned());
            Ok(answers[asked.len() - 1].to_owned())
        })
    }

    #[test]
    fn a_short_one_is_refused_before_it_is_typed_again() {
        let daemon = FakeDaemon::serve_all(Vec::new());
        let (mut scene, _) = scene(&daemon);
        let asked = PassphraseArgs::default();
        scene.secret = |question| answer(question, &["", "elf \u{e9}\u{e9}\u{e9}", "too short"]);
        let refusal = get(&mut scene, &asked, Times::Twice).expect_err("all are too short").message;
        assert_eq!(refusal, "a passphrase of 9 characters; at least 12 are demanded");
        let questions = ASKED.take();
        assert_eq!(questions.len(), 3, "{questions:?}");
        assert_eq!(
            questions[2], "a passphrase of 7 characters; at least 12 are demanded\nPassphrase: ",
            "{questions:?}"
        );
        scene.secret = |question| answer(question, &["too short", "correct horse", "correct horse"]);
        assert_eq!(get(&mut scene, &asked, Times::Twice), Ok(Passphrase("correct horse".to_owned())));
        assert_eq!(ASKED.take()[2], "Once more: ");
    }

    #[test]
    fn a_short_one_of_a_file_is_refused_where_a_key_is_sealed_with_it() {
        let directory = private_directory();
        let path = directory.path().join("phrase");
        std::fs::write(&path, "too short\n").expect("there is room");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).expect("it is ours");
        let daemon = FakeDaemon::serve_all(Vec::new());
        let (mut scene, _) = scene(&daemon);
        let asked = PassphraseArgs { passphrase_file: Some(path) };
        assert!(get(&mut scene, &asked, Times::Twice).is_err());
        assert!(get(&mut scene, &asked, Times::Once).is_ok(), "the backup says whether it is the right one");
    }
}
