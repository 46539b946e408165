//! Paths, workspaces, models, sizes, tools; and the shell, which no path holds.

use clankers_auth::{Args, Command, Denial, GrantSpec, Sessions, preset::SpecError};
use clankers_protocol::{NanoUsd, refusal::RefusalCode};
use proptest::prelude::*;
use ucan::{Policy, Profile};

use crate::forge::{WORKSPACE, allows, calm, chain, config, full, granted, held, link, tool};

fn on(paths: &[&str], spec: GrantSpec) -> GrantSpec {
    GrantSpec {
        paths: paths.iter().map(|p| (*p).to_owned()).collect(),
        workspace: Some(WORKSPACE.into()),
        ..spec
    }
}

#[test]
fn a_path_scope_holds_for_files_and_tools() {
    let spec = on(&["src"], GrantSpec::reviewer());
    for path in ["src", "src/main.rs", "src/a/b"] {
        assert!(allows(&spec, Command::ToolUse, &tool("grep", path)), "{path}");
        let args = Args { path: Some(path.into()), ..full(Command::FileRead) };
        assert!(allows(&spec, Command::FileRead, &args), "{path}");
        assert!(allows(&spec, Command::FileList, &Args { size: None, ..args }), "{path}");
    }
    // Whatever an executor that forgot to resolve might ask.
    for path in [
        "src2",
        "sr",
        ".",
        "",
        "../x",
        "/src",
        "docs",
        "Src",
        "SRC/a",
        "src\0",
        "src\u{301}",
        "src*",
        "src\\x",
        "./src",
        ".git/hooks",
        "a/src",
    ] {
        assert!(!allows(&spec, Command::ToolUse, &tool("grep", path)), "{path}");
        let args = Args { path: Some(path.into()), ..full(Command::FileRead) };
        assert!(!allows(&spec, Command::FileRead, &args), "{path}");
    }
    assert!(!allows(&spec, Command::ToolUse, &tool("write", "src/x")), "an unlisted tool");
    let nowhere = Args { path: None, ..tool("grep", "") };
    assert!(!allows(&spec, Command::ToolUse, &nowhere), "a path that is not there");
    assert!(allows(&spec, Command::PromptSend, &full(Command::PromptSend)));
    assert!(allows(&spec, Command::NodeInfo, &Args::default()));
}

#[test]
fn a_path_is_bound_to_its_workspace() {
    let spec = on(&["src"], GrantSpec::reviewer());
    let elsewhere = Args { workspace: Some("w2".into()), ..tool("grep", "src") };
    assert!(!allows(&spec, Command::ToolUse, &elsewhere));
    let unknown = Args { workspace: None, ..tool("grep", "src") };
    assert!(!allows(&spec, Command::ToolUse, &unknown));
    let only = GrantSpec { workspace: Some(WORKSPACE.into()), ..GrantSpec::tools(vec!["bash".into()]) };
    assert!(allows(&only, Command::ShellExec, &full(Command::ShellExec)));
    let elsewhere = Args { workspace: Some("w2".into()), ..full(Command::ShellExec) };
    assert!(!allows(&only, Command::ShellExec, &elsewhere));
}

#[test]
fn shell_and_path_cannot_be_granted_together() {
    let shell = GrantSpec::tools(vec!["read".into(), "bash".into()]);
    for spec in [on(&["src"], shell), on(&["src"], GrantSpec::root()), on(&["."], GrantSpec::root())] {
        assert_eq!(spec.compile().unwrap_err(), SpecError::ShellUnderPath);
    }
}

