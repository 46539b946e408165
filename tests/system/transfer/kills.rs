//! Either side killed at any moment: it ends whole, and little is sent twice.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::MetadataExt as _,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use clankers_tests::{cli::Running, forge};

use super::{MIB, Two, shape, travelled, tree};

/// How often a side is killed (count); `.ci/run` has 200.
fn kills() -> usize {
    std::env::var("CLANKERS_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(16)
}

/// Pairs of nodes at a time: what each does is wait, mostly.
const WORLDS: usize = 4;

/// Bytes that may be sent again for one kill.
const AGAIN: u64 = 4 * MIB as u64;
/// A file of so many blocks (1 MiB each) and a little more.
const LARGE: &str = "large";
const BLOCKS: usize = 7;
/// How fast it is sent: so that a kill falls amid it, whatever the machine.
const RATE: [&str; 2] = ["--limit-rate", "24MiB"];
/// What is left when it is not killed any more (bytes).
const NEARLY: u64 = 2 * MIB as u64;
/// How long a killed transfer may take to move again (time).
const MOVES: Duration = Duration::from_secs(30);

/// Bytes that the receiver has of what is not whole: those of small files; and of the large one, whose room is taken at
/// once, the blocks that the journal has.
fn had(two: &Two) -> u64 {
    let parts = fs::read_dir(two.inbox().join(".clankers-part"));
    let parts = parts.into_iter().flatten().flatten().map(|entry| entry.path());
    parts.map(|part| small(&part.join("tree")) + large(&part.join("journal"))).sum()
}

fn small(tree: &Path) -> u64 {
    let mut waiting = vec![tree.to_owned()];
    let mut bytes = 0;
    while let Some(path) = waiting.pop() {
        let Ok(meta) = fs::symlink_metadata(&path) else { continue };
        if meta.is_dir() {
            waiting.extend(fs::read_dir(&path).into_iter().flatten().flatten().map(|entry| entry.path()));
        } else if !path.ends_with(LARGE) {
            bytes += meta.len().min(meta.blocks() * 512);
        }
    }
    bytes
}

/// Of a file of several blocks there is a record (64 bytes) of another block than its first.
fn large(journal: &Path) -> u64 {
    let records = fs::read(journal).unwrap_or_default();
    let of = |record: &[u8]| (record[8..24].to_vec(), usize::from(record[4]));
    let blocks: BTreeSet<_> = records.chunks_exact(64).map(of).collect();
    let key = blocks.iter().find(|(_, block)| *block > 0).map(|(key, _)| key);
    let whole = blocks.iter().filter(|(of, block)| Some(of) == key && *block < BLOCKS).count();
    whole as u64 * MIB as u64
}

/// What was seen of all kills.
#[derive(Debug, Default)]
struct Seen {
    /// Kills of either side.
    sender: usize,
    receiver: usize,
    /// Of those: when a part of it was there, and not all.
    amid: usize,
    /// Ends that were measured, and the most that was sent twice (bytes).
    ends: usize,
    again: u64,
}

impl Seen {
    fn kills(&self) -> usize {
        self.sender + self.receiver
    }
}

/// Some number below `n`.
fn some(n: u64) -> u64 {
    u64::from_le_bytes(forge::random()) % n.max(1)
}

/// Waits until the receiver has so many bytes, or the transfer is over; whether it is.
fn reaches(two: &Two, sending: &Running, goal: u64) -> bool {
    let begun = Instant::now();
    while had(two) < goal {
        if sending.process().wait(Duration::from_millis(1)).is_some() {
            return true;
        }
        assert!(begun.elapsed() < MOVES, "{goal} bytes do not come: {}", sending.process().story());
    }
    // And any time after that, the last of it included.
    sending.process().wait(Duration::from_millis(some(60))).is_some()
}

/// All files beneath, with what is in them, their modes and times.
fn files(dir: &Path) -> BTreeMap<String, String> {
    shape(dir).into_iter().filter(|(_, is)| !is.starts_with("40")).collect()
}

/// Sends it through kills until it is whole; `most` of them in all.
fn through(two: &mut Two, dir: &Path, total: u64, (seen, most): (&mut Seen, usize)) {
    let there = two.inbox().join(dir.file_name().unwrap());
    loop {
        let before = had(two);
        let sending = two.send([dir.to_str().unwrap()]).args(RATE).start();
        // Anywhere in what is left; what is nearly there ends.
        let left = total.saturating_sub(before);
        let last = left < NEARLY || seen.kills() >= most;
        if last || reaches(two, &sending, before + 1 + some(left)) {
            let sent = travelled(&sending.finish().ok().json_lines()) as u64;
            let again = sent.saturating_sub(left);
            assert!(again <= AGAIN, "{sent} of {total} sent, {before} were there");
            (seen.ends, seen.again) = (seen.ends + 1, seen.again.max(again));
            return;
        }
        if seen.kills().is_multiple_of(2) {
            sending.kill9();
            seen.sender += 1;
        } else {
            two.desk.kill9();
            sending.kill9();
            two.desk.restart();
            seen.receiver += 1;
        }
        seen.amid += usize::from((1..total).contains(&had(two)));
        // What has its final name is whole, whenever it is looked at. Modes and times of directories come last.
        if there.exists() {
            assert_eq!(files(&there), files(dir));
        }
    }
}

/// So many kills in one world.
fn world(number: usize, most: usize) -> Seen {
    let mut two = Two::with(&["--drop"]);
    let names: Vec<String> = (0..120).map(|n| format!("d{}/f{n}", n % 11)).collect();
    let mut seen = Seen::default();
    for round in (number..).step_by(WORLDS) {
        if seen.kills() >= most {
            break;
        }
        let files: Vec<(&str, usize)> = names
            .iter()
            .enumerate()
            .map(|(n, name)| (name.as_str(), (n * 7919 + round * 31) % (MIB * 2 / 3)))
            .chain([(LARGE, BLOCKS * MIB + round)])
            .collect();
        let total: u64 = files.iter().map(|(_, len)| *len as u64).sum();
        let dir = tree(&two.lap, &format!("round{round}"), &files);
        through(&mut two, &dir, total, (&mut seen, most));
        let there = two.inbox().join(format!("round{round}"));
        assert_eq!(shape(&there), shape(&dir), "round {round}");
        fs::remove_dir_all(&there).unwrap();
        fs::remove_dir_all(&dir).unwrap();
    }
    let parts = two.inbox().join(".clankers-part");
    let left = fs::read_dir(&parts).into_iter().flatten().flatten();
    let left: Vec<_> = left.map(|entry| entry.file_name().into_string().unwrap()).collect();
    assert!(left.iter().all(|name| name.ends_with(".done")), "nothing unfinished is left: {left:?}");
    seen
}

#[test]
fn killed_at_any_moment_it_ends_whole_and_little_is_sent_twice() {
    let (begun, all) = (Instant::now(), kills());
    let share = |number: usize| all / WORLDS + usize::from(number < all % WORLDS);
    let seen = thread::scope(|scope| {
        let worlds: Vec<_> =
            (0..WORLDS).map(|number| scope.spawn(move || world(number, share(number)))).collect();
        let seen = worlds.into_iter().map(|world| world.join().unwrap());
        seen.fold(Seen::default(), |all, one| Seen {
            sender: all.sender + one.sender,
            receiver: all.receiver + one.receiver,
            amid: all.amid + one.amid,
            ends: all.ends + one.ends,
            again: all.again.max(one.again),
        })
    });
    eprintln!("{seen:?} in {} s", begun.elapsed().as_secs());
    assert_eq!(seen.kills(), all);
    assert!(seen.sender.abs_diff(seen.receiver) <= WORLDS, "{seen:?}");
    assert!(seen.amid * 2 >= seen.kills(), "most kills fell before it began or after it ended: {seen:?}");
}
