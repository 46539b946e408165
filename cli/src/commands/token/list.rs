//! `token list`: what was issued, and what is held.

use clankers_client::Client;
use clankers_protocol::{
    message::Ext,
    request::tokens::{TokenEntry, TokenList, TokenListReply, TokenRecord, TokenState, received},
    text,
};
use serde_json::{Value, json};

use super::short;
use crate::{
    error::{CliError, Outcome},
    local::Machine,
    output::{self, rfc3339},
    when::when,
};

pub(super) async fn run(machine: &Machine, json: bool) -> Outcome {
    let local = machine.node_or_hall().await?;
    let tokens = all(&local.client).await;
    local.close().await;
    let tokens = tokens?;
    if json {
        return Ok(output::json(&Value::Array(tokens.iter().map(listed).collect()))?);
    }
    if tokens.is_empty() {
        anstream::eprintln!("no tokens issued or held");
        return Ok(());
    }
    let rows: Vec<[String; 7]> = tokens.iter().map(row).collect();
    Ok(output::table(["", "NODE", "STATE", "UNTIL", "SPENT", "CID", "MAY"], &rows)?)
}

/// A token, and what was received here under it (bytes).
type Listed = (TokenEntry, Option<u64>);

/// Every token issued or held, page by page.
async fn all(client: &Client) -> Result<Vec<Listed>, CliError> {
    let mut tokens = Vec::new();
    loop {
        let request = TokenList { leaf: None, skip: tokens.len() as u64, ext: Ext::default() };
        let reply: TokenListReply = client.ask(&request).await?;
        let ended = reply.more == 0 || reply.tokens.is_empty();
        let came = received(&reply.ext);
        let of =
            |place: usize| came.iter().find(|(at, _)| usize::from(*at) == place).map(|(_, bytes)| *bytes);
        tokens.extend(reply.tokens.into_iter().enumerate().map(|(place, token)| (token, of(place))));
        if ended {
            return Ok(tokens);
        }
    }
}

fn row((entry, received): &Listed) -> [String; 7] {
    let token = &entry.record;
    let (way, other) =
        if token.issued { ("issued to", token.audience) } else { ("held from", token.subject) };
    let renews = if entry.renew && entry.state != TokenState::Revoked { ", renewed" } else { "" };
    [
        way.to_owned(),
        other.short(),
        state(entry.state).to_owned(),
        format!("{}{renews}", when(token.expires)),
        used(entry, *received),
        short(&token.cid),
        token.grants.join("; "),
    ]
}

/// Money, and files that came.
fn used(entry: &TokenEntry, received: Option<u64>) -> String {
    let spent = entry.spent.map(|spent| spent.to_string());
    let came = received.map(|bytes| format!("{} sent here", text::size(bytes)));
    spent.into_iter().chain(came).collect::<Vec<_>>().join(", ")
}

/// A token of the list, as JSON.
fn listed((token, received): &Listed) -> Value {
    let mut out = entry(token);
    if let Value::Object(fields) = &mut out {
        fields.insert("received".into(), json!(received));
    }
    out
}

/// A state in words.
pub(super) fn state(state: TokenState) -> &'static str {
    match state {
        TokenState::Valid => "valid",
        TokenState::NotYetValid => "not yet valid",
        TokenState::Expired => "expired",
        TokenState::Revoked => "revoked",
    }
}

/// A token in a listing, as JSON.
pub(super) fn entry(entry: &TokenEntry) -> Value {
    let mut out = value(&entry.record);
    if let Value::Object(fields) = &mut out {
        fields.insert("state".into(), json!(entry.state.name()));
        fields.insert("renew".into(), json!(entry.renew));
        fields.insert("spent".into(), json!(entry.spent));
        // Told beside the list, by the node that counts.
        fields.insert("received".into(), Value::Null);
    }
    out
}

/// A token, as JSON.
pub(super) fn value(token: &TokenRecord) -> Value {
    json!({
        "cid": token.cid,
        "subject": token.subject,
        "issuer": token.issuer,
        "audience": token.audience,
        "not_before": rfc3339(token.not_before),
        "expires": rfc3339(token.expires),
        "grants": token.grants,
        "issued": token.issued,
    })
}
