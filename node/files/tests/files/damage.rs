//! Part files and journals that were damaged: nothing of it is taken for good.

use std::{
    fs,
    path::{Path, PathBuf},
};

use clankers_files::{HadFrom, Place};

use crate::support::{GO, Talk, bytes, had_from, parts_in, shape};

/// How many places are damaged in all, half of them in part files and half in the journal.
const PLACES: u64 = 10_000;

/// A small generator: the same damage each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

struct Scene {
    dir: tempfile::TempDir,
    place: Place,
    talk: Talk,
    part: PathBuf,
}

/// A transfer of a few blocks that was cut at its end, in memory where there is room.
fn cut() -> Scene {
    let base = Path::new("/dev/shm");
    let dir = if base.is_dir() { tempfile::tempdir_in(base) } else { tempfile::tempdir() }.unwrap();
    let root = dir.path().join("t");
    fs::create_dir(&root).unwrap();
    fs::write(root.join("big"), bytes(1, (2 << 20) + 100)).unwrap();
    for at in 0..20_u64 {
        fs::write(root.join(format!("s{at}")), bytes(at, 200 + at as usize)).unwrap();
    }
    let place = Place::open(dir.path()).unwrap();
    let mut talk = Talk::new(&root);
    talk.to = Some("in".to_owned());
    let landing = talk.begin(&place).unwrap();
    let plan = landing.scan(&GO, &|_| ()).unwrap();
    assert!(talk.send(&landing, &plan, u64::MAX).unwrap().1);
    drop(landing);
    let part = dir.path().join(".clankers-part").join(&parts_in(dir.path())[0]);
    Scene { dir, place, talk, part }
}

impl Scene {
    /// Everything that is had now: that the right bytes are behind it is checked by hand.
    fn had_is_right(&self) -> usize {
        let landing = self.talk.begin(&self.place).unwrap();
        let plan = landing.scan(&GO, &|_| ()).unwrap();
        for had in &plan.had {
            let path = self.talk.manifest.below(had.file).unwrap();
            let here = fs::read(self.dir.path().join("t").join(&path)).unwrap();
            let there = fs::read(self.part.join("tree").join(&path)).unwrap();
            for (block, _) in &had.blocks {
                let from = (*block as usize) << 20;
                let to = here.len().min(from + (1 << 20));
                assert_eq!(
                    here[from..to],
                    there[from..to],
                    "{path} block {block} is said to be had and is not"
                );
            }
        }
        had_from(&plan, HadFrom::Part)
    }
}

#[test]
fn a_part_file_that_was_flipped_or_cut_is_never_taken_for_good() {
    let scene = cut();
    let all = 23;
    assert_eq!(scene.had_is_right(), all);
    let tree = scene.part.join("tree");
    let mut dice = Dice(7);
    let mut noticed = 0;
    // Many places in each round; a round re-reads everything.
    let rounds = 50;
    for round in 0..rounds {
        let mut spoiled = 0;
        for _ in 0..PLACES / 2 / rounds {
            let name = match dice.below(22) {
                at @ 0..20 => format!("s{at}"),
                _ => "big".to_owned(),
            };
            let path = tree.join(&name);
            let mut content = fs::read(&path).unwrap_or_default();
            if content.is_empty() {
                continue;
            }
            let at = dice.below(content.len() as u64) as usize;
            match dice.below(8) {
                0 => content.truncate(at),
                1 => content.push(0),
                _ => content[at] ^= 1 << dice.below(8),
            }
            spoiled += 1;
            fs::write(&path, &content).unwrap();
        }
        let had = scene.had_is_right();
        assert!(had < all, "round {round}: none of {spoiled} places was noticed");
        noticed += all - had;
        let landing = scene.talk.begin(&scene.place).unwrap();
        let plan = landing.scan(&GO, &|_| ()).unwrap();
        assert!(scene.talk.send(&landing, &plan, u64::MAX).unwrap().1);
        drop(landing);
        assert_eq!(scene.had_is_right(), all, "round {round}: what was sent again is had");
    }
    assert!(noticed > 500, "{noticed}");
    let (landed, plan, sent) = scene.talk.whole(&scene.place).unwrap();
    assert_eq!((sent, plan.had_bytes), (0, landed.bytes));
    assert_eq!(shape(&scene.dir.path().join("t")), shape(&scene.dir.path().join("in/t")));
}

#[test]
fn a_journal_that_was_flipped_cut_or_shifted_only_costs_what_it_spoke_of() {
    let scene = cut();
    let journal = scene.part.join("journal");
    let good = fs::read(&journal).unwrap();
    assert_eq!(good.len() % 64, 0);
    let records = good.len() / 64;
    let mut dice = Dice(11);
    let tree = scene.part.join("tree");
    let saved = scene.dir.path().join("saved");
    copy(&tree, &saved);
    let rounds = 250;
    for _ in 0..rounds {
        let mut bad = good.clone();
        let kind = dice.below(6);
        let mut touched = std::collections::BTreeSet::new();
        for _ in 0..PLACES / 2 / rounds {
            let at = dice.below(bad.len() as u64) as usize;
            bad[at] ^= 1 << dice.below(8);
            touched.insert(at / 64);
        }
        match kind {
            0 => bad.truncate(dice.below(good.len() as u64) as usize),
            1 => {
                bad.remove(dice.below(good.len() as u64) as usize);
            }
            2 => bad.extend_from_slice(&good[..dice.below(200) as usize]),
            _ => {}
        }
        fs::write(&journal, &bad).unwrap();
        let had = scene.had_is_right();
        if kind > 2 {
            assert!(had >= records - touched.len(), "{had} of {records} with {} damaged", touched.len());
        }
        // What is not had was removed: put it back for the next round.
        let _ = fs::remove_dir_all(&tree);
        copy(&saved, &tree);
    }
    fs::write(&journal, &good).unwrap();
    assert_eq!(scene.had_is_right(), records);
}

#[test]
fn every_prefix_of_a_journal_is_a_journal() {
    let scene = cut();
    let journal = scene.part.join("journal");
    let good = fs::read(&journal).unwrap();
    let tree = scene.part.join("tree");
    let saved = scene.dir.path().join("saved");
    copy(&tree, &saved);
    for len in (0..=good.len()).step_by(13) {
        fs::write(&journal, &good[..len]).unwrap();
        assert_eq!(scene.had_is_right(), len / 64);
        let _ = fs::remove_dir_all(&tree);
        copy(&saved, &tree);
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}
