//! `grep` beside ripgrep over a large tree: `cargo run --release -p clankers-tools --example grep_tree -- DIR`.
//!
//! Fills DIR with a tree first when it is not there: 20,000 files of about 10 KB each (200 MB) in 400 directories, with
//! ignore files. Then searches it with the tool and with `rg -n --no-heading`, in turns, and prints the medians in
//! milliseconds. The patterns have fewer hits than the tool's limit, so both read every file to its end.

use std::error::Error;
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clankers_tools::{AllowAll, Forbidden, OutputSink, ToolCall, Tools, Workspace};
use tokio_util::sync::CancellationToken;

/// Directories of the tree.
const DIRS: u32 = 400;
/// Files in each.
const FILES: u32 = 50;
/// Bytes of each file, at least.
const FILE_BYTES: usize = 10_000;
/// Searches of each kind for each pattern.
const ROUNDS: usize = 11;
/// What is searched for: plain text that is nowhere, rare plain text, and regular expressions.
const PATTERNS: [&str; 4] =
    ["nowhere_to_be_found", "needle_in_the_hay", r"needle_\w+_hay\(\d+\)", r"\bfn \w{40,}\b"];

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let dir = std::env::args().nth(1).ok_or("usage: grep_tree DIR")?;
    let dir = Path::new(&dir);
    if !dir.exists() {
        fill(dir)?;
    }
    let workspace = Workspace::open(dir, Forbidden::none())?;
    let tools = Tools::new(Arc::new(workspace), None);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    for pattern in PATTERNS {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        let (mut our_hits, mut their_hits) = (0, None);
        for _ in 0..ROUNDS {
            let (took, hits) = runtime.block_on(search(&tools, pattern))?;
            ours.push(took);
            our_hits = hits;
            if let Some((took, hits)) = ripgrep(dir, pattern)? {
                theirs.push(took);
                their_hits = Some(hits);
            }
        }
        let ours = median(&mut ours);
        match their_hits {
            Some(hits) if hits != our_hits => {
                return Err(format!("{pattern}: {our_hits} hits, but rg has {hits}").into());
            }
            Some(_) => {
                let theirs = median(&mut theirs);
                let ratio = ours / theirs;
                println!(
                    "{pattern}: {our_hits} hits, ours {ours:.1} ms, rg {theirs:.1} ms, ratio {ratio:.2}"
                );
            }
            None => println!("{pattern}: {our_hits} hits, ours {ours:.1} ms; rg is not installed"),
        }
    }
    Ok(())
}

async fn search(tools: &Tools, pattern: &str) -> Outcome<(Duration, u64)> {
    let call = ToolCall::parse("grep", &serde_json::json!({ "pattern": pattern }).to_string())?;
    let started = Instant::now();
    let outcome = tools.run(&call, Arc::new(AllowAll), OutputSink::none(), CancellationToken::new()).await;
    let took = started.elapsed();
    let hits = outcome.details.and_then(|details| details.get("hits")?.as_u64());
    Ok((took, hits.ok_or(outcome.text)?))
}

/// `None` when it is not installed.
fn ripgrep(dir: &Path, pattern: &str) -> Outcome<Option<(Duration, u64)>> {
    let started = Instant::now();
    let args = ["-n", "--no-heading", "--no-config", "--hidden", "--glob", "!.git", pattern, "./"];
    match Command::new("rg").args(args).current_dir(dir).output() {
        Ok(output) => {
            let hits = output.stdout.iter().filter(|byte| **byte == b'\n').count() as u64;
            Ok(Some((started.elapsed(), hits)))
        }
        Err(_) => Ok(None),
    }
}

/// The middle of some durations, in milliseconds.
fn median(times: &mut [Duration]) -> f64 {
    times.sort_unstable();
    times.get(times.len() / 2).map_or(f64::NAN, |time| time.as_secs_f64() * 1_000.0)
}

fn fill(dir: &Path) -> Outcome<()> {
    const WORDS: [&str; 12] = [
        "let", "mut", "result", "self", "return", "match", "channel", "buffer", "hay", "stack", "needle",
        "await",
    ];
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move || {
        // xorshift64, Marsaglia 2003: the same tree every time.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for d in 0..DIRS {
        let folder = dir.join(format!("area{}/part{}", d % 20, d / 20));
        fs::create_dir_all(&folder)?;
        if d % 20 == 0 {
            fs::write(folder.join(".gitignore"), "*.tmp\n/build/\n!keep.tmp\n")?;
        }
        for f in 0..FILES {
            let mut text = String::with_capacity(FILE_BYTES + 100);
            while text.len() < FILE_BYTES {
                let words = 3 + random() % 9;
                for _ in 0..words {
                    let word = usize::try_from(random() % 12).ok().and_then(|at| WORDS.get(at));
                    text.push_str(word.copied().unwrap_or_default());
                    text.push(' ');
                }
                text.push('\n');
            }
            if (d * FILES + f) % 300 == 7 {
                writeln!(text, "fn needle_in_the_hay({f}) {{}}")?;
            }
            fs::write(folder.join(format!("file{f}.rs")), text)?;
        }
    }
    fs::write(dir.join(".gitignore"), "target/\n*.log\n")?;
    Ok(())
}
