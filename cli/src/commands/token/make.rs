//! `token create`, `token delegate`, `token import`: making tokens, handing them over, keeping them.

use clankers_auth::words;
use clankers_protocol::{
    NodeId,
    message::Ext,
    refusal::ExitKind,
    request::{
        revocation::{TokenForget, TokenForgotten},
        tokens::{
            TokenChoice, TokenCreate, TokenCreated, TokenDelegate, TokenImport, TokenImported, TokenRecord,
            max_total,
        },
    },
    text::Clean,
};
use serde_json::json;

use super::{WORDS_CHARS, ask, known_as, list::value, node};
use crate::{
    args::{CreateArgs, DelegateArgs},
    error::{CliError, Outcome},
    local::Machine,
    output::{self, rfc3339},
    remote::{DIAL_TIMEOUT, Peer},
    when::when,
};

pub(super) async fn create(machine: &Machine, args: CreateArgs, json: bool) -> Outcome {
    let request = TokenCreate {
        leaf: None,
        audience: known_as(&args.audience),
        ext: args.rights.files(),
        rights: args.rights.rights(),
        expire_secs: args.expire.as_secs(),
        renew: args.renew,
    };
    let made = ask(machine, &request).await?;
    understood(&request.ext, &made)?;
    hand_over(machine, made, &args.audience, args.deliver, json).await
}

/// Whether the running node knew all that was asked: an earlier version makes tokens without a total.
fn understood(asked: &Ext, made: &TokenCreated) -> Outcome {
    if max_total(asked) == max_total(&made.ext) {
        return Ok(());
    }
    let words = "the running node is of an earlier version: it made a token without --max-total";
    let revoke = format!("take it back: clankers token revoke {}", made.record.cid);
    let error = CliError::new(ExitKind::Unreachable, words);
    Err(error.hint("restart the node, and make the token anew").hint(revoke))
}

pub(super) async fn delegate(
    machine: &Machine,
    from: TokenChoice,
    args: DelegateArgs,
    json: bool,
) -> Outcome {
    let request = TokenDelegate {
        leaf: None,
        from,
        audience: known_as(&args.audience),
        ext: args.rights.files(),
        rights: args.rights.rights(),
        expire_secs: args.expire.map(|time| time.as_secs()),
    };
    let made = ask(machine, &request).await?;
    understood(&request.ext, &made)?;
    hand_over(machine, made, &args.audience, args.deliver, json).await
}

/// Says what was made, prints it, and gives it to its audience when that was asked for.
async fn hand_over(machine: &Machine, made: TokenCreated, peer: &str, deliver: bool, json: bool) -> Outcome {
    for warning in &made.warnings {
        anstream::eprintln!("! {}", Clean::line(warning, WORDS_CHARS));
    }
    let record = &made.record;
    if !json {
        anstream::eprintln!("✓ for {}: {}", named(peer, record.audience), allows(&made.token, record));
        // Printed before it is sent: what becomes of that must not lose it.
        output::lines([made.token.as_str()])?;
    }
    let delivered =
        if deliver { Some(delivered(machine, peer, record.audience, &made.token).await) } else { None };
    if json {
        return Ok(output::json(&json!({
            "cid": record.cid,
            "token": made.token,
            "audience": record.audience,
            "expires": rfc3339(record.expires),
            "grants": record.grants,
            "delivered": delivered,
        }))?);
    }
    if delivered != Some(true) {
        anstream::eprintln!("  hand this over; the other side keeps it with 'clankers token import -'");
    }
    Ok(())
}

/// Gives a token to its audience's node. Whether it took it; why not is said.
async fn delivered(machine: &Machine, peer: &str, audience: NodeId, token: &str) -> bool {
    match offer(machine, peer, audience, token).await {
        Ok(known) => {
            let word = if known { "had it already" } else { "keeps it now" };
            anstream::eprintln!("✓ delivered: {} {word}", named(peer, audience));
            true
        }
        Err(error) => {
            anstream::eprintln!("! not delivered: {}", Clean::line(&error.message, WORDS_CHARS));
            false
        }
    }
}

async fn offer(machine: &Machine, peer: &str, audience: NodeId, token: &str) -> Result<bool, CliError> {
    let reached = Peer::reach(machine, peer, DIAL_TIMEOUT).await?;
    let offered = if reached.subject == audience {
        reached.client.offer_token(token.to_owned()).await.map_err(CliError::from)
    } else {
        // A name can change its meaning between two questions.
        Err(CliError::machine(format!("{} answers, for whom it is not", reached.subject.short())))
    };
    reached.close().await;
    Ok(offered?.known)
}

pub(super) async fn import(machine: &Machine, token: String, json: bool) -> Outcome {
    let request = TokenImport { leaf: None, token: token.clone(), ext: Ext::default() };
    let done: TokenImported = ask(machine, &request).await?;
    if json {
        return Ok(output::json(&value(&done.record))?);
    }
    let word = if done.known { "held already" } else { "kept" };
    let record = &done.record;
    let on = node(record.subject, machine.run.node());
    Ok(output::lines([format!("✓ {word}: on {on}: {}", allows(&token, record)).as_str()])?)
}

/// Drops a token that is held here.
pub(super) async fn forget(machine: &Machine, cid: String, json: bool) -> Outcome {
    let request = TokenForget { leaf: None, cid, ext: Ext::default() };
    let done: TokenForgotten = ask(machine, &request).await?;
    if json {
        return Ok(output::json(&value(&done.record))?);
    }
    let on = node(done.record.subject, machine.run.node());
    Ok(output::lines([format!("✓ dropped: on {on}: {}", sentence(&done.record)).as_str()])?)
}

/// The audience by the name that it was given, and its id.
fn named(peer: &str, id: NodeId) -> String {
    let is_name = peer.len() <= 64 && !id.to_string().starts_with(peer);
    if is_name && !peer.starts_with("did:") {
        format!("{} ({})", Clean::line(peer, 64), id.short())
    } else {
        id.short()
    }
}

/// What a token lets its holder do, with its conditions, and until when; in the short words that its text has.
fn allows(token: &str, record: &TokenRecord) -> String {
    match words::describe(token.as_bytes()) {
        Ok(said) => format!("{}, until {}", Clean::line(&said.sentence, WORDS_CHARS), when(said.expires)),
        Err(_) => sentence(record),
    }
}

/// What a token lets somebody do, and until when.
pub(super) fn sentence(record: &TokenRecord) -> String {
    let words = Clean::line(&record.grants.join("; "), WORDS_CHARS);
    format!("{words}, until {}", when(record.expires))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_called_as_it_was_given() {
        let id = NodeId([0xab; 32]);
        assert_eq!(named("laptop", id), "laptop (ababababab)");
        for plain in ["abab", &id.to_string(), &id.did(), &format!("endpoint{}", "a".repeat(90))] {
            assert_eq!(named(plain, id), "ababababab");
        }
    }
}
