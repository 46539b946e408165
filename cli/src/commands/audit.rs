//! `audit`: who asked this machine's node for what, and what it answered; read from its files.

use std::{collections::VecDeque, time::Duration};

use clankers_node::store::{
    Home,
    audit::{AuditLine, AuditReader, AuditRow, Verdict},
};
use clankers_protocol::{
    NodeId,
    message::Ext,
    refusal::RefusalCode,
    request::peers::{PeerResolve, PeerResolved},
    text::Clean,
};
use serde_json::{Value, json};

use crate::{
    args::AuditArgs,
    error::{CliError, Outcome},
    local::Machine,
    output::{self, rfc3339},
    when,
};

/// Characters of one line for people.
const LINE_CHARS: usize = 500;
/// How long one look for new lines lasts (time), and the end of this program may take; then the next begins.
const LOOK: Duration = Duration::from_secs(1);

pub(crate) async fn run(home: Home, args: AuditArgs, json: bool) -> Outcome {
    let filter = Filter { peer: peer(&home, args.peer.as_deref()).await?, denied: args.denied };
    let mut reader = AuditReader::open(&home).map_err(CliError::machine)?;
    let mut last = VecDeque::new();
    while let Some(line) = reader.next_line().map_err(CliError::machine)? {
        if filter.takes(&line) {
            if last.len() >= args.lines {
                last.pop_front();
            }
            if args.lines > 0 {
                last.push_back(line);
            }
        }
    }
    if last.is_empty() && !args.follow && !json {
        anstream::eprintln!("no such decision is on record");
    }
    for line in &last {
        print(line, json)?;
    }
    if !args.follow {
        return Ok(());
    }
    loop {
        let waited = tokio::task::spawn_blocking(move || {
            let line = reader.wait_line(LOOK);
            (reader, line)
        });
        let waited = tokio::select! {
            waited = waited => waited,
            // It may be long until there is a line that nobody would read.
            () = output::reader_gone() => return Err(CliError::unread()),
        };
        let line;
        (reader, line) = waited.map_err(CliError::machine)?;
        if let Some(line) = line.map_err(CliError::machine)?.filter(|line| filter.takes(line)) {
            print(&line, json)?;
        }
    }
}

/// Which decisions are wanted.
struct Filter {
    peer: Option<Whom>,
    denied: bool,
}

/// The peer that is wanted.
enum Whom {
    Id(NodeId),
    /// Nobody who is known: the beginning of an id that was.
    Prefix(String),
}

impl Filter {
    fn takes(&self, line: &AuditLine) -> bool {
        let AuditLine::Row(row) = line else {
            // That something is missing here matters to whoever looks for anything.
            return true;
        };
        let who = [Some(row.peer), row.principal];
        let whom = self.peer.as_ref().is_none_or(|whom| {
            who.iter().flatten().any(|id| match whom {
                Whom::Id(wanted) => id == wanted,
                Whom::Prefix(prefix) => id.to_string().starts_with(prefix),
            })
        });
        whom && (!self.denied || row.verdict == Verdict::Deny)
    }
}

/// Whom a PEER argument means: somebody in the book or, when they are not there any more, by the id itself.
async fn peer(home: &Home, name: Option<&str>) -> Result<Option<Whom>, CliError> {
    let Some(name) = name else { return Ok(None) };
    if let Ok(id) = name.parse() {
        return Ok(Some(Whom::Id(id)));
    }
    let machine = Machine::open(home)?;
    if name == "local" {
        return Ok(Some(Whom::Id(machine.run.node())));
    }
    let local = machine.node_or_hall().await?;
    let request = PeerResolve { leaf: None, peer: name.to_owned(), wait_ms: 0, ext: Ext::default() };
    let resolved: Result<PeerResolved, _> = local.client.ask(&request).await;
    local.close().await;
    match resolved {
        Ok(resolved) => Ok(Some(Whom::Id(resolved.peer.id))),
        Err(clankers_client::ClientError::Refused(refusal))
            if refusal.code() == RefusalCode::NotFound && is_prefix(name) =>
        {
            Ok(Some(Whom::Prefix(name.to_owned())))
        }
        Err(error) => Err(error.into()),
    }
}

