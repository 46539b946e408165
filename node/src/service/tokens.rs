//! Tokens: issued here, passed on from here, and held from elsewhere.

pub(super) mod rights;

use clankers_auth::{Command, mint, words};
use clankers_protocol::{
    NanoUsd, NodeId, Timestamp,
    message::Ext,
    refusal::{Refusal, RefusalCode},
    request::tokens::{
        TokenChoice, TokenCreate, TokenCreated, TokenDelegate, TokenEntry, TokenImport, TokenImported,
        TokenList, TokenListReply, TokenRecord, TokenState, max_total, with_max_total, with_received,
    },
};
use clankers_store::{FoundToken, KeptToken, Store, StoreError};
use serde_json::{Map, Value};

use super::Answer;
use crate::{authority::audit::About, clock, door::Caller, limits::TOKENS_PAGE, select, trouble};

/// A token's bytes and what they say.
pub(super) struct Read {
    pub(super) said: words::Described,
    /// As it is kept here, when it is.
    pub(super) kept: Option<Box<KeptToken>>,
}

pub(super) async fn create(caller: &Caller, request: TokenCreate) -> Answer<TokenCreated> {
    caller.authorize_owner(request.leaf, Command::AdminGrant)?;
    let audience = select::peer(caller, &request.audience).await?;
    let mut warnings = Vec::new();
    let mut spec =
        rights::spec(caller, &request.rights, rights::Files::of(&request.ext), &mut warnings).await?;
    spec.renew = request.renew;
    let nonce = nonce(caller)?;
    let container = mint::grant(&caller.hall.seed, audience, &spec, clock::now(), request.expire_secs, nonce)
        .map_err(|error| invalid(caller, &error.to_string()))?;
    let text = container.to_text().map_err(|error| invalid(caller, &error.to_string()))?;
    let renew_secs = request.renew.then_some(request.expire_secs);
    let record = keep_issued(caller, &text, renew_secs, "create").await?;
    let ext = with_max_total(Ext::default(), max_total(&request.ext));
    Ok(TokenCreated { record, token: text, warnings, ext })
}

pub(super) async fn delegate(caller: &Caller, request: TokenDelegate) -> Answer<TokenCreated> {
    caller.authorize_owner(request.leaf, Command::AdminGrant)?;
    let audience = select::peer(caller, &request.audience).await?;
    let from = read(caller, &request.from).await?;
    if from.said.subject == caller.hall.id {
        let words = "this token is about this node itself: make a new one with 'clankers token create'";
        return Err(invalid(caller, words));
    }
    let mut warnings = Vec::new();
    let narrowing = rights::narrowing(
        caller,
        &request.rights,
        rights::Files::of(&request.ext),
        &from.said,
        &mut warnings,
    )?;
    let now = clock::now();
    let left = from.said.expires.since(now).div_ceil(1000);
    let lifetime = request.expire_secs.unwrap_or(left).max(1);
    let nonce = nonce(caller)?;
    let made =
        mint::delegate(&caller.hall.seed, &from.said.container, audience, &narrowing, now, lifetime, nonce)
            .map_err(|error| invalid(caller, &error.to_string()))?;
    if made.shortened && request.expire_secs.is_some() {
        warnings.push("it ends with the token that it comes from, earlier than asked".into());
    }
    let text = made.container.to_text().map_err(|error| invalid(caller, &error.to_string()))?;
    let record = keep_issued(caller, &text, None, "delegate").await?;
    let ext = with_max_total(Ext::default(), max_total(&request.ext));
    Ok(TokenCreated { record, token: text, warnings, ext })
}

