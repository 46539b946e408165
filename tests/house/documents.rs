//! The documents say what the code does: tables, settings, commands, JSON, links.

use std::{collections::BTreeSet, fs, path::Path};

use clankers_node::settings::{
    Agent, Anthropic, Audit, Authority, Files, Limits, LocalServers, Models, Network, OpenAi, Scripted,
    Settings,
};
use clankers_protocol::{
    SessionId,
    event::{Delta, DeltaKind, StreamItem},
    jsonl,
    request::prompt::Accepted,
};

use super::{help, markdown, root, samples, sizes, tables, update};

fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

#[test]
fn tables_are_those_of_the_code() {
    for (name, table, wanted) in tables::all() {
        if update("UPDATE_DOCS") {
            let text = read(name);
            let new = markdown::regenerated(&text, table, &wanted);
            fs::write(root().join(name), new.unwrap_or_else(|| panic!("{name}: no place for '{table}'")))
                .unwrap();
        }
        let text = read(name);
        let got = markdown::generated(&text, table).unwrap_or_else(|| panic!("{name}: no table '{table}'"));
        assert!(got == wanted, "{name}: '{table}' is not what the code says; UPDATE_DOCS=1 writes it anew");
    }
}

#[test]
fn the_command_line_is_the_documented_one() {
    let wanted = help::document();
    if update("UPDATE_DOCS") {
        fs::write(root().join("docs/cli.md"), &wanted).unwrap();
    }
    assert!(
        read("docs/cli.md") == wanted,
        "docs/cli.md is not what --help says; UPDATE_DOCS=1 writes it anew"
    );
    // Every command has a page of its own, down to the leaves.
    for path in ["", "rpc prompt", "rpc peers add", "token create", "daemon start"] {
        assert!(help::pages().contains_key(path), "{path}");
    }
}

#[test]
fn exit_codes_are_in_the_readme_as_in_help() {
    let pages = help::pages();
    let (_, list) = pages[""].split_once("Exit codes:").unwrap();
    let codes: Vec<&str> = list
        .split(',')
        .filter_map(|part| part.split_whitespace().next())
        .filter(|w| w.parse::<u8>().is_ok())
        .collect();
    assert_eq!(codes, ["0", "1", "2", "3", "4", "5", "6", "7", "8", "124", "130"]);
    let readme = read("README.md");
    for code in codes {
        assert!(readme.contains(&format!("| {code} |")), "README.md: exit code {code} has no row");
    }
}

/// The keys of a TOML document, with dots.
fn keys(prefix: &str, table: &toml::Table, found: &mut BTreeSet<String>) {
    for (key, value) in table {
        match value {
            toml::Value::Table(inner) => keys(&format!("{prefix}{key}."), inner, found),
            _ => {
                found.insert(format!("{prefix}{key}"));
            }
        }
    }
}

/// No `..` here: a new setting does not compile until it stands in this test, and so in the document.
fn all_are_set(settings: Settings) -> bool {
    let Settings { label, workspace, model, network, models, limits, agent, authority, audit, files } =
        settings;
    let Files {
        inbox,
        exports,
        max_bytes_per_peer,
        max_bytes,
        max_files: max_sent,
        max_depth,
        keep_free_bytes,
        offer_wait_secs,
        keep_parts_secs,
    } = files;
    let taken = Files::default();
    let Authority { not_before, default_max_cost } = authority;
    let Audit { keep_days, max_file_bytes, max_files } = audit;
    let kept = Audit::default();
    let Network { bind, relay, mdns, mdns_port } = network;
    let Models { anthropic, openai, scripted, local } = models;
    let OpenAi { api_base, models, free, max_output } = openai.unwrap();
    let claude = anthropic.unwrap();
    let Anthropic { api_base: claude_base, models: claude_models, max_output: claude_output } = claude;
    let LocalServers { ollama, lmstudio } = local.unwrap();
    let Agent { ask } = agent;
    let Scripted { path } = scripted.unwrap();
    let Limits { max_sessions, max_queue, max_turns, prompt_timeout_secs } = limits;
    let defaults = Limits::default();
    label.is_some()
        && workspace.is_some()
        && model.is_some()
        && bind.is_some()
        && relay.is_some()
        && mdns.is_some()
        && mdns_port.is_some()
        && api_base.is_some()
        && !models.is_empty()
        && free
        && max_output.is_some()
        && claude_base.is_some()
        && !claude_models.is_empty()
        && claude_output.is_some()
        && ollama.is_some()
        && lmstudio.is_some()
        && ask.is_some()
        && !path.as_os_str().is_empty()
        && max_sessions != defaults.max_sessions
        && max_queue != defaults.max_queue
        && max_turns != defaults.max_turns
        && prompt_timeout_secs != defaults.prompt_timeout_secs
        && not_before.is_some()
        && default_max_cost.is_some()
        && keep_days != kept.keep_days
        && max_file_bytes != kept.max_file_bytes
        && max_files != kept.max_files
        && inbox.is_some()
        && !exports.is_empty()
        && max_bytes_per_peer != taken.max_bytes_per_peer
        && max_bytes != taken.max_bytes
        && max_sent != taken.max_files
        && max_depth != taken.max_depth
        && keep_free_bytes != taken.keep_free_bytes
        && offer_wait_secs != taken.offer_wait_secs
        && keep_parts_secs != taken.keep_parts_secs
}

