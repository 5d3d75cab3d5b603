//! `group_by`: which sub-metrics a metric has.
//!
//! Two forms: 2.3's `FIELD[:METHOD[:ARGUMENTS]]` words, and 2.4's blocks
//! `group_by FIELD { method METHOD { ... } }`.

use std::fmt;

use super::diagnostic::Diagnostic;
use super::reader::{Reader, Section, split};
use super::source::{Place, Placed};
use super::table::BlockKind;
use super::text::Text;
use super::value;

/// A linear method makes at most this many buckets.
const BUCKETS_MAX: i64 = 10_000;

/// One level of sub-metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupBy {
    /// The field whose value decides.
    pub field: Placed<String>,
    /// How it decides.
    pub method: Method,
}

/// How a value becomes a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Method {
    /// Each value is a group, named by the modifier.
    Discrete {
        /// The group's name.
        modifier: Modifier,
    },
    /// Buckets that end at the powers of a base.
    Exponential {
        /// The first bucket ends at `base^min_magnitude`.
        min_magnitude: u32,
        /// The last bucket begins behind `base^max_magnitude`; more than
        /// `min_magnitude`, and the power fits into 63 bits.
        max_magnitude: u32,
        /// 2 or 10.
        base: u32,
    },
    /// Buckets of one width.
    Linear {
        /// The first bucket ends here; not negative.
        min: i64,
        /// The last bucket begins behind this; at least `min + step`.
        max: i64,
        /// The width, more than 0; there are at most 10,000 buckets.
        step: i64,
    },
}

/// A text with the group's value put into it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Modifier(pub Vec<ModifierPart>);

/// A part of a [`Modifier`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModifierPart {
    /// This text.
    Literal(String),
    /// The value, after these functions, first to last.
    Value(Vec<Function>),
}

/// What a modifier does to a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    /// What stands behind the first `@`; nothing, when there is none.
    Domain,
    /// What stands before the first `@`; everything, when there is none.
    Username,
    /// ASCII letters become small.
    Lower,
    /// ASCII letters become large.
    Upper,
}

const FUNCTIONS: &[(&str, Function)] = &[
    ("domain", Function::Domain),
    ("username", Function::Username),
    ("lower", Function::Lower),
    ("upper", Function::Upper),
];

const METHODS: &[&str] = &["discrete", "exponential", "linear"];

/// The numbers of a method: start, end, and base or step.
type Numbers = [Placed<i64>; 3];

type Problems = Vec<Diagnostic>;

impl Default for Modifier {
    /// The value as it is.
    fn default() -> Self {
        Modifier(vec![ModifierPart::Value(Vec::new())])
    }
}

impl fmt::Display for Modifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in &self.0 {
            match part {
                ModifierPart::Literal(text) => f.write_str(&text.replace('%', "%%"))?,
                ModifierPart::Value(functions) => {
                    f.write_str("%{value")?;
                    for function in functions {
                        let name = FUNCTIONS.iter().find(|(_, known)| known == function);
                        write!(f, " | {}", name.map_or("", |(name, _)| name))?;
                    }
                    f.write_str("}")?;
                }
            }
        }
        Ok(())
    }
}

/// Reads the short form on its own, as `doveadm stats add` sends it. The places
/// of the result mean nothing.
///
/// # Errors
///
/// The first thing that is wrong with it.
pub fn parse(text: &str) -> Result<Vec<GroupBy>, String> {
    let nowhere = Place::default();
    let mut problems = Problems::new();
    let words = split(&Text::standing_for(text, nowhere)).into_iter();
    let levels: Vec<_> = words.filter_map(|word| short_form(&mut problems, &word)).collect();
    twice(&mut problems, &levels);
    match problems.into_iter().next() {
        None => Ok(levels),
        Some(problem) if problem.help.is_empty() => Err(problem.message),
        Some(problem) => Err(format!("{} ({})", problem.message, problem.help)),
    }
}

/// Reads the levels of a metric, outermost first: those of the setting, then
/// the blocks.
pub(super) fn read(reader: &mut Reader<'_>, metric: Section) -> Vec<GroupBy> {
    let mut levels = Vec::new();
    if let Some(text) = reader.written(metric, "group_by") {
        let words = split(&text).into_iter();
        levels.extend(words.filter_map(|word| short_form(&mut reader.diagnostics, &word)));
    }
    let tree = reader.tree;
    for (id, block) in tree.children(metric.id) {
        if metric.kind.short_name(block.kind.as_str()) == "group_by" && block.name.is_some() {
            let section = Section { id, kind: BlockKind::GroupBy };
            let field = reader.name(section);
            if let Some(method) = block_form(reader, section) {
                levels.push(GroupBy { field, method });
            }
        }
    }
    twice(&mut reader.diagnostics, &levels);
    levels
}

