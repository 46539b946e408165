use std::fs;

use super::*;

fn world() -> (tempfile::TempDir, Places) {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().canonicalize().unwrap();
    for dir in ["home/agent/agents", "repo/.clankers/agents"] {
        fs::create_dir_all(root.join(dir)).unwrap();
    }
    let places = Places::find(&root.join("home"), &root.join("repo")).unwrap();
    (dir, places)
}

fn put(places: &Places, origin: Origin, file: &str, text: &str) {
    let dir = match origin {
        Origin::User => places.user_dir().join("agents"),
        Origin::Project => places.project().join(".clankers/agents"),
    };
    fs::write(dir.join(file), text).unwrap();
}

fn one_of(text: &str) -> Result<Agent, String> {
    let (_dir, places) = world();
    put(&places, Origin::User, "tester.md", text);
    let (mut agents, notes) = agents(&places, Standing::Trusted, AgentScope::Both);
    agents.pop().ok_or_else(|| notes[0].to_string())
}

#[test]
fn what_an_agent_says() {
    let agent = one_of(
        "---\nname: my-tester\ndescription: tests\nmodel: anthropic/x-1.5:free\ntools: Read, grep\ncolor: red\n---\n\nTest it.\n",
    )
    .unwrap();
    assert_eq!((agent.name.as_str(), agent.prompt.as_str()), ("my-tester", "Test it."));
    assert_eq!(agent.model.as_deref(), Some("anthropic/x-1.5:free"));
    assert_eq!(agent.tools, Some(vec!["read".to_owned(), "grep".to_owned()]));
    assert_eq!(agent.label, "~/.clankers/agent/agents/tester.md");
    let bare = one_of("Only a prompt.").unwrap();
    assert_eq!((bare.name.as_str(), bare.tools, bare.prompt.as_str()), ("tester", None, "Only a prompt."));
    assert_eq!(one_of("---\ntools: []\n---\n").unwrap().tools, Some(vec![]));
    assert_eq!(one_of("---\ntools: \"*\"\n---\n").unwrap().tools, None);
}

#[test]
fn what_is_not_an_agent_is_said() {
    for (text, why) in [
        ("---\nname: ../x\n---\n", "hyphens"),
        ("---\nmodel: --home=/x\n---\n", "--model"),
        ("---\nmodel: \"a\\e[31m\"\n---\n", "--model"),
        ("---\nmodel: a b\n---\n", "--model"),
        ("---\ntools: [\"read;rm\"]\n---\n", "a tool's name"),
        ("---\ntools: {a: b}\n---\n", "not valid"),
        ("---\nunclosed", "does not end"),
        ("a\0b", "NUL"),
        (&"x".repeat(limits::AGENT_BYTES + 1), "at most"),
        (&format!("---\ntools: [{}]\n---\n", "a,".repeat(65)), "more than"),
    ] {
        let note = one_of(text).unwrap_err();
        assert!(note.contains(why) && !note.chars().any(char::is_control), "{note}");
    }
}

#[test]
fn a_repository_cannot_replace_the_owners_agent() {
    let (_dir, places) = world();
    put(&places, Origin::User, "reviewer.md", "mine");
    put(&places, Origin::Project, "reviewer.md", "theirs");
    put(&places, Origin::Project, "other.md", "other");
    let prompts = |standing, scope| {
        let (agents, notes) = agents(&places, standing, scope);
        (agents.into_iter().map(|agent| agent.prompt).collect::<Vec<_>>(), notes.len())
    };
    assert_eq!(prompts(Standing::Trusted, AgentScope::Both), (vec!["other".into(), "mine".into()], 1));
    assert_eq!(prompts(Standing::Trusted, AgentScope::Project), (vec!["other".into(), "theirs".into()], 0));
    assert_eq!(prompts(Standing::Trusted, AgentScope::User), (vec!["mine".into()], 0));
    for standing in [Standing::Untrusted, Standing::Replaced] {
        assert_eq!(prompts(standing, AgentScope::Both), (vec!["mine".into()], 0));
        assert_eq!(prompts(standing, AgentScope::Project), (vec![], 0));
    }
}

#[test]
fn two_files_of_one_name_the_first_counts() {
    let (_dir, places) = world();
    put(&places, Origin::User, "a.md", "---\nname: same\n---\nfirst");
    put(&places, Origin::User, "b.md", "---\nname: same\n---\nsecond");
    let (agents, notes) = agents(&places, Standing::Untrusted, AgentScope::Both);
    assert_eq!((agents.len(), agents[0].prompt.as_str()), (1, "first"));
    assert!(notes[0].to_string().contains("two agents are named same"), "{notes:?}");
}

#[test]
fn scopes_are_words() {
    assert_eq!("project".parse(), Ok(AgentScope::Project));
    assert!("all".parse::<AgentScope>().is_err());
}
