//! What must hold for a rule to match, worked out from the rule itself.
//!
//! A need is a claim about an event that is cheap to test: a word stands in one of its texts, a field is there, the
//! texts have a length. Needs are joined as the rule's condition joins its parts. They may only ever hold too often:
//! what is not understood here needs nothing, and what is negated is not looked at.
//!
//! Three texts are searched for words: the event's `Image`, its `CommandLine`, and the names of all programs of the
//! line. Each stands between newlines, so that the newlines in a word tell where a text begins and ends.

use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Class, Hir, HirKind};
use rsigma_parser::{
    ConditionExpr, Detection, DetectionItem, Modifier, Quantifier, SigmaRule, SigmaString, SigmaValue,
};

use super::fields::{Claim, Field, Fields, Known, List, Text};

/// What must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Need {
    /// Nothing: it always holds.
    Nothing,
    /// It never holds.
    Never,
    /// A word stands in a text, case aside.
    Word(Place, String),
    /// Fields are there; of claims, they are true.
    Fields(Fields),
    /// `Image` and `CommandLine` have at least so many bytes together.
    Length(usize),
    /// All of them.
    All(Vec<Self>),
    /// So many of them.
    Least(usize, Vec<Self>),
}

/// Where a word is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    Image,
    CommandLine,
    /// The names of all programs of the line.
    Names,
}

impl Place {
    /// Every place, in the order of its number.
    pub(super) const ALL: [Self; 3] = [Self::Image, Self::CommandLine, Self::Names];

    /// Returns where the text of a field stands, if it is searched.
    const fn of(field: Field) -> Option<Self> {
        match field {
            Field::Text(Text::Image | Text::Program) => Some(Self::Image),
            Field::Text(Text::CommandLine) | Field::List(List::Arguments) => Some(Self::CommandLine),
            Field::List(List::Programs) => Some(Self::Names),
            Field::Text(_) | Field::List(_) | Field::Claim(_) => None,
        }
    }
}

/// Words shorter than this are in every line, but for the operators of a shell.
const WORD_BYTES_MIN: usize = 2;

/// Shortest texts that are worth their own test.
const LENGTH_MIN: usize = 16;

/// Parts of a need; a longer list is cut where that is sound, else needs nothing.
const PARTS_MAX: usize = 2_000;

impl Need {
    /// Works out what a rule needs.
    pub(super) fn of(rule: &SigmaRule) -> Self {
        any(rule.detection.conditions.iter().map(|condition| of_condition(condition, rule)))
    }
}

fn all(parts: impl Iterator<Item = Need>) -> Need {
    let mut kept = Vec::new();
    for part in parts {
        match part {
            Need::Never => return Need::Never,
            Need::Nothing => {}
            Need::All(parts) => kept.extend(parts),
            Need::Word(..) | Need::Fields(_) | Need::Length(_) | Need::Least(..) => kept.push(part),
        }
    }
    kept.truncate(PARTS_MAX);
    match kept.len() {
        0 => Need::Nothing,
        1 => kept.swap_remove(0),
        _ => Need::All(kept),
    }
}

fn any(parts: impl Iterator<Item = Need>) -> Need {
    least(1, parts)
}

fn least(mut count: usize, parts: impl Iterator<Item = Need>) -> Need {
    let mut kept = Vec::new();
    for part in parts {
        match part {
            Need::Never => {}
            Need::Nothing => count = count.saturating_sub(1),
            Need::Least(1, parts) if count == 1 => kept.extend(parts),
            Need::Word(..) | Need::Fields(_) | Need::Length(_) | Need::All(_) | Need::Least(..) => {
                kept.push(part)
            }
        }
        if count == 0 {
            return Need::Nothing;
        }
    }
    match kept.len() {
        found if found < count => Need::Never,
        1 => kept.swap_remove(0),
        found if found > PARTS_MAX => Need::Nothing,
        _ => Need::Least(count, kept),
    }
}

