use std::os::unix::fs::{PermissionsExt, symlink};

use proptest::prelude::*;

use super::*;

const KEY: &str = "sk-ant-secret-0123456789-WXYZ";

fn world() -> (tempfile::TempDir, Credentials) {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::open(dir.path()).unwrap();
    (dir, Credentials::of(&home))
}

#[test]
fn kept_private_listed_masked_removed() {
    let (_dir, keys) = world();
    assert_eq!((keys.get("anthropic").unwrap(), keys.list().unwrap()), (None, vec![]));
    keys.set("openai", "short").unwrap();
    keys.set("anthropic", "old-key").unwrap();
    keys.set("anthropic", &format!(" {KEY}\n")).unwrap();
    assert_eq!(fs::metadata(keys.path()).unwrap().mode() & 0o7777, 0o600);
    assert_eq!(keys.get("anthropic").unwrap().unwrap().expose(), KEY);
    let list: Vec<_> = keys.list().unwrap().into_iter().map(|m| (m.provider, m.key)).collect();
    assert_eq!(list, [("anthropic".to_owned(), "…WXYZ".to_owned()), ("openai".to_owned(), "…".to_owned())]);
    assert!(keys.remove("anthropic").unwrap());
    assert!(!keys.remove("anthropic").unwrap());
    assert!(!fs::read_to_string(keys.path()).unwrap().contains("secret"));
    assert_eq!(keys.get("openai").unwrap().unwrap().expose(), "short");
}

#[test]
fn a_file_that_others_can_read_is_refused() {
    let (_dir, keys) = world();
    keys.set("anthropic", KEY).unwrap();
    for mode in [0o640, 0o604, 0o620, 0o666] {
        fs::set_permissions(keys.path(), fs::Permissions::from_mode(mode)).unwrap();
        for error in [keys.get("anthropic").unwrap_err(), keys.set("openai", "x").unwrap_err()] {
            assert!(error.to_string().contains("chmod 600"), "{error}");
        }
        assert_eq!(fs::metadata(keys.path()).unwrap().mode() & 0o777, mode, "not repaired in silence");
    }
}

#[test]
fn no_message_and_no_debug_holds_a_key() {
    let (_dir, keys) = world();
    keys.set("anthropic", KEY).unwrap();
    let found = keys.get("anthropic").unwrap().unwrap();
    assert!(!format!("{found:?} {keys:?} {:?}", keys.list().unwrap()).contains("secret"));
    for bad in [
        format!("[anthropic]\nkey = \"{KEY}"),
        format!("[anthropic]\nkey = {KEY}\n"),
        format!("[anthropic]\ntoken = \"{KEY}\"\n"),
        format!("anthropic = \"{KEY}\"\n"),
        format!("[\"../{KEY}\"]\nkey = \"x\"\n"),
        format!("[anthropic]\nkey = \"{KEY}\\n\"\n"),
        format!("[anthropic]\nkey = \"x\"\nkey = \"{KEY}\"\n"),
        "[a]\nkey = \"\"\n".to_owned(),
    ] {
        fs::write(keys.path(), &bad).unwrap();
        let errors = [keys.get("anthropic").unwrap_err(), keys.set("openai", "x").unwrap_err()];
        for error in errors {
            assert!(matches!(error, CredentialsError::Bad { .. }), "{bad}");
            assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
        }
        assert_eq!(fs::read_to_string(keys.path()).unwrap(), bad, "left as it is");
    }
}

#[test]
fn pipes_links_and_giants_are_refused() {
    let (dir, keys) = world();
    let pipe = std::process::Command::new("mkfifo").args(["-m", "600"]).arg(keys.path()).status();
    assert!(pipe.unwrap().success());
    assert!(keys.list().unwrap_err().to_string().contains("regular"));
    fs::remove_file(keys.path()).unwrap();
    fs::write(dir.path().join("other"), "").unwrap();
    symlink(dir.path().join("other"), keys.path()).unwrap();
    assert!(keys.list().unwrap_err().to_string().contains("link"));
    fs::remove_file(keys.path()).unwrap();
    keys.set("a", "b").unwrap();
    fs::File::options().write(true).open(keys.path()).unwrap().set_len(1 << 30).unwrap();
    assert!(keys.list().unwrap_err().to_string().contains("too long"));
}

#[test]
fn names_and_keys_that_are_none() {
    let (_dir, keys) = world();
    let long = "a".repeat(limits::PROVIDER_BYTES + 1);
    for bad in ["", "A", "../x", "a b", "a.b", "a\n", "-a", "é", &long] {
        assert!(matches!(keys.set(bad, "x"), Err(CredentialsError::Provider)), "{bad}");
        assert!(keys.get(bad).is_err() && keys.remove(bad).is_err());
    }
    let long = "k".repeat(limits::KEY_BYTES + 1);
    for bad in ["", " \n", "a b", "a\r\nX-Evil: 1", "ké", "a\0", &long] {
        assert!(matches!(keys.set("a", bad), Err(CredentialsError::Key(_))), "{bad}");
    }
    assert!(!keys.path().exists());
    let full = "k".repeat(limits::KEY_BYTES);
    for n in 0..limits::CREDENTIALS {
        keys.set(&format!("p{n}"), &full).unwrap();
    }
    assert!(matches!(keys.set("one-more", "x"), Err(CredentialsError::Full)));
    assert_eq!(keys.list().unwrap().len(), limits::CREDENTIALS);
}

#[test]
fn two_at_once_lose_nothing() {
    let (_dir, keys) = world();
    thread::scope(|scope| {
        for n in 0..16 {
            let keys = &keys;
            scope.spawn(move || keys.set(&format!("p{n}"), "key").unwrap());
        }
    });
    assert_eq!(keys.list().unwrap().len(), 16);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn any_key_comes_back(key in "[!-~]{1,100}", provider in "[a-z0-9][a-z0-9-]{0,20}") {
        let (_dir, keys) = world();
        keys.set(&provider, &key).unwrap();
        let found = keys.get(&provider).unwrap().unwrap();
        prop_assert_eq!(found.expose(), &key);
        let masked = found.masked();
        prop_assert!(masked.chars().count() <= 5 && (key.len() >= 20 || masked == "…"));
    }

    #[test]
    fn any_text_is_keys_or_refused(text in "[\\[\\]a=\"k\n .{}ey#']{0,80}") {
        let _ = parse(&text);
    }
}