fn is_prefix(name: &str) -> bool {
    name.len() >= 4 && name.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

fn print(line: &AuditLine, json: bool) -> Outcome {
    if json {
        return Ok(output::json(&value(line))?);
    }
    let words = Clean::line(&words(line), LINE_CHARS);
    Ok(output::lines([words.as_str()])?)
}

/// A line for people: when, what came of it, who, what, why.
fn words(line: &AuditLine) -> String {
    match line {
        AuditLine::Row(row) => {
            let glyph = if row.verdict == Verdict::Allow { "✓" } else { "✗" };
            let who = row.principal.unwrap_or(row.peer).short();
            let what = row.command.trim_start_matches("/clankers/");
            let args: String =
                row.args.iter().map(|(name, value)| format!(" {name}={}", plain(value))).collect();
            let code = row.code.as_deref().map(|code| format!(" ({code})")).unwrap_or_default();
            let why = row.reason.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
            format!("{} {glyph} {who} {what}{args}{code}{why}", when::stamp(row.at))
        }
        AuditLine::Dropped { at, count } => {
            format!(
                "{} ! {count} decisions were not recorded: there were too many at a time",
                when::stamp(*at)
            )
        }
        AuditLine::Damaged => "! a line of the record is damaged".to_owned(),
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn value(line: &AuditLine) -> Value {
    match line {
        AuditLine::Row(row) => row_value(row),
        AuditLine::Dropped { at, count } => json!({"at": rfc3339(*at), "dropped": count}),
        AuditLine::Damaged => json!({"damaged": true}),
    }
}

fn row_value(row: &AuditRow) -> Value {
    json!({
        "at": rfc3339(row.at),
        "peer": row.peer,
        "principal": row.principal,
        "chain": row.chain,
        "command": row.command,
        "args": row.args,
        "verdict": if row.verdict == Verdict::Allow { "allow" } else { "deny" },
        "code": row.code,
        "reason": row.reason,
        "session": row.session,
        "prompt_id": row.prompt_id,
    })
}

#[cfg(test)]
mod tests {
    use clankers_protocol::Timestamp;

    use super::*;

    fn row(verdict: Verdict, principal: Option<NodeId>) -> AuditRow {
        let args = json!({"tool": "grep", "path": "src\u{1b}[31m\nfake line", "size": 3});
        AuditRow {
            at: Timestamp(1_795_269_910_000),
            peer: NodeId([0xab; 32]),
            principal,
            chain: vec!["bafyreia".into()],
            command: "/clankers/tool/use".into(),
            args: args.as_object().unwrap().clone(),
            verdict,
            code: Some("unauthorized".into()),
            reason: Some("no token".into()),
            session: None,
            prompt_id: None,
        }
    }

    #[test]
    fn a_decision_is_one_clean_line() {
        let line = AuditLine::Row(Box::new(row(Verdict::Deny, Some(NodeId([1; 32])))));
        let words = Clean::line(&words(&line), LINE_CHARS).to_string();
        assert!(words.contains("✗ 0101010101 tool/use tool=grep path=src"), "{words}");
        assert!(words.ends_with("size=3 (unauthorized): no token"), "{words}");
        assert!(!words.contains(['\u{1b}', '\n']), "{words}");
        let value = value(&line);
        assert_eq!((&value["verdict"], &value["at"]), (&json!("deny"), &json!("2026-11-21T14:05:10Z")));
    }

    #[test]
    fn what_is_looked_for_is_found_by_the_run_and_by_its_node() {
        let (run, node) = (NodeId([0xab; 32]), NodeId([1; 32]));
        let denied = AuditLine::Row(Box::new(row(Verdict::Deny, Some(node))));
        let allowed = AuditLine::Row(Box::new(row(Verdict::Allow, None)));
        let filter = |peer, denied| Filter { peer, denied };
        assert!(filter(Some(Whom::Id(node)), true).takes(&denied));
        assert!(filter(Some(Whom::Id(run)), false).takes(&denied));
        assert!(!filter(Some(Whom::Id(NodeId([2; 32]))), false).takes(&denied));
        assert!(filter(Some(Whom::Prefix("0101".into())), false).takes(&denied));
        assert!(!filter(Some(Whom::Prefix("0102".into())), false).takes(&denied));
        assert!(!filter(None, true).takes(&allowed));
        // A hole in the record is never filtered away.
        assert!(filter(Some(Whom::Id(NodeId([2; 32]))), true).takes(&AuditLine::Damaged));
        assert!(is_prefix("abba12") && !is_prefix("abb") && !is_prefix("laptop"));
    }
}
