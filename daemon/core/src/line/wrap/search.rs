//! Wrappers that no row can describe: `find -exec`, `parallel`, `git submodule foreach` and the like.

use super::{Part, joined};
use crate::line::word::Word;

/// Returns the commands behind each `-exec` of `find`.
pub(super) fn executions(words: &[Word], start: usize) -> Vec<Part> {
    marked(words, start, &[b"-exec", b"-execdir", b"-ok", b"-okdir"])
}

/// Returns the commands behind each `-x` of `fd`.
pub(super) fn executions_of_fd(words: &[Word], start: usize) -> Vec<Part> {
    marked(words, start, &[b"-x", b"-X", b"--exec", b"--exec-batch"])
}

/// Returns the commands that stand between one of some marks and `;` or `{} +`.
fn marked(words: &[Word], start: usize, marks: &[&[u8]]) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut at = start;
    while let Some(word) = words.get(at) {
        at += 1;
        if !marks.contains(&word.text()) {
            continue;
        }
        let rest = &words[at..];
        let is_end = |index: usize, word: &Word| match word.text() {
            b";" => true,
            b"+" => index > 0 && rest[index - 1].text() == b"{}",
            _ => false,
        };
        let end = rest.iter().enumerate().position(|(index, word)| is_end(index, word));
        let length = end.unwrap_or(rest.len());
        if length > 0 {
            parts.push(Part::Words { head: None, rest: at..at + length });
        }
        at += length;
    }
    parts
}

/// Options of `parallel` with a value in the next word.
const PARALLEL_VALUED: &str = "-j --jobs -S --sshlogin --sshloginfile -a --arg-file -C --colsep -I -n -N -L \
    -P --max-procs --joblog --delay --timeout --retries --tmpdir --results --wd --workdir --tag-string \
    --tagstring -d --delimiter --block --recstart --recend --env --load --nice --halt --memfree -s -E -D \
    --basefile --return --transferfile --limit --max-args --max-replace-args --semaphorename --id --shellquote";

/// Returns what `parallel` runs: its words up to `:::`, or, without such, each argument.
pub(super) fn parallel(words: &[Word], start: usize) -> Vec<Part> {
    let mut at = start;
    while let Some(text) = words.get(at).map(Word::text).filter(|text| super::is_option(text)) {
        at += 1 + usize::from(super::takes_next(text, PARALLEL_VALUED));
    }
    let is_divider = |word: &Word| word.text().starts_with(b":::");
    let rest = &words[at.min(words.len())..];
    let length = rest.iter().position(is_divider).unwrap_or(rest.len());
    if length > 0 {
        return vec![Part::Script(joined(&rest[..length]))];
    }
    let is_of_files = rest.first().is_some_and(|word| word.text().starts_with(b"::::"));
    let arguments = rest.iter().filter(|word| !is_divider(word) && !is_of_files);
    arguments.map(|word| Part::Script(word.clone())).collect()
}

/// Returns the words behind `--`, which is the only way in which some are given a command.
pub(super) fn behind_dashes(words: &[Word], start: usize) -> Vec<Part> {
    let Some(dashes) = words.iter().skip(start).position(|word| word.text() == b"--") else {
        return Vec::new();
    };
    let at = start + dashes + 1;
    if at < words.len() { vec![Part::Words { head: None, rest: at..words.len() }] } else { Vec::new() }
}

/// Returns what a terminal runs: the words behind `-e` or `--`, or the script that is one word there.
pub(super) fn terminal(words: &[Word], start: usize) -> Vec<Part> {
    let is_mark = |word: &Word| matches!(word.text(), b"-e" | b"-x" | b"--" | b"--command" | b"--execute");
    let Some(mark) = words.iter().skip(start).position(is_mark) else { return Vec::new() };
    let at = start + mark + 1;
    match &words[at.min(words.len())..] {
        [] => Vec::new(),
        [only] => vec![Part::Script(only.clone())],
        _ => vec![Part::Words { head: None, rest: at..words.len() }],
    }
}

/// Returns the program behind the `--args` of `gdb`, and the commands that it gives to a shell.
pub(super) fn debugged(words: &[Word], start: usize) -> Vec<Part> {
    let found = words.iter().skip(start).position(|word| matches!(word.text(), b"--args" | b"-args"));
    let at = found.map_or(words.len(), |found| start + found + 1);
    let mut parts = super::code::escapes(&words[..at], start);
    if at < words.len() {
        parts.push(Part::Words { head: None, rest: at..words.len() });
    }
    parts
}

