//! What the daemon says of rules, page by page.

use std::collections::BTreeMap;

use karo_protocol::explain::Explanation;
use karo_protocol::limits::{PAGE_BYTES_TARGET, RULE_FILES_MAX};
use karo_protocol::local::{RefusedRule, Reply, Request, RuleFile, RulesCheck, RulesPage};

use crate::connection::{Connection, ConnectionError, Patience};
use crate::ctl::exit::Trouble;

/// An answer as a whole.
#[derive(Debug, Default)]
pub struct Answer {
    /// The rules, and what there is to say of them.
    pub rules: RulesPage,
    /// The explanations, one for each line that was sent.
    pub explained: Vec<Explanation>,
}

/// Asks, and puts the pages of the answer together.
///
/// # Errors
///
/// When there is no answer, or another one.
pub fn all(connection: &mut Connection, request: &Request) -> Result<Answer, Trouble> {
    connection.wait_for_answers(Patience::LONG);
    let id = connection.send(request)?;
    let mut answer = Answer::default();
    loop {
        let reply = connection.receive(id)?;
        if let Reply::Rules(RulesPage { rules, refused, remarks }) = reply {
            answer.rules.rules.extend(rules);
            answer.rules.refused.extend(refused);
            answer.rules.remarks.extend(remarks);
        } else if let Reply::Explained(explained) = reply {
            answer.explained.extend(explained);
        } else if matches!(reply, Reply::End(_)) {
            return Ok(answer);
        } else {
            return Err(ConnectionError::Unexpected("a page of rules").into());
        }
    }
}

/// Asks of each file whether its rules can be used, however many there are.
///
/// # Errors
///
/// As [`all`].
pub fn files(connection: &mut Connection, files: Vec<RuleFile>) -> Result<RulesPage, Trouble> {
    let mut found = RulesPage::default();
    for files in batches(files) {
        let page = all(connection, &Request::RulesCheck(RulesCheck { files, lines: Vec::new() }))?.rules;
        found.rules.extend(page.rules);
        found.refused.extend(page.refused);
        found.remarks.extend(page.remarks);
    }
    refuse_repeated(&mut found);
    Ok(found)
}

/// Puts files into requests that fit a frame each: beyond the target, one more file of the largest size does.
fn batches(files: Vec<RuleFile>) -> Vec<Vec<RuleFile>> {
    let mut batches: Vec<Vec<RuleFile>> = Vec::new();
    let mut bytes = PAGE_BYTES_TARGET;
    for file in files {
        let is_full = |batch: &Vec<RuleFile>| bytes >= PAGE_BYTES_TARGET || batch.len() == RULE_FILES_MAX;
        if batches.last().is_none_or(is_full) {
            batches.push(Vec::new());
            bytes = 0;
        }
        bytes += file.name.len() + file.text.len();
        batches.last_mut().expect("there is one, or it was pushed above").push(file);
    }
    batches
}

/// Refuses what has the id of another rule in an earlier batch, which the daemon could not see.
fn refuse_repeated(found: &mut RulesPage) {
    let mut known: BTreeMap<String, String> = BTreeMap::new();
    for rule in std::mem::take(&mut found.rules) {
        match known.get(&rule.id) {
            Some(file) => {
                let reason = format!("{file} has a rule of the same id");
                found.refused.push(RefusedRule { file: rule.file, line: None, id: Some(rule.id), reason });
            }
            None => {
                known.insert(rule.id.clone(), rule.file.clone());
                found.rules.push(rule);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use karo_protocol::Bytes;

    use super::*;

    #[test]
    fn batches_fit_a_frame_and_keep_the_order() {
        let file = |bytes: usize| RuleFile { name: bytes.to_string(), text: Bytes(vec![b'x'; bytes]) };
        let sizes = |files: &[usize]| -> Vec<Vec<usize>> {
            let batches = batches(files.iter().copied().map(file).collect());
            batches.iter().map(|batch| batch.iter().map(|file| file.text.len()).collect()).collect()
        };
        assert_eq!(sizes(&[]), Vec::<Vec<usize>>::new());
        let most = 256 * 1024;
        assert_eq!(sizes(&[10, most, most, 20, 30]), [vec![10, most], vec![most], vec![20, 30]]);
        assert_eq!(sizes(&[0; RULE_FILES_MAX + 1]).len(), 2);
    }
}