/// Reports fields that have two levels.
fn twice(problems: &mut Problems, levels: &[GroupBy]) {
    for (index, level) in levels.iter().enumerate() {
        if let Some(first) = levels[..index].iter().find(|first| first.field == level.field) {
            let message = format!("group_by names the field `{}` twice", level.field.value);
            let problem = Diagnostic::error(level.field.place, message);
            problems.push(problem.related(first.field.place, "first here"));
        }
    }
}

/// `FIELD`, `FIELD:discrete[:MODIFIER]`, `FIELD:exponential:MIN:MAX:BASE`,
/// `FIELD:linear:MIN:MAX:STEP`.
fn short_form(problems: &mut Problems, word: &Placed<String>) -> Option<GroupBy> {
    let mut parts = Vec::new();
    let mut at = 0;
    for part in word.value.split(':') {
        // The word may come from a variable; then its parts have no places of
        // their own.
        let verbatim = word.place.end - word.place.start == word.value.len();
        let place = Place {
            start: word.place.start + at,
            end: word.place.start + at + part.len(),
            ..word.place
        };
        parts.push(Placed::new(part, if verbatim { place } else { word.place }));
        at += part.len() + 1;
    }
    let field = Placed::new(parts[0].value.to_owned(), parts[0].place);
    let method = match parts.get(1) {
        None => Method::Discrete { modifier: Modifier::default() },
        Some(name) if name.value == "discrete" && parts.len() <= 3 => {
            let modifier = match parts.get(2) {
                None => Modifier::default(),
                Some(text) => modifier(problems, &Text::standing_for(text.value, text.place))?,
            };
            Method::Discrete { modifier }
        }
        Some(name) if name.value == "discrete" => {
            problem(
                problems,
                word.place,
                "`discrete` takes one argument",
                "FIELD:discrete:MODIFIER",
            );
            return None;
        }
        Some(name) if METHODS.contains(&name.value) => {
            let numbers = short_numbers(problems, word.place, name.value, &parts[2..])?;
            bucketed(problems, name.value == "exponential", numbers)?
        }
        Some(name) => {
            problems.push(unknown_method(name.value, name.place));
            return None;
        }
    };
    if field.value.is_empty() {
        problem(problems, word.place, "group_by needs a field", "FIELD:METHOD:ARGUMENTS");
        return None;
    }
    Some(GroupBy { field, method })
}

fn short_numbers(
    problems: &mut Problems,
    place: Place,
    method: &str,
    parts: &[Placed<&str>],
) -> Option<Numbers> {
    let help = match method {
        "linear" => "FIELD:linear:MIN:MAX:STEP",
        _ => "FIELD:exponential:MIN_MAGNITUDE:MAX_MAGNITUDE:BASE",
    };
    let numbers: Option<Vec<_>> = parts
        .iter()
        .map(|part| {
            let number = part.value.parse().ok().filter(|number| *number >= 0)?;
            Some(Placed::new(number, part.place))
        })
        .collect();
    let numbers = numbers.and_then(|numbers| numbers.try_into().ok());
    if numbers.is_none() {
        let message = format!("`{method}` takes three numbers that are not negative");
        problem(problems, place, message, help);
    }
    numbers
}

/// The `method` block of a `group_by` block.
fn block_form(reader: &mut Reader<'_>, section: Section) -> Option<Method> {
    let is_method = |kind: &str| section.kind.short_name(kind) == "method";
    reader.refuse_unknown(section, "", is_method, &["method"]);
    let tree = reader.tree;
    let mut blocks = tree.children(section.id).filter(|(_, block)| is_method(block.kind.as_str()));
    let Some((id, _)) = blocks.next() else {
        return Some(Method::Discrete { modifier: Modifier::default() });
    };
    if let Some((_, second)) = blocks.next() {
        let message = format!("{} has two methods", reader.block(section).title());
        reader.error(second.place(), message, "group_by takes one method");
        return None;
    }
    let section = Section { id, kind: BlockKind::Method };
    let name = reader.name(section);
    if !METHODS.contains(&name.value.as_str()) {
        reader.diagnostics.push(unknown_method(&name.value, name.place));
        return None;
    }
    reader.refuse_unknown(section, &name.value, |_| false, &[]);
    let mut number = |name| {
        let number = reader.number(section, name);
        if number.is_none() && !reader.is_written(section, name) {
            reader.missing(section, name);
        }
        number
    };
    match name.value.as_str() {
        "discrete" => {
            let modifier = match reader.written(section, "modifier") {
                None => Modifier::default(),
                Some(text) => modifier(&mut reader.diagnostics, &text)?,
            };
            Some(Method::Discrete { modifier })
        }
        "exponential" => {
            let numbers = [number("min_magnitude"), number("max_magnitude"), number("base")];
            let [min, max, base] = numbers;
            bucketed(&mut reader.diagnostics, true, [min?, max?, base?])
        }
        _ => {
            let [min, max, step] = [number("min"), number("max"), number("step")];
            bucketed(&mut reader.diagnostics, false, [min?, max?, step?])
        }
    }
}

