//! What members ask each other: do you belong to it, what do you know of the others.

use clankers_auth::{
    Denial,
    team::{NotMember, Removal},
};
use clankers_mesh::PeerAddress;
use clankers_protocol::{
    limits::EXT_BYTES,
    message::Ext,
    refusal::{Refusal, RefusalCode},
    request::{
        presence::{PresenceSync, PresenceSynced},
        team::{TeamShow, TeamShown},
    },
};

use super::super::{Answer, tokens::with_store};
use crate::{
    door::Caller,
    teams::{
        Asked, Command as Tell, EXT_CHANGED, EXT_REVOCATION,
        renewal::{EXT_RENEW, EXT_RENEWED},
        told,
    },
};

/// Two members show each other that they are. Who is none learns nothing, not even whether this node is one.
pub(in crate::service) async fn show(
    caller: &Caller,
    connection: &clankers_mesh::Connection,
    request: TeamShow,
) -> Answer<TeamShown> {
    let stranger = || {
        caller.count_denial();
        Box::new(caller.refuse(RefusalCode::Unauthorized, "no member of a team of this node has asked"))
    };
    let Some(team) = caller.hall.teams.get(request.team) else { return Err(stranger()) };
    if let Err(why) = team.roll.shown(caller.remote, &request.chain) {
        tracing::info!(peer = %caller.remote.short(), team = %team.id.short(), %why, "no member");
        // Whoever was a member may know why it is none any more.
        return Err(match why {
            NotMember::Chain(Denial::Revoked(cid)) | NotMember::Removed(Removal { cid, .. }) => {
                caller.count_denial();
                let row = with_store(caller, move |store| store.revocations().get(&cid)).await?;
                revoked(caller, row.map(|row| row.container))
            }
            NotMember::Chain(ref denial) if why.code() == RefusalCode::Expired => {
                caller.count_denial();
                Box::new(caller.refuse(RefusalCode::Expired, &format!("the membership is over: {denial}")))
            }
            _ => stranger(),
        });
    }
    caller.belongs_to(team.id);
    if request.ext.get(EXT_CHANGED).is_some() {
        caller.hall.teams.claims.forget(caller.remote);
    }
    connection.admit();
    let mut address = PeerAddress::from(caller.remote);
    address.addrs.extend(connection.remote_addr());
    team.tell(Tell::Shown(address));
    let mut ext = Ext::default();
    if request.ext.get(EXT_RENEW).is_some()
        && let Some(chain) = caller.hall.renewed(&team, caller.remote, &request.chain).await
    {
        ext.0.push((EXT_RENEWED, chain));
    }
    Ok(TeamShown { chain: team.chain().to_vec(), ext })
}

fn revoked(caller: &Caller, proof: Option<Vec<u8>>) -> Box<Refusal> {
    let refusal = caller.refuse(RefusalCode::Revoked, "this node was removed from the team");
    let mut refusal = refusal.hint("ask a member who may for a new invite");
    if let Some(proof) = proof.filter(|proof| proof.len() <= EXT_BYTES) {
        refusal.ext.0.push((EXT_REVOCATION, proof));
    }
    Box::new(refusal)
}

/// What both know of the others.
pub(in crate::service) async fn sync(caller: &Caller, request: PresenceSync) -> Answer<PresenceSynced> {
    let Some(team) = caller.in_team(request.team) else { return Err(not_shown(caller)) };
    let from = caller.remote;
    if !caller.hall.teams.may_ask(from) {
        let words = "too many questions about presence";
        return Err(Box::new(caller.refuse(RefusalCode::RateLimited, words)));
    }
    // Signatures are looked at here, and not where the whole team waits.
    let (roll, id) = (std::sync::Arc::clone(&team.roll), team.id);
    let PresenceSync { have, records, chains, ask, .. } = request;
    let heard = tokio::task::spawn_blocking(move || {
        told::enter(&roll, &chains);
        told::read(id, &records)
    });
    let heard = heard.await.unwrap_or_default();
    let asked = Box::new(Asked { have, heard, ask });
    let synced = team.ask(|answer| Tell::Sync { from, asked, answer }).await;
    synced.ok_or_else(|| Box::new(caller.refuse(RefusalCode::Busy, "this team has much to do; ask again")))
}

/// No membership was shown on this connection, or it has ended since.
pub(super) fn not_shown(caller: &Caller) -> Box<Refusal> {
    caller.count_denial();
    Box::new(caller.refuse(RefusalCode::Unauthorized, "show a membership first"))
}
