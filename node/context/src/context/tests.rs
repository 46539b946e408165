use std::fs;

use super::*;
use crate::note::Kind;

fn world() -> (tempfile::TempDir, Places) {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().canonicalize().unwrap();
    for (file, text) in [
        ("home/agent/AGENTS.md", "be brief"),
        ("home/agent/skills/mine/SKILL.md", "---\nname: mine\ndescription: my skill\n---\nmy body"),
        ("home/agent/agents/reviewer.md", "review"),
        ("repo/.git/HEAD", "x"),
        ("repo/AGENTS.md", "use tabs"),
        (
            "repo/.clankers/skills/theirs/SKILL.md",
            "---\nname: theirs\ndescription: their skill\n---\ntheir body",
        ),
        ("repo/.clankers/agents/helper.md", "help"),
        ("repo/sub/file", ""),
    ] {
        let file = root.join(file);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }
    let places = Places::find(&root.join("home"), &root.join("repo/sub")).unwrap();
    (dir, places)
}

fn names(context: &Context) -> Vec<&str> {
    context.skills.iter().map(|skill| skill.name.as_str()).collect()
}

#[test]
fn without_trust_the_project_says_only_its_agents_md() {
    let (_dir, places) = world();
    for standing in [Standing::Untrusted, Standing::Replaced] {
        let context = gather(&places, standing, AgentScope::Both, None).unwrap();
        assert_eq!((names(&context), context.instructions.len()), (vec!["mine"], 2));
        assert!(!context.system_text().contains("their"));
        assert_eq!(context.notes.len(), 1);
        let note = context.notes[0].to_string();
        assert!(note.contains("1 skill and 1 agent") && note.contains("clankers trust"), "{note}");
    }
}

#[test]
fn with_trust_all_is_used() {
    let (_dir, places) = world();
    let context = gather(&places, Standing::Trusted, AgentScope::Both, Some("helper")).unwrap();
    assert_eq!((names(&context), context.notes.len()), (vec!["mine", "theirs"], 0));
    assert_eq!(context.agent.as_ref().unwrap().prompt, "help");
    assert_eq!(context.use_skill(r#"{"name":"theirs"}"#).unwrap(), "their body");
    assert_eq!(context.use_skill(r#"{"name":"mine","path":"SKILL.md"}"#).unwrap(), "my body");
    let tool = context.skill_tool().unwrap();
    assert!(
        tool.read_only && serde_json::from_str::<serde_json::Value>(&tool.parameters).unwrap().is_object()
    );
}

#[test]
fn what_the_model_asks_wrongly_is_explained() {
    let (_dir, places) = world();
    let context = gather(&places, Standing::Trusted, AgentScope::Both, None).unwrap();
    for (arguments, why) in [
        (r#"{"name":"no\u001b[2J"}"#, "there are: mine, theirs"),
        (r#"{"name":"../mine"}"#, "there is no skill"),
        (r#"{"name":"mine","path":"../../AGENTS.md"}"#, "without `..`"),
        ("{}", "missing field"),
        ("[", "call it as"),
        (&" ".repeat(5000), "too long"),
    ] {
        let error = context.use_skill(arguments).unwrap_err().to_string();
        assert!(error.contains(why) && !error.contains('\u{1b}'), "{error}");
    }
    let (_dir, empty) = (tempfile::tempdir().unwrap(), Context::default());
    assert!(empty.skill_tool().is_none() && empty.system_text().is_empty());
}

#[test]
fn an_agent_that_cannot_be_is_an_error_that_says_what_to_do() {
    let (_dir, places) = world();
    let ask =
        |standing, scope, name| gather(&places, standing, scope, Some(name)).map(|c| c.agent.unwrap().name);
    assert_eq!(ask(Standing::Untrusted, AgentScope::Both, "reviewer").unwrap(), "reviewer");
    for scope in [AgentScope::Both, AgentScope::Project] {
        let error = ask(Standing::Untrusted, scope, "helper").unwrap_err();
        assert!(error.to_string().contains("clankers trust"), "{error}");
    }
    let error = ask(Standing::Untrusted, AgentScope::User, "helper").unwrap_err();
    assert_eq!(error, ContextError::AgentNotFound { name: "helper".into(), there: vec!["reviewer".into()] });
    let error = ask(Standing::Trusted, AgentScope::Both, "../../x\u{1b}").unwrap_err();
    assert!(error.to_string().contains("there are: helper, reviewer"), "{error}");
    assert!(!error.to_string().contains('\u{1b}'));
}

#[test]
fn in_the_home_directory_the_nodes_home_is_not_a_project() {
    let (_dir, places) = world();
    // Somebody's `~` with `~/.clankers` as the node's home: what lies in it is not waiting for trust.
    let user = places.home.parent().unwrap();
    fs::rename(&places.home, user.join(".clankers")).unwrap();
    fs::create_dir(user.join(".clankers/skills")).unwrap();
    let places = Places::find(&user.join(".clankers"), user).unwrap();
    let context = gather(&places, Standing::Trusted, AgentScope::Both, None).unwrap();
    assert_eq!((names(&context), context.notes.as_slice()), (vec!["mine"], &[][..]));
}

#[test]
fn notes_have_a_limit() {
    let (_dir, places) = world();
    for n in 0..100 {
        let dir = places.project().join(format!(".clankers/skills/bad{n}"));
        fs::create_dir(&dir).unwrap();
        fs::write(dir.join("SKILL.md"), "no front matter").unwrap();
    }
    let context = gather(&places, Standing::Trusted, AgentScope::Both, None).unwrap();
    assert_eq!(context.notes.len(), limits::NOTES + 1);
    assert_eq!(context.notes.last().unwrap().to_string(), "and 68 more of such notes");
    assert!(matches!(context.notes[0], Note::Skipped { kind: Kind::Skill, .. }));
}

#[test]
fn a_deleted_directory_is_an_error_of_finding_it_only() {
    let (dir, places) = world();
    fs::remove_dir_all(places.project()).unwrap();
    assert!(Places::find(&places.home, &places.cwd).is_err());
    let context = gather(&places, Standing::Trusted, AgentScope::Both, None).unwrap();
    assert_eq!((names(&context), context.instructions.len()), (vec!["mine"], 1));
    drop(dir);
}
