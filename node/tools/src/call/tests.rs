use super::*;

fn words(line: &str) -> ToolCall {
    ToolCall::from_words(line).unwrap().unwrap()
}

fn error(name: &str, json: &str) -> String {
    ToolCall::parse(name, json).unwrap_err().to_string()
}

#[test]
fn every_spec_is_a_schema_that_its_own_usage_fits() {
    for spec in specs() {
        let schema: serde_json::Value = serde_json::from_str(spec.parameters).unwrap();
        assert_eq!(schema["type"], "object", "{}", spec.name);
        let end = spec.usage.rfind('}').unwrap();
        let example = spec.usage.get(..=end).unwrap();
        let call = ToolCall::parse(spec.name, example).unwrap();
        assert_eq!(call.name(), spec.name);
        assert_eq!(call.read_only(), spec.read_only);
        let sent: serde_json::Value = serde_json::from_str(example).unwrap();
        for key in sent.as_object().unwrap().keys() {
            assert!(schema["properties"].get(key).is_some(), "{}: {key}", spec.name);
        }
        assert!(is_tool(spec.name));
    }
    assert!(!is_tool("Bash") && !is_tool("") && !is_tool("/ls"));
}

#[test]
fn arguments_survive_a_round_trip() {
    for (name, json) in [
        ("read", r#"{"path":"a","offset":3}"#),
        ("write", r#"{"path":"a","content":"x\n"}"#),
        ("edit", r#"{"path":"a","edits":[{"old_text":"x","new_text":""}]}"#),
        ("bash", r#"{"command":"ls","timeout":5}"#),
        ("grep", r#"{"pattern":"x","ignore_case":true,"context":2}"#),
        ("find", r#"{"pattern":"*.rs"}"#),
        ("ls", r#"{}"#),
    ] {
        let call = ToolCall::parse(name, json).unwrap();
        assert_eq!(call.arguments_json(), json);
    }
}

#[test]
fn what_models_send_is_understood() {
    let read = ToolCall::parse("read", r#"{"file_path":"a","offset":"10","limit":5.0}"#).unwrap();
    assert_eq!(read, ToolCall::Read(ReadArgs { path: "a".into(), offset: Some(10), limit: Some(5) }));
    assert!(matches!(ToolCall::parse("ls", ""), Ok(ToolCall::Ls(_))));
    assert!(matches!(
        ToolCall::parse("ls", r#"{"path":null,"all":"true"}"#),
        Ok(ToolCall::Ls(LsArgs { all: true, .. }))
    ));
    let one = r#"{"path":"a","oldText":"x","newText":"y"}"#;
    let listed = r#"{"path":"a","edits":"[{\"old_string\":\"x\",\"new_string\":\"y\"}]"}"#;
    assert_eq!(ToolCall::parse("edit", one).unwrap(), ToolCall::parse("edit", listed).unwrap());
}

#[test]
fn wrong_calls_say_what_is_right() {
    assert!(error("reed", "{}").contains("read, write, edit, bash, grep, find, ls"));
    let typo = error("read", r#"{"path":"a","ofset":3}"#);
    assert!(typo.contains("ofset") && typo.contains("offset"), "{typo}");
    for (name, json) in [
        ("read", "{}"),
        ("read", "[]"),
        ("read", "{"),
        ("read", r#"{"path":"a","offset":0}"#),
        ("read", r#"{"path":"a","offset":-1}"#),
        ("read", r#"{"path":"a","offset":1.5}"#),
        ("read", r#"{"path":"a","offset":1e300}"#),
        ("read", r#"{"path":"a","path":"b"}"#),
        ("read", r#"{"path":7}"#),
        ("edit", r#"{"path":"a","edits":[]}"#),
        ("edit", r#"{"path":"a"}"#),
        ("bash", r#"{"command":"  "}"#),
        ("bash", r#"{"command":"a\u0000b"}"#),
        ("bash", r#"{"command":"a","timeout":999999}"#),
        ("grep", r#"{"pattern":""}"#),
        ("find", r#"{"pattern":""}"#),
        ("ls", r#"{"limit":0}"#),
    ] {
        let message = error(name, json);
        assert!(message.starts_with(name) && message.contains("Expected: {"), "{message}");
    }
    let long = format!(r#"{{"pattern":"{}"}}"#, "a".repeat(5_000));
    assert!(error("grep", &long).contains("the limit is 4096"));
}

#[test]
fn too_many_edits_and_too_long_arguments_are_refused() {
    let edits = vec![r#"{"old_text":"a","new_text":"b"}"#; crate::limits::EDITS_MAX + 1].join(",");
    assert!(error("edit", &format!(r#"{{"path":"a","edits":[{edits}]}}"#)).contains("the limit is 200"));
    let long = " ".repeat(ARGUMENTS_BYTES_MAX + 1);
    assert!(matches!(ToolCall::parse("ls", &long), Err(ToolError::TooLarge { .. })));
}

#[test]
fn direct_prompts_are_parsed() {
    assert_eq!(
        words("/grep TODO src"),
        ToolCall::parse("grep", r#"{"pattern":"TODO","path":"src"}"#).unwrap()
    );
    assert_eq!(
        words("/grep -i 'a b' ."),
        ToolCall::parse("grep", r#"{"pattern":"a b","path":".","ignore_case":true}"#).unwrap()
    );
    assert_eq!(words(r"/grep \bfn\s+x"), ToolCall::parse("grep", r#"{"pattern":"\\bfn\\s+x"}"#).unwrap());
    assert_eq!(
        words(r#"/grep "say \"hi\" \d""#),
        ToolCall::parse("grep", r#"{"pattern":"say \"hi\" \\d"}"#).unwrap()
    );
    assert_eq!(words("/grep -- -x"), ToolCall::parse("grep", r#"{"pattern":"-x"}"#).unwrap());
    assert_eq!(words("/read README.md"), ToolCall::parse("read", r#"{"path":"README.md"}"#).unwrap());
    assert_eq!(
        words("/read a 5 2"),
        ToolCall::parse("read", r#"{"path":"a","offset":5,"limit":2}"#).unwrap()
    );
    assert_eq!(words("  /ls"), ToolCall::parse("ls", "{}").unwrap());
    assert_eq!(words("/ls\n"), ToolCall::parse("ls", "{}").unwrap());
    assert_eq!(
        words("/find *.rs src"),
        ToolCall::parse("find", r#"{"pattern":"*.rs","path":"src"}"#).unwrap()
    );
    assert_eq!(
        words("/bash echo 'a  b' | cat\necho c"),
        ToolCall::parse("bash", r#"{"command":"echo 'a  b' | cat\necho c"}"#).unwrap()
    );
    assert_eq!(
        words("/write a.txt  two\nlines\n"),
        ToolCall::parse("write", r#"{"path":"a.txt","content":" two\nlines\n"}"#).unwrap()
    );
    let json = r#"{"path":"a","edits":[{"old_text":"x","new_text":"y"}]}"#;
    assert_eq!(words(&format!("/edit {json}")), ToolCall::parse("edit", json).unwrap());
    assert_eq!(words(r#"/ls {"path":"x"}"#), ToolCall::parse("ls", r#"{"path":"x"}"#).unwrap());
    assert_eq!(words("/find {a,b}.rs"), ToolCall::parse("find", r#"{"pattern":"{a,b}.rs"}"#).unwrap());
    assert_eq!(words("/bash { echo a; }"), ToolCall::parse("bash", r#"{"command":"{ echo a; }"}"#).unwrap());
}

#[test]
fn ordinary_text_is_left_alone() {
    for line in ["", "/", "/help", "/grepx a", "hello", "grep TODO", "/Bash ls", "// grep x", "/ grep x"] {
        assert!(ToolCall::from_words(line).is_none(), "{line:?}");
    }
    for line in [
        "/grep",
        "/grep a b c",
        "/grep -z a",
        "/read",
        "/read a b",
        "/edit x",
        "/write a",
        "/ls a b",
        "/bash",
        "/grep 'a",
    ] {
        assert!(ToolCall::from_words(line).unwrap().is_err(), "{line:?}");
    }
}

#[test]
fn plain_words_are_a_call_only_when_they_fit() {
    assert!(ToolCall::from_plain_words("grep TODO src").is_some());
    assert!(ToolCall::from_plain_words("ls").is_some());
    assert!(ToolCall::from_plain_words("bash cargo test").is_some());
    for prose in
        ["read the docs and explain", "find me the bug", "edit this please", "list files", "/ls", "ls a b c"]
    {
        assert!(ToolCall::from_plain_words(prose).is_none(), "{prose}");
    }
}