/// Returns what `trap` runs on a signal; its reset and its lists run nothing.
pub(super) fn trap(words: &[Word], start: usize) -> Vec<Part> {
    let at = start + usize::from(words.get(start).is_some_and(|word| word.text() == b"--"));
    match &words[at.min(words.len())..] {
        [action, _, ..] if !action.text().is_empty() && !action.text().starts_with(b"-") => {
            vec![Part::Script(action.clone())]
        }
        _ => Vec::new(),
    }
}

/// Options of `bwrap` by how many words of value they have: those with one, and those with two.
const BWRAP_ONE: &str = "--args --argv0 --userns --userns2 --pidns --uid --gid --hostname --chdir --unsetenv \
    --lock-file --sync-fd --exec-label --file-label --proc --dev --tmpfs --mqueue --dir --remount-ro --seccomp \
    --add-seccomp-fd --block-fd --userns-block-fd --info-fd --json-status-fd --cap-add --cap-drop --perms --size";
const BWRAP_TWO: &str = "--setenv --bind --bind-try --dev-bind --dev-bind-try --ro-bind --ro-bind-try --file \
    --bind-data --ro-bind-data --symlink --chmod --bind-fd --ro-bind-fd";

/// Returns what `bwrap` runs, behind options of up to two values.
pub(super) fn bubblewrap(words: &[Word], start: usize) -> Vec<Part> {
    let mut at = start;
    while let Some(text) = words.get(at).map(Word::text).filter(|text| super::is_option(text)) {
        at += 1;
        if text == b"--" {
            break;
        }
        at += usize::from(super::lists(BWRAP_ONE, text)) + 2 * usize::from(super::lists(BWRAP_TWO, text));
    }
    if at < words.len() { vec![Part::Words { head: None, rest: at..words.len() }] } else { Vec::new() }
}

/// Returns what `tmux` types into a shell or runs in a new window.
pub(super) fn send_keys(words: &[Word], start: usize) -> Vec<Part> {
    let mut at = start;
    while let Some(text) = words.get(at).map(Word::text).filter(|text| super::is_option(text)) {
        at += 1 + usize::from(super::takes_next(text, "-t -N -c"));
    }
    let is_key =
        |word: &Word| matches!(word.text(), b"Enter" | b"C-m" | b"C-c" | b"C-d" | b"Escape" | b"Space");
    let typed = words.iter().skip(at).filter(|word| !is_key(word));
    typed.map(|word| Part::Script(word.clone())).collect()
}

/// Returns what `capsh` runs: behind `--` and `-c` stands a script for its shell.
pub(super) fn capsh(words: &[Word], start: usize) -> Vec<Part> {
    let found = words.iter().skip(start).position(|word| matches!(word.text(), b"--" | b"=="));
    let at = found.map_or(words.len(), |found| start + found + 1);
    match &words[at.min(words.len())..] {
        [flag, script, ..] if flag.text() == b"-c" => vec![Part::Script(script.clone())],
        _ => Vec::new(),
    }
}

/// Returns what `start-stop-daemon` starts: the value of `--exec` with the words behind `--`.
pub(super) fn daemon(words: &[Word], start: usize) -> Vec<Part> {
    let is_start = words.iter().any(|word| matches!(word.text(), b"-S" | b"--start"));
    let mark = words
        .iter()
        .skip(start)
        .position(|word| matches!(word.text(), b"-x" | b"--exec" | b"-a" | b"--startas"));
    let Some(head) = mark.map(|mark| start + mark + 1).filter(|head| is_start && *head < words.len()) else {
        return Vec::new();
    };
    let dashes = words.iter().skip(head).position(|word| word.text() == b"--");
    let rest = dashes.map_or(words.len(), |dashes| head + dashes + 1);
    vec![Part::Words { head: Some(words[head].clone()), rest: rest.min(words.len())..words.len() }]
}

/// Options of `tar` whose value is a script, or `exec=` and a script.
const TAR_SCRIPTS: [&[u8]; 4] =
    [b"--to-command", b"--use-compress-program", b"--checkpoint-action", b"--rsh-command"];

/// Returns what `tar` is told to run.
pub(super) fn archive(words: &[Word], start: usize) -> Vec<Part> {
    let mut parts = Vec::new();
    for (index, word) in words.iter().enumerate().skip(start) {
        let text = word.text();
        let name = text.split(|byte| *byte == b'=').next().unwrap_or(text);
        if text == b"-I" || TAR_SCRIPTS.contains(&name) {
            let value = match text.len() > name.len() {
                true => Some(word.tail(name.len() + 1)),
                false => words.get(index + 1).cloned(),
            };
            let Some(value) = value else { continue };
            let is_action = name == b"--checkpoint-action";
            match value.text().strip_prefix(b"exec=") {
                Some(_) => parts.push(Part::Script(value.tail(5))),
                None if is_action => {}
                None => parts.push(Part::Script(value)),
            }
        }
    }
    parts
}

