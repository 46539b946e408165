//! A guide in Markdown that is run as it stands: whoever reads it reads what was tested.
//!
//! A block that opens with `sh NAME` is typed on the machine NAME, a [`NodeHome`] that is made when it is first named.
//! A line `$ ...` is a command for the shell. What stands beneath it is all that it prints, on either output:
//!
//! - `[..]` is any text within a line, and a line `...` any lines;
//! - `<NAME>` is remembered where it is printed first, is the same wherever it is printed again, and is filled in where
//!   a command has it;
//! - `[exit code 4]` as the last line is how the command ends; without it, with 0;
//! - a command that ends in ` &` goes on, once it has printed what stands beneath it: what a person does in a second
//!   terminal. `$ # ...` has what it printed since, once that is there; `$ wait` has the rest of it, and its end.
//!
//! A block that opens with `LANGUAGE NAME FILE` is that file, in the directory where NAME's commands are typed.
//!
//! Commands that not every machine has may stand in a directory that is given to the guide: they are taken from there where
//! the machine has none. Every machine finds the directory `$STICK`: what carries a file from one to another.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    path::{Path, PathBuf},
    process::Command,
};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::{
    home::NodeHome,
    limits::COMMAND,
    process::{self, Input, Process},
};

/// One command of a guide, and what it is to print.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Step {
    machine: String,
    /// Where it stands (line, from 1).
    line: usize,
    command: String,
    prints: Vec<String>,
    code: i32,
}

/// A guide that is being run: its machines and what it remembers. Dropping it ends what still runs on them.
#[derive(Debug)]
pub struct Guide {
    binary: PathBuf,
    tools: Option<PathBuf>,
    stick: TempDir,
    machines: BTreeMap<String, NodeHome>,
    running: BTreeMap<String, (Process, usize)>,
    names: BTreeMap<String, String>,
}

/// Runs every command of a guide, in order. How many there were.
///
/// # Panics
/// At the first that does not print what stands beneath it, or does not end as it says.
#[must_use]
pub fn run(binary: &Path, markdown: &str) -> usize {
    run_with(binary, None, markdown)
}

/// The same with a directory of commands that this machine may lack.
///
/// # Panics
/// As [`run`].
#[must_use]
pub fn run_with(binary: &Path, tools: Option<&Path>, markdown: &str) -> usize {
    let stick = tempfile::tempdir().expect("a temporary directory");
    let mut guide = Guide {
        binary: binary.to_owned(),
        tools: tools.map(Path::to_owned),
        stick,
        machines: BTreeMap::new(),
        running: BTreeMap::new(),
        names: BTreeMap::new(),
    };
    let steps = steps(markdown);
    for step in &steps {
        guide.step(step);
    }
    assert!(guide.running.is_empty(), "the guide ends while something runs that it does not wait for");
    steps.len()
}

impl Guide {
    fn step(&mut self, step: &Step) {
        if step.command == "wait" {
            let (process, seen) = self.running.remove(&step.machine).expect("something that runs");
            return self.ended(step, &process, seen);
        }
        if step.command.starts_with("# ") {
            let (process, seen) = self.running.remove(&step.machine).expect("something that runs");
            let seen = self.begun(step, &process, seen);
            self.running.insert(step.machine.clone(), (process, seen));
            return;
        }
        let (command, background) = match step.command.strip_suffix(" &") {
            Some(command) => (command, true),
            None => (step.command.as_str(), false),
        };
        let process = self.spawn(step, command);
        if !background {
            return self.ended(step, &process, 0);
        }
        let shown = self.begun(step, &process, 0);
        let earlier = self.running.insert(step.machine.clone(), (process, shown));
        assert!(earlier.is_none(), "line {}: something runs there already", step.line);
    }

    fn spawn(&mut self, step: &Step, command: &str) -> Process {
        let home = match self.machines.entry(step.machine.clone()) {
            Entry::Occupied(there) => there.into_mut(),
            Entry::Vacant(new) => new.insert(NodeHome::new(&self.binary)),
        };
        let mut shell = Command::new("/bin/sh");
        home.furnish(&mut shell);
        let beside = self.binary.parent().expect("the binary's directory");
        let path = std::env::var_os("PATH").unwrap_or_default();
        let paths =
            std::iter::once(beside.to_owned()).chain(std::env::split_paths(&path)).chain(self.tools.clone());
        shell
            .env("PATH", std::env::join_paths(paths).expect("a search path"))
            .env("STICK", self.stick.path());
        let command = filled(command, &self.names);
        shell.args(["-c", &format!("exec 2>&1; {command}")]);
        Process::spawn(shell, Input::Nothing)
    }

