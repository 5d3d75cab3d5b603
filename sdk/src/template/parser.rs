//! From a template's text to its pieces.

use super::{
    date::{DateFormat, LETTERS},
    filter::Filter,
    Piece, TemplateError,
};
use crate::LabelPart;

const FILTERS: &str = "lower, upper, username, domain, substr, default, date";

pub(super) fn parse(text: &str, wants: &mut Vec<LabelPart>) -> Result<Vec<Piece>, TemplateError> {
    let mut parser = Parser { text, at: 0 };
    let mut pieces = Vec::new();
    let mut plain = String::new();
    while !parser.rest().is_empty() {
        if parser.rest().starts_with("%%{") {
            plain.push_str("%{");
            parser.at += 3;
        } else if parser.rest().starts_with("%{") {
            if !plain.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut plain)));
            }
            parser.at += 2;
            pieces.push(parser.value(wants)?);
        } else {
            plain.extend(parser.next());
        }
    }
    if !plain.is_empty() {
        pieces.push(Piece::Text(plain));
    }
    Ok(pieces)
}

struct Parser<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Parser<'t> {
    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn next(&mut self) -> Option<char> {
        let next = self.rest().chars().next()?;
        self.at += next.len_utf8();
        Some(next)
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn skip_spaces(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    fn takes(&mut self, wanted: char) -> bool {
        self.skip_spaces();
        let there = self.peek() == Some(wanted);
        if there {
            self.at += wanted.len_utf8();
        }
        there
    }

    fn error_at<T>(&self, at: usize, text: impl Into<String>) -> Result<T, TemplateError> {
        let place = self.text[..at].chars().count();
        Err(TemplateError { place, text: text.into() })
    }

    /// What went wrong here.
    fn expected<T>(&self, what: &str) -> Result<T, TemplateError> {
        match self.peek() {
            None => self.error_at(self.at, format!("expected {what}, but the text ends")),
            Some(found) => self.error_at(self.at, format!("expected {what}, not `{found}`")),
        }
    }

    /// A value behind its `%{`.
    fn value(&mut self, wants: &mut Vec<LabelPart>) -> Result<Piece, TemplateError> {
        self.skip_spaces();
        let start = self.at;
        let ends = |c: char| c == '|' || c == '}';
        let len = self.rest().find(ends).unwrap_or(self.rest().len());
        let name = self.rest()[..len].trim_end();
        if let Some(at) = name.find(|c: char| c == '{' || c == '%' || c.is_control()) {
            self.at += at;
            return self.expected("`|` or `}` behind a name");
        }
        self.at += name.len();
        let part = match name {
            "event" => LabelPart::Event,
            "hostname" => LabelPart::Hostname,
            "time" => LabelPart::EndTime,
            "start_time" => LabelPart::StartTime,
            _ => LabelPart::Field(name.strip_prefix("field:").unwrap_or(name).to_owned()),
        };
        if part == LabelPart::Field(String::new()) {
            return self.error_at(start, "expected the name of a field, event, hostname or time");
        }
        let is_time = matches!(part, LabelPart::EndTime | LabelPart::StartTime);
        let mut filters = Vec::new();
        while self.takes('|') {
            self.skip_spaces();
            let at = self.at;
            let filter = self.filter()?;
            match (&filter, is_time && filters.is_empty()) {
                (Filter::Date(_), false) => {
                    let text = "date must be the first filter of time or start_time";
                    return self.error_at(at, text);
                }
                (Filter::Date(_), true) | (_, false) => {}
                (_, true) => filters.push(Filter::Date(DateFormat::full())),
            }
            filters.push(filter);
        }
        if is_time && filters.is_empty() {
            filters.push(Filter::Date(DateFormat::full()));
        }
        if !self.takes('}') {
            return self.expected("`|` or `}`");
        }
        let place = wants.iter().position(|wanted| *wanted == part).unwrap_or_else(|| {
            wants.push(part);
            wants.len() - 1
        });
        Ok(Piece::Value { place, filters })
    }

    fn filter(&mut self) -> Result<Filter, TemplateError> {
        let start = self.at;
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let len = self.rest().find(|c| !is_name(c)).unwrap_or(self.rest().len());
        let name = &self.rest()[..len];
        self.at += len;
        match name {
            "lower" => Ok(Filter::Lower),
            "upper" => Ok(Filter::Upper),
            "username" => Ok(Filter::Username),
            "domain" => Ok(Filter::Domain),
            "default" => self.in_parentheses(Self::quoted).map(Filter::Default),
            "substr" => self.in_parentheses(|parser| {
                let offset = parser.number()?;
                let len = if parser.takes(',') { Some(parser.number()?) } else { None };
                Ok(Filter::Substr { offset, len })
            }),
            "date" => self.in_parentheses(|parser| {
                parser.skip_spaces();
                let start = parser.at;
                let text = parser.quoted()?;
                DateFormat::parse(text).map(Filter::Date).or_else(|_| {
                    parser.error_at(
                        start,
                        format!("in a date, expected of the letters {LETTERS} only"),
                    )
                })
            }),
            "" => self.expected(&format!("a filter ({FILTERS})")),
            _ => self.error_at(start, format!("there is no filter `{name}`, but {FILTERS}")),
        }
    }

    fn in_parentheses<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, TemplateError>,
    ) -> Result<T, TemplateError> {
        if !self.takes('(') {
            return self.expected("`(`");
        }
        let read = read(self)?;
        if !self.takes(')') {
            return self.expected("`)`");
        }
        Ok(read)
    }

    /// A text in quotes.
    fn quoted(&mut self) -> Result<String, TemplateError> {
        self.skip_spaces();
        let Some(quote @ ('\'' | '"')) = self.peek() else {
            return self.expected("a text in quotes");
        };
        self.at += 1;
        let mut text = String::new();
        while let Some(next) = self.next() {
            match next {
                '\\' => text.extend(self.next()),
                _ if next == quote => return Ok(text),
                _ => text.push(next),
            }
        }
        self.expected("the closing quote")
    }

    fn number(&mut self) -> Result<i64, TemplateError> {
        self.skip_spaces();
        let is_digit = |(at, c): (usize, char)| c.is_ascii_digit() || at == 0 && c == '-';
        let len = self.rest().char_indices().take_while(|&next| is_digit(next)).count();
        match self.rest()[..len].parse() {
            Ok(number) => {
                self.at += len;
                Ok(number)
            }
            Err(_) => self.expected("a whole number"),
        }
    }
}