fn of_condition(condition: &ConditionExpr, rule: &SigmaRule) -> Need {
    match condition {
        ConditionExpr::And(parts) => all(parts.iter().map(|part| of_condition(part, rule))),
        ConditionExpr::Or(parts) => any(parts.iter().map(|part| of_condition(part, rule))),
        ConditionExpr::Not(_) => Need::Nothing,
        ConditionExpr::Identifier(name) => rule.detection.named.get(name).map_or(Need::Nothing, of_detection),
        ConditionExpr::Selector { quantifier, pattern } => {
            // In order of their names, so that the same rule always gives the same need.
            let mut named: Vec<_> = rule
                .detection
                .named
                .iter()
                .filter(|(name, _)| pattern.matches_detection_name(name))
                .collect();
            named.sort_unstable_by_key(|(name, _)| *name);
            let parts = named.into_iter().map(|(_, detection)| of_detection(detection));
            match quantifier {
                Quantifier::All => all(parts),
                Quantifier::Any => any(parts),
                Quantifier::Count(0) => Need::Nothing,
                Quantifier::Count(count) => least(usize::try_from(*count).unwrap_or(usize::MAX), parts),
            }
        }
    }
}

fn of_detection(detection: &Detection) -> Need {
    match detection {
        Detection::AllOf(items) => all(items.iter().map(of_item)),
        Detection::AnyOf(parts) => any(parts.iter().map(of_detection)),
        Detection::And(parts) => all(parts.iter().map(of_detection)),
        Detection::Keywords(_) | Detection::ArrayMatch { .. } | Detection::Conditional { .. } => {
            Need::Nothing
        }
    }
}

fn of_item(item: &DetectionItem) -> Need {
    let has = |modifier| item.field.has_modifier(modifier);
    let field = match item.field.name.as_deref().map(Known::of) {
        Some(Known::Present(field)) => field,
        Some(Known::Absent | Known::Not)
            if !has(Modifier::Exists) && !item.values.contains(&SigmaValue::Null) =>
        {
            return Need::Never;
        }
        Some(Known::Absent | Known::Not) | None => return Need::Nothing,
    };
    if has(Modifier::Exists) {
        let is_wanted = item.values.iter().all(|value| *value == SigmaValue::Bool(true));
        return if is_wanted { is_there(field) } else { Need::Nothing };
    }
    let values = item.values.iter().map(|value| of_value(field, &item.field.modifiers, value));
    if has(Modifier::All) { all(values) } else { any(values) }
}

/// Returns the need that a field is there, if it can be absent.
fn is_there(field: Field) -> Need {
    match field {
        Field::Claim(_) | Field::Text(Text::Image | Text::CommandLine | Text::Line | Text::Scope) => {
            Need::Nothing
        }
        Field::Text(_) | Field::List(_) => Need::Fields(Fields::of(field)),
    }
}

fn of_value(field: Field, modifiers: &[Modifier], value: &SigmaValue) -> Need {
    if *value == SigmaValue::Null {
        return Need::Nothing;
    }
    let text = match (field, Place::of(field)) {
        (Field::Claim(claim), _) => return of_claim(claim, value),
        (Field::Text(Text::Scope), _) => return of_scope(modifiers, value),
        (_, None) => return is_there(field),
        (_, Some(place)) => of_text(field, place, modifiers, value),
    };
    all([is_there(field), text].into_iter())
}

fn of_claim(claim: Claim, value: &SigmaValue) -> Need {
    let is_true = match value {
        SigmaValue::Bool(wanted) => *wanted,
        SigmaValue::String(text) => text.original.eq_ignore_ascii_case("true"),
        SigmaValue::Integer(_) | SigmaValue::Float(_) | SigmaValue::Null => false,
    };
    if is_true { Need::Fields(Fields::of(Field::Claim(claim))) } else { Need::Nothing }
}

