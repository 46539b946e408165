//! Policies that no strict reader takes: what fails open, what is malformed, what is too much.

use clankers_auth::step::Step;
use ipld_core::ipld;
use ucan::Ipld;

use crate::{
    forge::{alone, link_with, text},
    table,
    vector::{Judge, Vector},
};

type Row = (&'static str, Ipld, &'static str);

pub(crate) fn all() -> Vec<Vector> {
    [("fails open", open()), ("policy", malformed()), ("selector", selectors()), ("policy bomb", bombs())]
        .into_iter()
        .flat_map(|(prefix, rows)| {
            let row = |(name, policy, denial): Row| (name, alone(link_with(1, 2, policy)), denial);
            table(prefix, Judge::Chain, (Step::Decode, "bad_token"), rows.into_iter().map(row).collect())
        })
        .collect()
}

/// True where an argument is absent or of another kind: the rest of the language says all that is needed.
fn open() -> Vec<Row> {
    let open = "Malformed.Token.Policy.FailsOpen";
    vec![
        ("not", ipld!([["not", ["==", ".tool", "bash"]]]), open),
        ("not not", ipld!([["not", ["not", ["==", ".tool", "bash"]]]]), open),
        ("not equal", ipld!([["!=", ".tool", "bash"]]), open),
        ("an empty or", ipld!([["or", []]]), open),
        ("an empty or within", ipld!([["and", [["==", ".tool", "read"], ["or", []]]]]), open),
        ("an optional field", ipld!([["==", ".tool?", null]]), open),
        ("an optional index", ipld!([["==", ".ctx[0]?", null]]), open),
        ("an optional field in a glob", ipld!([["like", ".path?", "*"]]), open),
        ("an optional field in any", ipld!([["any", ".ctx?", [">=", ".", 0]]]), open),
        ("not within all", ipld!([["all", ".ctx", ["not", ["==", ".", 1]]]]), open),
    ]
}

fn malformed() -> Vec<Row> {
    let (statement, operands) = ("Malformed.Token.Policy.NotAStatement", "Malformed.Token.Policy.Operands");
    let unknown = "Malformed.Token.Policy.UnknownOperator";
    vec![
        ("a map", ipld!({}), statement),
        ("null", ipld!(null), statement),
        ("a statement without a list", ipld!(["==", ".tool", "read"]), statement),
        ("an empty statement", ipld!([[]]), statement),
        ("an operator of a number", ipld!([[1, ".tool", "read"]]), statement),
        ("an operator that is not known", ipld!([["~", ".tool", "read"]]), unknown),
        ("an operator in upper case", ipld!([["AND", []]]), unknown),
        ("an operator with a space", ipld!([["== ", ".tool", "read"]]), unknown),
        ("an operand too few", ipld!([["==", ".tool"]]), operands),
        ("an operand too many", ipld!([["==", ".tool", "read", "write"]]), operands),
        ("less than a text", ipld!([["<", ".size", "10"]]), operands),
        ("less than null", ipld!([["<=", ".size", null]]), operands),
        ("a glob of a number", ipld!([["like", ".path", 1]]), operands),
        ("and of one statement, not a list", ipld!([["and", "==", ".tool", "read"]]), operands),
        ("or of a text", ipld!([["or", "x"]]), operands),
        ("any without a statement", ipld!([["any", ".ctx"]]), operands),
        ("a float", ipld!([["<=", ".size", 1.5]]), "Malformed.Token.Codec.Float"),
        (
            "a number beyond 2^53",
            ipld!([["<=", ".size", 9_007_199_254_740_992_u64]]),
            "Malformed.Token.Codec.IntegerTooLarge",
        ),
    ]
}

fn selectors() -> Vec<Row> {
    let asks = |selector: &str| ipld!([["==", text(selector), 1]]);
    let wrong = "Malformed.Token.Policy.Selector";
    vec![
        ("empty", asks(""), wrong),
        ("without a dot", asks("tool"), wrong),
        ("two dots", asks("..tool"), wrong),
        ("a dot at the end", asks(".tool."), wrong),
        ("a bracket that is not closed", asks(".ctx[0"), wrong),
        ("a quote that is not closed", asks(".[\"tool]"), wrong),
        ("an index of letters", asks(".ctx[x]"), wrong),
        ("an index beyond 2^64", asks(".ctx[99999999999999999999]"), wrong),
        ("a star", asks(".*"), wrong),
        ("a space", asks(". tool"), wrong),
        ("17 segments", asks(&".a".repeat(17)), wrong),
        ("513 bytes", asks(&format!(".{}", "a".repeat(512))), wrong),
    ]
}

fn bombs() -> Vec<Row> {
    let one = || ipld!(["==", ".tool", "read"]);
    let deep = |levels: usize| (0..levels).fold(one(), |inner, _| ipld!(["and", [inner]]));
    let many = |count: usize| Ipld::List((0..count).map(|_| one()).collect());
    let (too_many, too_deep) = ("Malformed.Token.Policy.TooManyStatements", "Malformed.Token.Policy.TooDeep");
    vec![
        ("65 statements", many(65), too_many),
        ("65 statements within an or", ipld!([["or", many(64)]]), too_many),
        ("7 deep", Ipld::List(vec![deep(6)]), too_deep),
        (
            "7 deep in any",
            Ipld::List(vec![(0..6).fold(one(), |inner, _| ipld!(["any", ".", inner]))]),
            too_deep,
        ),
        ("40 deep", Ipld::List(vec![deep(40)]), "Malformed.Token.Codec.TooDeep"),
    ]
}
