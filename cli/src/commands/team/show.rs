//! Teams and members, for people and for programs.

use std::io;

use clankers_client::Client;
use clankers_protocol::{
    message::Ext,
    refusal::RefusalCode,
    request::team::{
        Goodbye, MemberLoad, MemberNote, MemberRecord, MemberState, TeamMembers, TeamMembersReply, TeamRecord,
    },
    text,
};
use serde_json::{Value, json};

use super::ending;
use crate::{
    error::{CliError, Outcome},
    output::{self, ago, rfc3339},
    when::when,
};

/// Characters of a team's name.
const NAME_CHARS: usize = 64;

/// A team's name as it is shown.
pub(super) fn name(team: &TeamRecord) -> String {
    text::line(&team.name, NAME_CHARS)
}

pub(super) fn team(team: &TeamRecord) -> Value {
    let template = team.template.as_ref().map(|template| {
        json!({"grants": template.grants, "expire_secs": template.expire_secs, "given": template.given})
    });
    let ended = team.ended.map(|code| RefusalCode::from_number(code).name());
    json!({
        "id": team.id,
        "did": team.id.did(),
        "name": team.name,
        "admin": team.admin,
        "keeper": team.keeper,
        "joined": rfc3339(team.joined),
        "expires": rfc3339(team.expires),
        "members": team.members,
        "alive": team.alive,
        "grants": template,
        "ended": ended,
        "dropped": team.dropped,
    })
}

pub(super) fn teams(teams: &[TeamRecord]) -> io::Result<()> {
    let rows: Vec<[String; 6]> = teams
        .iter()
        .map(|team| {
            let role = match (team.ended, team.keeper, team.admin) {
                (Some(code), _, _) => RefusalCode::from_number(code).name(),
                (None, true, _) => "keeper",
                (None, false, true) => "admin",
                (None, false, false) => "member",
            };
            let gives = team.template.as_ref().map(|t| t.grants.join("; ")).unwrap_or_default();
            let there = format!("{} of {}", team.alive, team.members);
            [team.name.clone(), team.id.short(), role.to_owned(), there, when(team.expires), gives]
        })
        .collect();
    output::table(["TEAM", "ID", "ROLE", "THERE", "UNTIL", "GIVES MEMBERS"], &rows)
}

/// Says of memberships that are refused before they end why that is, and what to do.
pub(super) fn forgotten(teams: &[TeamRecord]) {
    let now = clankers_node::clock::now();
    let expired = |team: &&TeamRecord| team.ended == Some(RefusalCode::Expired.number());
    for team in teams.iter().filter(expired).filter(|team| team.expires > now) {
        anstream::eprintln!(
            "! {} holds until {}, and this node refuses it: its clock was later than that before it was put right, and it \
             forgot then what had been revoked\n  \
             join again by a new invite, or begin anew: 'clankers token revoke --all' withdraws every token that this node gave",
            name(team),
            rfc3339(team.expires)
        );
    }
}

pub(super) async fn members(client: &Client, choice: Option<String>, json: bool) -> Outcome {
    let (team, members) = all(client, choice).await?;
    if json {
        return Ok(output::json(&Value::Array(members.iter().map(value).collect()))?);
    }
    let now = clankers_node::clock::now();
    let rows: Vec<[String; 8]> = members
        .iter()
        .map(|(member, note)| {
            let label = label(member.label.as_deref(), member.claimed.as_deref());
            let label = if member.me { format!("{label} (this node)").trim().to_owned() } else { label };
            let role = if member.admin { "admin" } else { "member" };
            let seen = member.last_seen.map(|at| ago(at, now)).unwrap_or_default();
            let renews = if note.renews == Some(true) { ", renews" } else { "" };
            let until = member.expires.map(|at| format!("{}{renews}", when(at))).unwrap_or_default();
            [
                label,
                member.id.short(),
                role.to_owned(),
                if note.invited { "invited" } else { standing(member.state, note.goodbye) }.to_owned(),
                way(member.path.as_deref(), member.rtt_us),
                load(member.load),
                seen,
                until,
            ]
        })
        .collect();
    output::table(["LABEL", "ID", "ROLE", "STATE", "PATH", "LOAD", "SEEN", "UNTIL"], &rows)?;
    for line in ending::warnings(&team, &members, now) {
        anstream::eprintln!("{line}");
    }
    Ok(())
}

/// A member, with what its record has no place for.
pub(super) type Noted = (MemberRecord, MemberNote);

/// All members, page by page.
async fn all(client: &Client, choice: Option<String>) -> Result<(TeamRecord, Vec<Noted>), CliError> {
    let mut members = Vec::new();
    loop {
        let skip = members.len() as u64;
        let request = TeamMembers { leaf: None, team: choice.clone(), skip, ext: Ext::default() };
        let reply: TeamMembersReply = client.ask(&request).await?;
        let ended = reply.more == 0 || reply.members.is_empty();
        let notes = (0..).map(|place| MemberNote::read(&reply.ext, place));
        members.extend(reply.members.into_iter().zip(notes));
        if ended {
            return Ok((reply.team, members));
        }
    }
}

fn value((member, note): &Noted) -> Value {
    json!({
        "id": member.id,
        "label": member.label,
        "claimed": member.claimed,
        "me": member.me,
        "admin": member.admin,
        "state": state(member.state),
        "addrs": member.addrs,
        "relay": member.relay,
        "path": member.path,
        "rtt_us": member.rtt_us,
        "version": member.version,
        "last_seen": member.last_seen.map(rfc3339),
        "load": member.load.map(|load| json!({"sessions": load.sessions, "running": load.running})),
        "expires": member.expires.map(rfc3339),
        "renews": note.renews,
        "goodbye": note.goodbye.map(goodbye),
        "invited": note.invited,
    })
}

/// The owner's label, or what the peer calls itself, marked as its own word.
pub(crate) fn label(own: Option<&str>, claimed: Option<&str>) -> String {
    match (own, claimed) {
        (Some(own), _) => own.to_owned(),
        (None, Some(claimed)) => format!("({claimed}?)"),
        (None, None) => String::new(),
    }
}

/// How a member is, for people. A goodbye that was heard before this node started, or from an older node, may be either.
pub(crate) fn standing(of: MemberState, said: Option<Goodbye>) -> &'static str {
    match (of, said) {
        (MemberState::Left, Some(said)) => goodbye(said),
        (MemberState::Left, None) => "stopped or left",
        (other, _) => state(other),
    }
}

/// What a goodbye meant, in one word.
pub(crate) fn goodbye(said: Goodbye) -> &'static str {
    match said {
        Goodbye::Stopped => "stopped",
        Goodbye::Left => "left",
    }
}

/// How a member is, in one word.
pub(crate) fn state(state: MemberState) -> &'static str {
    match state {
        MemberState::Alive => "alive",
        MemberState::Lost => "lost",
        MemberState::Left => "left",
        MemberState::Removed => "removed",
        MemberState::Unknown => "unknown",
    }
}

/// The path and its round trip.
pub(crate) fn way(path: Option<&str>, rtt_us: Option<u64>) -> String {
    match (path, rtt_us) {
        (Some(path), Some(rtt)) => format!("{path} {}.{} ms", rtt / 1000, rtt % 1000 / 100),
        (Some(path), None) => path.to_owned(),
        (None, _) => String::new(),
    }
}

/// What a node has to do.
pub(crate) fn load(load: Option<MemberLoad>) -> String {
    load.map(|load| format!("{} running, {} sessions", load.running, load.sessions)).unwrap_or_default()
}
