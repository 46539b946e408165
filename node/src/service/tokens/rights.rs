//! What an owner, or a holder who passes a token on, means by the words of a request.

use clankers_auth::{Command, GrantSpec, Sessions, vocab::SHELL_TOOL, words::Described};
use clankers_protocol::{
    NanoUsd,
    message::Ext,
    refusal::RefusalCode,
    request::tokens::{CostLimit, Preset, Rights, file_rights, max_total},
};

use super::{Answer, invalid};
use crate::{door::Caller, select};

/// What of sending files: the rights to, and how much in all (bytes).
#[derive(Debug, Clone, Copy)]
pub(in crate::service) struct Files {
    pub(in crate::service) drop: bool,
    pub(in crate::service) offer: bool,
    pub(in crate::service) max_total: Option<u64>,
}

impl Files {
    /// As it travels beside the other rights.
    pub(in crate::service) fn of(ext: &Ext) -> Self {
        let (drop, offer) = file_rights(ext);
        Self { drop, offer, max_total: max_total(ext) }
    }
}

/// What a new grant allows. What the owner should know about it is added to `warnings`.
pub(in crate::service) async fn spec(
    caller: &Caller,
    rights: &Rights,
    files: Files,
    warnings: &mut Vec<String>,
) -> Answer<GrantSpec> {
    let Some(base) = base(caller, rights, files)? else {
        return Err(Box::new(caller.refuse(RefusalCode::Invalid, "the token would allow nothing").hint(
            "say what for: --read-only, --reviewer, --operator, --root, --tools read,grep, --drop or --offer",
        )));
    };
    let mut spec = limits(caller, base, rights, files)?;
    if !rights.paths.is_empty() && spec.is_about_a_workspace() {
        let workspace = caller.hall.workspace.as_deref();
        spec.workspace = select::workspace_id(workspace).await;
        match (&spec.workspace, workspace) {
            (Some(_), Some(path)) => {
                warnings.push(format!("its paths are beneath {}, this node's workspace now", path.display()));
            }
            _ => {
                let refusal = caller
                    .refuse(RefusalCode::NoWorkspace, "this node offers no workspace, so no paths in it");
                return Err(Box::new(
                    refusal.hint("start it in a project's directory, or set 'workspace' in its settings"),
                ));
            }
        }
    }
    spec.sessions = sessions(caller, &rights.sessions).await?;
    let prompts = spec.everything || spec.commands.contains(&Command::PromptSend);
    spec.max_cost = match rights.cost {
        CostLimit::AtMost(cost) => Some(cost),
        CostLimit::Unlimited => None,
        CostLimit::Default if prompts && !spec.everything => default_cost(caller, warnings),
        CostLimit::Default => {
            if spec.everything {
                warnings.push("it has no limit on cost: --max-cost sets one".into());
            }
            None
        }
    };
    if spec.allows_shell() {
        warnings.push(format!(
            "this grants {SHELL_TOOL}: a shell can do all that your account can, the node's own key included"
        ));
    }
    Ok(spec)
}

fn default_cost(caller: &Caller, warnings: &mut Vec<String>) -> Option<NanoUsd> {
    let cost = caller.hall.settings.authority.default_max_cost()?;
    let words = clankers_auth::words::money(cost);
    warnings
        .push(format!("its prompts may cost {words} in all, the node's default; --max-cost says otherwise"));
    Some(cost)
}

/// What narrows a token that is passed on; it may say nothing.
pub(super) fn narrowing(
    caller: &Caller,
    rights: &Rights,
    files: Files,
    from: &Described,
    warnings: &mut Vec<String>,
) -> Answer<GrantSpec> {
    let base = base(caller, rights, files)?;
    let mut spec = limits(caller, base.unwrap_or_default(), rights, files)?;
    if !rights.paths.is_empty() {
        // Another node's workspace: its id stands in the token, or is not known here.
        spec.workspace.clone_from(&from.workspace);
        if spec.workspace.is_none() && (spec.names_nothing() || spec.is_about_a_workspace()) {
            let refusal = caller.refuse(
                RefusalCode::Invalid,
                "the token names no workspace, so its paths cannot be narrowed here",
            );
            return Err(Box::new(refusal.hint("ask the node's owner for a token with --path")));
        }
    }
    if !rights.sessions.is_empty() {
        spec.sessions = named(caller, &rights.sessions)?;
    }
    if let CostLimit::AtMost(cost) = rights.cost {
        spec.max_cost = Some(cost);
    }
    if spec.allows_shell() && !spec.is_silent() {
        warnings.push(format!(
            "this passes {SHELL_TOOL} on, if the token has it: a shell can do all that the account can"
        ));
    }
    Ok(spec)
}

