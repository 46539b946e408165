//! The name of a denial: its variants from the outside in, with the field of a token that is wrong.

use clankers_auth::Denial;

/// Names that are no variants but what a variant holds.
const HELD: &[&str] = &["CidDigest", "SignatureError", "SelectorError"];

/// Such as `Malformed.Token.Missing(exp)`.
pub(crate) fn name(denial: &Denial) -> String {
    of(&format!("{denial:?}"))
}

/// From what `Debug` prints: `Outer(Inner { source: Reason { .. } })`.
fn of(printed: &str) -> String {
    let end = printed.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(printed.len());
    let (ident, rest) = printed.split_at(end);
    if ident.is_empty() || HELD.contains(&ident) || !ident.starts_with(|c: char| c.is_ascii_uppercase()) {
        return String::new();
    }
    let mut name = ident.to_owned();
    let inner = if let Some(inner) = rest.strip_prefix('(') {
        of(inner)
    } else if let Some(fields) = rest.strip_prefix(" { ") {
        if let Some(field) = fields.strip_prefix("field: \"").and_then(|field| field.split('"').next()) {
            name.push_str(&format!("({field})"));
        }
        let cause =
            ["source: ", "denial: "].iter().find_map(|word| fields.split_once(word)).map(|(_, cause)| cause);
        cause.map(of).unwrap_or_default()
    } else {
        String::new()
    };
    if !inner.is_empty() {
        name.push('.');
        name.push_str(&inner);
    }
    name
}

#[test]
fn names_tell_what_is_wrong() {
    for (printed, name) in [
        ("Replayed", "Replayed"),
        ("Revoked(CidDigest(0102))", "Revoked"),
        ("Budget(Money)", "Budget.Money"),
        ("WrongNode(\"did:key:z6Mk\")", "WrongNode"),
        (
            "Malformed(Token { index: 0, source: Codec(TooDeep { limit: 32 }) })",
            "Malformed.Token.Codec.TooDeep",
        ),
        (
            "Malformed(Token { index: 1, source: Did { field: \"iss\", source: Length { found: 3 } } })",
            "Malformed.Token.Did(iss).Length",
        ),
        ("Chain(Policy { link: 0, denial: NotSatisfied { statement: 0 } })", "Chain.Policy.NotSatisfied"),
    ] {
        assert_eq!(of(printed), name);
    }
}