/// Reads back what was made, keeps it as issued here, and notes it.
pub(super) async fn keep_issued(
    caller: &Caller,
    text: &str,
    renew_secs: Option<u64>,
    verb: &str,
) -> Answer<TokenRecord> {
    let said = words::describe(text.as_bytes()).map_err(|denial| invalid(caller, &denial.to_string()))?;
    let record = record(&said, true);
    let (kept, bytes) = (record.clone(), said.container);
    with_store(caller, move |store| {
        store.tokens().put_issued(&kept, &bytes, clock::now())?;
        if renew_secs.is_some() {
            store.tokens().set_renew(&kept.cid, renew_secs, clock::now())?;
        }
        Ok(())
    })
    .await?;
    note(caller, verb, &record);
    Ok(record)
}

pub(super) async fn import(caller: &Caller, request: TokenImport) -> Answer<TokenImported> {
    caller.authorize_owner(request.leaf, Command::AdminGrant)?;
    let said = describe(caller, request.token.trim())?;
    for_this_node(caller, said.subject, said.audience, said.expires)?;
    let record = record(&said, false);
    let kept = record.clone();
    let known =
        with_store(caller, move |store| store.tokens().put_held(&kept, &said.container, clock::now()))
            .await?;
    note(caller, "import", &record);
    Ok(TokenImported { record, known, ext: Ext::default() })
}

/// Whether a token is of any use to this node.
pub(super) fn for_this_node(
    caller: &Caller,
    subject: NodeId,
    audience: NodeId,
    expires: Timestamp,
) -> Answer<()> {
    let me = caller.hall.id;
    let problem = if audience != me {
        (RefusalCode::WrongAudience, format!("this token is for {audience}, not for this node"))
    } else if subject == me {
        (RefusalCode::Invalid, "this token is about this node itself, which needs none".to_owned())
    } else if expires < clock::now() {
        (RefusalCode::Expired, "this token has expired".to_owned())
    } else {
        return Ok(());
    };
    let refusal = caller.refuse(problem.0, &problem.1);
    Err(Box::new(refusal.hint("ask the other node's owner for a token for this node: 'clankers rpc id'")))
}

pub(super) async fn list(caller: &Caller, request: TokenList) -> Answer<TokenListReply> {
    caller.authorize_owner(request.leaf, Command::AdminGrant)?;
    let me = caller.hall.id;
    let epoch = caller.authority().epoch();
    let (tokens, more) = with_store(caller, move |store| {
        let (records, more) = store.tokens().page(request.skip, TOKENS_PAGE, clock::now())?;
        let entries: Result<Vec<_>, _> =
            records.into_iter().map(|record| entry(store, me, epoch, record)).collect();
        Ok((entries?, more))
    })
    .await?;
    let received: Vec<(u16, u64)> =
        (0..).zip(&tokens).filter_map(|(place, (_, bytes))| Some((place, (*bytes)?))).collect();
    let tokens = tokens.into_iter().map(|(entry, _)| entry).collect();
    Ok(TokenListReply { tokens, more, ext: with_received(&received) })
}

/// A token in a listing: how it stands, and what it spent; and the content of files that came here under it (bytes).
pub(super) fn entry(
    store: &Store,
    me: NodeId,
    epoch: Timestamp,
    record: TokenRecord,
) -> Result<(TokenEntry, Option<u64>), StoreError> {
    let now = clock::now();
    let kept = store.tokens().find(&record.cid, now)?;
    let container = if let FoundToken::One(kept) = &kept { kept.container.as_slice() } else { &[] };
    let links = words::tree(container, now).unwrap_or_default();
    let mut above = Vec::new();
    let mut revoked = record.subject == me && record.not_before < epoch;
    let (mut spent, mut received) = (None, None);
    for link in &links {
        above.push(link.issuer);
        revoked |= store.revocations().is_revoked_under(&link.cid, &above)?;
        if record.subject == me {
            let used = store.ledger().usage(&link.cid, now)?;
            spent = spent.max((used.spent_nano_usd > 0).then_some(NanoUsd(used.spent_nano_usd)));
            received = received.max((used.received_bytes > 0).then_some(used.received_bytes));
        }
    }
    let state = if revoked {
        TokenState::Revoked
    } else if record.expires <= now {
        TokenState::Expired
    } else if record.not_before > now {
        TokenState::NotYetValid
    } else {
        TokenState::Valid
    };
    let renew = if record.issued {
        store.tokens().renewable(&record.cid, now)?.is_some()
    } else {
        words::describe(container).is_ok_and(|said| said.renew)
    };
    Ok((TokenEntry { record, state, renew, spent }, received))
}

