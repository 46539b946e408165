//! The receiver is killed at moments nobody chose, and disks that are full.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use clankers_files::{Begun, Place, Trouble};
use clankers_protocol::request::transfer::OnConflict;

use crate::support::{GO, Talk, bytes, parts_in, shape};

const DIR: &str = "CLANKERS_FILES_KILL_DIR";
const KILLS: u64 = 200;

fn talk(dir: &Path, conflict: OnConflict, number: u8) -> Talk {
    let mut talk = Talk::new(&dir.join("t")).on(conflict).number(number);
    talk.to = Some("in".to_owned());
    talk
}

fn conflict_of(dir: &Path) -> OnConflict {
    if dir.join("overwrite").exists() { OnConflict::Overwrite } else { OnConflict::Rename }
}

/// Not a test of its own: what is killed.
#[test]
#[ignore = "run by a_receiver_that_is_killed_at_any_moment_goes_on"]
fn victim() {
    let Some(dir) = env::var_os(DIR).map(PathBuf::from) else { return };
    let place = Place::open(&dir).unwrap();
    let number = fs::read(dir.join("number")).unwrap()[0];
    let talk = talk(&dir, conflict_of(&dir), number);
    if let Begun::Landing(landing) = place.begin(talk.wish()).unwrap() {
        let plan = landing.scan(&GO, &|_| ()).unwrap();
        assert!(talk.send(&landing, &plan, u64::MAX).unwrap().1);
        landing.commit(&[].into(), b"note").unwrap();
    }
}

fn scene(dir: &Path) {
    let root = dir.join("t");
    fs::create_dir_all(root.join("d/e")).unwrap();
    fs::write(root.join("big"), bytes(1, (6 << 20) + 5)).unwrap();
    for at in 0..60_u64 {
        fs::write(root.join(format!("d/s{at}")), bytes(at, 500)).unwrap();
        fs::write(root.join(format!("d/e/n{at}")), b"").unwrap();
    }
}

/// What is there already and is joined.
fn older(dir: &Path, conflict: OnConflict) {
    if conflict == OnConflict::Overwrite {
        fs::create_dir_all(dir.join("in/t/d")).unwrap();
        fs::write(dir.join("in/t/d/s1"), b"older").unwrap();
    }
}

/// Directories that a kill left half joined keep the modes and times of those who made them.
fn landed_shape(root: &Path, conflict: OnConflict) -> Vec<String> {
    let all = shape(root).into_iter();
    all.filter(|line| conflict == OnConflict::Rename || line.contains(" file ")).collect()
}

fn killed_again_and_again(conflict: OnConflict) {
    let base = Path::new("/dev/shm");
    let dir = if base.is_dir() { tempfile::tempdir_in(base) } else { tempfile::tempdir() }.unwrap();
    let dir = dir.path();
    scene(dir);
    if conflict == OnConflict::Overwrite {
        fs::write(dir.join("overwrite"), b"").unwrap();
    }
    older(dir, conflict);
    let place = Place::open(dir).unwrap();
    let (mut number, mut had, mut landings, mut told, mut resumed) = (1_u8, 0, 0, 0, 0);
    let (mut random, mut unheard) = (17_u64, 0_u64);
    for kill in 0..KILLS * 20 {
        if kill >= KILLS && resumed > 3 && told > 3 {
            break;
        }
        fs::write(dir.join("number"), [number]).unwrap();
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "kills::victim", "--ignored", "--quiet"])
            .env(DIR, dir)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        // The kill's moment is the dice's; nothing waits for it to have passed.
        // On a slow machine it comes later, until some are late enough.
        thread::sleep(Duration::from_micros((random >> 40) % (60_000 * (1 + unheard / 8))));
        child.kill().unwrap();
        child.wait().unwrap();
        let talk = talk(dir, conflict, number);
        let landing = match place.begin(talk.wish()).unwrap() {
            Begun::Landing(landing) => landing,
            Begun::Done { name, note } => {
                assert_eq!(note, b"note");
                (told, unheard) = (told + 1, 0);
                let (sent, there) = (dir.join("t"), dir.join("in").join(&name));
                assert_eq!(landed_shape(&sent, conflict), landed_shape(&there, conflict), "kill {kill}");
                fs::remove_dir_all(dir.join("in")).unwrap();
                older(dir, conflict);
                (number, had, landings) = (number % 200 + 1, 0, landings + 1);
                continue;
            }
        };
        if conflict == OnConflict::Rename {
            assert_eq!(
                fs::read_dir(dir.join("in")).unwrap().count(),
                0,
                "a name was given to what is not whole"
            );
        }
        let plan = landing.scan(&GO, &|_| ()).unwrap();
        assert_eq!(plan.lost_bytes, 0, "kill {kill}");
        assert!(plan.had_bytes >= had, "kill {kill}: {had} bytes were had and now {}", plan.had_bytes);
        unheard += 1;
        resumed += u32::from(plan.had_bytes > 0);
        had = plan.had_bytes;
    }
    assert!(resumed > 3 && told > 3, "{resumed} resumed, {told} told again, {landings} landed");
    assert!(parts_in(dir).len() <= 1);
}

