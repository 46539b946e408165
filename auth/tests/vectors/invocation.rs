//! Signed requests that are not carried out.

use clankers_auth::{Command, step::Step};
use ucan::Ipld;

use crate::{
    authority::tools,
    forge::{
        Fields, NOW_SECS, cid, container, did, flipped, int, invocation, link, link_with, links, map, text,
        with, without,
    },
    vector::{Judge, Vector},
};

/// The fields of a good request: node 2 asks node 1, with node 1's grant, to do what everybody may.
pub(crate) fn asking(by: u8, proofs: &[Vec<u8>]) -> Fields {
    let Ipld::Map(fields) = map(&[
        ("iss", text(did(by))),
        ("aud", text(did(1))),
        ("sub", text(did(1))),
        ("cmd", text(Command::NodeInfo.path())),
        ("args", map(&[])),
        ("prf", Ipld::List(proofs.iter().map(|link| cid(link)).collect())),
        ("nonce", Ipld::Bytes(vec![6; 16])),
        ("exp", int(NOW_SECS + 60)),
    ]) else {
        unreachable!("a map was made")
    };
    fields
}

pub(crate) fn sent(by: u8, fields: Fields, bring: &[Vec<u8>]) -> Vec<u8> {
    container(&[bring, &[invocation(by, fields)]].concat())
}

fn told(name: &str, bytes: Vec<u8>) -> Vector {
    Vector::new(Judge::Invocation, format!("invocation: {name}"), bytes)
}

pub(crate) fn all() -> Vec<Vector> {
    [form(), whom(), when(), proofs(), under_the_chain()].concat()
}

fn root() -> Vec<Vec<u8>> {
    vec![link(1, 2)]
}

fn good() -> Fields {
    asking(2, &root())
}

fn form() -> Vec<Vector> {
    let step = Step::Decode;
    let field = |name: &str, field: &str, value: Ipld, denial: &str| {
        told(name, sent(2, with(good(), field, value), &root())).refused(step, denial, "bad_token")
    };
    let odd =
        |name: &str, key: &str, value: Ipld| field(name, "args", map(&[(key, value)]), "InvocationForm");
    let two = [&root()[..], &[invocation(2, good()), invocation(2, with(good(), "exp", int(NOW_SECS + 61)))]]
        .concat();
    let many = (0..9_u8).map(|n| cid(&[n])).collect();
    vec![
        told("none at all", container(&root())).refused(step, "InvocationForm", "bad_token"),
        told("two at once", container(&two)).refused(step, "InvocationForm", "bad_token"),
        told("nothing", vec![]).refused(step, "Malformed.Empty", "bad_token"),
        told("ten tokens", container(&links(10))).refused(
            Step::Sizes,
            "Malformed.TooManyTokens",
            "bad_token",
        ),
        field("an unknown field", "pol", Ipld::List(vec![]), "Malformed.Token.UnknownField(pol)"),
        field("args is a list", "args", Ipld::List(vec![]), "Malformed.Token.Kind(args)"),
        field("without an end", "exp", Ipld::Null, "Malformed.Token.Null(exp)"),
        field("aud is null", "aud", Ipld::Null, "Malformed.Token.Kind(aud)"),
        field("sub is null", "sub", Ipld::Null, "Malformed.Token.Kind(sub)"),
        field("nine proofs", "prf", Ipld::List(many), "Malformed.Token.TooManyProofs"),
        field("a proof that is a text", "prf", Ipld::List(vec![text("bafy")]), "Malformed.Token.Kind(prf)"),
        field("a command that is not known", "cmd", text("/clankers/node"), "InvocationForm"),
        field("the root command", "cmd", text("/"), "InvocationForm"),
        odd("its own command argument", "cmd", text("/clankers/node/info")),
        odd("its own context", "ctx", map(&[("depth", int(0))])),
        odd("an unknown argument", "paths", text("src")),
        odd("an argument of another kind", "path", int(1)),
        odd("a negative size", "size", int(-1)),
        odd("a size that is a text", "size", text("1")),
        told("without a nonce", sent(2, without(good(), "nonce"), &root())).refused(
            step,
            "Malformed.Token.Missing(nonce)",
            "bad_token",
        ),
    ]
}

