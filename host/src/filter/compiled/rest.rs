//! What is left of a filter without the parts whose answers are known beforehand.

use std::borrow::Cow;

use crate::filter::ast::{Expr, Joint, Node, NodeId};
use crate::filter::certain::{Findings, Truth};

/// The filter without what is certain: it says the same of every event that it may be
/// asked about. Nothing is left of a filter that is certain as a whole.
pub(super) fn rest<'f>(expr: &'f Expr, certain: &Findings) -> Cow<'f, Expr> {
    if !certain.any() {
        return Cow::Borrowed(expr);
    }
    let kept = kept(expr, certain);
    let mut rest = Expr::default();
    // What each node has become; of a joint that has lost a side, it is the other side.
    let mut places: Vec<Option<NodeId>> = Vec::with_capacity(kept.len());
    for (id, node) in expr.nodes() {
        let of = |child: NodeId| places[child.index()];
        let place = kept[id.index()].then(|| match node {
            Node::Test(test) => Some(rest.push_test(expr.test(test).clone())),
            Node::Not(child) => of(child).map(|child| rest.push_not(child)),
            Node::And(left, right) => join(&mut rest, of(left), Joint::And, of(right)),
            Node::Or(left, right) => join(&mut rest, of(left), Joint::Or, of(right)),
        });
        places.push(place.flatten());
    }
    Cow::Owned(rest)
}

fn join(
    rest: &mut Expr,
    left: Option<NodeId>,
    joint: Joint,
    right: Option<NodeId>,
) -> Option<NodeId> {
    match (left, right) {
        (Some(left), Some(right)) => Some(rest.push_joined(left, joint, right)),
        (left, right) => left.or(right),
    }
}

/// Which nodes are open, and below no other kind.
fn kept(expr: &Expr, certain: &Findings) -> Vec<bool> {
    let mut kept = vec![false; expr.nodes().len()];
    // A parent comes behind its children.
    for (id, _) in expr.nodes().rev() {
        let parent_is_kept = expr.parent(id).is_none_or(|parent| kept[parent.index()]);
        kept[id.index()] = parent_is_kept && certain.of(id) == Truth::Open;
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::rest;
    use crate::filter::certain::{Asked, Truth, find};
    use crate::filter::{Filter, canonical::canonical};

    #[test]
    fn what_is_certain_is_left_out() {
        let check = |text: &str, whole: Truth, expected: &str| {
            let filter = Filter::parse(text).unwrap();
            let certain = find(filter.expr(), Asked::Named);
            assert_eq!(certain.whole(), whole, "{text}");
            let rest = rest(filter.expr(), &certain);
            let expected = Filter::parse(expected).unwrap().canonical();
            assert_eq!(canonical(&rest), expected, "{text}");
        };
        check("event=*", Truth::Always, "");
        check("NOT event=?*", Truth::Never, "");
        check("", Truth::Never, "");
        check("a=1 AND b=2", Truth::Open, "a=1 AND b=2");
        check("event=* AND a=1", Truth::Open, "a=1");
        check("a=1 AND event=*", Truth::Open, "a=1");
        check("NOT (a=1 AND (event=* OR b=2))", Truth::Open, "NOT a=1");
        check("NOT (NOT (a=1 OR event=\"\") OR c=3)", Truth::Open, "NOT (NOT a=1 OR c=3)");
        check("a=1 OR (b=2 AND event=x AND event=y)", Truth::Open, "a=1");
        check("(a=1 OR NOT event=\"\") AND b=2 AND event=*", Truth::Open, "b=2");
        check("a=1 OR event=*", Truth::Always, "");
        check("event=x*", Truth::Open, "event=x*");
    }
}