/// Checks the numbers of a method that makes buckets.
fn bucketed(problems: &mut Problems, exponential: bool, numbers: Numbers) -> Option<Method> {
    let [min, max, third] = numbers;
    if exponential {
        let limit = if third.value == 2 { 62 } else { 18 };
        if third.value != 2 && third.value != 10 {
            problem(problems, third.place, format!("the base is {}", third.value), "it is 2 or 10");
        } else if max.value > limit {
            let message = format!("{}^{} is too large", third.value, max.value);
            problem(problems, max.place, message, format!("the largest magnitude is {limit}"));
        } else if min.value >= max.value {
            problem(
                problems,
                max.place,
                "the largest magnitude must be more than the smallest",
                format!("{} is not more than {}", max.value, min.value),
            );
        } else {
            let narrow = |number: i64| u32::try_from(number).ok();
            return Some(Method::Exponential {
                min_magnitude: narrow(min.value)?,
                max_magnitude: narrow(max.value)?,
                base: narrow(third.value)?,
            });
        }
        return None;
    }
    let width = max.value.saturating_sub(min.value);
    if third.value < 1 {
        problem(problems, third.place, "the step must be more than 0", "");
    } else if width <= 0 {
        let help = format!("{} is not more than {}", max.value, min.value);
        problem(problems, max.place, "the largest value must be more than the smallest", help);
    } else if third.value > width {
        let help = format!("from {} to {} it is {width}", min.value, max.value);
        problem(problems, third.place, "the step is larger than the whole range", help);
    } else if width / third.value > BUCKETS_MAX {
        let message = format!("this makes {} buckets", width / third.value);
        problem(problems, third.place, message, format!("there may be {BUCKETS_MAX}"));
    } else {
        return Some(Method::Linear { min: min.value, max: max.value, step: third.value });
    }
    None
}

/// Reads a modifier: text with `%{value | function ...}` in it; `%%` is `%`,
/// and `%{domain}` is short for `%{value | domain}`.
fn modifier(problems: &mut Problems, text: &Text) -> Option<Modifier> {
    let mut parts = Vec::new();
    let mut literal = String::new();
    let mut rest = text.as_str();
    while let Some((before, behind)) = rest.split_once('%') {
        literal.push_str(before);
        if let Some(behind) = behind.strip_prefix('%') {
            literal.push('%');
            rest = behind;
            continue;
        }
        let at = text.as_str().len() - behind.len() - 1;
        let Some((inner, behind)) =
            behind.strip_prefix('{').and_then(|inner| inner.split_once('}'))
        else {
            let place = text.place_of(at..at + 1);
            problem(problems, place, "`%` begins `%{value}`", "write `%%` for a `%`");
            return None;
        };
        let Some(functions) = functions(inner) else {
            let place = text.place_of(at..at + inner.len() + 3);
            let message = format!("`%{{{inner}}}` is no modifier");
            let names: Vec<&str> = FUNCTIONS.iter().map(|(name, _)| *name).collect();
            problem(
                problems,
                place,
                message,
                format!("`%{{value}}`, or `%{{value | ...}}` with {}", names.join(", ")),
            );
            return None;
        };
        if !literal.is_empty() {
            parts.push(ModifierPart::Literal(std::mem::take(&mut literal)));
        }
        parts.push(ModifierPart::Value(functions));
        rest = behind;
    }
    literal.push_str(rest);
    if !literal.is_empty() {
        parts.push(ModifierPart::Literal(literal));
    }
    Some(Modifier(parts))
}

/// What stands between `%{` and `}`.
fn functions(inner: &str) -> Option<Vec<Function>> {
    let known = |name: &str| {
        FUNCTIONS.iter().find(|(known, _)| *known == name).map(|(_, function)| *function)
    };
    let mut words = inner.split('|').map(str::trim);
    let first = words.next()?;
    let mut functions = Vec::new();
    if first != "value" {
        functions.push(known(first)?);
    }
    for word in words {
        functions.push(known(word)?);
    }
    Some(functions)
}

fn problem(
    problems: &mut Problems,
    place: Place,
    message: impl Into<String>,
    help: impl Into<String>,
) {
    problems.push(Diagnostic::error(place, message).help(help));
}

fn unknown_method(name: &str, place: Place) -> Diagnostic {
    let problem = Diagnostic::error(place, format!("`{name}` is no group_by method"));
    let problem = problem.help(format!("the methods are {}", METHODS.join(", ")));
    match value::nearest(name, METHODS.iter().copied()) {
        Some(near) => problem.label(format!("did you mean `{near}`?")),
        None => problem,
    }
}
