//! Which names a filter asks events for, so that decoders can number them.

use super::Filter;
use super::ast::Test;
use crate::event::Wanted;

impl Filter {
    /// Adds the fields and categories that the filter asks for to `wanted`.
    pub fn wants(&self, wanted: &mut Wanted) {
        for (_, test) in self.expr.tests() {
            match test {
                Test::Field(test) => wanted.field(&*test.key),
                Test::Category(name) => wanted.category(&**name),
                Test::Name(_) | Test::LogType(_) | Test::Source(_) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Filter;
    use crate::event::Wanted;

    #[test]
    fn a_filter_wants_what_its_tests_name() {
        let filter = "event=e AND (category=imap OR NOT user=\"*@a\") AND category=error AND n>3";
        let mut wanted = Wanted::default();
        Filter::parse(filter).unwrap().wants(&mut wanted);
        let mut expected = Wanted::default();
        expected.category("imap");
        expected.field("user");
        expected.field("n");
        assert_eq!(wanted, expected);
    }
}
