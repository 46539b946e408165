//! What the commands print for programs is what the page about it says: `docs/json.md`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use serde_json::Value;

use super::{Two, asking::offer_id, tree};

pub(super) type Fields = BTreeSet<String>;

fn page() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/json.md")).unwrap()
}

/// The words in backticks.
fn coded(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// The lines that a section of the page names, with their fields.
pub(super) fn documented(section: &str) -> BTreeMap<String, Fields> {
    let page = page();
    let (_, section) = page.split_once(&format!("\n## {section}")).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| `") && !line.starts_with("| `type`"));
    let row = |line: &str| {
        let cells: Vec<&str> = line.split('|').collect();
        let kind = coded(cells[1]).next().unwrap().to_owned();
        (kind, coded(cells[2]).map(str::to_owned).chain(["type".to_owned()]).collect())
    };
    rows.map(row).collect()
}

/// The fields that the page names first for the answer of a command.
fn answer(command: &str) -> Fields {
    let page = page();
    let row = page.lines().find(|line| line.starts_with(&format!("| `{command}`")));
    let row = row.unwrap_or_else(|| panic!("docs/json.md: no {command}"));
    let (_, braces) = row.split_once("`{").unwrap();
    let (braces, _) = braces.split_once("}`").unwrap();
    braces.split(',').map(|field| field.trim_matches('"').to_owned()).collect()
}

pub(super) fn fields(value: &Value) -> Fields {
    value.as_object().unwrap_or_else(|| panic!("{value}")).keys().cloned().collect()
}

#[test]
fn every_line_of_a_transfer_is_on_the_page() {
    let said = documented("Files on their way");
    let mut seen: BTreeMap<String, Fields> = BTreeMap::new();
    let mut note = |lines: Vec<Value>| {
        for line in lines {
            let kind = line["type"].as_str().unwrap().to_owned();
            assert_eq!(Some(&fields(&line)), said.get(&kind), "docs/json.md: fields of {kind}");
            seen.insert(kind, fields(&line));
        }
    };
    let mut two = Two::with(&["--drop"]);
    let dir = tree(&two.lap, "d", &[("a", 10), ("b", 10)]);
    std::os::unix::fs::symlink("a", dir.join("link")).unwrap();
    let path = dir.to_str().unwrap();
    note(two.lap.cli(["--json", "rpc", "send-file", "nobody", path, "--dry-run"]).run().ok().json_lines());
    note(two.send([path]).run().ok().json_lines());
    fs::write(dir.join("a"), "another").unwrap();
    note(two.send([path, "--on-conflict", "skip"]).run().code(1).json_lines());
    let sender = two.lap.start();
    note(sender.cli(["--json", "rpc", "send-file", two.desk.ticket(), path, "-d"]).run().ok().json_lines());
    drop(sender);
    let listed = two.lap.cli(["--json", "rpc", "transfers"]).run().ok().json();
    assert_eq!(fields(&listed[0]), answer("rpc transfers"));

    // What is got, and what waits.
    let docs = two.desk.home().workspace().join("docs");
    fs::create_dir(&docs).unwrap();
    fs::write(docs.join("a"), "1").unwrap();
    std::os::unix::fs::symlink("a", docs.join("link")).unwrap();
    two.desk.home().settings(&format!("[files.exports]\ndocs = {:?}\n", docs.display().to_string()));
    two.desk.kill9();
    two.desk.restart();
    two.desk.grant(&two.lap, &["--read-only"]);
    let get = ["--json", "rpc", "get-file", two.desk.ticket(), "docs"];
    note(two.lap.cli(get).run().ok().json_lines());
    let listed = two.lap.cli(get).arg("--list").run().ok().json();
    assert_eq!(fields(&listed[0]), answer("rpc get-file --list"));

    let two = Two::with(&["--offer"]);
    let file = two.lap.file("f", "1");
    let mut sending = two.send([file.to_str().unwrap()]).start();
    // Not before it has said that it waits.
    sending.json_of_type("waiting");
    let id = offer_id(&two);
    let desk = |words: &[&str]| two.desk.cli(["--json", "inbox"]).args(words).run().ok().json();
    let offer = answer("inbox list");
    assert_eq!(fields(&desk(&["list"])[0]), offer);
    let shown = desk(&["show", &id]);
    let more = ["entries", "lost"].map(str::to_owned);
    assert_eq!(fields(&shown), offer.iter().cloned().chain(more).collect());
    assert_eq!(fields(&shown["entries"][0]), ["path", "kind", "bytes"].map(str::to_owned).into());
    let accepted = desk(&["accept", &id]);
    assert_eq!(fields(&accepted), answer("inbox accept"));
    assert_eq!(fields(&accepted["offer"]), offer);
    note(sending.finish().ok().json_lines());
    let (id, _) = super::state(&two.lap);
    let forgotten = two.lap.cli(["--json", "rpc", "transfers", "forget", &id]).run().ok().json();
    assert_eq!(fields(&forgotten), answer("rpc transfers cancel"));

    let unseen: Vec<&String> = said.keys().filter(|kind| !seen.contains_key(*kind)).collect();
    assert!(unseen.is_empty(), "the page has what nobody prints: {unseen:?}");
}
