use std::os::unix::fs::{PermissionsExt, symlink};

use proptest::prelude::*;

use super::*;

fn world() -> (tempfile::TempDir, TrustBook, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().canonicalize().unwrap();
    fs::create_dir_all(root.join("home")).unwrap();
    fs::create_dir_all(root.join("repo/sub")).unwrap();
    (dir, TrustBook::at(&root.join("home")), root.join("repo"))
}

#[test]
fn exactly_one_directory_is_trusted() {
    let (_dir, book, repo) = world();
    assert_eq!(book.standing(&repo).unwrap(), Standing::Untrusted);
    let entry = book.add(&repo, Timestamp(7)).unwrap();
    assert_eq!(book.list().unwrap(), [entry]);
    assert_eq!(fs::metadata(&book.path).unwrap().mode() & 0o777, 0o600);
    assert_eq!(book.standing(&repo.join("sub/..")).unwrap(), Standing::Trusted);
    assert_eq!(book.standing(&repo.join("sub")).unwrap(), Standing::Untrusted);
    assert_eq!(book.standing(repo.parent().unwrap()).unwrap(), Standing::Untrusted);
    // Once more is still one entry.
    book.add(&repo.join("sub/.."), Timestamp(8)).unwrap();
    assert_eq!(book.list().unwrap().len(), 1);
    assert!(book.remove(&repo).unwrap());
    assert!(!book.remove(&repo).unwrap());
    assert_eq!(book.standing(&repo).unwrap(), Standing::Untrusted);
}

#[test]
fn another_directory_in_its_place_is_asked_about_anew() {
    let (_dir, book, repo) = world();
    book.add(&repo, Timestamp(1)).unwrap();
    fs::rename(&repo, repo.with_extension("old")).unwrap();
    assert!(book.standing(&repo).is_err(), "gone");
    fs::create_dir(&repo).unwrap();
    assert_eq!(book.standing(&repo).unwrap(), Standing::Replaced);
    // A moved directory is not trusted where it is now.
    assert_eq!(book.standing(&repo.with_extension("old")).unwrap(), Standing::Untrusted);
    // A link to a trusted directory is that directory; one from its place leads elsewhere.
    fs::remove_dir(&repo).unwrap();
    symlink(repo.with_extension("old"), &repo).unwrap();
    assert_eq!(book.standing(&repo).unwrap(), Standing::Untrusted);
    assert!(!book.remove(&repo).unwrap(), "a link is looked through");
}

#[test]
fn a_list_that_is_not_ours_trusts_nobody_and_stays() {
    let (_dir, book, repo) = world();
    book.add(&repo, Timestamp(1)).unwrap();
    let good = fs::read_to_string(&book.path).unwrap();
    for bad in [
        "",
        "{",
        "[]",
        "{\"version\":1}",
        &good.replace("\"version\": 1", "\"version\": 2"),
        good.get(..40).unwrap(),
    ] {
        fs::write(&book.path, bad).unwrap();
        assert!(matches!(book.standing(&repo), Err(TrustError::Bad { .. })), "{bad}");
        assert!(book.add(&repo, Timestamp(2)).is_err());
        assert_eq!(fs::read_to_string(&book.path).unwrap(), bad, "left as it is");
    }
    fs::File::create(&book.path).unwrap().set_len(1 << 30).unwrap();
    assert!(book.list().unwrap_err().to_string().contains("longer"));
    fs::write(&book.path, good).unwrap();
    fs::set_permissions(&book.path, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(book.standing(&repo).unwrap_err().to_string().contains("chmod 600"));
    fs::rename(&book.path, repo.join("elsewhere")).unwrap();
    symlink(repo.join("elsewhere"), &book.path).unwrap();
    assert!(book.standing(&repo).unwrap_err().to_string().contains("link"));
}

#[test]
fn some_directories_cannot_be_trusted() {
    let (_dir, book, repo) = world();
    fs::write(repo.join("file"), "").unwrap();
    for unfit in ["/", repo.join("file").to_str().unwrap()] {
        assert!(matches!(book.add(Path::new(unfit), Timestamp(1)), Err(TrustError::Unfit { .. })), "{unfit}");
    }
    fs::set_permissions(&repo, fs::Permissions::from_mode(0o1777)).unwrap();
    assert!(book.add(&repo, Timestamp(1)).unwrap_err().to_string().contains("chmod o-w"));
    assert!(book.add(&repo.join("missing"), Timestamp(1)).is_err());
    assert!(!book.path.exists());
}

#[test]
fn two_at_once_lose_nothing() {
    let (_dir, book, repo) = world();
    let dirs: Vec<PathBuf> = (0..16).map(|n| repo.join(format!("d{n:02}"))).collect();
    dirs.iter().for_each(|dir| fs::create_dir(dir).unwrap());
    thread::scope(|scope| {
        for dir in &dirs {
            scope.spawn(|| book.add(dir, Timestamp(1)).unwrap());
        }
    });
    assert_eq!(book.list().unwrap().len(), 16);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn it_is_a_set(steps in proptest::collection::vec((0_usize..4, any::<bool>()), 0..12)) {
        let (_dir, book, repo) = world();
        let mut model = std::collections::BTreeSet::new();
        for (n, add) in steps {
            let dir = repo.join(format!("d{n}"));
            fs::create_dir_all(&dir).unwrap();
            if add {
                book.add(&dir, Timestamp(1)).unwrap();
                model.insert(dir);
            } else {
                prop_assert_eq!(book.remove(&dir).unwrap(), model.remove(&dir));
            }
            let listed: Vec<PathBuf> = book.list().unwrap().into_iter().map(|e| e.directory.into()).collect();
            prop_assert_eq!(&listed, &model.iter().cloned().collect::<Vec<_>>());
        }
    }
}
