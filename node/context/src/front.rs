//! YAML front matter: the block between two lines of `---` at the beginning of a Markdown file.
//!
//! YAML by serde-saphyr: maintained, a parser without `unsafe` written for Rust, with budgets for depth, events
//! and aliases that are checked while it parses. (serde_yaml is archived; its forks wrap a translated libyaml.)

use clankers_protocol::text;
use serde::Deserialize;

use crate::limits;

/// What skills and agents say about themselves. Other fields are left to other programs.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Front {
    pub(crate) name: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) model: Option<String>,
    pub(crate) tools: Option<Words>,
}

/// A list, or words with commas between them.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Words {
    List(Vec<String>),
    Line(String),
}

impl Words {
    pub(crate) fn into_list(self) -> Vec<String> {
        let trimmed = |word: &str| word.trim().to_owned();
        let words: Vec<String> = match self {
            Self::List(words) => words.iter().map(|word| trimmed(word)).collect(),
            Self::Line(line) => line.split(',').map(trimmed).collect(),
        };
        words.into_iter().filter(|word| !word.is_empty()).collect()
    }
}

/// Splits clean text in front matter and body. `None` in front: there is none, all is body.
///
/// # Errors
/// When the block has no end within [`limits::FRONT_MATTER_BYTES`].
pub(crate) fn split(text: &str) -> Result<(Option<&str>, &str), String> {
    let Some(rest) = text.strip_prefix("---").and_then(after_line) else { return Ok((None, text)) };
    let mut at = 0;
    for line in rest.split_inclusive('\n') {
        let end = at + line.len();
        if at > limits::FRONT_MATTER_BYTES {
            break;
        }
        if line.trim_end() == "---" {
            return Ok((rest.get(..at), rest.get(end..).unwrap_or_default()));
        }
        at = end;
    }
    Err(format!(
        "its front matter begins with `---` and does not end with such a line within {} bytes",
        limits::FRONT_MATTER_BYTES
    ))
}

/// What follows when nothing but blanks is left of the line.
fn after_line(rest: &str) -> Option<&str> {
    let (line, rest) = rest.split_once('\n')?;
    line.trim().is_empty().then_some(rest)
}

/// Reads front matter within a budget.
///
/// # Errors
/// What is wrong with it, and where.
pub(crate) fn parse(yaml: &str) -> Result<Front, String> {
    if yaml.trim().is_empty() {
        return Ok(Front::default());
    }
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_events: limits::YAML_EVENTS,
            max_nodes: limits::YAML_EVENTS,
            max_depth: limits::YAML_DEPTH,
            flow_nesting_limit: limits::YAML_DEPTH,
            max_documents: 1,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: limits::YAML_REPLAYED,
            max_replay_stack_depth: limits::YAML_DEPTH,
            max_alias_expansions_per_anchor: limits::YAML_REPLAYED,
        },
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options(yaml, options).map_err(|error| {
        format!("its front matter is not valid: {}", text::line(&error.to_string(), limits::LABEL_CHARS))
    })
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn front_and_body() {
        assert_eq!(split("---\na: 1\n---\nbody\n---\n").unwrap(), (Some("a: 1\n"), "body\n---\n"));
        assert_eq!(split("---  \n---").unwrap(), (Some(""), ""));
        assert_eq!(split("no front\n---\n").unwrap(), (None, "no front\n---\n"));
        assert_eq!(split("----\nx").unwrap(), (None, "----\nx"));
        assert!(split("---\nname: x\n").unwrap_err().contains("does not end"));
        assert!(split(&format!("---\n{}---\n", "a: b\n".repeat(10_000))).is_err());
    }

    #[test]
    fn fields_lists_and_what_others_write() {
        let front =
            parse("name: a\ndescription: >\n  two\n  lines\ntools: Read, grep ,\ncolor: red\nx: {y: [1]}\n")
                .unwrap();
        assert_eq!(front.name.as_deref(), Some("a"));
        assert_eq!(front.description.as_deref(), Some("two lines\n"));
        assert_eq!(front.tools.unwrap().into_list(), ["Read", "grep"]);
        assert_eq!(parse("tools: [read, ls]").unwrap().tools.unwrap().into_list(), ["read", "ls"]);
        assert_eq!(parse("name: 3\ntools: []").unwrap().name.as_deref(), Some("3"));
        assert!(parse(" \n").unwrap().name.is_none());
        for bad in ["name: [a]", "- a", "just text", "name: a\nname: b", "name: \"unclosed", "a: b: c"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        assert!(!parse("name: [\u{1b}[31m\n]x").unwrap_err().contains('\n'));
    }

    #[test]
    fn bombs_are_refused_quickly() {
        let mut laughs = String::from("a0: &a0 [lol, lol]\n");
        for n in 1..30 {
            laughs.push_str(&format!("a{n}: &a{n} [*a{p}, *a{p}, *a{p}, *a{p}]\n", p = n - 1));
        }
        let began = Instant::now();
        for bomb in [
            laughs,
            format!("name: {}", "[".repeat(8000)),
            format!("name: {}1{}", "{a: ".repeat(2000), "}".repeat(2000)),
            format!("x: [{}]", "1,".repeat(7000)),
            "a: &a [*a]\ntools: *a".to_owned(),
            "? ".repeat(8000),
            "- ".repeat(8000),
        ] {
            assert!(parse(&bomb).is_err(), "{bomb}");
        }
        assert!(began.elapsed() < Duration::from_secs(20));
    }

    proptest! {
        #[test]
        fn any_front_matter_is_read_or_refused(yaml in "[-:\\[\\]{}&*!|>'\"%@?, \na-c0-9#]{0,300}") {
            let _ = parse(&yaml);
        }

        #[test]
        fn nothing_is_lost_in_the_split(front in "([a-z: ]{0,20}\n){0,5}", body in any::<String>()) {
            let text = format!("---\n{front}---\n{body}");
            let (found, rest) = split(&text).unwrap();
            prop_assert_eq!(found.unwrap(), front);
            prop_assert_eq!(rest, body);
        }
    }
}