fn base(caller: &Caller, rights: &Rights, files: Files) -> Answer<Option<GrantSpec>> {
    let Files { drop, offer, .. } = files;
    for tool in rights.tools.iter().flatten() {
        if !clankers_tools::is_tool(tool) {
            return Err(select::unknown_tool(caller, tool));
        }
    }
    let preset = rights.preset.map(|preset| match preset {
        Preset::ReadOnly => GrantSpec::read_only(),
        Preset::Reviewer => GrantSpec::reviewer(),
        Preset::Operator => GrantSpec::operator(),
        Preset::Root => GrantSpec::root(),
    });
    let base = match (preset, rights.tools.clone().filter(|tools| !tools.is_empty())) {
        (Some(preset), None) => Some(preset),
        (Some(preset), Some(tools)) => Some(preset.with_tools(tools)),
        (None, Some(tools)) => Some(GrantSpec::tools(tools)),
        (None, None) if drop || offer => Some(GrantSpec::default()),
        (None, None) => None,
    };
    Ok(base.map(|base| base.with_files(drop, offer)))
}

fn limits(caller: &Caller, base: GrantSpec, rights: &Rights, files: Files) -> Answer<GrantSpec> {
    let Files { max_total, .. } = files;
    if !rights.paths.is_empty() && rights.tools.iter().flatten().any(|tool| tool == SHELL_TOOL) {
        let refusal = caller.refuse(
            RefusalCode::Invalid,
            "a shell cannot be kept inside some paths: it reaches all that the account can",
        );
        return Err(Box::new(refusal.hint("leave out --path, or leave out bash")));
    }
    let about = [Command::FileRead, Command::FileWrite, Command::FileDrop, Command::FileOffer];
    let whole = base.everything || base.names_nothing();
    if rights.max_size.is_some() && !whole && !about.iter().any(|c| base.commands.contains(c)) {
        return Err(invalid(
            caller,
            "--max-size is about files that are sent and read; this token speaks of none",
        ));
    }
    let sends = [Command::FileDrop, Command::FileOffer].iter().any(|c| base.commands.contains(c));
    if max_total.is_some() && !whole && !sends {
        return Err(invalid(
            caller,
            "--max-total is about files that are sent here, with --drop or --offer; this token speaks of neither",
        ));
    }
    let mut models = Vec::new();
    for model in &rights.models {
        // By its full name: that is what a prompt is judged by. One that this node does not have is taken as written.
        let full = caller.hall.context.models.resolve(model).map(|known| known.full_name().to_owned());
        models.push(full.unwrap_or_else(|_| model.clone()));
    }
    if models.iter().any(String::is_empty) {
        return Err(invalid(caller, "--model: an empty name"));
    }
    Ok(GrantSpec {
        paths: rights.paths.clone(),
        models,
        max_tokens: rights.max_tokens,
        max_depth: rights.max_depth,
        per_min: rights.per_minute.map(u64::from),
        concurrent: rights.concurrent.map(u64::from),
        max_size: rights.max_size,
        max_total,
        ..base
    })
}

/// Sessions of this node, by their whole ids.
async fn sessions(caller: &Caller, asked: &[String]) -> Answer<Sessions> {
    if asked.is_empty() {
        return Ok(Sessions::Own);
    }
    if asked.iter().any(|name| name == "all") {
        return Ok(Sessions::All);
    }
    // Whoever asks for what the owner has said before asks for whole ids.
    if !caller.is_owner() && asked.iter().all(|name| name.parse::<clankers_protocol::SessionId>().is_ok()) {
        return Ok(Sessions::These(asked.to_vec()));
    }
    let Some(owner) = caller.held(None).into_iter().find(clankers_auth::Held::is_owner) else {
        return Err(invalid(caller, "only the owner names sessions"));
    };
    let mut ids = Vec::new();
    for name in asked {
        ids.push(select::session(caller, &owner, name).await?.id.to_string());
    }
    Ok(Sessions::These(ids))
}

/// Sessions of another node: whole ids only, since nobody is asked.
fn named(caller: &Caller, asked: &[String]) -> Answer<Sessions> {
    if asked.iter().any(|name| name == "all") {
        return Ok(Sessions::All);
    }
    match asked.iter().find(|name| name.parse::<clankers_protocol::SessionId>().is_err()) {
        Some(_) => {
            Err(invalid(caller, "--session: write the whole id, 64 hex digits; the other node is not asked"))
        }
        None => Ok(Sessions::These(asked.to_vec())),
    }
}
