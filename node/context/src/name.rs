//! Names of skills and agents: they are typed, shown, and are names of files.

use crate::limits;

/// Whether it is a name by the rules of agentskills.io: lower-case letters, digits and single hyphens between them, at
/// most 64. Nothing of this can be a path, an option or an escape sequence.
#[must_use]
pub fn is_name(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    !text.is_empty()
        && text.len() <= limits::NAME_BYTES
        && text.bytes().all(allowed)
        && !text.starts_with('-')
        && !text.ends_with('-')
        && !text.contains("--")
}

/// What to say about a name that is none.
pub(crate) const RULE: &str = "a name has 1 to 64 lower-case letters, digits and single hyphens between them";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_rules() {
        for good in ["a", "pdf-tools", "3d", &"a".repeat(64)] {
            assert!(is_name(good), "{good}");
        }
        for bad in
            ["", "-a", "a-", "a--b", "A", "a b", "../x", "a/b", ".", "..", "a\0", "a\n", "é", &"a".repeat(65)]
        {
            assert!(!is_name(bad), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn a_name_is_one_plain_path_component(text in any::<String>()) {
            if is_name(&text) {
                let mut parts = std::path::Path::new(&text).components();
                prop_assert!(matches!(parts.next(), Some(std::path::Component::Normal(_))));
                prop_assert!(parts.next().is_none());
                prop_assert!(text.is_ascii() && !text.bytes().any(|b| b.is_ascii_control()));
            }
        }

        #[test]
        fn what_follows_the_rules_is_one(text in "[a-z0-9]{1,8}(-[a-z0-9]{1,8}){0,5}") {
            prop_assert!(is_name(&text));
        }
    }
}