    /// Waits until what stands beneath a command was printed, after the lines that were seen already. How many are
    /// seen then.
    fn begun(&mut self, step: &Step, process: &Process, seen: usize) -> usize {
        let names = &self.names;
        let found = process.stdout().wait(COMMAND, |bytes| {
            let text = String::from_utf8_lossy(bytes);
            let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
            let lines: Vec<&str> = whole.lines().skip(seen).collect();
            (0..=lines.len()).find_map(|count| {
                let mut names = names.clone();
                is_printed(&step.prints, &lines[..count], &mut names).then_some((count, names))
            })
        });
        let (count, names) = found.unwrap_or_else(|| self.failed(step, "never came", process));
        self.names = names;
        seen + count
    }

    /// Waits for its end, and compares what it printed after the lines that were seen already.
    fn ended(&mut self, step: &Step, process: &Process, seen: usize) {
        let Some(exit) = process.wait(COMMAND) else { self.failed(step, "did not end", process) };
        let text = process.stdout().text();
        let lines: Vec<&str> = text.lines().skip(seen).collect();
        if !is_printed(&step.prints, &lines, &mut self.names) {
            self.failed(step, "printed something else", process);
        }
        if exit.code != Some(step.code) {
            self.failed(step, "ended otherwise", process);
        }
    }

    fn failed(&self, step: &Step, what: &str, process: &Process) -> ! {
        let Step { machine, line, command, prints, code } = step;
        let prints = prints.join("\n");
        panic!(
            "line {line}: on {machine}: `{command}` {what}.\nThe guide says:\n{prints}\n[exit code {code}]\n\
             It was:\n{}\nremembered: {:?}",
            process.story(),
            self.names
        );
    }
}

impl Drop for Guide {
    fn drop(&mut self) {
        for pid in self.machines.values().flat_map(NodeHome::processes) {
            process::signal_stranger(pid, Signal::KILL);
        }
    }
}

/// The commands of a guide.
fn steps(markdown: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut machine: Option<&str> = None;
    let mut file: Option<Step> = None;
    for (number, line) in markdown.lines().enumerate() {
        match (machine, line.strip_prefix("```")) {
            (None, Some(info)) => {
                machine = Some(info.strip_prefix("sh ").unwrap_or(""));
                file = written(info, number + 1);
            }
            (Some(_), Some(_)) => {
                machine = None;
                steps.extend(file.take().map(|step| Step { command: step.command + "END_OF_FILE", ..step }));
            }
            (Some(name), None) if !name.is_empty() => {
                if let Some(command) = line.strip_prefix("$ ") {
                    let (machine, command) = (name.to_owned(), command.to_owned());
                    steps.push(Step { machine, line: number + 1, command, prints: Vec::new(), code: 0 });
                    continue;
                }
                let step = steps.last_mut().expect("a command before what it prints");
                let code = line.strip_prefix("[exit code ").and_then(|rest| rest.strip_suffix(']'));
                match code {
                    Some(code) => step.code = code.parse().expect("an exit code"),
                    None => step.prints.push(line.to_owned()),
                }
            }
            _ => file.iter_mut().for_each(|step| step.command += &format!("{line}\n")),
        }
    }
    steps
}

/// The beginning of the command that writes a block which is a file.
fn written(info: &str, line: usize) -> Option<Step> {
    let mut words = info.split_whitespace().skip(1);
    let (machine, file) = (words.next()?.to_owned(), words.next()?);
    let command = format!("cat > {file} <<'END_OF_FILE'\n");
    Some(Step { machine, line, command, prints: Vec::new(), code: 0 })
}

/// A command with what was remembered in it.
fn filled(command: &str, names: &BTreeMap<String, String>) -> String {
    names.iter().fold(command.to_owned(), |text, (name, value)| text.replace(&format!("<{name}>"), value))
}

/// Whether these lines are what was to be printed.
fn is_printed(wanted: &[String], lines: &[&str], names: &mut BTreeMap<String, String>) -> bool {
    let Some((first, rest)) = wanted.split_first() else { return lines.is_empty() };
    if first == "..." {
        return (0..=lines.len()).any(|skip| {
            let mut tried = names.clone();
            let fits = is_printed(rest, &lines[skip..], &mut tried);
            if fits {
                *names = tried;
            }
            fits
        });
    }
    let Some((line, lines)) = lines.split_first() else { return false };
    fits(first, line, names) && is_printed(rest, lines, names)
}