fn whom() -> Vec<Vector> {
    let to = |executor: u8| with(good(), "aud", text(did(executor)));
    let token = invocation(2, good());
    let bent = container(&[&root()[..], &[flipped(&token, 20)]].concat());
    let by_another = sent(9, good(), &root());
    let stolen = sent(9, asking(9, &root()), &root());
    vec![
        told("at another node", sent(2, good(), &root())).at_node(5).refused(
            Step::Anchor,
            "WrongNode",
            "wrong_node",
        ),
        told("to be carried out by another node", sent(2, to(5), &root())).refused(
            Step::InvocationExecutor,
            "Invocation.NotForMe",
            "wrong_node",
        ),
        told("its signature is bent", bent).refused(Step::InvocationSignature, "Signature", "bad_token"),
        told("signed by another", by_another).refused(Step::InvocationSignature, "Signature", "bad_token"),
        told("with a stolen chain", stolen).refused(Step::Align, "Chain.WrongAudience", "wrong_audience"),
    ]
}

fn when() -> Vec<Vector> {
    let token = invocation(2, good());
    let ends = |secs: u64| sent(2, with(good(), "exp", int(NOW_SECS + secs)), &root());
    let again = told("for the second time", sent(2, good(), &root())).seen(&token);
    let unread = told("when what was seen cannot be read", sent(2, good(), &root())).unreadable("replay");
    vec![
        told("a second too late", sent(2, good(), &root())).after_ms(61_000).refused(
            Step::InvocationTime,
            "Invocation.Expired",
            "expired",
        ),
        told("for longer than five minutes", ends(301)).refused(
            Step::InvocationTime,
            "InvocationForm",
            "bad_token",
        ),
        told("for a year", ends(365 * 86_400)).refused(Step::InvocationTime, "InvocationForm", "bad_token"),
        again.refused(Step::Replay, "Replayed", "bad_token"),
        unread.refused(Step::Replay, "Unreadable", "node_trouble"),
    ]
}

fn proofs() -> Vec<Vector> {
    let onward = [link(1, 2), link(2, 3)];
    let form = |vector: Vector| vector.refused(Step::Align, "InvocationForm", "bad_token");
    let none = |vector: Vector| vector.refused(Step::Anchor, "Invocation.NoProof", "bad_token");
    vec![
        none(told("no proof", sent(2, asking(2, &[]), &[]))),
        none(told("by the node itself, without a proof", sent(1, asking(1, &[]), &[]))),
        none(told("proofs that are not brought", sent(2, good(), &[]))),
        form(told("proofs that are not named", sent(2, asking(2, &[]), &root()))),
        form(told("proofs in another order", sent(3, asking(3, &[link(2, 3), link(1, 2)]), &onward))),
        form(told("other proofs", sent(2, asking(2, &[link(1, 3)]), &root()))),
        told("a link too many", sent(2, good(), &onward)).refused(
            Step::Align,
            "Chain.WrongAudience",
            "wrong_audience",
        ),
        told("a chain with a gap", sent(4, asking(4, &[link(1, 2), link(3, 4)]), &[link(1, 2), link(3, 4)]))
            .refused(Step::Order, "Chain.Disconnected", "bad_token"),
        told("a self-signed root", sent(3, asking(3, &[link(2, 3)]), &[link(2, 3)])).refused(
            Step::Anchor,
            "Chain.RootNotBySubject",
            "bad_token",
        ),
        told("a bent link", {
            let bent = vec![flipped(&link(1, 2), 20)];
            sent(2, asking(2, &bent), &bent)
        })
        .refused(Step::Signatures, "Signature", "bad_token"),
    ]
}

fn under_the_chain() -> Vec<Vector> {
    let scoped = vec![link_with(1, 2, tools())];
    let asks = |tool: &str| {
        let fields = with(asking(2, &scoped), "cmd", text(Command::ToolUse.path()));
        sent(2, with(fields, "args", map(&[("tool", text(tool))])), &scoped)
    };
    let revoked = told("under a revoked grant", sent(2, good(), &root())).revoked(&link(1, 2));
    vec![
        told("for an unlisted tool", asks("write")).refused(
            Step::Policy,
            "Chain.Policy.NotSatisfied",
            "unauthorized",
        ),
        told("for no tool", sent(2, with(asking(2, &scoped), "cmd", text("/clankers/tool/use")), &scoped))
            .refused(Step::Policy, "Chain.Policy.Unresolved", "unauthorized"),
        revoked.refused(Step::Revocations, "Revoked", "revoked"),
        told("when revocations cannot be read", sent(2, good(), &root())).unreadable("revocations").refused(
            Step::Revocations,
            "Unreadable",
            "node_trouble",
        ),
        told("under a withdrawn grant", sent(2, good(), &root())).epoch_in(1).refused(
            Step::Epoch,
            "Chain.BeforeEpoch",
            "revoked",
        ),
    ]
}
