//! From files to rules: each document is read, checked and compiled, or refused with the reason.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use karo_protocol::{Axis, Risk};
use regex_automata::nfa::thompson::NFA;
use rsigma_eval::{CompiledRule, compile_rule};
use rsigma_parser::value::StringPart;
use rsigma_parser::{
    Detection, DetectionItem, Level, Modifier, SigmaRule, SigmaValue, Status, parse_sigma_yaml,
};
use yaml_serde::Value;

use super::fields::{Field, Known};
use super::gate::{Document, Flaw, documents};
use super::limits::{
    CONDITION_BYTES_MAX, CONDITION_NESTING_MAX, FILES_BYTES_MAX, ID_BYTES_MAX, KEYWORD_WILDCARDS_MAX,
    REFUSED_MAX, REGEX_BYTES_MAX, REGEXES_BYTES_MAX, RULES_MAX, TAGS_MAX, TITLE_BYTES_MAX, VALUE_BYTES_MAX,
    VALUES_IN_USE_MAX, VALUES_MAX, WINDASH_DASHES_MAX,
};
use super::{Listed, Origin, Refused, RuleFile, wildcards};

/// A rule in use.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) listed: Listed,
    /// As it was read: what of it is compiled, when it is first looked at.
    pub(super) parsed: SigmaRule,
    compiled: OnceLock<Option<Box<CompiledRule>>>,
    /// Fields that it asks for and that a line can have.
    pub(super) reads: Vec<Field>,
    /// Values that it is compiled to.
    values: usize,
}

impl Rule {
    /// Returns the rule as it is evaluated, compiled by the first who asks.
    ///
    /// Most rules never meet a line that they might match, and most of what compiling costs, in time and memory, are
    /// regular expressions.
    pub(super) fn compiled(&self) -> Option<&CompiledRule> {
        // It was found at loading that it can be: a rule that cannot would match nothing.
        self.compiled.get_or_init(|| compile_rule(&self.parsed).ok().map(Box::new)).as_deref()
    }
}

/// Returns a rule with the shortest of all regular expressions in the place of each: what else is wrong with it
/// shows, and nothing is spent.
fn without_expressions(rule: &SigmaRule) -> SigmaRule {
    let mut rule = rule.clone();
    rule.detection.named.values_mut().for_each(clear);
    rule
}

fn clear(detection: &mut Detection) {
    match detection {
        Detection::AllOf(items) => {
            for item in items.iter_mut().filter(|item| item.field.has_modifier(Modifier::Re)) {
                item.values.fill(SigmaValue::from_raw_string("a"));
            }
        }
        Detection::AnyOf(parts) | Detection::And(parts) => parts.iter_mut().for_each(clear),
        Detection::Keywords(_) | Detection::ArrayMatch { .. } | Detection::Conditional { .. } => {}
    }
}

/// Why a document is no rule in use.
struct Refusal {
    id: Option<String>,
    flaw: Flaw,
}

/// Takes rules in, file by file.
#[derive(Debug, Default)]
pub(super) struct Loader {
    rules: BTreeMap<String, Rule>,
    refused: Vec<Refused>,
    bytes: usize,
    values: usize,
    spent: Spent,
}

/// Bytes that compiling regular expressions has cost.
#[derive(Debug, Default, Clone, Copy)]
struct Spent(usize);

impl Loader {
    /// Takes one file in.
    pub(super) fn file(&mut self, file: &RuleFile<'_>, origin: Origin) {
        self.bytes += file.text.len();
        if self.bytes > FILES_BYTES_MAX {
            let reason = format!("all files together have more than {FILES_BYTES_MAX} bytes");
            return self.refuse(file.path, Refusal { id: None, flaw: Flaw::new(None, reason) });
        }
        let documents = match documents(file.text) {
            Ok(documents) => documents,
            Err(flaw) => return self.refuse(file.path, Refusal { id: None, flaw }),
        };
        if documents.is_empty() {
            self.refuse(file.path, Refusal { id: None, flaw: Flaw::new(None, "no rule in it") });
        }
        for document in &documents {
            match rule(document, file.path, origin, &mut self.spent) {
                Ok(rule) => self.keep(rule, document.line, file.path),
                Err(refusal) => self.refuse(file.path, refusal),
            }
        }
    }

