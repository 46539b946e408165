//! What rots at the receiver between two attempts, while its node is stopped: nothing of it is taken for good.

use std::{
    fs::{self, OpenOptions},
    io::{Seek, SeekFrom, Write},
    path::Path,
};

use super::{LARGE, MIB, Two, content, moving, part, shape, travelled, tree};

/// Blocks (1 MiB each) that have arrived when it breaks off.
const BLOCKS: usize = 12;

/// A directory of which some blocks have arrived when both sides are killed.
fn broken_off() -> (Two, std::path::PathBuf) {
    let mut two = Two::with(&["--drop"]);
    let dir = tree(&two.lap, "d", &[("a", LARGE), ("b", 9)]);
    let sending = two.send_slowly(&dir).start();
    moving(&two.inbox(), BLOCKS as u64);
    two.desk.kill9();
    sending.kill9();
    (two, dir)
}

/// What travels when it goes on (bytes); it has to end whole.
fn goes_on(mut two: Two, dir: &Path) -> usize {
    two.desk.restart();
    let ran = two.send([dir.to_str().unwrap()]).run().ok();
    assert_eq!(shape(&two.inbox().join("d")), shape(dir));
    travelled(&ran.json_lines())
}

fn write_at(path: &Path, at: usize, bytes: &[u8]) {
    let mut file = OpenOptions::new().write(true).open(path).unwrap();
    file.seek(SeekFrom::Start(at as u64)).unwrap();
    file.write_all(bytes).unwrap();
}

#[test]
fn parts_that_rot_are_sent_again_and_the_rest_is_not() {
    let (two, dir) = broken_off();
    let file = part(&two.inbox()).join("tree/a");
    for at in [5, 3 * MIB + 17, 7 * MIB] {
        write_at(&file, at, b"rot");
    }
    let sent = goes_on(two, &dir);
    assert!(sent <= LARGE - (BLOCKS - 3) * MIB + 9, "three blocks were damaged, and {sent} travelled");
}

#[test]
fn a_journal_that_rots_costs_what_it_spoke_of() {
    let (two, dir) = broken_off();
    let journal = part(&two.inbox()).join("journal");
    let records = fs::metadata(&journal).unwrap().len() / 64;
    assert!(records >= BLOCKS as u64);
    // The first and the fourth record, and the end of the last.
    for at in [40, 3 * 64 + 9] {
        let mut bytes = fs::read(&journal).unwrap();
        bytes[at] ^= 1;
        fs::write(&journal, bytes).unwrap();
    }
    OpenOptions::new().write(true).open(&journal).unwrap().set_len(records * 64 - 7).unwrap();
    let sent = goes_on(two, &dir);
    assert!(sent <= LARGE - (BLOCKS - 3) * MIB + 9, "three records were damaged, and {sent} travelled");
}

/// Bytes of anything that is kept of a transfer, all at once: it ends whole.
#[test]
fn anything_that_is_kept_of_a_transfer_may_rot() {
    let (two, dir) = broken_off();
    let part = part(&two.inbox());
    let dice = content(77, 4_096);
    let mut dice = dice.chunks_exact(8).map(|eight| u64::from_le_bytes(eight.try_into().unwrap()));
    for name in ["journal", "about.json", "tree/a"] {
        let path = part.join(name);
        let len = fs::metadata(&path).unwrap().len();
        for _ in 0..40 {
            let roll = dice.next().unwrap();
            write_at(&path, usize::try_from((roll >> 8) % len).unwrap(), &roll.to_le_bytes()[..1]);
        }
    }
    goes_on(two, &dir);
}