fn of_scope(modifiers: &[Modifier], value: &SigmaValue) -> Need {
    let is =
        |wanted| matches!(value, SigmaValue::String(text) if modifiers.is_empty() && text.original == wanted);
    match (is("line"), is("run")) {
        (true, _) => Need::Fields(Fields::WHOLE),
        (_, true) => Need::Fields(Fields::RUN),
        (false, false) => Need::Nothing,
    }
}

/// Modifiers under which a value stands in the text as it is.
const AS_IT_IS: [Modifier; 5] =
    [Modifier::Contains, Modifier::StartsWith, Modifier::EndsWith, Modifier::All, Modifier::Cased];

/// Modifiers of regular expressions.
const OF_EXPRESSIONS: [Modifier; 5] =
    [Modifier::Re, Modifier::All, Modifier::IgnoreCase, Modifier::Multiline, Modifier::DotAll];

fn of_text(field: Field, place: Place, modifiers: &[Modifier], value: &SigmaValue) -> Need {
    let are = |allowed: &[Modifier]| modifiers.iter().all(|modifier| allowed.contains(modifier));
    let SigmaValue::String(text) = value else { return Need::Nothing };
    if are(&AS_IT_IS) {
        return of_string(field, place, modifiers, text);
    }
    let is_pattern = modifiers.contains(&Modifier::Re) && are(&OF_EXPRESSIONS);
    if is_pattern { of_pattern(place, &text.original) } else { Need::Nothing }
}

fn of_string(field: Field, place: Place, modifiers: &[Modifier], text: &SigmaString) -> Need {
    let Some(plain) = text.as_plain() else { return Need::Nothing };
    let has = |modifier| modifiers.contains(&modifier);
    let is_begun = !has(Modifier::Contains) && !has(Modifier::EndsWith);
    let is_ended = !has(Modifier::Contains) && !has(Modifier::StartsWith);
    let begin = match field {
        // A program stands behind the last slash of its path, an argument behind a space.
        Field::Text(Text::Program) => "/",
        Field::List(List::Arguments) => " ",
        Field::Text(_) | Field::List(_) | Field::Claim(_) => "\n",
    };
    let end = if field == Field::List(List::Arguments) { "" } else { "\n" };
    word(place, &[if is_begun { begin } else { "" }, &plain, if is_ended { end } else { "" }].concat())
}

/// Returns the need of a word: of one with letters beyond ASCII, whose case is another matter, of what is between them.
fn word(place: Place, text: &str) -> Need {
    let parts = text.split(|letter: char| !letter.is_ascii()).filter(|part| is_telling(part));
    all(parts.map(|part| Need::Word(place, part.to_ascii_lowercase())))
}

/// Tells whether a word is rare enough to be looked for.
fn is_telling(word: &str) -> bool {
    let is_operator = |byte: u8| matches!(byte, b'|' | b'<' | b'>' | b';' | b'&' | b'$' | b'`' | b'!');
    word.len() >= WORD_BYTES_MIN || word.bytes().any(is_operator)
}

fn of_pattern(place: Place, pattern: &str) -> Need {
    // Letters beyond ASCII are none of the words; read as bytes, `(?i)` costs no walk through all of Unicode.
    let parsed = ParserBuilder::new().unicode(false).utf8(false).build().parse(pattern);
    let Ok(hir) = parsed else { return Need::Nothing };
    let least = hir.properties().minimum_len().unwrap_or(0);
    let is_counted = place != Place::Names && least >= LENGTH_MIN;
    let length = if is_counted { Need::Length(least) } else { Need::Nothing };
    all([length, of_expression(place, &hir)].into_iter())
}

/// Returns the need of a regular expression: the literal words that it cannot do without.
fn of_expression(place: Place, hir: &Hir) -> Need {
    match hir.kind() {
        HirKind::Concat(parts) => of_concat(place, parts),
        HirKind::Alternation(parts) => any(parts.iter().map(|part| of_expression(place, part))),
        HirKind::Capture(capture) => of_expression(place, &capture.sub),
        HirKind::Repetition(repetition) if repetition.min > 0 => of_expression(place, &repetition.sub),
        HirKind::Literal(_) | HirKind::Class(_) => of_concat(place, std::slice::from_ref(hir)),
        HirKind::Empty | HirKind::Look(_) | HirKind::Repetition(_) => Need::Nothing,
    }
}

