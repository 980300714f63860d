//! One explanation as a JSON object, with all its reasons: what `karoctl explain --json` writes.

use std::borrow::Cow;

use karo_protocol::explain::{Context, Explanation, Match, Run, Span};
use karo_protocol::{Axis, Category, Risk};
use serde::Serialize;

/// An explanation.
#[derive(Debug, Serialize)]
pub struct Object<'a> {
    redacted: Cow<'a, str>,
    spans: Vec<SpanObject<'a>>,
    runs: Vec<RunObject<'a>>,
    parsed: bool,
    cut: bool,
    category: &'static str,
    categories: Vec<&'static str>,
    risk: Option<&'static str>,
    axis: Option<&'static str>,
    rules: Vec<RuleObject<'a>>,
}

#[derive(Debug, Serialize)]
struct SpanObject<'a> {
    start: u32,
    end: u32,
    kind: &'static str,
    reason: &'a str,
}

#[derive(Debug, Serialize)]
struct RunObject<'a> {
    argv: Vec<Cow<'a, str>>,
    context: Vec<&'static str>,
    privileged: bool,
    remote: bool,
    parent: Option<u32>,
    category: &'static str,
    row: &'a str,
    confidence: f64,
}

#[derive(Debug, Serialize)]
struct RuleObject<'a> {
    id: &'a str,
    title: &'a str,
    level: &'static str,
    axis: &'static str,
    tags: &'a [String],
    fields: &'a [String],
    run: Option<u32>,
}

impl<'a> Object<'a> {
    /// Makes the object of an explanation.
    pub fn new(found: &'a Explanation) -> Self {
        Self {
            redacted: String::from_utf8_lossy(&found.redacted),
            spans: found.spans.iter().map(SpanObject::new).collect(),
            runs: found.runs.iter().map(RunObject::new).collect(),
            parsed: found.is_parsed,
            cut: found.is_cut,
            category: found.category.name(),
            categories: found.categories.iter().copied().map(Category::name).collect(),
            risk: found.risk.map(Risk::name),
            axis: found.axis.map(Axis::name),
            rules: found.matches.iter().map(RuleObject::new).collect(),
        }
    }
}

impl<'a> SpanObject<'a> {
    fn new(span: &'a Span) -> Self {
        Self { start: span.start, end: span.end, kind: span.kind.name(), reason: &span.reason }
    }
}

impl<'a> RunObject<'a> {
    fn new(run: &'a Run) -> Self {
        Self {
            argv: run.argv.iter().map(|word| String::from_utf8_lossy(word)).collect(),
            context: run.context.iter().copied().map(Context::name).collect(),
            privileged: run.is_privileged,
            remote: run.is_remote,
            parent: run.parent,
            category: run.category.name(),
            row: &run.row,
            confidence: f64::from(run.confidence) / 100.0,
        }
    }
}

impl<'a> RuleObject<'a> {
    fn new(found: &'a Match) -> Self {
        Self {
            id: &found.id,
            title: &found.title,
            level: found.level.name(),
            axis: found.axis.name(),
            tags: &found.tags,
            fields: &found.fields,
            run: found.run,
        }
    }
}
