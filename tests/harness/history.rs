//! Lines in the shape of a real history, as many as one likes.

use crate::dice::Dice;

const LINES: &str = include_str!("../data/history/kypo-part.jsonl");

/// How many lines were never typed before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Distinct {
    /// One in three, as in real histories.
    AThird,
    /// Every one.
    All,
}

/// Makes lines in the shape of real history: a third distinct, the rest repeated by rank.
#[derive(Debug)]
pub struct History {
    distinct: Distinct,
    dice: Dice,
    seen: Vec<String>,
    templates: Vec<String>,
}

impl History {
    /// Makes the one history that this program makes: the draws are the same each time.
    ///
    /// # Panics
    ///
    /// When the data of the tests is damaged.
    pub fn new(distinct: Distinct) -> Self {
        let text = |line: &str| {
            let line: serde_json::Value = serde_json::from_str(line).expect("the data is JSON Lines");
            line["cmd"].as_str().expect("each line has its command").to_owned()
        };
        Self { distinct, dice: Dice::new(20), seen: Vec::new(), templates: LINES.lines().map(text).collect() }
    }

    /// Returns the next line.
    pub fn line(&mut self) -> String {
        let is_repeat = self.distinct == Distinct::AThird && self.dice.within(0..100) >= 34;
        if !self.seen.is_empty() && is_repeat {
            // A product of two uniform draws leans to the low ranks, as real repetition does.
            let count = self.seen.len() as u64;
            let rank = self.dice.within(0..count) * self.dice.within(0..count) / count;
            return self.seen[rank as usize].clone();
        }
        let template = &self.templates[self.dice.within(0..self.templates.len() as u64) as usize];
        let text = format!("{template} {}", self.seen.len());
        self.seen.push(text.clone());
        text
    }
}