#[test]
fn the_shell_is_refused_under_any_path_scope_whatever_the_policy_says() {
    let shell = Command::ShellExec.path();
    let ways = [
        vec![Policy::or([Policy::eq(".cmd", shell), Policy::eq(".path", "src")])],
        vec![Policy::or([Policy::like(".cmd", "*"), Policy::any(".", Policy::eq(".path", "src"))])],
        vec![Policy::or([Policy::like(".cmd", "*"), Policy::eq(".[\"path\"]", "src")])],
        vec![Policy::or([Policy::like(".cmd", "*"), Policy::any(".[]", Policy::eq(".", "src"))])],
    ];
    for way in ways {
        let links = [link(1, 2, []), link(2, 3, way)];
        let held = held(3, &chain(&links));
        for (command, args) in
            [(Command::ShellExec, full(Command::ShellExec)), (Command::ToolUse, tool("bash", "."))]
        {
            let denial = held.authorize(&calm(), command, &args).unwrap_err();
            assert_eq!(denial, Denial::ShellUnderPathScope);
            assert_eq!(denial.code(), RefusalCode::Unauthorized);
            assert_eq!(held.authorize_running(&calm(), command, &args), Err(Denial::ShellUnderPathScope));
        }
    }
    let free = held(2, &chain(&[link(1, 2, [Policy::like(".cmd", "*")])]));
    assert!(free.authorize(&calm(), Command::ShellExec, &full(Command::ShellExec)).is_ok());
}

#[test]
fn paths_of_a_grant_are_plain_and_relative() {
    for path in
        ["..", "../x", "a/../b", "src/..", "/etc", "/", "a//b", "./a", "a/.", "a*", "a\\b", "a\0", "", "a\n"]
    {
        let spec = on(&[path], GrantSpec::reviewer());
        assert!(matches!(spec.compile(), Err(SpecError::Path { .. })), "{path:?}");
    }
    let long = "a/".repeat(600);
    assert!(matches!(on(&[&long], GrantSpec::reviewer()).compile(), Err(SpecError::Path { .. })));
    for path in ["src", "src/", ".", "a b/ü", "..a", "a..b/.c"] {
        assert!(on(&[path], GrantSpec::reviewer()).compile().is_ok(), "{path:?}");
    }
    let all = on(&["."], GrantSpec::reviewer());
    assert!(
        allows(&all, Command::ToolUse, &tool("read", "."))
            && allows(&all, Command::ToolUse, &tool("ls", "a"))
    );
}

#[test]
fn a_tool_is_offered_where_some_path_allows_it() {
    let narrow = held(2, &granted(&on(&["src", "docs"], GrantSpec::reviewer())));
    let here = Args { session: Some("s1".into()), workspace: Some(WORKSPACE.into()), ..Args::default() };
    assert!(narrow.offers_tool(&calm(), "grep", &here));
    assert!(!narrow.offers_tool(&calm(), "write", &here) && !narrow.offers_tool(&calm(), "bash", &here));
    let below =
        chain(&[link(1, 2, [Policy::like(".path", "src/*")]), link(2, 3, [Policy::eq(".path", "src/auth")])]);
    assert!(held(3, &below).offers_tool(&calm(), "grep", &here));
    let nowhere =
        chain(&[link(1, 2, [Policy::eq(".path", "src")]), link(2, 3, [Policy::eq(".path", "docs")])]);
    assert!(!held(3, &nowhere).offers_tool(&calm(), "grep", &here));
    assert!(held(2, &granted(&GrantSpec::root())).offers_tool(&calm(), "bash", &here));
}

#[test]
fn models_and_sizes() {
    let spec = GrantSpec {
        models: vec!["openai/small".into(), "local/*".into()],
        max_size: Some(100),
        ..GrantSpec::operator()
    };
    let prompt = |model: &str| Args { model: Some(model.into()), ..full(Command::PromptSend) };
    for (model, right) in
        [("openai/small", true), ("local/any", true), ("openai/large", false), ("openai/small2", false)]
    {
        assert_eq!(allows(&spec, Command::PromptSend, &prompt(model)), right, "{model}");
        let lent = Args { model: Some(model.into()), ..Args::default() };
        assert_eq!(allows(&spec, Command::ModelUse, &lent), right, "{model}");
    }
    let unnamed = Args { model: None, ..prompt("") };
    assert!(!allows(&spec, Command::PromptSend, &unnamed));
    for command in [Command::FileRead, Command::FileWrite, Command::FileDrop, Command::FileOffer] {
        for (size, right) in [(Some(100), true), (Some(101), false), (Some(u64::MAX), false), (None, false)] {
            assert_eq!(
                allows(&spec, command, &Args { size, ..full(command) }),
                right,
                "{command:?} {size:?}"
            );
        }
    }
    assert!(allows(&spec, Command::FileList, &full(Command::FileList)));
}

