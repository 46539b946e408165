//! What people are told.

use clankers_auth::{
    Args, Command, Denial, GrantSpec, Sessions,
    mint::{self, delegate},
    words::{describe, dropped_at_most, money, tree, verdict},
};
use clankers_protocol::{NanoUsd, refusal::RefusalCode};
use ucan::{Container, ContainerLimits, Policy, Profile};

use crate::forge::{
    DAY, NOW, WORKSPACE, calm, chain, draft, full, granted, id, later, link, seed, signed, tool,
};

fn sentence(spec: &GrantSpec) -> String {
    describe(&granted(spec)).unwrap().sentence
}

fn on_src(spec: GrantSpec) -> GrantSpec {
    GrantSpec { paths: vec!["src".into()], workspace: Some(WORKSPACE.into()), ..spec }
}

#[test]
fn a_grant_in_one_sentence() {
    assert_eq!(sentence(&on_src(GrantSpec::read_only())), "read-only on src/");
    assert_eq!(sentence(&GrantSpec::root()), "everything");
    let full = GrantSpec {
        max_cost: Some(NanoUsd(1_500_000_000)),
        max_depth: Some(0),
        models: vec!["openai/*".into()],
        sessions: Sessions::All,
        renew: true,
        ..on_src(GrantSpec::reviewer())
    };
    assert_eq!(
        sentence(&full),
        "review on src/, in all sessions, only with openai/*, at most $1.50, may not be passed on, renewed on connecting"
    );
    let tools = on_src(GrantSpec::tools(vec!["read".into(), "grep".into()]));
    assert_eq!(
        sentence(&tools),
        "list sessions; prompt; cancel prompts; use the tools read, grep; (not offered by this version yet: watch sessions), files only on src/"
            .replace("; (not offered by this version yet: watch sessions)", if Command::Observe.is_served() { "" } else { "; (not offered by this version yet: watch sessions)" })
            .replace("list sessions; prompt", if Command::Observe.is_served() { "list sessions; watch sessions; prompt" } else { "list sessions; prompt" })
    );
    let there = GrantSpec { workspace: Some("0123456789".into()), ..GrantSpec::reviewer() };
    assert_eq!(sentence(&there), "review, only in the workspace 01234567");
    let session =
        GrantSpec { sessions: Sessions::These(vec!["0123456789abcdef".into()]), ..GrantSpec::read_only() };
    assert_eq!(sentence(&session), "read-only, only in the session 01234567");
}

#[test]
fn narrow_grants_still_say_what_they_allow() {
    let spec = GrantSpec {
        models: vec!["local/*".into()],
        sessions: Sessions::These(vec!["s9".into()]),
        max_size: Some(5),
        ..on_src(GrantSpec::operator())
    };
    let said = describe(&granted(&spec)).unwrap();
    let grants = said.grants.join("; ");
    for word in ["prompt", "list sessions", "use the tools read, grep, find, ls, write, edit"] {
        assert!(grants.contains(word), "{word}: {grants}");
    }
    assert!(!grants.contains("bash") && !grants.contains("shell"), "{grants}");
    // A shell that the gate refuses is not promised.
    let promised = [Policy::or([Policy::like(".cmd", "*"), Policy::eq(".path", "src")])];
    let said = describe(&chain(&[link(1, 2, promised)])).unwrap();
    assert!(!said.grants.join("; ").contains("bash"), "{:?}", said.grants);
}

#[test]
fn what_may_be_sent_unasked_is_known_by_its_bound() {
    let spec = |drop: bool, max_size| GrantSpec { max_size, ..GrantSpec::default().with_files(drop, !drop) };
    assert_eq!(dropped_at_most(&granted(&spec(true, Some(100)))), Some(100));
    assert_eq!(dropped_at_most(&granted(&spec(true, None))), None, "there is no bound");
    assert_eq!(dropped_at_most(&granted(&spec(false, Some(100)))), None, "it may only be offered");
    assert_eq!(dropped_at_most(b"no token"), None);
    let said = describe(&granted(&spec(true, Some(100 << 10)))).unwrap().sentence;
    assert!(said.ends_with("transfers of at most 100 KiB each"), "{said}");
    let both = GrantSpec { max_total: Some(5_000_000_000), ..spec(true, Some(1_000)) };
    let said = describe(&granted(&both)).unwrap().sentence;
    assert!(said.ends_with("transfers of at most 1 KB each, at most 5 GB of files sent in all"), "{said}");
}

#[test]
fn a_policy_that_is_not_ours_is_shown_and_never_hidden() {
    let odd = [Policy::le(".ctx.spent_nano_usd", 5_u64), Policy::eq(".cmd", "\u{1b}[31mx")];
    let said = describe(&chain(&[link(1, 2, odd)])).unwrap();
    assert_eq!(said.limits.len(), 1);
    assert!(
        said.limits[0].starts_with("as long as [[\"<=\", \".ctx.spent_nano_usd\", 5]"),
        "{:?}",
        said.limits
    );
    assert!(!said.limits[0].contains('\u{1b}') && !said.sentence.contains('\u{1b}'));
    let under = chain(&[signed(draft(1, 2, "/clankers/file", 3), 1)]);
    assert_eq!(describe(&under).unwrap().limits, ["only commands under /clankers/file"]);
    assert_ne!(describe(&under).unwrap().grants, ["everything, the shell included"]);
}

