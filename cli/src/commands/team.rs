//! `team`: who belongs together.

mod ending;
pub(crate) mod show;

use std::io::{IsTerminal, Read};

use clankers_client::Client;
use clankers_node::store::Home;
use clankers_protocol::{
    Message,
    limits::INVITE_BYTES,
    message::Ext,
    refusal::ExitKind,
    request::team::{
        INVITE_PREFIX, TeamCreate, TeamCreated, TeamGrant, TeamGranted, TeamInvite, TeamInvited, TeamJoin,
        TeamJoined, TeamLeave, TeamLeft, TeamList, TeamListReply, TeamRemove, TeamRemoved,
    },
    request::tokens::max_total,
    text::{self, Clean},
};
use serde_json::{Value, json};

use super::token::known_as;
use crate::{
    args::{GrantArgs, InviteArgs, TeamCommand},
    error::{CliError, Outcome},
    local::Machine,
    output::{self, rfc3339},
    when::when,
};

/// How long a membership lasts when nobody says (seconds): 90 days.
const MEMBERSHIP_SECS: u64 = 90 * 24 * 60 * 60;
/// Characters of a peer's or a node's words in one line.
const WORDS_CHARS: usize = 200;
/// Characters of an argument that an error says back.
const NAME_CHARS: usize = 60;

pub(crate) async fn run(home: Home, command: TeamCommand, json: bool) -> Outcome {
    let machine = Machine::open(&home)?;
    let invite = match &command {
        TeamCommand::Join { invite } => Some(invite_text(invite)?),
        _ => None,
    };
    let local = machine.node_or_hall().await?;
    let client = &local.client;
    let done = match command {
        TeamCommand::Create { name } => create(client, name, json).await,
        TeamCommand::Invite(args) => write_invite(client, args, json).await,
        TeamCommand::Join { .. } => join(client, invite.unwrap_or_default(), json).await,
        TeamCommand::List => list(client, json).await,
        TeamCommand::Members(args) => show::members(client, args.team, json).await,
        TeamCommand::Leave(args) => leave(client, args.team.team, args.force, json).await,
        TeamCommand::Remove { peer, team } => remove(client, team, &peer, json).await,
        TeamCommand::Grant(args) => grant(client, args, json).await,
    };
    local.close().await;
    done
}

async fn ask<Q: Message, A: Message>(client: &Client, request: &Q) -> Result<A, CliError> {
    Ok(client.ask(request).await?)
}

async fn create(client: &Client, name: String, json: bool) -> Outcome {
    let made: TeamCreated = ask(client, &TeamCreate { leaf: None, name, ext: Ext::default() }).await?;
    if json {
        return Ok(output::json(&show::team(&made.team))?);
    }
    anstream::eprintln!("✓ team {} was made; its key lies in this node's home", show::name(&made.team));
    anstream::eprintln!("  bring others in with 'clankers team invite PEER'");
    Ok(output::lines([made.team.id.to_string().as_str()])?)
}

async fn write_invite(client: &Client, args: InviteArgs, json: bool) -> Outcome {
    let InviteArgs { peer, admin, expire, renew, team } = args;
    let renew = renew || expire.is_none();
    let request = TeamInvite {
        leaf: None,
        team,
        peer: known_as(&peer),
        admin,
        expire_secs: expire.map_or(MEMBERSHIP_SECS, |expire| expire.as_secs()),
        renew,
        ext: Ext::default(),
    };
    let made: TeamInvited = ask(client, &request).await?;
    if json {
        return Ok(output::json(&json!({
            "invite": made.invite,
            "team": made.team.id,
            "name": made.team.name,
            "member": made.member,
            "cid": made.cid,
            "expires": rfc3339(made.expires),
            "admin": admin,
            "renews": renew,
        }))?);
    }
    let what = if admin { "an admin" } else { "a member" };
    let (name, until) = (show::name(&made.team), when(made.expires));
    let renews = if renew { "; it renews itself" } else { "" };
    anstream::eprintln!("✓ for {}: {what} of {name} until {until}{renews}", made.member.short());
    output::lines([made.invite.as_str()])?;
    anstream::eprintln!(
        "  hand this over; the other side joins with 'clankers team join INVITE', or from a file: 'clankers team join - < FILE'"
    );
    Ok(())
}

