use super::*;
use ipld_core::ipld;

fn policy(source: Ipld) -> Policy {
    Policy::from_ipld(&source, Profile::Spec).unwrap()
}

fn spec(source: Ipld, args: &Ipld) -> bool {
    policy(source).evaluate(args, Profile::Spec).is_ok()
}

fn strict(source: Ipld, args: &Ipld) -> Result<(), PolicyDenial> {
    Policy::from_ipld(&source, Profile::Strict).unwrap().evaluate(args, Profile::Strict)
}

#[test]
fn what_fails_open_is_refused_by_the_strict_profile() {
    for source in [
        ipld!([["not", ["==", ".a", 1]]]),
        ipld!([["!=", ".a", 1]]),
        ipld!([["or", []]]),
        ipld!([["==", ".a?", 1]]),
        ipld!([["and", [["or", []]]]]),
        ipld!([["any", ".a?", ["==", ".", 1]]]),
        ipld!([["all", ".a", ["not", ["==", ".", 1]]]]),
        ipld!([["like", ".a.b?", "*"]]),
    ] {
        assert!(Policy::from_ipld(&source, Profile::Spec).is_ok(), "{source:?}");
        let refused = Policy::from_ipld(&source, Profile::Strict);
        assert!(matches!(refused, Err(PolicyError::FailsOpen { .. })), "{source:?}");
    }
}

#[test]
fn the_specification_fails_open_where_the_strict_profile_denies() {
    let empty = ipld!({});
    assert!(spec(ipld!([["!=", ".tool", "shell"]]), &empty));
    assert!(spec(ipld!([["not", ["like", ".path", "*secret*"]]]), &ipld!({ "path": 1 })));
    assert!(spec(ipld!([["==", ".tool", null]]), &empty));
    // Parsed in the wrong profile, it is still denied when evaluated strictly.
    let open = policy(ipld!([["not", ["==", ".tool", "shell"]]]));
    assert!(matches!(open.evaluate(&empty, Profile::Strict), Err(PolicyDenial::Unresolved { .. })));
    assert!(matches!(strict(ipld!([["==", ".tool", null]]), &empty), Err(PolicyDenial::Unresolved { .. })));
}

#[test]
fn a_fault_that_is_reached_denies_even_inside_or() {
    let args = ipld!({ "a": 1, "s": "x" });
    let or = |first: Ipld, second: Ipld| ipld!([["or", [first, second]]]);
    let (held, missing) = (ipld!(["==", ".a", 1]), ipld!(["==", ".b", 1]));
    assert_eq!(strict(or(held.clone(), missing.clone()), &args), Ok(()));
    assert_eq!(
        strict(or(missing, held.clone()), &args),
        Err(PolicyDenial::Unresolved { statement: 0, selector: ".b".into() })
    );
    for wrong in [
        ipld!(["<=", ".s", 3]),
        ipld!(["like", ".a", "*"]),
        ipld!(["==", ".a", "1"]),
        ipld!(["any", ".a", held.clone()]),
    ] {
        let denied = strict(or(wrong.clone(), held.clone()), &args);
        assert!(matches!(denied, Err(PolicyDenial::KindMismatch { statement: 0, .. })), "{wrong:?}");
        assert!(spec(or(wrong, held.clone()), &args));
    }
}

#[test]
fn the_denial_names_the_statement() {
    let args = ipld!({ "a": 1, "b": 2 });
    let source = ipld!([["==", ".a", 1], ["==", ".b", 3]]);
    assert_eq!(strict(source, &args), Err(PolicyDenial::NotSatisfied { statement: 1 }));
}

#[test]
fn numbers_compare_exactly_whatever_their_type() {
    let big = ipld!({ "n": 9_007_199_254_740_993_i64, "f": 0.5, "neg": (-3) });
    assert!(!spec(ipld!([["==", ".n", 9007199254740992.0]]), &big));
    assert!(spec(ipld!([[">", ".n", 9007199254740992.0]]), &big));
    assert!(spec(
        ipld!([["<", ".f", 1], [">", ".f", 0], ["<", ".neg", (-2.5)], [">", ".neg", (-3.5)]]),
        &big
    ));
    assert!(spec(ipld!([["<", ".n", 1e300], [">", ".n", (-1e300)]]), &big));
    let nan = Ipld::Map([("f".to_owned(), Ipld::Float(f64::NAN))].into());
    assert!(!spec(ipld!([["<=", ".f", 1]]), &nan) && !spec(ipld!([[">", ".f", 1]]), &nan));
}

