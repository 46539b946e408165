//! `token revoke`: taking rights back, and telling the node that has to know.

use std::{
    collections::BTreeMap,
    io::{self, IsTerminal, Write},
    time::Duration,
};

use clankers_node::clock;
use clankers_protocol::{
    NodeId,
    message::Ext,
    refusal::{ExitKind, RefusalCode},
    request::{
        revocation::{RevokeWhat, RevokedLink, TokenRevoke, TokenRevoked},
        tokens::TokenChoice,
    },
    text::Clean,
};
use serde_json::{Value, json};

use super::{WORDS_CHARS, ask, node, short, source};
use crate::{
    args::RevokeArgs,
    error::{CliError, Outcome},
    local::Machine,
    output::{self, rfc3339},
    remote::{DIAL_TIMEOUT, Peer},
};

/// How long is waited for the moment up to which everything was taken back (milliseconds): it is a whole second.
const EPOCH_WAIT_MS: u64 = 2_000;

/// What is to be revoked; asks when that is everything.
pub(super) fn what(args: &RevokeArgs) -> Result<RevokeWhat, CliError> {
    let Some(token) = args.token.as_deref().filter(|_| !args.all) else {
        return sure(args.yes).map(|()| RevokeWhat::Everything);
    };
    Ok(match (source::choice(token)?, &args.link) {
        (TokenChoice::Text(token), link) => RevokeWhat::Chain { token, cid: link.clone() },
        (TokenChoice::Kept(_), Some(link)) => RevokeWhat::Kept(link.clone()),
        (TokenChoice::Kept(cid), None) => RevokeWhat::Kept(cid),
    })
}

fn sure(yes: bool) -> Result<(), CliError> {
    if yes {
        return Ok(());
    }
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Err(CliError::usage("this takes back every token that this node has ever issued")
            .hint("say --yes when that is what you want; one token is revoked by its CID"));
    }
    anstream::eprint!("Take back every token that this node has ever issued? It cannot be undone. [y/N] ");
    io::stderr().flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    if matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes") {
        Ok(())
    } else {
        Err(CliError::new(ExitKind::Interrupted, "nothing was taken back"))
    }
}

pub(super) async fn run(machine: &Machine, what: RevokeWhat, json: bool) -> Outcome {
    let request = TokenRevoke { leaf: None, what, ext: Ext::default() };
    let done: TokenRevoked = ask(machine, &request).await?;
    if !json {
        // It holds here from now on, whatever becomes of telling others.
        let lines = words(&done, machine.run.node());
        output::lines(lines.iter().map(String::as_str))?;
    }
    let told = tell(machine, &done.links).await;
    if let Some(epoch) = done.epoch {
        // A link of the owner that is made before it is taken back as well: the next command must not be.
        let wait = epoch.since(clock::now()).min(EPOCH_WAIT_MS);
        tokio::time::sleep(Duration::from_millis(wait)).await;
    }
    if !json {
        return Ok(());
    }
    let knows = |link: &RevokedLink| told.get(&link.subject).copied().unwrap_or(true);
    let links: Vec<Value> = done.links.iter().map(|link| value(link, knows(link))).collect();
    Ok(output::json(&json!({
        "revoked": links,
        "known": done.known,
        "ended": done.ended,
        "epoch": done.epoch.map(rfc3339),
    }))?)
}

fn words(done: &TokenRevoked, own: NodeId) -> Vec<String> {
    let mut out = Vec::new();
    if done.epoch.is_some() {
        out.push("✓ taken back: every token that this node has issued until now".to_owned());
    }
    let word = if done.known { "was taken back already" } else { "taken back" };
    for link in &done.links {
        let (cid, whose) = (short(&link.cid), node(link.audience, own));
        out.push(format!("✓ {word}: {cid} for {whose}, on {}", node(link.subject, own)));
    }
    match done.ended {
        0 => {}
        1 => out.push("  one thing that ran under it is ended".to_owned()),
        more => out.push(format!("  {more} things that ran under it are ended")),
    }
    out
}