/// Whether a line is as it was to be.
fn fits(wanted: &str, line: &str, names: &mut BTreeMap<String, String>) -> bool {
    if let Some(rest) = wanted.strip_prefix("[..]") {
        let mut ends = line.char_indices().map(|(at, _)| at).chain([line.len()]);
        return ends.any(|at| {
            let mut tried = names.clone();
            let fits = fits(rest, line.split_at(at).1, &mut tried);
            if fits {
                *names = tried;
            }
            fits
        });
    }
    if let Some((name, rest)) = placeholder(wanted) {
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        let end = line.find(|c| !is_part(c)).unwrap_or(line.len());
        let (value, line) = line.split_at(end);
        let known = names.entry(name.to_owned()).or_insert_with(|| value.to_owned());
        return !value.is_empty() && known == value && fits(rest, line, names);
    }
    let (mut wanted, mut line) = (wanted.chars(), line.chars());
    match (wanted.next(), line.next()) {
        (None, None) => true,
        (Some(a), Some(b)) if a == b => fits(wanted.as_str(), line.as_str(), names),
        _ => false,
    }
}

/// `<NAME>` at the beginning, and what is after it.
fn placeholder(text: &str) -> Option<(&str, &str)> {
    let (name, rest) = text.strip_prefix('<')?.split_once('>')?;
    let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_uppercase() || c == '_');
    is_name.then_some((name, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_matched_whole() {
        let mut names = BTreeMap::new();
        assert!(fits("✓ node <ID> runs (process [..])", "✓ node abc-1 runs (process 77)", &mut names));
        assert_eq!(names["ID"], "abc-1");
        assert!(fits("again <ID>", "again abc-1", &mut names));
        for (wanted, line) in
            [("again <ID>", "again abd"), ("a", "ab"), ("ab", "a"), ("<NEW>", ""), ("[..]x", "xy"), ("", "a")]
        {
            assert!(!fits(wanted, line, &mut names), "{wanted} {line}");
        }
        assert_eq!(filled("see <ID> <OTHER>", &names), "see abc-1 <OTHER>");
    }

    #[test]
    fn lines_may_be_skipped_where_it_says_so() {
        let wanted = |lines: &[&str]| lines.iter().map(|l| (*l).to_owned()).collect::<Vec<_>>();
        let mut names = BTreeMap::new();
        assert!(is_printed(&wanted(&["...", "b", "..."]), &["a", "b", "c"], &mut names));
        assert!(is_printed(&wanted(&["..."]), &[], &mut names));
        assert!(!is_printed(&wanted(&["a"]), &["a", "b"], &mut names));
        assert!(!is_printed(&wanted(&["a", "b"]), &["a"], &mut names));
    }

    #[test]
    fn a_guide_is_run_on_its_machines() {
        let guide =
            "Some `words`.\n\n```toml\n$ not this\n```\n```sh one\n$ echo <X>; echo it is $HOME\n<X>\n```\n";
        let found = steps(guide);
        assert_eq!((found.len(), found[0].machine.as_str(), found[0].line), (1, "one", 7));
        let told = "```sh one\n$ echo id abc > $STICK/f; cat $STICK/f\nid <X>\n$ echo go; cat &\ngo\n$ wait\n\
                    $ echo bad >&2; exit 3\nbad\n[exit code 3]\n```\n```sh two\n$ cat $STICK/f; test <X> = abc\nid <X>\n```\n";
        assert_eq!(run(Path::new("/bin/sh"), told), 5);
    }

    #[test]
    fn a_file_is_written_and_what_runs_is_looked_at_again() {
        let told = "```toml one a.toml\nkey = 1\n\nlast = 'x'\n```\n```sh one\n$ cat a.toml\nkey = 1\n\nlast = 'x'\n\
                    $ echo a; until [ -e go ]; do sleep 0.01; done; echo b 7; until [ -e on ]; do sleep 0.01; done; echo c &\na\n\
                    $ touch go\n$ # further down\nb <SEVEN>\n$ touch on; echo <SEVEN>\n7\n$ wait\nc\n```\n";
        assert_eq!(run(Path::new("/bin/sh"), told), 7);
    }

    #[test]
    #[should_panic(expected = "ended otherwise")]
    fn another_end_fails_it() {
        let _ran = run(Path::new("/bin/sh"), "```sh one\n$ exit 3\n```\n");
    }
}
