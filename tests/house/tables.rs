//! The tables of the documents that have their source in the code.

use std::fmt::Write as _;

use clankers_auth::{Command, GrantSpec, vocab::all_tools};
use clankers_protocol::{
    kind,
    refusal::{CloseCode, ExitKind, RefusalCode},
};

use super::{root, sizes};

/// Document, name of the table, the table.
pub(crate) fn all() -> Vec<(&'static str, &'static str, String)> {
    vec![
        ("docs/protocol.md", "kinds", kinds()),
        ("docs/protocol.md", "refusal codes", refusals()),
        ("docs/protocol.md", "close codes", closes()),
        ("docs/auth.md", "commands", commands()),
        ("docs/auth.md", "presets", presets()),
        ("docs/limits.md", "limits", limits()),
    ]
}

fn kinds() -> String {
    let source = std::fs::read_to_string(root().join("protocol/src/kind.rs")).unwrap();
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    let mut out = String::from("| number | kind | body |\n|---|---|---|\n");
    for kind in kind::ALL {
        let row = format!("{} = {:#06x};", kind.name().unwrap(), kind.0);
        let at = lines.iter().position(|line| *line == row).unwrap();
        let words =
            lines[at - 1].trim_start_matches("///").trim().replace("[`crate::", "[`").replace(['[', ']'], "");
        writeln!(out, "| `{:#06x}` | {} | {words} |", kind.0, kind.name().unwrap()).unwrap();
    }
    out
}

fn exit(kind: ExitKind) -> i32 {
    kind as i32
}

fn refusals() -> String {
    let mut out = String::from("| code | name | means | exit |\n|---|---|---|---|\n");
    for code in RefusalCode::ALL {
        writeln!(
            out,
            "| {} | `{}` | {} | {} |",
            code.number(),
            code.name(),
            code.meaning(),
            exit(code.exit())
        )
        .unwrap();
    }
    out
}

fn closes() -> String {
    let mut out = String::from("| code | name | means | exit |\n|---|---|---|---|\n");
    for code in CloseCode::ALL {
        writeln!(
            out,
            "| {} | `{}` | {} | {} |",
            code.number(),
            code.name(),
            code.meaning(),
            exit(code.exit())
        )
        .unwrap();
    }
    out
}

const PRESETS: [&str; 4] = ["read-only", "reviewer", "operator", "root"];

fn specs() -> [GrantSpec; 4] {
    [GrantSpec::read_only(), GrantSpec::reviewer(), GrantSpec::operator(), GrantSpec::root()]
}

fn commands() -> String {
    let mut out = String::from("| command | lets its holder | in the presets |\n|---|---|---|\n");
    for command in Command::ALL {
        let by_tools = matches!(command, Command::ToolUse | Command::ShellExec);
        let inside: Vec<&str> = PRESETS
            .into_iter()
            .zip(specs())
            .filter(|(_, spec)| {
                spec.everything
                    || spec.commands.contains(command)
                    || by_tools && spec.tools.iter().any(|tool| Command::for_tool(tool) == *command)
            })
            .map(|(name, _)| name)
            .collect();
        writeln!(out, "| `{}` | {} | {} |", command.path(), command.words(), inside.join(", ")).unwrap();
    }
    out
}

fn presets() -> String {
    let mut out = String::from("| preset | tools | commands |\n|---|---|---|\n");
    for (name, spec) in PRESETS.into_iter().zip(specs()) {
        let (tools, commands) = if spec.everything {
            (all_tools().collect::<Vec<_>>().join(", "), "`/`: all, those of later versions too".to_owned())
        } else {
            let paths: Vec<String> = spec.commands.iter().map(|c| format!("`{}`", c.path())).collect();
            (spec.tools.join(", "), paths.join(", "))
        };
        let tools = if tools.is_empty() { "none".to_owned() } else { tools };
        writeln!(out, "| `--{name}` | {tools} | {commands} |").unwrap();
    }
    out
}

/// Every constant of every `limits.rs`, with its comment.
fn limits() -> String {
    let mut out = String::new();
    for path in sizes::files(&["rs"]).iter().filter(|path| path.ends_with("src/limits.rs")) {
        let name = path.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
        if name.starts_with("tests/") {
            continue;
        }
        let source = std::fs::read_to_string(path).unwrap();
        let rows = constants(&source);
        assert!(!rows.is_empty(), "{name} names no limit");
        writeln!(out, "\n## {}\n\n[`{name}`](../{name})\n", name.trim_end_matches("/src/limits.rs")).unwrap();
        writeln!(out, "| limit | value | of what |\n|---|---|---|").unwrap();
        for (limit, value, words) in rows {
            writeln!(out, "| `{limit}` | `{value}` | {words} |").unwrap();
        }
    }
    out.push('\n');
    out
}

/// Name, value and comment of each constant of a source file. Pure.
fn constants(source: &str) -> Vec<(String, String, String)> {
    let mut rows = Vec::new();
    let mut words = String::new();
    let mut lines = source.lines();
    while let Some(line) = lines.next() {
        let line = line.trim();
        if line.starts_with("#[cfg(test)]") {
            break;
        }
        if let Some(doc) = line.strip_prefix("///") {
            words.push_str(doc);
        } else if let Some((_, rest)) = line.split_once("const ").filter(|(before, _)| !before.contains("//"))
        {
            let mut whole = rest.to_owned();
            while !whole.contains(';') {
                let Some(more) = lines.next() else { break };
                whole.push_str(more.trim());
            }
            if let Some(((name, _), (_, value))) = whole.split_once(':').zip(whole.split_once('=')) {
                let value = value.trim().trim_end_matches(';').trim().to_owned();
                rows.push((name.trim().to_owned(), value, words.trim().replace('|', "\\|")));
            }
            words.clear();
        } else if !line.starts_with("#[") {
            words.clear();
        }
    }
    rows
}

#[test]
fn constants_are_read_with_their_comments() {
    let source = "//! no\n\n/// A time\n/// (seconds).\npub const A: u64 =\n    3 * 4;\n// const NO: u8 = 1;\n\
        const B: &[u8] = b\"x\";\n";
    assert_eq!(
        constants(source),
        [
            ("A".into(), "3 * 4".into(), "A time (seconds).".into()),
            ("B".into(), "b\"x\"".into(), String::new())
        ]
    );
}
