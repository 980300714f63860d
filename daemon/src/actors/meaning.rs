//! What a session says of the rules, and of lines that are explained and not stored.
//!
//! All of it is work for a thread that may take its time, so that recording never waits for it.

use karo_core::risk::{RuleFile, Rules, Surroundings};
use karo_core::understand::Knowledge;
use karo_protocol::RawCommand;
use karo_protocol::explain::{Explain, pages};
use karo_protocol::limits::{EXPLAIN_LINES_MAX, RULE_FILE_BYTES_MAX, RULE_FILES_MAX};
use karo_protocol::local::{End, Failure, FailureCode, Reply as Answer, RulesCheck};

use super::rules::{RulesDesk, page};

/// Answers in their order, the last of them an end; or the one answer that says why not.
type Answers = Vec<Answer>;

/// Says what is understood of lines.
pub(super) async fn explain(desk: &RulesDesk, user: String, explain: Explain) -> Answers {
    if explain.lines.len() > EXPLAIN_LINES_MAX {
        return excess("lines", explain.lines.len(), EXPLAIN_LINES_MAX);
    }
    let Some(loaded) = desk.loaded().await else { return gone() };
    aside(move || {
        let surroundings = Surroundings { cwd: &explain.cwd.0, user: &user, shell: "" };
        explained(&loaded.knowledge, &explain.lines, surroundings)
    })
    .await
}

/// Lists the rules in use.
pub(super) async fn rules(desk: &RulesDesk) -> Answers {
    let Some(loaded) = desk.loaded().await else { return gone() };
    listed(loaded.page())
}

/// Says whether rules would work, and what they say of lines.
pub(super) async fn check(desk: &RulesDesk, check: RulesCheck) -> Answers {
    if check.files.len() > RULE_FILES_MAX {
        return excess("files", check.files.len(), RULE_FILES_MAX);
    }
    if check.lines.len() > EXPLAIN_LINES_MAX {
        return excess("lines", check.lines.len(), EXPLAIN_LINES_MAX);
    }
    if let Some(file) = check.files.iter().find(|file| file.text.0.len() > RULE_FILE_BYTES_MAX) {
        let message = format!("{} is larger than {RULE_FILE_BYTES_MAX} bytes", file.name);
        return vec![failure(FailureCode::BadRequest, message)];
    }
    let Some(loaded) = desk.loaded().await else { return gone() };
    aside(move || {
        let files: Vec<RuleFile<'_>> =
            check.files.iter().map(|file| RuleFile { path: &file.name, text: &file.text.0 }).collect();
        let rules = Rules::alone(&files);
        let page = page(&rules);
        let (mut answers, count) = (Vec::new(), page.rules.len() as u64);
        answers.extend(page.pages().into_iter().map(Answer::Rules));
        let knowledge = Knowledge::new(loaded.knowledge.redactor().clone(), rules);
        let explained = explained(&knowledge, &check.lines, Surroundings::default());
        answers.extend(explained.into_iter().filter(|answer| matches!(answer, Answer::Explained(_))));
        answers.push(end(count));
        answers
    })
    .await
}

fn explained(knowledge: &Knowledge, lines: &[RawCommand], surroundings: Surroundings<'_>) -> Answers {
    let explanations = lines.iter().map(|line| knowledge.explain(line, surroundings));
    let pages = pages(explanations).into_iter().filter(|page| !page.is_empty());
    pages.map(Answer::Explained).chain([end(lines.len() as u64)]).collect()
}

fn listed(page: karo_protocol::local::RulesPage) -> Answers {
    let count = page.rules.len() as u64;
    page.pages().into_iter().map(Answer::Rules).chain([end(count)]).collect()
}

/// Works on a thread of its own.
async fn aside(work: impl FnOnce() -> Answers + Send + 'static) -> Answers {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| vec![failure(FailureCode::Bug, format!("the work ended early: {error}"))])
}

const fn end(count: u64) -> Answer {
    Answer::End(End { count, partial_since: None, unreadable: 0 })
}

fn gone() -> Answers {
    vec![failure(FailureCode::Stopping, "karod is stopping")]
}

fn excess(what: &str, count: usize, limit: usize) -> Answers {
    let message = format!("{count} {what} in one request, at most {limit} are allowed");
    vec![failure(FailureCode::BadRequest, message)]
}

fn failure(code: FailureCode, message: impl Into<String>) -> Answer {
    Answer::Failure(Failure { code, message: message.into() })
}