/// The invite in an argument, in a file, or on standard input. It is of use to one node only, so it may be an argument.
fn invite_text(given: &str) -> Result<String, CliError> {
    if given.starts_with(INVITE_PREFIX) {
        return Ok(given.to_owned());
    }
    let shown = text::line(given, NAME_CHARS);
    let read = |from: &mut dyn Read| {
        let mut invite = String::new();
        from.take(2 * INVITE_BYTES as u64).read_to_string(&mut invite).map(|_| invite)
    };
    if given == "-" && std::io::stdin().is_terminal() {
        anstream::eprintln!("  paste the invite, then press Enter and Ctrl-D");
    }
    let read = match given {
        "-" => read(&mut std::io::stdin()),
        file => std::fs::File::open(file).and_then(|mut file| read(&mut file)),
    };
    let invite = read.map_err(|error| {
        CliError::usage(format!("'{shown}' is no invite, and no file that holds one: {error}"))
            .hint("an invite is one word that begins with clankers-team:")
    })?;
    Ok(invite.trim().to_owned())
}

async fn join(client: &Client, invite: String, json: bool) -> Outcome {
    let joined: TeamJoined = ask(client, &TeamJoin { leaf: None, invite, ext: Ext::default() }).await?;
    if json {
        let mut value = show::team(&joined.team);
        if let Some(object) = value.as_object_mut() {
            object.insert("known".into(), joined.known.into());
            object.insert("reached".into(), joined.reached.into());
        }
        return Ok(output::json(&value)?);
    }
    let name = show::name(&joined.team);
    let verb = if joined.known { "belongs to" } else { "joined" };
    let line = format!("✓ {verb} {name} until {}", when(joined.team.expires));
    output::lines([line.as_str()])?;
    match joined.reached {
        0 => anstream::eprintln!("! no member was reached yet; it goes on trying while the node runs"),
        count => anstream::eprintln!("  {count} of its members reached; see 'clankers mesh'"),
    }
    Ok(())
}

async fn list(client: &Client, json: bool) -> Outcome {
    let reply: TeamListReply = ask(client, &TeamList { leaf: None, ext: Ext::default() }).await?;
    if json {
        return Ok(output::json(&Value::Array(reply.teams.iter().map(show::team).collect()))?);
    }
    if reply.teams.is_empty() {
        anstream::eprintln!("no teams yet: make one with 'clankers team create NAME', or join by an invite");
        return Ok(());
    }
    show::teams(&reply.teams)?;
    show::forgotten(&reply.teams);
    Ok(())
}

async fn leave(client: &Client, team: Option<String>, force: bool, json: bool) -> Outcome {
    let left: TeamLeft = ask(client, &TeamLeave { leaf: None, team, force, ext: Ext::default() }).await?;
    if json {
        return Ok(output::json(&show::team(&left.team))?);
    }
    Ok(output::lines([format!("✓ left {}", show::name(&left.team)).as_str()])?)
}

async fn remove(client: &Client, team: Option<String>, peer: &str, json: bool) -> Outcome {
    let request = TeamRemove { leaf: None, team, peer: known_as(peer), ext: Ext::default() };
    let removed: TeamRemoved = ask(client, &request).await?;
    if json {
        let cids: Vec<&str> = removed.links.iter().map(|link| link.cid.as_str()).collect();
        return Ok(output::json(&json!({
            "team": removed.team.id,
            "member": removed.member,
            "revoked": cids,
            "tokens": removed.tokens,
        }))?);
    }
    let line = format!("✓ {} was removed from {}", removed.member.short(), show::name(&removed.team));
    output::lines([line.as_str()])?;
    if removed.tokens > 0 {
        anstream::eprintln!("  tokens on this node that ended with it: {}", removed.tokens);
    }
    Ok(())
}

async fn grant(client: &Client, args: GrantArgs, json: bool) -> Outcome {
    let GrantArgs { team, rights, expire, nothing } = args;
    let ext = rights.files();
    let rights = (!nothing).then(|| rights.rights());
    let most = max_total(&ext);
    let request = TeamGrant { leaf: None, team: team.team, rights, expire_secs: expire.as_secs(), ext };
    let granted: TeamGranted = ask(client, &request).await?;
    if most != max_total(&granted.ext) {
        let words = "the running node is of an earlier version: it gives members tokens without --max-total";
        return Err(CliError::new(ExitKind::Unreachable, words).hint("restart the node, and grant it anew"));
    }
    if json {
        return Ok(output::json(&show::team(&granted.team))?);
    }
    for warning in &granted.warnings {
        anstream::eprintln!("! {}", Clean::line(warning, WORDS_CHARS));
    }
    let name = show::name(&granted.team);
    let line = match &granted.team.template {
        Some(template) => format!("✓ every member of {name} may ask for: {}", template.grants.join("; ")),
        None => format!("✓ members of {name} are given nothing here any more"),
    };
    output::lines([Clean::line(&line, WORDS_CHARS * 4).as_str()])?;
    if granted.ended > 0 {
        anstream::eprintln!("  tokens of before that ended: {}", granted.ended);
    }
    Ok(())
}
