//! Tokens: issued here, and held from elsewhere.

use clankers_auth::{Command, GrantSpec, mint, vocab::SHELL_TOOL, words};
use clankers_protocol::{
    message::Ext,
    refusal::RefusalCode,
    request::tokens::{
        Preset, TokenCreate, TokenCreated, TokenImport, TokenImported, TokenList, TokenListReply, TokenRecord,
    },
};

use super::{Answer, page};
use crate::{clock, door::Caller, select, trouble};

pub(super) async fn create(caller: &Caller, request: TokenCreate) -> Answer<TokenCreated> {
    caller.authorize_owner(request.leaf, Command::AdminGrant)?;
    let spec = spec(caller, &request)?;
    let audience = select::peer(caller, &request.audience).await?;
    let mut nonce = [0; clankers_auth::limits::NONCE_BYTES];
    let random = getrandom::fill(&mut nonce);
    random.map_err(|error| Box::new(caller.refuse(RefusalCode::NodeTrouble, &error.to_string())))?;
    let invalid = |words: String| Box::new(caller.refuse(RefusalCode::Invalid, &words));
    let container = mint::grant(&caller.hall.seed, audience, &spec, clock::now(), request.expire_secs, nonce)
        .map_err(|error| invalid(error.to_string()))?;
    let text = container.to_text().map_err(|error| invalid(error.to_string()))?;
    let said = words::describe(text.as_bytes()).map_err(|denial| invalid(denial.to_string()))?;
    let record = record(&said, true);
    let (kept, bytes) = (record.clone(), said.container);
    let stored =
        caller.hall.with_store(move |store| store.tokens().put_issued(&kept, &bytes, clock::now())).await;
    stored.and_then(|put| put).map_err(|error| trouble::store(caller, &error))?;
    let mut warnings = Vec::new();
    if spec.allows_shell() {
        warnings.push(format!(
            "this grants {SHELL_TOOL}: a shell can do all that your account can, the node's own key included"
        ));
    }
    Ok(TokenCreated { record, token: text, warnings, ext: Ext::default() })
}

fn spec(caller: &Caller, request: &TokenCreate) -> Answer<GrantSpec> {
    for tool in request.tools.iter().flatten() {
        if !clankers_tools::is_tool(tool) {
            return Err(select::unknown_tool(caller, tool));
        }
    }
    let preset = request.preset.map(|preset| match preset {
        Preset::ReadOnly => GrantSpec::read_only(),
        Preset::Reviewer => GrantSpec::reviewer(),
        Preset::Operator => GrantSpec::operator(),
        Preset::Root => GrantSpec::root(),
    });
    match (preset, request.tools.clone().filter(|tools| !tools.is_empty())) {
        (Some(preset), None) => Ok(preset),
        (Some(preset), Some(tools)) => Ok(preset.with_tools(tools)),
        (None, Some(tools)) => Ok(GrantSpec::tools(tools)),
        (None, None) => Err(Box::new(
            caller
                .refuse(RefusalCode::Invalid, "the token would allow nothing")
                .hint("say what for: --read-only, --reviewer, --operator, --root, or --tools read,grep"),
        )),
    }
}

pub(super) async fn import(caller: &Caller, request: TokenImport) -> Answer<TokenImported> {
    caller.authorize_owner(request.leaf, Command::AdminGrant)?;
    let hall = &caller.hall;
    let token = request.token.trim();
    let said = words::describe(token.as_bytes()).map_err(|denial| {
        Box::new(
            caller
                .refuse(RefusalCode::BadToken, &format!("this is no token: {denial}"))
                .hint("give the whole text that 'clankers token create' printed, nothing around it"),
        )
    })?;
    let problem = if said.audience != hall.id {
        Some((RefusalCode::WrongAudience, format!("this token is for {}, not for this node", said.audience)))
    } else if said.subject == hall.id {
        Some((RefusalCode::Invalid, "this token is about this node itself, which needs none".to_owned()))
    } else if said.expires < clock::now() {
        Some((RefusalCode::Expired, "this token has expired".to_owned()))
    } else {
        None
    };
    if let Some((code, words)) = problem {
        let refusal = caller.refuse(code, &words);
        return Err(Box::new(
            refusal.hint("ask the other node's owner for a token for this node: 'clankers rpc id'"),
        ));
    }
    let record = record(&said, false);
    let kept = record.clone();
    let stored =
        hall.with_store(move |store| store.tokens().put_held(&kept, &said.container, clock::now())).await;
    let known = stored.and_then(|put| put).map_err(|error| trouble::store(caller, &error))?;
    Ok(TokenImported { record, known, ext: Ext::default() })
}

pub(super) async fn list(caller: &Caller, request: TokenList) -> Answer<TokenListReply> {
    caller.authorize_owner(request.leaf, Command::AdminGrant)?;
    let listed = caller.hall.with_store(|store| store.tokens().list(clock::now())).await;
    let tokens = listed.and_then(|list| list).map_err(|error| trouble::store(caller, &error))?;
    let (tokens, more) = page(tokens, request.skip);
    Ok(TokenListReply { tokens, more, ext: Ext::default() })
}

fn record(said: &words::Described, issued: bool) -> TokenRecord {
    TokenRecord {
        cid: said.cid_text.clone(),
        subject: said.subject,
        issuer: said.issuer,
        audience: said.audience,
        not_before: said.not_before,
        expires: said.expires,
        grants: said.grants.clone(),
        issued,
    }
}