/// The token that is meant, whether it is kept here or given as text.
pub(super) async fn read(caller: &Caller, choice: &TokenChoice) -> Answer<Read> {
    let cid = match choice {
        TokenChoice::Text(text) => {
            return Ok(Read { said: describe(caller, text.trim())?, kept: None });
        }
        TokenChoice::Kept(cid) => cid.clone(),
    };
    let shown = clankers_protocol::text::line(&cid, 80);
    match with_store(caller, move |store| store.tokens().find(&cid, clock::now())).await? {
        FoundToken::One(kept) => {
            let said = words::describe(&kept.container)
                .map_err(|denial| Box::new(caller.refuse(RefusalCode::BadToken, &denial.to_string())))?;
            Ok(Read { said, kept: Some(kept) })
        }
        FoundToken::None => {
            let words = format!("no token '{shown}' was issued or is held here");
            let refusal = caller.refuse(RefusalCode::NotFound, &words);
            Err(Box::new(refusal.hint("'clankers token list' shows them; write at least ten characters")))
        }
        FoundToken::Many(cids) => {
            let words = format!("several tokens begin with '{shown}'");
            let refusal = caller.refuse(RefusalCode::Ambiguous, &words);
            Err(Box::new(refusal.hint(&format!("these do: {}", cids.join(", ")))))
        }
    }
}

pub(super) fn describe(caller: &Caller, text: &str) -> Answer<words::Described> {
    words::describe(text.as_bytes()).map_err(|denial| {
        Box::new(
            caller
                .refuse(RefusalCode::BadToken, &format!("this is no token: {denial}"))
                .hint("give the whole text that 'clankers token create' printed, nothing around it"),
        )
    })
}

pub(super) fn nonce(caller: &Caller) -> Answer<mint::Nonce> {
    let mut nonce = [0; clankers_auth::limits::NONCE_BYTES];
    match getrandom::fill(&mut nonce) {
        Ok(()) => Ok(nonce),
        Err(error) => Err(Box::new(caller.refuse(RefusalCode::NodeTrouble, &error.to_string()))),
    }
}

pub(super) fn invalid(caller: &Caller, words: &str) -> Box<Refusal> {
    Box::new(caller.refuse(RefusalCode::Invalid, words))
}

/// Runs something that blocks on the store, and says what goes wrong there.
pub(super) async fn with_store<T: Send + 'static>(
    caller: &Caller,
    work: impl FnOnce(&Store) -> Result<T, StoreError> + Send + 'static,
) -> Answer<T> {
    let done = caller.hall.with_store(work).await;
    done.and_then(|done| done).map_err(|error| trouble::store(caller, &error))
}

/// What an owner does with tokens is worth a line.
pub(super) fn note(caller: &Caller, verb: &str, record: &TokenRecord) {
    let texts = [
        ("token", record.cid.clone()),
        ("subject", record.subject.to_string()),
        ("audience", record.audience.to_string()),
        ("grants", record.grants.join("; ")),
    ];
    let args: Map<String, Value> = texts.into_iter().map(|(k, v)| (k.to_owned(), Value::String(v))).collect();
    let command = format!("token {verb}");
    let about = About { command: &command, args, ..About::default() };
    caller.authority().audit.note(caller.principal(), about, None);
}

pub(super) fn record(said: &words::Described, issued: bool) -> TokenRecord {
    TokenRecord {
        cid: said.cid_text.clone(),
        subject: said.subject,
        issuer: said.issuer,
        audience: said.audience,
        not_before: said.not_before,
        expires: said.expires,
        grants: said.grants.iter().chain(&said.limits).cloned().collect(),
        issued,
    }
}