#[test]
fn every_setting_is_documented_and_every_documented_one_exists() {
    let text = read("docs/settings.md");
    let sample = markdown::blocks(&text, "toml")[0];
    let settings = Settings::parse(sample, Path::new("docs/settings.md")).unwrap();
    assert!(all_are_set(settings), "docs/settings.md: the sample sets every key, to other than its default");
    let mut in_sample = BTreeSet::new();
    keys("", &sample.parse::<toml::Table>().unwrap(), &mut in_sample);
    let (_, table) = text.split_once("| key |").unwrap();
    let (table, _) = table.split_once("\n\n").unwrap();
    let in_table: BTreeSet<String> = markdown::coded_rows(table).into_iter().collect();
    assert_eq!(in_table, in_sample, "docs/settings.md: rows of the table, keys of the sample");
}

#[test]
fn every_json_line_is_documented_with_its_fields() {
    let text = read("docs/json.md");
    let session = SessionId([1; 32]);
    let accepted = Accepted { session, prompt_seq: 1, duplicate: false, ext: Default::default() };
    let mut lines = vec![jsonl::accepted(&accepted, &"p".parse().unwrap())];
    for kind in [DeltaKind::Text, DeltaKind::Thinking, DeltaKind::ToolOutput, DeltaKind::Notice] {
        let delta = Delta { item: String::new(), offset: 0, text: String::new() };
        lines.extend(jsonl::item(session, &StreamItem::Live(kind, delta)));
    }
    for (_, durable) in samples::durables() {
        lines.extend(jsonl::item(session, &StreamItem::Durable(durable)));
    }
    let schema: serde_json::Value = serde_json::from_str(&read("docs/json.schema.json")).unwrap();
    for line in &lines {
        let kind = line["type"].as_str().unwrap();
        let heading = format!("### `{kind}`\n");
        let (_, section) = text.split_once(&heading).unwrap_or_else(|| panic!("docs/json.md: no {heading}"));
        let section = section.split("\n##").next().unwrap();
        let fields: BTreeSet<&str> = line.as_object().unwrap().keys().map(String::as_str).collect();
        let rows = markdown::coded_rows(section);
        // `type` and `session` stand once, for all.
        let said: BTreeSet<&str> = rows.iter().map(String::as_str).chain(["type", "session"]).collect();
        assert_eq!(said, fields, "docs/json.md: fields of {kind}");
        let required = schema["$defs"]["lines"][kind]["required"].as_array().unwrap();
        let required: BTreeSet<&str> = required.iter().map(|field| field.as_str().unwrap()).collect();
        assert_eq!(required, fields, "docs/json.schema.json: fields of {kind}");
        for example in markdown::blocks(section, "json") {
            let example: serde_json::Value = serde_json::from_str(example.trim()).unwrap();
            let shown: BTreeSet<&str> = example.as_object().unwrap().keys().map(String::as_str).collect();
            assert_eq!(shown, fields, "docs/json.md: the example of {kind}");
        }
    }
}

#[test]
fn the_two_commands_stand_in_the_readme() {
    let readme = read("README.md");
    let shell = markdown::blocks(&readme, "sh").concat();
    for command in ["cargo run --release -- demo", "cargo test --workspace"] {
        assert!(shell.lines().any(|line| line.trim() == command), "README.md: {command}");
    }
}

#[test]
fn commands_that_people_are_told_to_type_exist() {
    let pages = help::pages();
    let mut seen = 0;
    for path in sizes::files(&["md"]) {
        let text = fs::read_to_string(&path).unwrap();
        for line in markdown::blocks(&text, "sh").concat().lines() {
            seen += usize::from(line.contains("clankers "));
            assert_eq!(help::fault(line, &pages), None, "{}", path.display());
        }
    }
    assert!(seen > 10, "only {seen} commands were found");
}

#[test]
fn links_lead_somewhere() {
    let mut seen = 0;
    for path in sizes::files(&["md"]) {
        let text = fs::read_to_string(&path).unwrap();
        for link in markdown::links(&text) {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            seen += 1;
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = if file.is_empty() { path.clone() } else { path.parent().unwrap().join(file) };
            assert!(target.exists(), "{}: {link} leads nowhere", path.display());
            if !anchor.is_empty() {
                let there = markdown::anchors(&fs::read_to_string(&target).unwrap());
                assert!(there.iter().any(|a| a == anchor), "{}: {link}: no such heading", path.display());
            }
        }
    }
    assert!(seen > 20, "only {seen} links were found");
}

/// Words in backticks of a document's tables that have the form of a test's name. Pure.
fn named_tests(text: &str) -> Vec<&str> {
    let rows = text.lines().filter(|line| line.starts_with('|'));
    rows.flat_map(|row| row.split('`').skip(1).step_by(2))
        .filter(|word| word.matches('_').count() > 1)
        .filter(|word| word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'))
        .collect()
}

#[test]
fn every_defect_has_the_test_that_it_names() {
    let text = read("docs/reliability.md");
    let names = named_tests(&text);
    assert!(names.len() > 5, "only {} tests are named", names.len());
    let sources: Vec<String> = sizes::files(&["rs"]).iter().map(|p| fs::read_to_string(p).unwrap()).collect();
    for name in names {
        let wanted = format!("fn {name}(");
        assert!(sources.iter().any(|source| source.contains(&wanted)), "docs/reliability.md: no test {name}");
    }
    assert_eq!(named_tests("| x | `a_b_c` and `D_e_f`, `a_b` |\n`not_in_a_table`\n"), ["a_b_c"]);
}
