//! The rules that risk is decided by, as the daemon tells of them, and how it is asked about others.

use serde::{Deserialize, Serialize};

use crate::limits::{
    EXPLAIN_LINES_MAX, RULE_FILE_BYTES_MAX, RULE_FILES_MAX, RULE_TAGS_MAX, RULE_TEXT_BYTES_MAX,
};
use crate::page::{Weight, cut, pages};
use crate::{Axis, Bytes, RawCommand, Risk, Timestamp};

/// What risk is decided by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RulesStatus {
    /// Rules in use.
    pub loaded: u64,
    /// Rules that cannot be used.
    pub refused: u64,
    /// When they were read last.
    pub loaded_at: Option<Timestamp>,
    /// Names the tables and rules together: events that were understood by others have another number.
    pub version: u32,
}

/// Rule files to be looked at, beside those that are loaded and without changing them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RulesCheck {
    /// At most [`RULE_FILES_MAX`].
    pub files: Vec<RuleFile>,
    /// Lines to be judged by these rules alone, at most [`EXPLAIN_LINES_MAX`].
    pub lines: Vec<RawCommand>,
}

impl RulesCheck {
    /// Returns what is over its limit: the name of the field and the limit.
    pub fn excess(&self) -> Option<(&'static str, usize)> {
        if self.files.len() > RULE_FILES_MAX {
            return Some(("files", RULE_FILES_MAX));
        }
        if self.lines.len() > EXPLAIN_LINES_MAX {
            return Some(("lines", EXPLAIN_LINES_MAX));
        }
        let is_long = |file: &RuleFile| file.text.len() > RULE_FILE_BYTES_MAX;
        self.files.iter().any(is_long).then_some(("bytes of a file", RULE_FILE_BYTES_MAX))
    }

    /// Cuts each line to what a recorded command would be cut to.
    #[must_use]
    pub fn bounded(mut self) -> Self {
        self.lines = self.lines.into_iter().map(RawCommand::bounded).collect();
        self
    }
}

/// One rule file.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RuleFile {
    /// What it is called in the answer: its path.
    pub name: String,
    /// What is in it, at most [`RULE_FILE_BYTES_MAX`].
    pub text: Bytes,
}

/// Some of the rules, and what there is to say of the files that they come from.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RulesPage {
    /// Rules that are in use, or would be.
    pub rules: Vec<Rule>,
    /// Rules that cannot be used.
    pub refused: Vec<RefusedRule>,
    /// What a person should know of rules that are in use all the same, each a sentence.
    pub remarks: Vec<String>,
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// Its id, as events name it.
    pub id: String,
    /// Its title.
    pub title: String,
    /// Its level.
    pub level: Risk,
    /// Its axis.
    pub axis: Axis,
    /// Its tags: `attack.t1059.004`.
    pub tags: Vec<String>,
    /// The file that it comes from; one of Karo's own pack begins with `karo:`.
    pub file: String,
}

impl RulesPage {
    /// Puts rules into pages that fit a frame each, texts beyond reason cut; the first page comes even if it is
    /// empty.
    pub fn pages(self) -> Vec<Self> {
        let rules = pages(self.rules.into_iter().map(Rule::bounded), Rule::weight);
        let refused = pages(self.refused.into_iter().map(RefusedRule::bounded), RefusedRule::weight);
        let remarks = pages(self.remarks.into_iter().map(bounded), |text| Weight::of_text(text.len()));
        let rules = rules.into_iter().map(|rules| Self { rules, ..Self::default() });
        let refused = refused.into_iter().map(|refused| Self { refused, ..Self::default() });
        let remarks = remarks.into_iter().map(|remarks| Self { remarks, ..Self::default() });
        let pages: Vec<Self> = rules.chain(refused).chain(remarks).collect();
        if pages.is_empty() { vec![Self::default()] } else { pages }
    }
}

impl Rule {
    fn bounded(mut self) -> Self {
        self.tags.truncate(RULE_TAGS_MAX);
        let texts = self.tags.iter_mut().chain([&mut self.id, &mut self.title, &mut self.file]);
        texts.for_each(|text| cut(text, RULE_TEXT_BYTES_MAX));
        self
    }

    fn weight(&self) -> Weight {
        let texts = self.id.len() + self.title.len() + self.file.len();
        Weight::of_text(texts).plus(Weight::of_numbers(5)).plus(Weight::of_texts(&self.tags))
    }
}

impl RefusedRule {
    fn bounded(mut self) -> Self {
        let texts = [&mut self.file, &mut self.reason].into_iter().chain(&mut self.id);
        texts.for_each(|text| cut(text, RULE_TEXT_BYTES_MAX));
        self
    }

    fn weight(&self) -> Weight {
        let texts = self.file.len() + self.reason.len() + self.id.as_ref().map_or(0, String::len);
        Weight::of_text(texts).plus(Weight::of_numbers(4))
    }
}

fn bounded(mut text: String) -> String {
    cut(&mut text, RULE_TEXT_BYTES_MAX);
    text
}

/// One rule that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedRule {
    /// The file that it stands in.
    pub file: String,
    /// Where in it, from 1, if that is known.
    pub line: Option<u32>,
    /// Its id, if that can be read.
    pub id: Option<String>,
    /// Why, in words.
    pub reason: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RequestId;
    use crate::local::Reply;

    #[test]
    fn what_is_over_a_limit_is_named() {
        let file = |bytes: usize| RuleFile { name: String::new(), text: Bytes(vec![0; bytes]) };
        let check = |files: Vec<RuleFile>, lines: usize| {
            RulesCheck { files, lines: vec![RawCommand::new("ls"); lines] }.excess().map(|(what, _)| what)
        };
        assert_eq!(check(vec![file(RULE_FILE_BYTES_MAX)], EXPLAIN_LINES_MAX), None);
        assert_eq!(check(vec![file(RULE_FILE_BYTES_MAX + 1)], 0), Some("bytes of a file"));
        assert_eq!(check(vec![file(0); RULE_FILES_MAX + 1], 0), Some("files"));
        assert_eq!(check(Vec::new(), EXPLAIN_LINES_MAX + 1), Some("lines"));
    }

    #[test]
    fn rules_of_any_size_fit_a_frame_each_page() {
        let rule = Rule {
            id: "i".repeat(9000),
            title: "t".repeat(9000),
            level: Risk::Low,
            axis: Axis::Threat,
            tags: vec!["g".repeat(5000); 70],
            file: "f".repeat(9000),
        };
        let refused =
            RefusedRule { file: rule.file.clone(), line: Some(1), id: None, reason: "r".repeat(90_000) };
        let page = RulesPage {
            rules: vec![rule; 9],
            refused: vec![refused; 90],
            remarks: vec!["m".repeat(9_000); 100],
        };
        let mut counts = (0, 0, 0);
        for page in page.pages() {
            counts.0 += page.rules.len();
            counts.1 += page.refused.len();
            counts.2 += page.remarks.len();
            Reply::Rules(page).encode(RequestId(1)).expect("a page fits a frame");
        }
        assert_eq!(counts, (9, 90, 100));
        assert_eq!(RulesPage::default().pages().len(), 1);
    }
}
