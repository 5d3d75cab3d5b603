//! Lists of the same name along a chain of events are one list.

use fantail_sdk::List;

use super::slot::Value;

/// The elements of `first`, then those of `more` that `first` lacks: escaped,
/// joined by TAB, and counted. A plain text counts as a list of one.
pub fn union(first: List<'_>, more: Value<'_>) -> (Vec<u8>, usize) {
    let mut escaped = first.escaped().to_vec();
    let mut count = first.len();
    let mut add = |element: &[u8]| {
        let known = List::from_escaped(&escaped, count);
        if !known.is_empty() && known.escaped().split(|&byte| byte == b'\t').any(|e| e == element) {
            return;
        }
        if count > 0 {
            escaped.push(b'\t');
        }
        escaped.extend_from_slice(element);
        count += 1;
    };
    match more {
        Value::List(list) if list.is_empty() => {}
        Value::List(list) => list.escaped().split(|&byte| byte == b'\t').for_each(add),
        Value::Text(text) => add(&crate::text::tab_escape::escape(text)),
        Value::Integer(_) | Value::Timestamp(_) | Value::Ip(_) | Value::Json(_) => {}
    }
    (escaped, count)
}

#[cfg(test)]
mod tests {
    use super::{Value, union};
    use fantail_sdk::List;

    #[test]
    fn a_union_has_each_element_once_in_order_of_appearance() {
        let check =
            |first: (&'static [u8], usize), more: Value<'static>, expected: (&[u8], usize)| {
                let (escaped, count) = union(List::from_escaped(first.0, first.1), more);
                assert_eq!((escaped.as_slice(), count), expected);
            };
        check((b"a\tb", 2), Value::List(List::from_escaped(b"b\tc\tc", 3)), (b"a\tb\tc", 3));
        check((b"", 0), Value::List(List::from_escaped(b"x", 1)), (b"x", 1));
        check((b"", 0), Value::List(List::from_escaped(b"", 1)), (b"", 1));
        check((b"", 1), Value::List(List::from_escaped(b"", 1)), (b"", 1));
        check((b"a", 1), Value::Text(b"b\tc"), (b"a\tb\x01tc", 2));
        check((b"a", 1), Value::Integer(1), (b"a", 1));
    }
}
