//! `token inspect` and `token why`: what a token says, and what would be answered to its holder.

use clankers_protocol::{
    NodeId,
    message::Ext,
    refusal::ExitKind,
    request::{
        inspect::{LinkWords, Question, TokenInspect, TokenInspected, TokenWhy, TokenWhyReply, Verdict},
        tokens::TokenChoice,
    },
    text::Clean,
};
use serde_json::{Value, json};

use super::{
    WORDS_CHARS, ask, known_as,
    list::{self, state, value},
    make::sentence,
    node, short,
};
use crate::{
    args::WhyArgs,
    error::{CliError, Outcome},
    local::Machine,
    output::{self, rfc3339},
    when::when,
};

pub(super) async fn run(
    machine: &Machine,
    token: TokenChoice,
    at: Option<String>,
    question: Option<Question>,
    json: bool,
) -> Outcome {
    let at = at.map(|peer| known_as(&peer));
    let asked = question.as_ref().map(words);
    let request = TokenInspect { leaf: None, token, node: at, question, ext: Ext::default() };
    let said: TokenInspected = ask(machine, &request).await?;
    if json {
        output::json(&inspected(&said))?;
    } else {
        let lines = tree(&said, asked.as_deref(), machine.run.node());
        output::lines(lines.iter().map(String::as_str))?;
    }
    answered(said.verdict.is_none_or(|verdict| verdict.allowed))
}

pub(super) async fn why(machine: &Machine, args: WhyArgs, json: bool) -> Outcome {
    let question = args.question.question(&args.command);
    let asked = words(&question);
    let own = machine.run.node();
    // It is known to itself by its id.
    let node = if args.peer == "local" { own.to_string() } else { known_as(&args.peer) };
    let request = TokenWhy { leaf: None, node, question, ext: Ext::default() };
    let reply: TokenWhyReply = ask(machine, &request).await?;
    let allowed = reply.own || reply.considered.iter().any(|one| one.verdict.allowed);
    if json {
        let considered: Vec<Value> = reply.considered.iter().map(considered).collect();
        output::json(&json!({
            "node": reply.node, "own": reply.own, "allowed": allowed, "considered": considered,
        }))?;
    } else {
        let lines = reasons(&reply, &asked, own);
        output::lines(lines.iter().map(String::as_str))?;
    }
    if !json && !reply.own {
        anstream::eprintln!("  (by what this machine knows; the node itself was not asked)");
    }
    answered(allowed)
}

/// The answer is the exit code, so that scripts can ask.
fn answered(allowed: bool) -> Outcome {
    if allowed { Ok(()) } else { Err(CliError::said(ExitKind::Denied)) }
}

/// A question in one line.
fn words(question: &Question) -> String {
    let mut out = question.command.trim_start_matches("/clankers/").to_owned();
    let args = [
        ("tool", &question.tool),
        ("path", &question.path),
        ("session", &question.session),
        ("model", &question.model),
        ("workspace", &question.workspace),
    ];
    for (name, value) in args {
        if let Some(value) = value {
            out.push_str(&format!(" {name}={value}"));
        }
    }
    if let Some(size) = question.size {
        out.push_str(&format!(" size={size}"));
    }
    Clean::line(&out, WORDS_CHARS).to_string()
}

/// A verdict in one line, with its glyph.
fn line(verdict: &Verdict, yes: &str, no: &str) -> String {
    if verdict.allowed {
        return format!("✓ {yes}");
    }
    let code = verdict.code.as_deref().map(|code| format!(" ({code})")).unwrap_or_default();
    let reason = verdict.reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
    format!("✗ {no}{}", Clean::line(&format!("{code}{reason}"), WORDS_CHARS))
}

/// The chain as a tree, the root first, and the verdicts beneath it.
fn tree(said: &TokenInspected, asked: Option<&str>, own: NodeId) -> Vec<String> {
    let record = &said.record;
    let mut out = vec![
        format!(
            "for {} on {}, until {}",
            node(record.audience, own),
            node(record.subject, own),
            when(record.expires)
        ),
        String::new(),
        node(record.subject, own),
    ];
    for (depth, link) in said.links.iter().enumerate() {
        out.extend(branch(link, depth, own));
    }
    out.push(String::new());
    out.push(line(&said.shown, "it is taken when its audience shows it", "it is refused when it is shown"));
    if let (Some(verdict), Some(asked)) = (&said.verdict, asked) {
        out.push(line(verdict, &format!("allowed: {asked}"), &format!("denied: {asked}")));
    }
    out
}

fn branch(link: &LinkWords, depth: usize, own: NodeId) -> Vec<String> {
    let indent = "   ".repeat(depth);
    let says = if link.says.is_empty() { "nothing more".to_owned() } else { link.says.join("; ") };
    vec![
        format!(
            "{indent}└─ {}  {}, until {}  {}",
            node(link.audience, own),
            state(link.state),
            when(link.expires),
            short(&link.cid)
        ),
        format!("{indent}      {}", Clean::line(&says, WORDS_CHARS)),
    ]
}