    /// Returns the rules, the highest level first, and what was refused.
    pub(super) fn finish(self) -> (Vec<Rule>, Vec<Refused>) {
        let mut rules: Vec<Rule> = self.rules.into_values().collect();
        rules.sort_by(|one, other| {
            let rank = |rule: &Rule| (std::cmp::Reverse(rule.listed.level), rule.listed.axis);
            rank(one).cmp(&rank(other)).then_with(|| one.listed.id.cmp(&other.listed.id))
        });
        (rules, self.refused)
    }

    fn keep(&mut self, rule: Rule, line: u32, path: &str) {
        let id = rule.listed.id.clone();
        let flaw = match self.rules.get(&id) {
            // A team's rule takes the place of the built-in one with its id.
            Some(known) if known.listed.origin == Origin::Builtin && rule.listed.origin == Origin::Team => {
                None
            }
            Some(known) => Some(format!("its id is that of {}", known.listed.path)),
            None if self.rules.len() >= RULES_MAX => Some(format!("{RULES_MAX} rules are in use already")),
            None if self.values + rule.values > VALUES_IN_USE_MAX => {
                Some(format!("the rules in use have more than {VALUES_IN_USE_MAX} values"))
            }
            None => None,
        };
        match flaw {
            Some(reason) => self.refuse(path, Refusal { id: Some(id), flaw: Flaw::new(Some(line), reason) }),
            None => {
                self.values += rule.values;
                self.rules.insert(id, rule);
            }
        }
    }

    fn refuse(&mut self, path: &str, Refusal { id, flaw }: Refusal) {
        if self.refused.len() < REFUSED_MAX {
            self.refused.push(Refused { path: path.to_owned(), line: flaw.line, id, reason: flaw.reason });
        }
    }
}

/// Makes a rule of a document.
fn rule(document: &Document<'_>, path: &str, origin: Origin, spent: &mut Spent) -> Result<Rule, Refusal> {
    // Each built-in rule is held against all limits by a test: doing it anew took two thirds of every start.
    if origin == Origin::Builtin {
        return made(document, path, origin, None).map_err(|flaw| Refusal { id: None, flaw });
    }
    let value = value(document).map_err(|flaw| Refusal { id: None, flaw })?;
    let id = value.get("id").and_then(Value::as_str).map(|id| cut(id, ID_BYTES_MAX));
    let checked = is_rule(document, &value).and_then(|()| conditions_are_plain(document, &value));
    let made = checked.and_then(|()| made(document, path, origin, Some(spent)));
    made.map_err(|flaw| Refusal { id, flaw })
}

fn value(document: &Document<'_>) -> Result<Value, Flaw> {
    yaml_serde::from_str(document.text).map_err(|error| {
        let line = error.location().and_then(|place| u32::try_from(place.line()).ok());
        Flaw::new(Some(line.map_or(document.line, |line| document.line + line.max(1) - 1)), short(&error))
    })
}

