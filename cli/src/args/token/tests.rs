use clap::Parser;
use proptest::prelude::*;

use clankers_protocol::request::tokens::max_total;

use super::*;
use crate::args::{Cli, Command};

fn parse(words: &[&str]) -> Result<TokenCommand, clap::Error> {
    let cli = Cli::try_parse_from(["clankers", "token"].iter().chain(words))?;
    match cli.command {
        Some(Command::Token(command)) => Ok(command),
        other => panic!("{other:?}"),
    }
}

fn create(words: &[&str]) -> CreateArgs {
    match parse(&[&["create", "--for", "x"], words].concat()).unwrap() {
        TokenCommand::Create(args) => args,
        other => panic!("{other:?}"),
    }
}

fn rights(words: &[&str]) -> Rights {
    create(words).rights.rights()
}

#[test]
fn every_flag_narrows_what_it_says() {
    assert_eq!(rights(&[]), Rights::default());
    let words = "--reviewer --tools read,grep --path ./src/ --path docs --session all --session 5e5e --model a/b \
        --max-cost 1.50 --max-tokens 200000 --max-depth 0 --per-minute 6 --concurrent 1 --max-size 10MB";
    let got = rights(&words.split_whitespace().collect::<Vec<_>>());
    let wanted = Rights {
        preset: Some(Preset::Reviewer),
        tools: Some(vec!["read".into(), "grep".into()]),
        paths: vec!["src".into(), "docs".into()],
        sessions: vec!["all".into(), "5e5e".into()],
        models: vec!["a/b".into()],
        cost: CostLimit::AtMost(NanoUsd(1_500_000_000)),
        max_tokens: Some(200_000),
        max_depth: Some(0),
        per_minute: Some(6),
        concurrent: Some(1),
        max_size: Some(10_000_000),
    };
    assert_eq!(got, wanted);
    assert_eq!(rights(&["--max-cost", "none"]).cost, CostLimit::Unlimited);
    assert_eq!(rights(&["--max-size", "64KiB"]).max_size, Some(65_536));
    let CreateArgs { rights, .. } = create(&["--drop", "--max-total", "5GB"]);
    assert_eq!(max_total(&rights.files()), Some(5_000_000_000));
    assert_eq!(max_total(&create(&["--offer"]).rights.files()), None);
}

#[test]
fn what_makes_no_sense_is_refused() {
    let create = ["create", "--for", "x"];
    for bad in [
        &["--root", "--reviewer"][..],
        &["--max-cost", "-1"],
        &["--max-cost", "1,50"],
        &["--max-cost", "1e9"],
        &["--max-cost", "0.0000000001"],
        &["--max-cost", "99999999999999999999"],
        &["--max-cost", ""],
        &["--max-tokens", "0"],
        &["--per-minute", "0"],
        &["--concurrent", "0"],
        &["--max-size", "big"],
        &["--max-size", "-1"],
        &["--max-total", "99999999999999999999"],
        &["--path", ""],
        &["--expire", "0s"],
    ] {
        assert!(parse(&[&create, bad].concat()).is_err(), "{bad:?}");
    }
    for bad in [
        &["revoke"][..],
        &["revoke", "--yes"],
        &["revoke", "bafy", "--all"],
        &["revoke", "--all", "--link", "bafy"],
        &["delegate", "--for", "x"],
        &["why", "x"],
        &["inspect"],
    ] {
        assert!(parse(bad).is_err(), "{bad:?}");
    }
    for good in [&["revoke", "--all", "--yes"][..], &["revoke", "-", "--link", "bafy"], &["inspect", "-"]] {
        assert!(parse(good).is_ok(), "{good:?}");
    }
}

#[test]
fn a_question_needs_its_command() {
    let TokenCommand::Inspect(args) = parse(&["inspect", "x", "--tool", "grep"]).unwrap() else { panic!() };
    assert!(args.asked().unwrap_err().contains("--command"));
    let TokenCommand::Inspect(args) = parse(&["inspect", "x"]).unwrap() else { panic!() };
    assert_eq!(args.asked(), Ok(None));
    let words = ["inspect", "x", "--command", "tool/use", "--tool", "grep", "--path", "src/", "--size", "1K"];
    let TokenCommand::Inspect(args) = parse(&words).unwrap() else { panic!() };
    let asked = args.asked().unwrap().unwrap();
    assert_eq!((asked.command.as_str(), asked.tool.as_deref()), ("tool/use", Some("grep")));
    assert_eq!((asked.path.as_deref(), asked.size), (Some("src"), Some(1_000)));
}

#[test]
fn paths_are_written_as_tokens_write_them() {
    for (given, written) in [
        ("src", "src"),
        ("src/", "src"),
        ("./src//", "src"),
        (".", "."),
        ("./", "."),
        ("/", "/"),
        ("../x", "../x"),
    ] {
        assert_eq!(scope(given).as_deref(), Ok(written), "{given}");
    }
}

proptest! {
    #[test]
    fn money_is_exact(nano in 0..u64::MAX) {
        let text = format!("{}.{:09}", nano / NANO_PER_USD, nano % NANO_PER_USD);
        prop_assert_eq!(money(&text), Some(NanoUsd(nano)));
    }

    #[test]
    fn no_words_break_the_parsers(text in ".{0,40}") {
        let _parsed = (money(&text), size(&text), scope(&text));
    }
}