fn reasons(reply: &TokenWhyReply, asked: &str, own: NodeId) -> Vec<String> {
    if reply.own {
        return vec![format!("✓ {} is yours: its owner needs no token", node(reply.node, own))];
    }
    if reply.considered.is_empty() {
        let there = reply.node.short();
        return vec![
            format!("✗ no token is held for {there}"),
            format!("  ask its owner for one: clankers token create --for {own} ..."),
        ];
    }
    let mut used = false;
    let mut out = Vec::new();
    for one in &reply.considered {
        let record = &one.token.record;
        // The first that allows it is the one that is used.
        let yes = if used { format!("allowed too: {asked}") } else { format!("allowed: {asked}") };
        used |= one.verdict.allowed;
        out.push(line(&one.verdict, &yes, &format!("denied: {asked}")));
        out.push(format!("  {}  {}: {}", short(&record.cid), state(one.token.state), sentence(record)));
    }
    out
}

fn verdict(verdict: &Verdict) -> Value {
    json!({"allowed": verdict.allowed, "code": verdict.code, "reason": verdict.reason})
}

fn considered(one: &clankers_protocol::request::inspect::Considered) -> Value {
    let mut out = list::entry(&one.token);
    if let Value::Object(fields) = &mut out {
        fields.insert("verdict".into(), verdict(&one.verdict));
    }
    out
}

fn inspected(said: &TokenInspected) -> Value {
    let links: Vec<Value> = said
        .links
        .iter()
        .map(|link| {
            json!({
                "cid": link.cid,
                "issuer": link.issuer,
                "audience": link.audience,
                "not_before": rfc3339(link.not_before),
                "expires": rfc3339(link.expires),
                "says": link.says,
                "state": link.state.name(),
            })
        })
        .collect();
    let mut out = value(&said.record);
    if let Value::Object(fields) = &mut out {
        fields.insert("links".into(), Value::Array(links));
        fields.insert("shown".into(), verdict(&said.shown));
        fields.insert("verdict".into(), said.verdict.as_ref().map_or(Value::Null, verdict));
    }
    out
}

#[cfg(test)]
mod tests {
    use clankers_protocol::{
        Timestamp,
        request::tokens::{TokenRecord, TokenState},
    };

    use super::*;

    const OWN: NodeId = NodeId([1; 32]);
    const PEER: NodeId = NodeId([2; 32]);

    fn said(verdict: Option<Verdict>) -> TokenInspected {
        let until = Timestamp(u64::MAX);
        let record = TokenRecord {
            cid: "bafyreiabcdefghijklmnop".into(),
            subject: OWN,
            issuer: OWN,
            audience: PEER,
            not_before: Timestamp(0),
            expires: until,
            grants: vec!["prompt".into()],
            issued: true,
        };
        let link = |audience, state| LinkWords {
            cid: "bafyreiabcdefghijklmnop".into(),
            issuer: OWN,
            audience,
            not_before: Timestamp(0),
            expires: until,
            says: vec!["prompt\u{1b}[2J".into()],
            state,
        };
        let links = vec![link(PEER, TokenState::Valid), link(OWN, TokenState::Revoked)];
        let shown = Verdict { allowed: true, code: None, reason: None };
        TokenInspected { record, links, shown, verdict, ext: Ext::default() }
    }

    #[test]
    fn a_chain_is_a_tree_with_its_verdicts_beneath() {
        let no =
            Verdict { allowed: false, code: Some("unauthorized".into()), reason: Some("not\nso".into()) };
        let lines = tree(&said(Some(no)), Some("tool/use tool=grep"), OWN);
        assert_eq!(lines[2], format!("{} (this node)", OWN.short()));
        assert!(lines[3].starts_with(&format!("└─ {}  valid, until 9999", PEER.short())), "{lines:?}");
        assert!(lines[5].starts_with("   └─ ") && lines[5].contains("revoked"), "{lines:?}");
        assert!(lines[3].ends_with("bafyreiabcdefgh"), "{lines:?}");
        assert_eq!(lines[8], "✓ it is taken when its audience shows it");
        let last = lines.last().unwrap();
        assert!(last.starts_with("✗ denied: tool/use tool=grep (unauthorized): not"), "{last}");
        // Whatever a token says, it stays on its line and does nothing to the terminal.
        assert!(lines.iter().all(|line| !line.contains(['\u{1b}', '\n'])), "{lines:?}");
    }

    #[test]
    fn questions_in_words() {
        let question = Question {
            command: "/clankers/tool/use".into(),
            tool: Some("grep".into()),
            size: Some(3),
            ..Question::default()
        };
        assert_eq!(words(&question), "tool/use tool=grep size=3");
        assert!(answered(true).is_ok());
        let no = answered(false).unwrap_err();
        assert!(no.silent && no.kind == ExitKind::Denied);
    }
}