/// The inbox is in no workspace: a path of a grant is one of the peer's directory there.
#[test]
fn files_are_sent_to_the_paths_of_the_grant() {
    let sends = || GrantSpec::default().with_files(true, false);
    let to = |path: &str, size| Args { path: Some(path.into()), size: Some(size), ..Args::default() };
    assert!(allows(&sends(), Command::FileDrop, &to(".", 1 << 40)));
    assert!(!allows(&sends(), Command::FileOffer, &to(".", 1)), "a right that was not given");
    assert!(!allows(&sends(), Command::PromptSend, &full(Command::PromptSend)));
    let reads_too = GrantSpec::read_only().with_files(true, true);
    for spec in [on(&["in"], sends()), on(&["in"], reads_too)] {
        let workspace = spec.workspace.filter(|_| spec.commands.len() > 1);
        let spec = GrantSpec { max_size: Some(100), max_total: Some(150), workspace, ..spec };
        assert!(allows(&spec, Command::FileDrop, &to("in", 100)));
        assert!(allows(&spec, Command::FileDrop, &to("in/deep", 1)));
        assert!(!allows(&spec, Command::FileDrop, &to("in", 101)), "too large");
        for path in [".", "inside", "../in", "In", "out", ""] {
            assert!(!allows(&spec, Command::FileDrop, &to(path, 1)), "{path}");
        }
        assert!(!allows(&spec, Command::FileDrop, &Args { path: None, ..to("in", 1) }));
        assert!(!allows(&spec, Command::FileDrop, &Args { size: None, ..to("in", 1) }));
        let (command, policy) = spec.compile().unwrap();
        assert_eq!(GrantSpec::read(command, &policy), Some(spec), "it is found again in its token");
    }
}

#[test]
fn words_that_make_no_policy_are_refused() {
    let reviewer = GrantSpec::reviewer;
    let bad = [
        GrantSpec { tools: vec!["a b".into()], ..reviewer() },
        GrantSpec { tools: vec![String::new()], ..reviewer() },
        GrantSpec { models: vec!["a\\*".into()], ..reviewer() },
        GrantSpec { workspace: Some("*".into()), ..reviewer() },
        GrantSpec { sessions: Sessions::These(vec!["*".into()]), ..reviewer() },
        GrantSpec { sessions: Sessions::These(Vec::new()), ..reviewer() },
        GrantSpec { max_cost: Some(NanoUsd(u64::MAX)), ..reviewer() },
        GrantSpec { max_size: Some(1 << 53), ..reviewer() },
        GrantSpec { max_total: Some(u64::MAX), ..reviewer() },
    ];
    for spec in bad {
        assert!(spec.compile().is_err(), "{spec:?}");
    }
    let many = (0..64).map(|n| format!("tool{n}")).collect();
    assert!(matches!(GrantSpec::tools(many).compile(), Err(SpecError::TooComplicated(_))));
}

/// Everything said at once still fits a token, and is found again in it.
#[test]
fn the_largest_sensible_grant_fits() {
    let spec = GrantSpec {
        sessions: Sessions::All,
        models: vec!["openai/*".into(), "local/*".into()],
        max_cost: Some(NanoUsd(1_500_000_000)),
        max_tokens: Some(1_000_000),
        max_depth: Some(1),
        per_min: Some(10),
        concurrent: Some(2),
        max_size: Some(1 << 20),
        max_total: Some(1 << 30),
        ..on(&["src", "docs", "tests"], GrantSpec::operator())
    };
    let (command, policy) = spec.compile().unwrap();
    let read = GrantSpec::read(command, &policy).unwrap();
    assert_eq!(read.compile().unwrap(), (command, policy));
    assert_eq!((read.paths, read.models, read.max_cost), (spec.paths, spec.models, spec.max_cost));
}