#[test]
fn every_links_conditions_are_told() {
    let token = granted(&on_src(GrantSpec::reviewer()));
    let less = GrantSpec { paths: vec!["src/auth".into()], max_depth: Some(0), ..GrantSpec::default() };
    let passed = delegate(&seed(2), &token, id(3), &less, NOW, 60, [1; 16]).unwrap();
    let said = describe(&passed.container.to_bytes().unwrap()).unwrap();
    assert_eq!(said.limits, ["files only on src/", "files only on src/auth/", "may not be passed on"]);
}

#[test]
fn a_chain_as_a_tree() {
    let token = granted(&on_src(GrantSpec::reviewer()));
    let passed = delegate(&seed(2), &token, id(3), &GrantSpec::read_only(), NOW, 60, [1; 16]).unwrap();
    let run =
        mint::for_run(&seed(3), Some(&passed.container.to_bytes().unwrap()), id(1), id(4), NOW, [1; 16])
            .unwrap();
    let lines = tree(&run.to_bytes().unwrap(), NOW).unwrap();
    assert_eq!(
        lines.iter().map(|l| (l.issuer, l.audience)).collect::<Vec<_>>(),
        [(id(1), id(2)), (id(2), id(3)), (id(3), id(4))]
    );
    assert!(lines.iter().all(|line| line.problems.is_empty()));
    assert_eq!(lines.iter().map(|line| line.run).collect::<Vec<_>>(), [false, false, true]);
    assert!(
        lines[0].words.contains(&"prompt".to_owned())
            && lines[0].words.contains(&"files only on src/".to_owned())
    );
    assert_eq!((lines[1].from, lines[1].until), (NOW, later(60)));
    let late = tree(&run.to_bytes().unwrap(), later(61)).unwrap();
    assert_eq!(late[1].problems, ["it has expired"]);
    assert!(late[0].problems.is_empty());
}

#[test]
fn what_is_wrong_is_told_link_by_link() {
    let mut bent = link(1, 2, []);
    bent[5] ^= 1;
    let stranger = signed(draft(7, 3, "/", 3), 2);
    let lines = tree(&chain(&[bent, stranger]), NOW).unwrap();
    assert!(lines[0].problems.iter().any(|p| p.contains("sign")), "{:?}", lines[0].problems);
    assert_eq!(lines[1].problems, ["it is about another node than the first link"]);
    let early = signed(draft(1, 2, "/", 3).not_before(crate::forge::secs(later(600))), 1);
    assert_eq!(tree(&chain(&[early]), NOW).unwrap()[0].problems, ["it is not valid yet"]);
    let long = signed(draft(1, 2, "/", 3).expires(crate::forge::secs(later(500 * DAY))), 9);
    let problems = &tree(&chain(&[long]), NOW).unwrap()[0].problems;
    assert_eq!(problems.len(), 2, "{problems:?}");
}

#[test]
fn a_verdict_away_from_the_node_is_the_nodes() {
    let text = {
        let bytes = granted(&on_src(GrantSpec::reviewer()));
        let container = Container::decode(&bytes, &ContainerLimits::CHAIN, Profile::Strict).unwrap();
        container.to_text().unwrap()
    };
    let ask = |me: u8, remote: Option<u8>, command, args: &Args| {
        verdict(text.as_bytes(), &calm(), id(me), remote.map(id), command, args).map_err(|d| d.code())
    };
    assert_eq!(ask(1, None, Command::ToolUse, &tool("grep", "src/a")), Ok(()));
    assert_eq!(ask(1, None, Command::ToolUse, &tool("grep", "docs")), Err(RefusalCode::Unauthorized));
    assert_eq!(ask(1, Some(3), Command::NodeInfo, &Args::default()), Err(RefusalCode::WrongAudience));
    assert_eq!(ask(5, None, Command::NodeInfo, &Args::default()), Err(RefusalCode::WrongNode));
    let shell = verdict(text.as_bytes(), &calm(), id(1), None, Command::ShellExec, &full(Command::ShellExec));
    assert!(shell.is_err());
    assert!(matches!(
        verdict(b"Cx", &calm(), id(1), None, Command::NodeInfo, &Args::default()),
        Err(Denial::Malformed(_))
    ));
}

#[test]
fn money_in_words() {
    for (nano, words) in [
        (0, "$0.00"),
        (1_500_000_000, "$1.50"),
        (1, "$0.000000001"),
        (10_000_000, "$0.01"),
        (12_345_000_000, "$12.345"),
    ] {
        assert_eq!(money(NanoUsd(nano)), words);
    }
}