fn of_concat(place: Place, parts: &[Hir]) -> Need {
    let mut needs = Vec::new();
    let mut runs = vec![String::new()];
    for part in parts {
        match texts(part).and_then(|texts| product(&runs, &texts)) {
            Some(longer) => runs = longer,
            None => {
                needs.push(any_word(place, &runs));
                runs = texts(part).unwrap_or_else(|| vec![String::new()]);
                needs.push(match part.kind() {
                    HirKind::Repetition(_)
                    | HirKind::Capture(_)
                    | HirKind::Concat(_)
                    | HirKind::Alternation(_) => of_expression(place, part),
                    // A literal is a text, and one letter of several is no word.
                    HirKind::Empty | HirKind::Literal(_) | HirKind::Class(_) | HirKind::Look(_) => {
                        Need::Nothing
                    }
                });
            }
        }
    }
    needs.push(any_word(place, &runs));
    all(needs.into_iter())
}

fn any_word(place: Place, texts: &[String]) -> Need {
    any(texts.iter().map(|text| word(place, text)))
}

/// Texts that are told apart where an expression has a choice.
const TEXTS_MAX: usize = 16;

/// Returns each text with each other behind it; `None` where there are too many.
fn product(texts: &[String], others: &[String]) -> Option<Vec<String>> {
    let joined = texts.iter().flat_map(|text| others.iter().map(move |other| format!("{text}{other}")));
    (texts.len() * others.len() <= TEXTS_MAX).then(|| joined.collect())
}

/// Returns the texts that an expression stands for, case aside, if they are few.
fn texts(hir: &Hir) -> Option<Vec<String>> {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => Some(vec![String::new()]),
        HirKind::Literal(literal) => Some(vec![String::from_utf8_lossy(&literal.0).to_ascii_lowercase()]),
        HirKind::Class(Class::Bytes(class)) => {
            let mut letters: Vec<u8> =
                class.iter().flat_map(|range| range.start()..=range.end()).take(256).collect();
            letters.iter_mut().for_each(|letter| letter.make_ascii_lowercase());
            letters.sort_unstable();
            letters.dedup();
            let are_few = letters.len() <= TEXTS_MAX / 4 && letters.is_ascii();
            are_few.then(|| letters.iter().map(|letter| char::from(*letter).to_string()).collect())
        }
        HirKind::Class(Class::Unicode(_)) => None,
        HirKind::Capture(capture) => texts(&capture.sub),
        HirKind::Concat(parts) => {
            parts.iter().try_fold(vec![String::new()], |before, part| product(&before, &texts(part)?))
        }
        HirKind::Alternation(parts) => {
            let each: Option<Vec<_>> = parts.iter().map(texts).collect();
            each.map(|each| each.concat()).filter(|texts| texts.len() <= TEXTS_MAX)
        }
        HirKind::Repetition(repetition) if (repetition.min, repetition.max) == (0, Some(1)) => {
            let mut texts = texts(&repetition.sub)?;
            texts.push(String::new());
            Some(texts)
        }
        HirKind::Repetition(_) => None,
    }
}

/// With the Kelvin sign, whose lower case is `k`, the only letter beyond ASCII that is one of ASCII's but for its case.
const LONG_S: char = '\u{17f}';

/// Makes a text to be searched of texts: case beyond ASCII is folded as rules fold it.
pub(super) fn searchable(texts: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let mut joined = String::from("\n");
    for text in texts {
        joined.push_str(text.as_ref());
        joined.push('\n');
    }
    if joined.is_ascii() { joined } else { joined.to_lowercase().replace(LONG_S, "s") }
}