/// Makes a rule of what may be parsed; without `spent`, of what is known to compile.
fn made(
    document: &Document<'_>,
    path: &str,
    origin: Origin,
    spent: Option<&mut Spent>,
) -> Result<Rule, Flaw> {
    let is_known_to_compile = spent.is_none();
    let at = |key: &str| Some(line_of(document, key));
    let mut parsed =
        parse_sigma_yaml(document.text).map_err(|error| Flaw::new(at("detection"), short(&error)))?;
    let complaint = parsed.errors.drain(..).next();
    let Some(mut rule) = parsed.rules.pop() else {
        let reason = complaint.unwrap_or_else(|| "no rule in it".to_owned());
        let key = if reason.starts_with("Condition") { "condition" } else { "detection" };
        return Err(Flaw::new(at(key), short(&reason)));
    };
    let (id, level) = is_for_us(document, &rule)?;
    wildcards::settle(&mut rule);
    let asked = is_bounded(document, &rule, spent)?;
    let reads = are_known(document, &asked.fields)?;
    if !is_known_to_compile {
        compile_rule(&without_expressions(&rule))
            .map_err(|error| Flaw::new(at("detection"), short(&error)))?;
    }
    let unseen = asked.fields.iter().filter(|name| Known::of(name) == Known::Absent).cloned().collect();
    let listed = Listed {
        id,
        title: cut(&rule.title, TITLE_BYTES_MAX),
        level,
        axis: axis(&rule.tags),
        tags: rule.tags.iter().take(TAGS_MAX).map(|tag| cut(tag, TITLE_BYTES_MAX)).collect(),
        origin,
        path: path.to_owned(),
        unseen,
    };
    Ok(Rule { listed, parsed: rule, compiled: OnceLock::new(), reads, values: asked.values })
}

/// Returns the line where a key or a field first stands, else that of the document.
fn line_of(document: &Document<'_>, key: &str) -> u32 {
    let stands = |line: &str| {
        let line = line.trim_start_matches([' ', '-', '\'', '"']);
        line.strip_prefix(key).is_some_and(|rest| rest.starts_with([':', '|', '\'', '"', ' ']))
    };
    let below = document.text.lines().zip(0..).find(|(line, _)| stands(line)).map_or(0, |(_, line)| line);
    document.line + below
}

fn is_rule(document: &Document<'_>, value: &Value) -> Result<(), Flaw> {
    let refused = [
        ("correlation", "a correlation: Karo looks at one line at a time"),
        ("filter", "a filter for other rules: write the exception into the rule"),
        ("action", "a collection (action): write each rule out"),
    ];
    if !value.is_mapping() {
        return Err(Flaw::new(Some(document.line), "not a map of keys"));
    }
    for (key, reason) in refused {
        if value.get(key).is_some() {
            return Err(Flaw::new(Some(line_of(document, key)), reason));
        }
    }
    let is_old = |version: &Value| version.as_u64().is_some_and(|version| version <= 2);
    if value.get("sigma-version").is_some_and(|version| !is_old(version)) {
        return Err(Flaw::new(Some(line_of(document, "sigma-version")), "only Sigma 2 and 1 are read"));
    }
    Ok(())
}

/// Refuses conditions that cost a parser its stack.
fn conditions_are_plain(document: &Document<'_>, value: &Value) -> Result<(), Flaw> {
    let flaw = |reason: String| Err(Flaw::new(Some(line_of(document, "condition")), reason));
    let conditions = match value.get("detection").and_then(|detection| detection.get("condition")) {
        Some(Value::Sequence(several)) => several.iter().filter_map(Value::as_str).collect(),
        Some(Value::String(one)) => vec![one.as_str()],
        _ => Vec::new(),
    };
    if conditions.iter().map(|condition| condition.len()).sum::<usize>() > CONDITION_BYTES_MAX {
        return flaw(format!("a condition of more than {CONDITION_BYTES_MAX} bytes"));
    }
    for condition in conditions {
        let (mut depth, mut deepest) = (0_usize, 0);
        for byte in condition.bytes() {
            match byte {
                b'(' => depth += 1,
                b')' => depth = depth.saturating_sub(1),
                _ => {}
            }
            deepest = deepest.max(depth);
        }
        let negations = condition.split_ascii_whitespace().filter(|word| word.ends_with("not")).count();
        if deepest.max(negations) > CONDITION_NESTING_MAX {
            return flaw(format!("a condition nested deeper than {CONDITION_NESTING_MAX} levels"));
        }
    }
    Ok(())
}

