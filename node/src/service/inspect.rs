//! Reading tokens: what one says, and which one would be used.

use std::cmp::Reverse;

use clankers_auth::{Args, Asks, Command, Denial, Standing, VerifiedTokens, admit, words};
use clankers_protocol::{
    NodeId,
    message::Ext,
    refusal::RefusalCode,
    request::{
        inspect::{
            Considered, LinkWords, Question, TokenInspect, TokenInspected, TokenWhy, TokenWhyReply, Verdict,
        },
        tokens::TokenState,
    },
};

use super::{
    Answer,
    tokens::{entry, read, record, with_store},
};
use crate::{clock, door::Caller, limits::TOKENS_PAGE, nearest::nearest, select};

pub(super) async fn inspect(caller: &Caller, request: TokenInspect) -> Answer<TokenInspected> {
    caller.authorize_owner(request.leaf, Command::AdminGrant)?;
    let token = read(caller, &request.token).await?;
    let said = token.said;
    let node = match &request.node {
        Some(name) => select::peer(caller, name).await?,
        None => said.subject,
    };
    let asked = request.question.as_ref().map(|question| ask(caller, question, &said)).transpose()?;
    let shown = verdict(caller, node, |standing| {
        let mut verified = VerifiedTokens::default();
        admit(standing, node, said.audience, &said.container, &mut verified).map(drop)
    });
    let answer = asked.map(|(command, args)| {
        verdict(caller, node, |standing| {
            words::verdict(&said.container, standing, node, None, command, &args)
        })
    });
    let (me, epoch, now) = (caller.hall.id, caller.authority().epoch(), clock::now());
    let tree = words::tree(&said.container, now)
        .map_err(|denial| Box::new(caller.refuse(RefusalCode::BadToken, &denial.to_string())))?;
    let subject = said.subject;
    let links = with_store(caller, move |store| {
        let mut above = Vec::new();
        let mut links = Vec::new();
        for link in tree {
            above.push(link.issuer);
            let withdrawn = subject == me && link.from < epoch;
            let revoked = withdrawn || store.revocations().is_revoked_under(&link.cid, &above)?;
            let state = match () {
                () if revoked => TokenState::Revoked,
                () if link.until <= now => TokenState::Expired,
                () if link.from > now => TokenState::NotYetValid,
                () => TokenState::Valid,
            };
            links.push(LinkWords {
                cid: link.cid_text,
                issuer: link.issuer,
                audience: link.audience,
                not_before: link.from,
                expires: link.until,
                says: link.words.into_iter().chain(link.problems).collect(),
                state,
            });
        }
        Ok(links)
    })
    .await?;
    let issued = token.kept.as_ref().map_or(said.issuer == me, |kept| kept.record.issued);
    Ok(TokenInspected { record: record(&said, issued), links, shown, verdict: answer, ext: Ext::default() })
}

pub(super) async fn why(caller: &Caller, request: TokenWhy) -> Answer<TokenWhyReply> {
    caller.authorize_owner(request.leaf, Command::AdminGrant)?;
    let node = select::peer(caller, &request.node).await?;
    let me = caller.hall.id;
    if node == me {
        command(caller, &request.question.command)?;
        return Ok(TokenWhyReply { node, own: true, considered: Vec::new(), ext: Ext::default() });
    }
    let held =
        with_store(caller, move |store| store.tokens().held_for_subject(node, clock::now(), TOKENS_PAGE))
            .await?;
    let mut considered = Vec::new();
    for container in held {
        let Ok(said) = words::describe(&container) else { continue };
        let (command, args) = ask(caller, &request.question, &said)?;
        let verdict = verdict(caller, node, |standing| {
            words::verdict(&said.container, standing, node, None, command, &args)
        });
        let (epoch, record) = (caller.authority().epoch(), record(&said, false));
        let (token, _) = with_store(caller, move |store| entry(store, me, epoch, record)).await?;
        considered.push(Considered { token, verdict });
    }
    // Those that allow it come first, and among them the one that lasts longest.
    considered.sort_by_key(|one| (!one.verdict.allowed, Reverse(one.token.record.expires)));
    Ok(TokenWhyReply { node, own: false, considered, ext: Ext::default() })
}

/// Asks the check, with what this node knows: of another node it knows revocations that it was told of, and nothing
/// of what was spent or withdrawn there.
fn verdict(caller: &Caller, node: NodeId, ask: impl FnOnce(&Standing<'_>) -> Result<(), Denial>) -> Verdict {
    let away = node != caller.hall.id;
    let judged = caller.authority().standing(|standing| {
        let offline = Standing::offline(standing.now, clankers_protocol::Timestamp::default());
        let there = Standing { revocations: standing.revocations, ..offline };
        ask(if away { &there } else { standing })
    });
    match judged {
        Ok(()) => Verdict { allowed: true, code: None, reason: None },
        Err(denial) => Verdict {
            allowed: false,
            code: Some(denial.code().name().to_owned()),
            reason: Some(denial.to_string()),
        },
    }
}

/// The command and the arguments that a question is about.
fn ask(caller: &Caller, question: &Question, said: &words::Described) -> Answer<(Command, Args)> {
    let mut command = command(caller, &question.command)?;
    let tool = question.tool.clone();
    if command == Command::ToolUse && tool.as_deref() == Some(clankers_auth::vocab::SHELL_TOOL) {
        command = Command::ShellExec;
    }
    let shell = command == Command::ShellExec;
    let comes = matches!(command, Command::FileDrop | Command::FileOffer);
    let bytes = question.size.filter(|_| comes).unwrap_or(0);
    let args = Args {
        session: question.session.clone().or_else(|| Some(ANY_SESSION.to_owned())),
        workspace: question
            .workspace
            .clone()
            .or_else(|| said.workspace.clone())
            .or_else(|| Some(ANY.to_owned())),
        path: question.path.clone().or_else(|| (!shell).then(|| ".".to_owned())),
        tool,
        argv0: shell.then(|| clankers_auth::vocab::SHELL_TOOL.to_owned()),
        model: question.model.clone().or_else(|| Some(ANY.to_owned())),
        size: question.size.or(Some(0)),
        asks: Asks { bytes, ..Asks::default() },
    };
    Ok((command, args))
}

/// What stands for an argument that the question leaves open: something that no policy names.
const ANY: &str = "any";
/// The same for a session: one that the holder would make.
const ANY_SESSION: &str = "new";

fn command(caller: &Caller, name: &str) -> Answer<Command> {
    let path = if name.starts_with('/') { name.to_owned() } else { format!("/clankers/{name}") };
    Command::from_path(&path).ok_or_else(|| {
        let shown = clankers_protocol::text::line(name, 80);
        let refusal = caller.refuse(RefusalCode::Invalid, &format!("there is no command '{shown}'"));
        let near = nearest(&path, Command::ALL.iter().map(|command| command.path()));
        Box::new(match near {
            Some(near) => refusal.hint(&format!("did you mean '{near}'?")),
            None => {
                refusal.hint("docs/auth.md lists them; such as prompt/send, tool/use, session/attach/observe")
            }
        })
    })
}
