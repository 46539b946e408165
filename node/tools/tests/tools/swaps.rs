//! Names swapped under the tools' hands, again and again: between the look and the use there is nothing to win.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use clankers_tools::{OutputSink, PathGate, Status};
use serde_json::{Value, json};

use crate::lab::{Lab, only};

const SECRET: &str = "the-secret-outside";
const ROUNDS: usize = 1_500;

/// Swaps two names in a loop until dropped.
struct Swapper {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<u64>>,
}

impl Swapper {
    fn new(a: PathBuf, b: PathBuf) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            let mut swaps = 0;
            let spare = a.with_extension("spare");
            while !stopped.load(Ordering::Relaxed) {
                if swap(&a, &b, &spare) {
                    swaps += 1;
                }
            }
            swaps
        });
        Self { stop, thread: Some(thread) }
    }

    fn stop(mut self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap()
    }
}

#[cfg(target_os = "linux")]
fn swap(a: &PathBuf, b: &PathBuf, _: &PathBuf) -> bool {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    renameat_with(CWD, a, CWD, b, RenameFlags::EXCHANGE).is_ok()
}

#[cfg(not(target_os = "linux"))]
fn swap(a: &PathBuf, b: &PathBuf, spare: &PathBuf) -> bool {
    fs::rename(a, spare).is_ok() && fs::rename(b, a).is_ok() && fs::rename(spare, b).is_ok()
}

async fn hammer(lab: &Lab, gate: Arc<dyn PathGate>, calls: &[(&str, Value)]) -> (usize, usize) {
    let (mut through, mut refused) = (0, 0);
    for _ in 0..ROUNDS {
        for (tool, args) in calls {
            let call = lab.call(tool, args.clone());
            let outcome = lab.tools.run(&call, gate.clone(), OutputSink::none(), Default::default()).await;
            assert!(!outcome.text.contains(SECRET), "{tool}: {}", outcome.text);
            match outcome.status {
                Status::Ok => through += 1,
                _ => refused += 1,
            }
        }
    }
    (through, refused)
}

#[tokio::test]
async fn a_directory_swapped_for_a_link_out_never_leads_out() {
    let lab = Lab::new();
    let outside = lab.outer.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("file"), SECRET).unwrap();
    lab.put("dir/file", "inside");
    symlink(&outside, lab.at("other")).unwrap();
    let swapper = Swapper::new(lab.at("dir"), lab.at("other"));
    let calls = [
        ("read", json!({"path": "dir/file"})),
        ("grep", json!({"pattern": "secret", "path": "dir"})),
        ("find", json!({"pattern": "*", "path": "."})),
    ];
    let (through, refused) = hammer(&lab, Arc::new(clankers_tools::AllowAll), &calls).await;
    assert!(swapper.stop() > 100 && through > 0 && refused > 0, "the race was not run: {through} {refused}");
}

#[tokio::test]
async fn a_file_swapped_for_a_link_past_the_gate_never_shows() {
    let lab = Lab::new();
    lab.put("secret/key", SECRET);
    lab.put("src/file", "inside");
    symlink("../secret/key", lab.at("src/other")).unwrap();
    let swapper = Swapper::new(lab.at("src/file"), lab.at("src/other"));
    let calls =
        [("read", json!({"path": "src/file"})), ("grep", json!({"pattern": "secret", "path": "src"}))];
    let (through, refused) = hammer(&lab, only("src"), &calls).await;
    assert!(swapper.stop() > 100 && through > 0 && refused > 0, "the race was not run: {through} {refused}");
}

#[tokio::test]
async fn a_write_never_lands_outside() {
    let lab = Lab::new();
    let outside = lab.outer.path().join("outside");
    fs::create_dir_all(outside.join("deep")).unwrap();
    fs::create_dir_all(lab.at("dir/deep")).unwrap();
    symlink(&outside, lab.at("other")).unwrap();
    let swapper = Swapper::new(lab.at("dir"), lab.at("other"));
    let (mut through, mut refused) = (0, 0);
    for round in 0..400 {
        for path in ["dir/file", "dir/deep/file", "dir/new/er/file"] {
            let outcome = lab.run("write", json!({"path": path, "content": format!("{round}")})).await;
            match outcome.status {
                Status::Ok => through += 1,
                _ => refused += 1,
            }
        }
    }
    assert!(swapper.stop() > 100 && through > 0 && refused > 0, "the race was not run: {through} {refused}");
    let left: Vec<_> = fs::read_dir(&outside).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, ["deep"], "something was written outside");
    assert_eq!(fs::read_dir(outside.join("deep")).unwrap().count(), 0);
}
