//! What lines run: tables of them.

mod fallback;
mod grammar;
mod places;
mod wrapped;

use karo_protocol::explain::Context;

use super::*;

/// Returns the runs of a line, each as its words behind marks of where it stands.
///
/// `<` and `>` are the ends of pipes, `$` a substitution, `H` a here-document, `&` the background, `f` a function;
/// `!` is another's rights, `@` another machine, `#` a container.
fn shown(line: &Line) -> Vec<String> {
    line.runs.iter().map(shown_run).collect()
}

fn shown_run(run: &Run) -> String {
    let mark = |context| match context {
        Context::PipeIn => '<',
        Context::PipeOut => '>',
        Context::Substitution => '$',
        Context::Heredoc => 'H',
        Context::Background => '&',
        Context::Function => 'f',
    };
    let mut shown: String = run.contexts.iter().map(mark).collect();
    for (is_so, mark) in
        [(run.is_privileged, '!'), (run.is_contained, '#'), (run.is_remote && !run.is_contained, '@')]
    {
        if is_so {
            shown.push(mark);
        }
    }
    if !shown.is_empty() {
        shown.push(':');
    }
    let words: Vec<_> = run.words.iter().map(|word| String::from_utf8_lossy(word.text())).collect();
    shown + &words.join(" ")
}

/// Demands the runs of a line that is read by its grammar, divided by ` ; `.
fn check(text: &str, expected: &str) {
    let line = parse(text.as_bytes());
    assert_eq!(shown(&line).join(" ; "), expected, "{text}");
    assert!(line.is_parsed, "read as plain words: {text}");
}

/// Demands the runs of a line that is not.
fn check_plain(text: &str, expected: &str) {
    let line = parse(text.as_bytes());
    assert_eq!(shown(&line).join(" ; "), expected, "{text}");
    assert!(!line.is_parsed, "read by its grammar: {text}");
}
