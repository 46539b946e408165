//! The command line's own help, command by command: the source of `docs/cli.md`.

use std::{
    collections::BTreeMap,
    process::{Command, Stdio},
};

use super::BIN;

/// Levels of subcommands.
const DEPTH: usize = 4;

/// The help of every command, by its path: "" is the whole, "rpc ping" one command.
pub(crate) fn pages() -> BTreeMap<String, String> {
    let mut pages = BTreeMap::new();
    collect(&mut Vec::new(), &mut pages);
    pages
}

fn collect(path: &mut Vec<String>, pages: &mut BTreeMap<String, String>) {
    assert!(path.len() <= DEPTH, "commands within commands: {path:?}");
    let page = help(path);
    for command in commands(&page) {
        path.push(command);
        collect(path, pages);
        path.pop();
    }
    pages.insert(path.join(" "), page);
}

fn help(path: &[String]) -> String {
    let out = Command::new(BIN)
        .args(path)
        .arg("--help")
        // Widths, colours and values of variables would be those of the machine.
        .env_clear()
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    assert!(out.status.success(), "{path:?} --help: {}", String::from_utf8_lossy(&out.stderr));
    let text = String::from_utf8(out.stdout).unwrap();
    text.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}

/// The commands that a page of help lists.
fn commands(page: &str) -> Vec<String> {
    page.lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| line.starts_with("  "))
        .filter(|line| !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect()
}

/// `docs/cli.md`.
pub(crate) fn document() -> String {
    let mut out = String::from(
        "# The command line\n\nWhat `--help` says, for every command. Generated from the binary by \
         `UPDATE_DOCS=1 cargo test -p clankers --test house`; do not edit.\n",
    );
    for (path, page) in pages() {
        let name = if path.is_empty() { "clankers".to_owned() } else { format!("clankers {path}") };
        out.push_str(&format!("\n## {name}\n\n```text\n{}\n```\n", page.trim_end()));
    }
    out
}

/// What is wrong with a line that a person is told to type, if it is about this program. Pure.
pub(crate) fn fault(line: &str, pages: &BTreeMap<String, String>) -> Option<String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    // What stands before the program: variables, a pipe's left side, `$`. To cargo it is a package's name.
    let at = words.iter().position(|word| *word == "clankers").filter(|_| words[0] != "cargo")?;
    let words: Vec<&str> =
        words[at + 1..].iter().copied().take_while(|w| !matches!(*w, "|" | "#" | "&&" | ">")).collect();
    let mut path: Vec<&str> = Vec::new();
    let mut flags = Vec::new();
    for word in words {
        let longer = [&path[..], &[word]].concat().join(" ");
        if word.starts_with("--") {
            flags.push(word.split_once('=').map_or(word, |(flag, _)| flag));
        } else if pages.contains_key(&longer) {
            path.push(word);
        }
    }
    let name = path.join(" ");
    let page = &pages[&name];
    if !commands(page).is_empty() && !name.is_empty() {
        return Some(format!("'{line}': no such command under '{name}'"));
    }
    // A flag ends where its name does.
    let knows = |flag: &str| {
        let after = page.split(flag).skip(1);
        after.into_iter().any(|rest| rest.chars().next().is_none_or(|c| !c.is_alphanumeric() && c != '-'))
    };
    flags.iter().find(|flag| !knows(flag)).map(|flag| format!("'{line}': '{name}' has no {flag}"))
}

#[test]
fn lines_that_do_not_work_are_found() {
    let pages = pages();
    for good in
        ["clankers demo", "clankers rpc ping desk -c 3", "$ x=1 clankers --home a daemon start -d", "ls -la"]
    {
        assert_eq!(fault(good, &pages), None);
    }
    for bad in ["clankers rpc pang desk", "clankers rpc ping desk --cuont 3", "clankers token revoek x"] {
        assert!(fault(bad, &pages).is_some(), "{bad}");
    }
}