#[test]
fn quantifiers_over_nothing() {
    let args = ipld!({ "none": [] });
    assert!(spec(ipld!([["all", ".none", ["==", ".", 1]]]), &args));
    assert!(!spec(ipld!([["any", ".none", ["==", ".", 1]]]), &args));
    assert_eq!(
        strict(ipld!([["any", ".none", ["==", ".", 1]]]), &args),
        Err(PolicyDenial::NotSatisfied { statement: 0 })
    );
}

#[test]
fn malformed_statements_are_refused() {
    for source in [
        ipld!("=="),
        ipld!([[]]),
        ipld!(["==", ".a", 1]),
        ipld!([[1, ".a", 1]]),
        ipld!([["=", ".a", 1]]),
        ipld!([["EQ", ".a", 1]]),
        ipld!([["==", ".a"]]),
        ipld!([["==", ".a", 1, 2]]),
        ipld!([["==", 1, 1]]),
        ipld!([["==", "a", 1]]),
        ipld!([["<", ".a", "1"]]),
        ipld!([["like", ".a", 1]]),
        ipld!([["and", ["==", ".a", 1]]]),
        ipld!([["and", [], []]]),
        ipld!([["and"]]),
        ipld!([["or", {}]]),
        ipld!([["not", []]]),
        ipld!([["not", [["==", ".a", 1]]]]),
        ipld!([["all", ".a", []]]),
        ipld!([["any", ".a", [["==", ".", 1]]]]),
    ] {
        assert!(Policy::from_ipld(&source, Profile::Spec).is_err(), "{source:?}");
    }
}

fn nested(levels: usize) -> Draft {
    (1..levels).fold(Policy::eq(".a", 1), |inner, _| Policy::and([inner]))
}

#[test]
fn size_and_depth_are_bounded() {
    assert!(Policy::build([nested(6)], Profile::Strict).is_ok());
    assert_eq!(Policy::build([nested(7)], Profile::Strict), Err(PolicyError::TooDeep { limit: 6 }));
    let many = |count: usize| Policy::build(std::iter::repeat_n(Policy::eq(".a", 1), count), Profile::Strict);
    assert!(many(64).is_ok());
    assert_eq!(many(65), Err(PolicyError::TooManyStatements { limit: 64 }));
    // Nested statements count as well.
    let inner = Policy::or(std::iter::repeat_n(Policy::eq(".a", 1), 64));
    assert!(Policy::build([inner], Profile::Strict).is_err());
    assert!(Policy::build([nested(33)], Profile::Spec).is_err());
}

#[test]
fn the_ipld_form_is_kept() {
    let source = ipld!([["==", ".a", 1], ["or", [["like", ".b", "x*"], [">=", ".c", 2]]]]);
    let built = Policy::build(
        [Policy::eq(".a", 1), Policy::or([Policy::like(".b", "x*"), Policy::ge(".c", 2)])],
        Profile::Strict,
    );
    assert_eq!(built.unwrap().to_ipld(), source);
}

#[test]
fn a_scope_needs_the_name_and_what_is_beneath() {
    let scope = Policy::build(
        [Policy::or([Policy::eq(".path", "src"), Policy::like(".path", "src/*")])],
        Profile::Strict,
    );
    let scope = scope.unwrap();
    for (path, allowed) in
        [("src", true), ("src/a", true), ("src2", false), ("src2/a", false), ("", false), ("a/src", false)]
    {
        assert_eq!(scope.evaluate(&ipld!({ "path": path }), Profile::Strict).is_ok(), allowed, "{path}");
    }
}

#[test]
fn a_policy_says_what_it_speaks_of() {
    let speaks = |draft: Draft, path: &[&str]| Policy::build([draft], Profile::Spec).unwrap().speaks_of(path);
    for draft in [
        Policy::eq(".ctx.spent", 1_u64),
        Policy::eq(".ctx", 1_u64),
        Policy::eq(".", 1_u64),
        Policy::eq(".ctx.spent.deep", 1_u64),
        Policy::eq(".[\"ctx\"][\"spent\"]", 1_u64),
        Policy::any(".[]", Policy::eq(".", 1_u64)),
        Policy::all(".ctx[]", Policy::le(".", 1_u64)),
        Policy::or([Policy::and([Policy::negate(Policy::like(".ctx.spent", "*"))])]),
    ] {
        assert!(speaks(draft.clone(), &["ctx", "spent"]), "{draft:?}");
    }
    for draft in
        [Policy::eq(".ctx.depth", 1_u64), Policy::eq(".ctxs", 1_u64), Policy::eq(".other.ctx", 1_u64)]
    {
        assert!(!speaks(draft.clone(), &["ctx", "spent"]), "{draft:?}");
    }
    assert!(!Policy::any_args().speaks_of(&["ctx"]));
}
