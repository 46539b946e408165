//! Links, each good in itself, that are no chain from this node to the caller.

use clankers_auth::step::Step;

use crate::{
    forge::{container, delegation, did, fields, int, link, links, text, with},
    vector::{Judge, Vector},
};

fn shown(name: &str, tokens: &[Vec<u8>], remote: u8) -> Vector {
    Vector::new(Judge::Chain, format!("chain: {name}"), container(tokens)).by(remote)
}

/// About another node.
fn about(subject: u8, from: u8, to: u8) -> Vec<u8> {
    delegation(from, with(fields(from, to), "sub", text(did(subject))))
}

/// The same link, once more.
fn again(from: u8, to: u8) -> Vec<u8> {
    delegation(from, with(fields(from, to), "exp", int(crate::forge::NOW_SECS + 60)))
}

pub(crate) fn all() -> Vec<Vector> {
    [anchors(), orders(), audiences()].concat()
}

fn anchors() -> Vec<Vector> {
    let anchor = |vector: Vector, denial: &str| {
        let code = if denial == "WrongNode" { "wrong_node" } else { "bad_token" };
        vector.refused(Step::Anchor, denial, code)
    };
    let not_by = "Chain.RootNotBySubject";
    vec![
        anchor(shown("a self-signed root about this node", &[link(2, 3)], 3), not_by),
        anchor(shown("a stranger's root about this node", &[link(9, 2)], 2), not_by),
        anchor(shown("the root of three is missing", &links(3)[1..], 4), not_by),
        anchor(shown("about another node", &[about(9, 9, 2)], 2), "WrongNode"),
        anchor(shown("about the caller", &[about(2, 2, 3)], 3), "WrongNode"),
        anchor(shown("shown to another node", &links(2), 3).at_node(5), "WrongNode"),
        anchor(
            shown("the subject is switched at the end", &[link(1, 2), about(8, 2, 3)], 3),
            "Chain.WrongSubject",
        ),
        anchor(
            shown("the subject is switched midway", &[link(1, 2), about(8, 2, 3), link(3, 4)], 4),
            "Chain.WrongSubject",
        ),
        anchor(
            shown("the subject becomes the delegate", &[link(1, 2), about(2, 2, 3)], 3),
            "Chain.WrongSubject",
        ),
        anchor(
            shown("the subject is this node below another's root", &[about(9, 9, 2), link(2, 3)], 3),
            "WrongNode",
        ),
    ]
}

fn orders() -> Vec<Vector> {
    let order = |vector: Vector, denial: &str| vector.refused(Step::Order, denial, "bad_token");
    let (apart, fork, circle) = ("Chain.Disconnected", "Chain.Fork", "Chain.Loop");
    vec![
        // The forgery that the reference implementation accepts: extend a token that one has merely seen.
        order(shown("a seen token is extended", &[link(1, 2), link(4, 5)], 5), apart),
        order(shown("a link in the middle is missing", &[link(1, 2), link(3, 4)], 4), apart),
        order(shown("two links in the middle are missing", &[link(1, 2), link(4, 5), link(5, 6)], 6), apart),
        order(shown("a surplus link beside", &[link(1, 2), link(2, 3), link(6, 7)], 3), apart),
        order(shown("a surplus root", &[link(1, 2), link(9, 8)], 2), apart),
        order(shown("a fork at the root", &[link(1, 2), link(1, 3)], 2), fork),
        order(shown("a fork below", &[link(1, 2), link(2, 3), link(2, 4)], 3), fork),
        order(shown("two ways to the caller", &[link(1, 2), link(1, 3), link(2, 4), link(3, 4)], 4), fork),
        order(shown("two links of one step", &[link(1, 2), again(1, 2)], 2), fork),
        order(shown("two leaves to the caller", &[link(1, 2), link(2, 3), again(2, 3)], 3), fork),
        order(shown("a circle", &[link(1, 2), link(2, 1)], 1), circle),
        order(shown("a circle of three", &[link(1, 2), link(2, 3), link(3, 1)], 1), circle),
        order(shown("a circle beside the chain", &[link(1, 2), link(5, 6), link(6, 5)], 2), circle),
        order(shown("a link to oneself", &[link(1, 1)], 1), circle),
        order(shown("a link to oneself below", &[link(1, 2), link(2, 2)], 2), fork),
        order(shown("back through the middle", &[link(1, 2), link(2, 3), link(3, 2)], 2), fork),
    ]
}

fn audiences() -> Vec<Vector> {
    let stolen = |vector: Vector| vector.refused(Step::Align, "Chain.WrongAudience", "wrong_audience");
    vec![
        stolen(shown("a stolen token", &[link(1, 2)], 3)),
        stolen(shown("a stolen chain", &links(3), 9)),
        stolen(shown("shown by its issuer", &links(2), 2)),
        stolen(shown("shown by the node itself", &[link(1, 2)], 1)),
        stolen(shown("the leaf is left out", &links(2), 4)),
    ]
}