/// Takes only what is meant for command lines of this kind of machine, and complete.
fn is_for_us(document: &Document<'_>, rule: &SigmaRule) -> Result<(String, Risk), Flaw> {
    let flaw = |key: &str, reason: String| Err(Flaw::new(Some(line_of(document, key)), reason));
    let Some(id) = rule.id.as_deref() else { return flaw("title", "no id".to_owned()) };
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if id.is_empty() || id.len() > ID_BYTES_MAX || !id.bytes().all(is_plain) {
        return flaw("id", format!("an id is 1 to {ID_BYTES_MAX} letters, digits, '-', '_' and '.'"));
    }
    match rule.status {
        Some(Status::Deprecated) => return flaw("status", "deprecated".to_owned()),
        Some(Status::Unsupported) => return flaw("status", "unsupported by its own words".to_owned()),
        Some(Status::Stable | Status::Test | Status::Experimental) | None => {}
    }
    let source = &rule.logsource;
    if source.category.as_deref() != Some("process_creation") || source.service.is_some() {
        let category = source.category.as_deref().or(source.service.as_deref()).unwrap_or("none");
        return flaw("logsource", format!("about {}, not process_creation", cut(category, ID_BYTES_MAX)));
    }
    if let Some(product) = source.product.as_deref().filter(|product| !matches!(*product, "linux" | "macos"))
    {
        return flaw("logsource", format!("for {}, not linux or macos", cut(product, ID_BYTES_MAX)));
    }
    let level = match rule.level {
        Some(Level::Informational) => Risk::Informational,
        Some(Level::Low) => Risk::Low,
        Some(Level::Medium) => Risk::Medium,
        Some(Level::High) => Risk::High,
        Some(Level::Critical) => Risk::Critical,
        None => return flaw("level", "no level of Sigma's five".to_owned()),
    };
    Ok((id.to_owned(), level))
}

/// What a rule asks for.
struct Asked<'s> {
    fields: Vec<String>,
    values: usize,
    /// None where the expressions are known to be small.
    spent: Option<&'s mut Spent>,
}

fn is_bounded<'s>(
    document: &Document<'_>,
    rule: &SigmaRule,
    spent: Option<&'s mut Spent>,
) -> Result<Asked<'s>, Flaw> {
    let mut asked = Asked { fields: Vec::new(), values: 0, spent };
    let mut named: Vec<_> = rule.detection.named.iter().collect();
    named.sort_unstable_by_key(|(name, _)| *name);
    for (_, detection) in named {
        of_detection(document, detection, &mut asked)?;
    }
    asked.fields.sort_unstable();
    asked.fields.dedup();
    Ok(asked)
}

fn of_detection(document: &Document<'_>, detection: &Detection, asked: &mut Asked<'_>) -> Result<(), Flaw> {
    match detection {
        Detection::AllOf(items) => items.iter().try_for_each(|item| of_item(document, item, asked)),
        Detection::AnyOf(parts) | Detection::And(parts) => {
            parts.iter().try_for_each(|part| of_detection(document, part, asked))
        }
        Detection::Keywords(values) => values
            .iter()
            .try_for_each(|value| of_value(value, &[], asked))
            .map_err(|reason| Flaw::new(Some(line_of(document, "detection")), reason)),
        Detection::ArrayMatch { field, .. } => {
            Err(Flaw::new(Some(line_of(document, field)), "a match within a list of maps"))
        }
        Detection::Conditional { .. } => {
            Err(Flaw::new(Some(line_of(document, "detection")), "a condition within a list of maps"))
        }
    }
}