prop_compose! {
    fn any_spec()(
        preset in 0..6_usize,
        paths in prop::collection::vec("[ab]{1,2}(/[a-z]{1,3})?/?", 0..3),
        models in prop::collection::vec("[ab]{1,2}/[a*]{1,2}", 0..3),
        sessions in prop_oneof![
            Just(Sessions::Own),
            Just(Sessions::All),
            prop::collection::vec("[0-9a-f]{1,2}", 1..4).prop_map(Sessions::These),
        ],
        numbers in prop::collection::vec(prop::option::of(0..1_000_000_u64), 7),
    ) -> GrantSpec {
        let base = match preset {
            0 => GrantSpec::read_only(),
            1 => GrantSpec::reviewer(),
            2 => GrantSpec::operator(),
            3 => GrantSpec::root(),
            4 => GrantSpec::tools(vec!["read".into(), "edit".into()]),
            _ => GrantSpec::default(),
        };
        let paths = if base.everything { Vec::new() } else { paths };
        GrantSpec {
            workspace: (!paths.is_empty()).then(|| WORKSPACE.to_owned()),
            paths,
            models,
            sessions,
            max_cost: numbers[0].map(NanoUsd),
            max_tokens: numbers[1],
            max_depth: numbers[2].and_then(|depth| u32::try_from(depth).ok()),
            per_min: numbers[3],
            concurrent: numbers[4],
            max_size: numbers[5],
            max_total: numbers[6],
            ..base
        }
    }
}

proptest! {
    #![proptest_config(config(256))]

    /// Whatever is compiled is read back as something that compiles to the same.
    #[test]
    fn compiled_grants_are_read_back(spec in any_spec()) {
        let Ok((command, policy)) = spec.compile() else { return Ok(()) };
        let read = GrantSpec::read(command, &policy).expect("our own policy");
        prop_assert_eq!(read.compile().unwrap(), (command, policy));
    }

    /// No scope ever allows what the preset without it does not.
    #[test]
    fn scopes_only_narrow(spec in any_spec()) {
        let bare = GrantSpec {
            commands: spec.commands.clone(),
            tools: spec.tools.clone(),
            everything: spec.everything,
            ..GrantSpec::default()
        };
        let (Ok((path, policy)), Ok((bare_path, bare_policy))) = (spec.compile(), bare.compile()) else { return Ok(()) };
        for command in Command::ALL {
            let asked = ucan::Command::parse(command.path()).unwrap();
            let args = args_of(*command);
            let may = |path: &str, policy: &Policy| {
                ucan::Command::parse(path).unwrap().covers(&asked)
                    && policy.evaluate(&args, Profile::Strict).is_ok()
            };
            prop_assert!(!may(path, &policy) || may(bare_path, &bare_policy), "{:?}", command);
        }
    }
}

/// A command's arguments, written by hand: the check's own writer is not asked.
fn args_of(command: Command) -> ucan::Ipld {
    use ucan::{Ipld, Literal};
    let args = full(command);
    let texts = [
        ("session", args.session),
        ("workspace", args.workspace),
        ("path", Some("src".to_owned()).filter(|_| args.path.is_some())),
        ("tool", args.tool),
        ("argv0", args.argv0),
        ("model", args.model),
    ];
    let mut map: std::collections::BTreeMap<String, Ipld> =
        texts.into_iter().filter_map(|(name, text)| Some((name.to_owned(), text?.into_ipld()))).collect();
    map.insert("cmd".into(), command.path().into_ipld());
    if let Some(size) = args.size {
        map.insert("size".into(), size.into_ipld());
    }
    let context = ["depth", "spent_nano_usd", "tokens_used", "per_min", "concurrent"];
    map.insert("ctx".into(), Ipld::Map(context.map(|name| (name.to_owned(), 0_u64.into_ipld())).into()));
    Ipld::Map(map)
}