/// Returns what `ansible` runs by its modules `shell`, `command` and `raw`.
pub(super) fn ansible(words: &[Word], start: usize) -> Vec<Part> {
    let value = |names: [&[u8]; 2]| {
        let mark = words.iter().skip(start).position(|word| names.contains(&word.text()));
        mark.and_then(|mark| words.get(start + mark + 1))
    };
    let module = value([b"-m", b"--module-name"]).map_or(&b"command"[..], Word::text);
    let name = module.rsplit(|byte| *byte == b'.').next().unwrap_or(module);
    let is_shell = matches!(name, b"shell" | b"command" | b"raw");
    let script = value([b"-a", b"--args"]).filter(|_| is_shell);
    script.map(|script| vec![Part::Script(script.clone())]).unwrap_or_default()
}

/// Returns what `salt` runs by `cmd.run`.
pub(super) fn salt(words: &[Word], start: usize) -> Vec<Part> {
    let is_run =
        |word: &Word| matches!(word.text(), b"cmd.run" | b"cmd.run_all" | b"cmd.shell" | b"cmd.run_stdout");
    let mark = words.iter().skip(start).position(is_run);
    let script = mark.and_then(|mark| words.get(start + mark + 1));
    script.map(|script| vec![Part::Script(script.clone())]).unwrap_or_default()
}

/// Returns what a virtual machine runs: the words behind `--`, or behind its name.
pub(super) fn machine(words: &[Word], start: usize) -> Vec<Part> {
    let behind = behind_dashes(words, start);
    if !behind.is_empty() {
        return behind;
    }
    let operand = words.iter().skip(start).position(|word| !super::is_option(word.text()));
    let at = operand.map_or(words.len(), |operand| start + operand + 1);
    if at < words.len() { vec![Part::Script(joined(&words[at..]))] } else { Vec::new() }
}

/// Returns what `mise exec` runs: the words behind `--`, or the value of `-c`.
pub(super) fn mise(words: &[Word], start: usize) -> Vec<Part> {
    let mark = words.iter().skip(start).position(|word| matches!(word.text(), b"-c" | b"--command"));
    if let Some(script) = mark.and_then(|mark| words.get(start + mark + 1)) {
        return vec![Part::Script(script.clone())];
    }
    behind_dashes(words, start)
}

/// Returns what `runuser` runs: a script, as `su` does, or with `-u` the words behind its options.
pub(super) fn runuser(words: &[Word], start: usize) -> Vec<Part> {
    let mut at = start;
    let mut has_user = false;
    while let Some(text) = words.get(at).map(Word::text) {
        at += 1;
        let is_valued = super::takes_next(text, "-u -g -G -s -w -T -c --user --group --supp-group --shell");
        match text {
            b"-c" | b"--command" | b"--session-command" => {
                return words.get(at).map(|script| vec![Part::Script(script.clone())]).unwrap_or_default();
            }
            b"--" if has_user => break,
            _ if text.starts_with(b"--command=") => return vec![Part::Script(words[at - 1].tail(10))],
            _ if super::is_option(text) => {
                has_user |= text.starts_with(b"-u") || text.starts_with(b"--user");
                at += usize::from(is_valued);
            }
            _ if has_user => {
                at -= 1;
                break;
            }
            _ => {}
        }
    }
    if has_user && at < words.len() {
        vec![Part::Words { head: None, rest: at..words.len() }]
    } else {
        Vec::new()
    }
}

/// Returns what `gcloud compute ssh` runs: the value of `--command`, or the words behind `--`.
pub(super) fn cloud_shell(words: &[Word], start: usize) -> Vec<Part> {
    for (index, word) in words.iter().enumerate().skip(start) {
        match word.text() {
            b"--command" => return words.get(index + 1).cloned().map(Part::Script).into_iter().collect(),
            b"--" if index + 1 < words.len() => return vec![Part::Script(joined(&words[index + 1..]))],
            text if text.starts_with(b"--command=") => return vec![Part::Script(word.tail(10))],
            _ => {}
        }
    }
    Vec::new()
}

/// Returns what a new window of `tmux` runs: its words up to the next command of `tmux`.
pub(super) fn window(words: &[Word], start: usize) -> Vec<Part> {
    let mut at = start;
    while let Some(text) = words.get(at).map(Word::text).filter(|text| super::is_option(text)) {
        at += 1 + usize::from(super::takes_next(text, "-s -t -n -c -x -y -F -e -l -p -w"));
    }
    let rest = &words[at.min(words.len())..];
    let length = rest.iter().position(|word| word.text() == b";").unwrap_or(rest.len());
    if length > 0 { vec![Part::Script(joined(&rest[..length]))] } else { Vec::new() }
}