fn of_item(document: &Document<'_>, item: &DetectionItem, asked: &mut Asked<'_>) -> Result<(), Flaw> {
    let key = item.field.name.as_deref().unwrap_or("detection");
    asked.fields.extend(item.field.name.clone());
    if item.field.has_modifier(Modifier::Expand) {
        return Err(Flaw::new(Some(line_of(document, key)), "the modifier expand needs a pipeline"));
    }
    item.values
        .iter()
        .try_for_each(|value| of_value(value, &item.field.modifiers, asked))
        .map_err(|reason| Flaw::new(Some(line_of(document, key)), reason))
}

fn of_value(value: &SigmaValue, modifiers: &[Modifier], asked: &mut Asked<'_>) -> Result<(), String> {
    asked.values += 1;
    let SigmaValue::String(text) = value else { return Ok(()) };
    if text.original.len() > VALUE_BYTES_MAX {
        return Err(format!("a value of more than {VALUE_BYTES_MAX} bytes"));
    }
    if modifiers.contains(&Modifier::WindAsh) {
        let dashes = text.original.bytes().filter(|byte| *byte == b'-').count();
        if dashes > WINDASH_DASHES_MAX {
            return Err(format!("a value with more than {WINDASH_DASHES_MAX} dashes under windash"));
        }
        asked.values += 5_usize.pow(u32::try_from(dashes).unwrap_or(0));
    }
    if asked.values > VALUES_MAX {
        return Err(format!("more than {VALUES_MAX} values"));
    }
    if modifiers.contains(&Modifier::Re) {
        return asked.spent.as_mut().map_or(Ok(()), |spent| spent.on(&text.original));
    }
    // Those of fields are expressions already: what is left stands in a keyword, or is to be encoded.
    let wildcards = text.parts.iter().filter(|part| matches!(part, StringPart::Special(_))).count();
    if wildcards > KEYWORD_WILDCARDS_MAX {
        return Err(format!("more than {KEYWORD_WILDCARDS_MAX} wildcards in a keyword"));
    }
    Ok(())
}

impl Spent {
    /// Learns that a regular expression can be compiled, and counts what it takes.
    fn on(&mut self, pattern: &str) -> Result<(), String> {
        let hir = regex_syntax::parse(pattern).map_err(|error| short(&error))?;
        let left = REGEXES_BYTES_MAX.saturating_sub(self.0).min(REGEX_BYTES_MAX);
        let limit = NFA::config().nfa_size_limit(Some(left));
        match NFA::compiler().configure(limit).build_from_hir(&hir) {
            Ok(nfa) => {
                self.0 += nfa.memory_usage();
                Ok(())
            }
            Err(_) if left == REGEX_BYTES_MAX => {
                self.0 += REGEX_BYTES_MAX;
                Err(format!("a regular expression that takes more than {REGEX_BYTES_MAX} bytes"))
            }
            Err(_) => {
                Err(format!("the regular expressions of all files take more than {REGEXES_BYTES_MAX} bytes"))
            }
        }
    }
}

fn are_known(document: &Document<'_>, names: &[String]) -> Result<Vec<Field>, Flaw> {
    let mut fields = Vec::new();
    for name in names {
        match Known::of(name) {
            Known::Present(field) => fields.push(field),
            Known::Absent => {}
            Known::Not => {
                let reason = format!("the field {} is not one of a process", cut(name, ID_BYTES_MAX));
                return Err(Flaw::new(Some(line_of(document, name)), reason));
            }
        }
    }
    Ok(fields)
}

/// Returns the axis that a rule's tags name; what names none is about attackers.
fn axis(tags: &[String]) -> Axis {
    let named = tags.iter().find_map(|tag| tag.strip_prefix("karo.")?.parse().ok());
    named.unwrap_or(Axis::Threat)
}

fn cut(text: &str, most: usize) -> String {
    text[..text.floor_char_boundary(most)].to_owned()
}

/// Puts an error on one line of bounded length.
fn short(error: &impl ToString) -> String {
    let text = error.to_string();
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    cut(&line, TITLE_BYTES_MAX)
}