#[test]
fn a_receiver_that_is_killed_at_any_moment_goes_on() {
    killed_again_and_again(OnConflict::Rename);
}

#[test]
fn a_receiver_that_is_killed_while_it_joins_directories_goes_on() {
    killed_again_and_again(OnConflict::Overwrite);
}

/// A removal that was killed midway leaves directories under names of their own.
#[test]
fn what_a_kill_left_of_a_removal_goes_with_the_next_transfer() {
    let dir = tempfile::tempdir().unwrap();
    scene(dir.path());
    let left = dir.path().join(".clankers-part").join(format!("{}.removed-7", "a".repeat(32)));
    fs::create_dir_all(left.join("d/e")).unwrap();
    fs::write(left.join("d/e/f"), b"left").unwrap();
    let place = Place::open(dir.path()).unwrap();
    talk(dir.path(), OnConflict::Rename, 1).whole(&place).unwrap();
    assert_eq!(parts_in(dir.path()), Vec::<String>::new());
    fs::create_dir_all(left.join("d/e")).unwrap();
    place.sweep(Duration::from_secs(3_600)).unwrap();
    assert_eq!(parts_in(dir.path()), Vec::<String>::new(), "and with a look for what is old");
}

/// A small file system in memory; needs root and Linux.
struct Small(PathBuf);

impl Small {
    fn mount(at: &Path, size: &str) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        let done = Command::new("mount").args(["-t", "tmpfs", "-o", size, "tmpfs"]).arg(at).output().ok()?;
        done.status.success().then(|| Self(at.to_owned()))
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_is_said_and_what_has_arrived_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    scene(dir.path());
    let at = dir.path().join("disk");
    let Some(_disk) = Small::mount(&at, "size=4m") else {
        eprintln!("skipped: no file system can be mounted here (needs Linux and root)");
        return;
    };
    let place = Place::open(&at).unwrap();
    let talk = talk(dir.path(), OnConflict::Rename, 1);
    let landing = talk.begin(&place).unwrap();
    let plan = landing.scan(&GO, &|_| ()).unwrap();
    let error = talk.send(&landing, &plan, u64::MAX).unwrap_err();
    assert_eq!(error.kind(), Trouble::NoSpace, "{error}");
    assert!(error.to_string().contains("free some space"), "{error}");
    drop(landing);
    if let Err(error) = talk.begin(&place) {
        assert_eq!(error.kind(), Trouble::NoSpace, "not even its description has room");
    }
    let more = Command::new("mount").args(["-o", "remount,size=16m"]).arg(&at).status().unwrap();
    assert!(more.success());
    let (landed, plan, sent) = talk.whole(&place).unwrap();
    assert!(plan.had_bytes >= 2 << 20, "{}", plan.had_bytes);
    assert_eq!(sent + plan.had_bytes, landed.bytes);
    assert_eq!(shape(&dir.path().join("t")), shape(&at.join("in/t")));
    assert!(place.free_bytes().unwrap() < 16 << 20);
}

#[test]
fn a_disk_without_inodes_is_full_too() {
    let dir = tempfile::tempdir().unwrap();
    scene(dir.path());
    let at = dir.path().join("disk");
    let Some(_disk) = Small::mount(&at, "size=64m,nr_inodes=30") else {
        eprintln!("skipped: no file system can be mounted here (needs Linux and root)");
        return;
    };
    let place = Place::open(&at).unwrap();
    let talk = talk(dir.path(), OnConflict::Rename, 1);
    let landing = talk.begin(&place).unwrap();
    let plan = landing.scan(&GO, &|_| ()).unwrap();
    assert_eq!(talk.send(&landing, &plan, u64::MAX).unwrap_err().kind(), Trouble::NoSpace);
}
