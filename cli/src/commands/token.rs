//! `token`: who may do what.

use std::{io::Read, path::Path, time::Duration};

use clankers_client::Client;
use clankers_node::store::Home;
use clankers_protocol::{
    limits::CHAIN_BYTES,
    message::Ext,
    request::tokens::{
        Preset, TokenCreate, TokenCreated, TokenImport, TokenImported, TokenList, TokenListReply, TokenRecord,
    },
    text,
    text::Clean,
};
use serde_json::{Value, json};

use crate::{
    args::TokenCommand,
    error::{CliError, Outcome},
    local::Machine,
    output::{self, rfc3339},
};

/// Bytes of a token's text that are read: the limit, and room for white space around it.
const TOKEN_READ_BYTES: u64 = 2 * CHAIN_BYTES as u64;

/// Characters of a file's name that an error shows: it may be a token that was given as an argument.
const NAME_CHARS: usize = 80;

pub(crate) async fn run(home: Home, command: TokenCommand, json: bool) -> Outcome {
    // What can be wrong with the words is said before anything is opened.
    let request = match command {
        TokenCommand::Create { audience, read_only, reviewer, operator, root, tools, expire } => {
            let presets = [
                (read_only, Preset::ReadOnly),
                (reviewer, Preset::Reviewer),
                (operator, Preset::Operator),
                (root, Preset::Root),
            ];
            let preset = presets.into_iter().find(|(given, _)| *given).map(|(_, preset)| preset);
            Request::Create(create(audience, preset, tools, expire))
        }
        TokenCommand::Import { file } => Request::Import(read_token(&file)?),
        TokenCommand::List => Request::List,
    };
    let machine = Machine::open(&home)?;
    let local = machine.node_or_hall().await?;
    let done = match request {
        Request::Create(request) => print_created(&local.client, request, json).await,
        Request::Import(token) => import(&local.client, token, json).await,
        Request::List => list(&local.client, json).await,
    };
    local.close().await;
    done
}

enum Request {
    Create(TokenCreate),
    Import(String),
    List,
}

fn create(
    audience: String,
    preset: Option<Preset>,
    tools: Option<Vec<String>>,
    expire: Duration,
) -> TokenCreate {
    TokenCreate { leaf: None, audience, preset, tools, expire_secs: expire.as_secs(), ext: Ext::default() }
}

fn read_token(file: &Path) -> Result<String, CliError> {
    let mut text = String::new();
    let read = if file == Path::new("-") {
        std::io::stdin().take(TOKEN_READ_BYTES).read_to_string(&mut text)
    } else {
        std::fs::File::open(file).and_then(|file| file.take(TOKEN_READ_BYTES).read_to_string(&mut text))
    };
    read.map_err(|error| match error.kind() {
        // A token's text is too long for a file's name.
        std::io::ErrorKind::NotFound | std::io::ErrorKind::InvalidFilename => CliError::new(
            clankers_protocol::refusal::ExitKind::NotFound,
            format!("there is no file {}", text::line(&file.display().to_string(), NAME_CHARS)),
        )
        .hint("a token comes from a file or, with '-', from standard input; never as an argument"),
        _ => CliError::usage(format!("cannot read a token from {}: {error}", file.display())),
    })?;
    let token = text.trim();
    if token.is_empty() {
        return Err(CliError::usage("there is no token in what was given")
            .hint("'clankers token create', run by the other node's owner, prints one"));
    }
    Ok(token.to_owned())
}

async fn print_created(client: &Client, request: TokenCreate, json: bool) -> Outcome {
    let made: TokenCreated = client.ask(&request).await?;
    for warning in &made.warnings {
        anstream::eprintln!("! {warning}");
    }
    let record = &made.record;
    if json {
        return Ok(output::json(&json!({
            "cid": record.cid,
            "token": made.token,
            "audience": record.audience,
            "expires": rfc3339(record.expires),
            "grants": record.grants,
        }))?);
    }
    anstream::eprintln!("✓ for {}, until {}", record.audience, rfc3339(record.expires));
    print_grants(&record.grants);
    anstream::eprintln!("  hand this over; the other side keeps it with 'clankers token import -'");
    Ok(output::lines([made.token.as_str()])?)
}

/// What a token allows, to whoever reads along.
fn print_grants(grants: &[String]) {
    for grant in grants {
        let grant = Clean::line(grant, 500);
        if grant.as_str().starts_with('(') {
            anstream::eprintln!("  {grant}");
        } else {
            anstream::eprintln!("  may {grant}");
        }
    }
}

async fn import(client: &Client, token: String, json: bool) -> Outcome {
    let done: TokenImported = client.ask(&TokenImport { leaf: None, token, ext: Ext::default() }).await?;
    if json {
        return Ok(output::json(&value(&done.record))?);
    }
    let word = if done.known { "held already" } else { "kept" };
    let line = format!("✓ {word}: rights on {}, until {}", done.record.subject, rfc3339(done.record.expires));
    output::lines([line.as_str()])?;
    print_grants(&done.record.grants);
    Ok(())
}

async fn list(client: &Client, json: bool) -> Outcome {
    let tokens = all(client).await?;
    if json {
        return Ok(output::json(&Value::Array(tokens.iter().map(value).collect()))?);
    }
    if tokens.is_empty() {
        anstream::eprintln!("no tokens issued or held");
        return Ok(());
    }
    let rows: Vec<[String; 5]> = tokens
        .iter()
        .map(|token| {
            let (way, other) =
                if token.issued { ("issued to", token.audience) } else { ("held from", token.subject) };
            let cid: String = token.cid.chars().take(16).collect();
            [way.to_owned(), other.short(), rfc3339(token.expires), cid, token.grants.join("; ")]
        })
        .collect();
    Ok(output::table(["", "NODE", "UNTIL", "CID", "MAY"], &rows)?)
}

/// Every token issued or held, page by page.
async fn all(client: &Client) -> Result<Vec<TokenRecord>, CliError> {
    let mut tokens = Vec::new();
    loop {
        let request = TokenList { leaf: None, skip: tokens.len() as u64, ext: Ext::default() };
        let reply: TokenListReply = client.ask(&request).await?;
        let ended = reply.more == 0 || reply.tokens.is_empty();
        tokens.extend(reply.tokens);
        if ended {
            return Ok(tokens);
        }
    }
}

fn value(token: &TokenRecord) -> Value {
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