/// Hands each revocation to the node that has to know, when that is another one. Which of them know now.
async fn tell(machine: &Machine, links: &[RevokedLink]) -> BTreeMap<NodeId, bool> {
    let mut by_subject: BTreeMap<NodeId, Vec<Vec<u8>>> = BTreeMap::new();
    for link in links.iter().filter(|link| link.subject != machine.run.node()) {
        by_subject.entry(link.subject).or_default().push(link.revocation.clone());
    }
    let mut told = BTreeMap::new();
    for (subject, revocations) in by_subject {
        let heard = hand_over(machine, subject, revocations).await;
        match &heard {
            Ok(()) => anstream::eprintln!("✓ {} knows it", subject.short()),
            Err(error) => {
                let (why, short) = (Clean::line(&error.message, WORDS_CHARS), subject.short());
                anstream::eprintln!("! {short} does not know it yet: {why}");
                anstream::eprintln!("  it is told when a command here reaches it next, such as 'rpc ping'");
            }
        }
        told.insert(subject, heard.is_ok());
    }
    told
}

async fn hand_over(machine: &Machine, subject: NodeId, revocations: Vec<Vec<u8>>) -> Result<(), CliError> {
    let peer = Peer::reach(machine, &subject.to_string(), DIAL_TIMEOUT).await?;
    let taken = peer.client.offer_revocations(revocations).await;
    peer.close().await;
    match taken?.refused.first() {
        None => Ok(()),
        Some(code) => {
            let meaning = RefusalCode::from_number(*code).meaning();
            Err(CliError::new(ExitKind::Denied, format!("it refused it: {meaning}")))
        }
    }
}

fn value(link: &RevokedLink, delivered: bool) -> Value {
    json!({
        "cid": link.cid,
        "subject": link.subject,
        "audience": link.audience,
        "expires": rfc3339(link.expires),
        "delivered": delivered,
    })
}

#[cfg(test)]
mod tests {
    use clankers_protocol::Timestamp;

    use super::*;

    #[test]
    fn what_is_meant() {
        let args = |token: Option<&str>, link: Option<&str>, all, yes| RevokeArgs {
            token: token.map(str::to_owned),
            link: link.map(str::to_owned),
            all,
            yes,
        };
        let kept = what(&args(Some("bafyreiabcdefgh"), None, false, false)).unwrap();
        assert_eq!(kept, RevokeWhat::Kept("bafyreiabcdefgh".into()));
        let link = what(&args(Some("bafyreiabcdefgh"), Some("bafyreizzzzzzzz"), false, false)).unwrap();
        assert_eq!(link, RevokeWhat::Kept("bafyreizzzzzzzz".into()));
        assert_eq!(what(&args(None, None, true, true)).unwrap(), RevokeWhat::Everything);
    }

    #[test]
    fn everything_is_not_taken_back_by_accident() {
        // Tests have no terminal to ask on, as scripts have none.
        if !io::stdin().is_terminal() {
            assert_eq!(sure(false).unwrap_err().kind, ExitKind::Usage);
        }
        assert!(sure(true).is_ok());
    }

    #[test]
    fn each_link_has_its_line() {
        let own = NodeId([1; 32]);
        let link = |byte| RevokedLink {
            cid: format!("bafyreiabcdefghijk{byte}"),
            subject: own,
            audience: NodeId([byte; 32]),
            expires: Timestamp(0),
            revocation: Vec::new(),
        };
        let (links, ext) = (vec![link(2), link(3)], Ext::default());
        let done = TokenRevoked { links, known: false, ended: 2, epoch: None, ext };
        let lines = words(&done, own);
        assert_eq!(lines.len(), 3, "{lines:?}");
        assert!(lines[0].contains("0202020202, on 0101010101 (this node)"), "{lines:?}");
        assert!(lines[2].contains('2'), "{lines:?}");
    }
}
