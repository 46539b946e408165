//! Taking rights back, and what nodes hand each other about rights: revocations, tokens, renewals.

use std::collections::BTreeSet;

use clankers_auth::{
    Command, Denial, Held, mint, revoke,
    words::{self, cid_text, parse_cid},
};
use clankers_protocol::{
    CidDigest, NodeId, TeamId, Timestamp,
    limits::REVOCATIONS,
    message::Ext,
    refusal::RefusalCode,
    request::{
        revocation::{
            RevocationOffer, RevocationSync, RevocationSynced, RevocationTaken, RevokeWhat, RevokedLink,
            TokenForget, TokenForgotten, TokenOffer, TokenOffered, TokenRenew, TokenRenewed, TokenRevoke,
            TokenRevoked,
        },
        tokens::TokenChoice,
    },
};
use clankers_store::{Delivered, FoundToken, KeptToken, Put, Store, StoreError};

use super::{
    Answer,
    tokens::{describe, for_this_node, invalid, nonce, note, read, record, with_store},
};
use crate::{
    clock,
    door::Caller,
    limits::SYNC_BYTES,
    teams::revoked::{EXT_ONLY, from_anywhere},
};

pub(super) async fn revoke(caller: &Caller, request: TokenRevoke) -> Answer<TokenRevoked> {
    caller.authorize_owner(request.leaf, Command::AdminRevoke)?;
    match request.what {
        RevokeWhat::Everything => everything(caller).await,
        RevokeWhat::Kept(cid) => {
            let token = read(caller, &TokenChoice::Kept(cid)).await?;
            let target = token.said.cid;
            let line = match token.kept {
                Some(kept) => line(caller, *kept).await?,
                None => Vec::new(),
            };
            revoke_all(caller, line, target).await
        }
        RevokeWhat::Chain { token, cid } => {
            let said = describe(caller, token.trim())?;
            let target = match cid {
                None => said.cid,
                Some(text) => parse_cid(&text).ok_or_else(|| invalid(caller, "--link: this is no CID"))?,
            };
            // One that is kept here may have been renewed: its whole line ends.
            let cid = said.cid_text.clone();
            let kept = with_store(caller, move |store| store.tokens().find(&cid, clock::now())).await?;
            let line = match kept {
                FoundToken::One(kept) if target == said.cid => line(caller, *kept).await?,
                _ => vec![(said.container, target)],
            };
            revoke_all(caller, line, target).await
        }
    }
}

/// The token and all that it was renewed to and from; it is not renewed any more.
async fn line(caller: &Caller, kept: KeptToken) -> Answer<Vec<(Vec<u8>, CidDigest)>> {
    let cid = kept.record.cid.clone();
    let all = with_store(caller, move |store| {
        let now = clock::now();
        store.tokens().stop_renewal(&cid, now)?;
        store.tokens().lineage(&cid, now)
    })
    .await?;
    let mut line: Vec<_> = std::iter::once(kept)
        .chain(all)
        .filter_map(|token| Some((token.container, parse_cid(&token.record.cid)?)))
        .collect();
    line.sort();
    line.dedup();
    Ok(line)
}

async fn revoke_all(
    caller: &Caller,
    chains: Vec<(Vec<u8>, CidDigest)>,
    target: CidDigest,
) -> Answer<TokenRevoked> {
    let now = clock::now();
    // Counted before it ends.
    let ended = caller.authority().running_under(&chains.iter().map(|(_, cid)| *cid).collect::<Vec<_>>());
    let mut links = Vec::new();
    let mut fresh = false;
    for (chain, cid) in chains {
        let made = revoke::make(&caller.hall.seed, &chain, &cid, now, nonce(caller)?);
        let judged = match made {
            Ok(judged) => judged,
            // An older one of the line that is over needs no revocation.
            Err(error) if cid != target => {
                tracing::debug!(%error, "an earlier token of the line was not revoked");
                continue;
            }
            Err(error) => {
                let refusal = caller.refuse(RefusalCode::Invalid, &error.to_string());
                return Err(Box::new(refusal.hint("who issued it, or a link above it, can revoke it")));
            }
        };
        fresh |= put(caller, &judged).await? == Put::New;
        let said = words::tree(&chain, now).unwrap_or_default();
        let audience = said.iter().find(|link| link.cid == cid).map_or(judged.subject, |link| link.audience);
        links.push(RevokedLink {
            cid: cid_text(&cid),
            subject: judged.subject,
            audience,
            expires: judged.expires,
            revocation: judged.bytes,
        });
    }
    caller.note_token("revoke", &links);
    // What a team's template had given is not given again.
    let cids: Vec<String> = links.iter().map(|link| link.cid.clone()).collect();
    with_store(caller, move |store| store.teams().taken_back(&cids)).await?;
    links.truncate(REVOCATIONS);
    Ok(TokenRevoked { links, known: !fresh, ended, epoch: None, ext: Ext::default() })
}

async fn put(caller: &Caller, judged: &revoke::Judged) -> Answer<Put> {
    let (hall, one) = (std::sync::Arc::clone(&caller.hall), judged.clone());
    let put = with_store(caller, move |store| hall.put_revoked(store, &one)).await;
    // One that could not be written holds in memory all the same.
    if !matches!(put, Ok(Put::Known)) {
        caller.authority().changed();
    }
    if matches!(put, Ok(Put::New)) {
        caller.hall.teams.revoked(caller.hall.id, crate::teams::revoked::noted(judged));
    }
    put
}

/// The epoch moves to now: every token of before is worth nothing.
async fn everything(caller: &Caller) -> Answer<TokenRevoked> {
    let ended = caller.authority().running();
    let _nobody_is_given = caller.hall.teams.giving.lock().await;
    let epoch = with_store(caller, |store| {
        let templates = store.teams().give_nothing()?;
        if templates > 0 {
            tracing::info!(templates, "members of teams are given nothing any more, until 'team grant'");
        }
        store.move_epoch(clock::now())
    })
    .await?;
    caller.authority().changed();
    caller.note_token("revoke --all", &[]);
    Ok(TokenRevoked { links: Vec::new(), known: false, ended, epoch: Some(epoch), ext: Ext::default() })
}

/// Revocations that somebody hands over. Each proves itself; whoever brings it does not matter.
pub(super) async fn offer(caller: &Caller, request: RevocationOffer) -> Answer<RevocationTaken> {
    let me = caller.hall.id;
    let mut taken = RevocationTaken { stored: 0, known: 0, refused: Vec::new(), ext: Ext::default() };
    for bytes in &request.revocations {
        let mut needless = false;
        // What was withdrawn takes back nothing any more: about itself and its teams a node can tell.
        // Whoever is no member does not learn which teams this node belongs to.
        let ours = |judged: &revoke::Judged| {
            let team = TeamId(judged.subject.0);
            caller.in_team(team).is_some() || (caller.is_owner() && caller.hall.teams.get(team).is_some())
        };
        let judged = revoke::read(bytes).and_then(|judged| match judged.subject == me {
            true => caller.authority().standing(|standing| revoke::judge_with(standing, bytes)),
            false if ours(&judged) => {
                let judged = caller.authority().standing(|standing| revoke::judge_team(standing, bytes));
                // An honest member may not know that it is needless.
                needless = matches!(judged, Err(Denial::Revoked(_))) && caller.is_known();
                judged
            }
            false => revoke::judge(bytes, clock::now()),
        });
        let judged = match judged {
            Err(_) if needless => {
                taken.known += 1;
                continue;
            }
            // About another node: only the owner's own command line brings what is to be passed on. What is about a team
            // that this node belongs to concerns it.
            Ok(judged) if judged.subject != me && !caller.is_owner() && !ours(&judged) => {
                caller.count_denial();
                taken.refused.push(RefusalCode::WrongNode.number());
                continue;
            }
            Ok(judged) => judged,
            Err(denial) => {
                tracing::info!(peer = %caller.remote, %denial, "a revocation was refused");
                caller.count_denial();
                taken.refused.push(denial.code().number());
                continue;
            }
        };
        match put(caller, &judged).await? {
            Put::New => {
                taken.stored += 1;
                caller.note_revoked(&judged);
                if judged.subject != me && !caller.is_known() {
                    caller.count_denial();
                }
            }
            Put::Known => {
                taken.known += 1;
                if !caller.is_known() {
                    caller.count_denial();
                }
            }
            Put::OverQuota => {
                // Nothing of its issuer's is believed any more, rather than anything forgotten.
                taken.refused.push(RefusalCode::RateLimited.number());
            }
        }
    }
    Ok(taken)
}

/// What both know about whom: count and hash first, then the difference.
pub(super) async fn sync(caller: &Caller, request: RevocationSync) -> Answer<RevocationSynced> {
    // A connection may outlive what it was opened with.
    let stands = |held: &Held| caller.authority().check_running(held).is_ok();
    // A member may ask what is about its team, and what is about itself.
    let about_it =
        request.subject == caller.remote && !caller.hall.teams.shared_with(caller.remote).is_empty();
    let member = caller.in_team(TeamId(request.subject.0)).is_some() || about_it;
    if !member && !caller.held(None).iter().any(stands) {
        return Err(Box::new(caller.refuse(RefusalCode::Unauthorized, "show a token first")));
    }
    let owner = caller.is_owner();
    if request.subject != caller.hall.id && !caller.is_owner() && !member {
        let words = "this node answers for itself only";
        return Err(Box::new(caller.refuse(RefusalCode::WrongNode, words)));
    }
    with_store(caller, move |store| {
        let now = clock::now();
        let revocations = store.revocations();
        let own = revocations.count_and_hash(request.subject, now)?;
        if own == (request.count, request.hash) {
            return Ok(RevocationSynced {
                same: true,
                want: Vec::new(),
                missing: Vec::new(),
                ext: Ext::default(),
            });
        }
        let known: BTreeSet<CidDigest> = revocations.cids(request.subject, now)?.into_iter().collect();
        let have: BTreeSet<CidDigest> = request.have.iter().copied().collect();
        let only = request.ext.get(EXT_ONLY).and_then(|cid| cid.try_into().ok()).map(CidDigest);
        let want = match only {
            Some(_) => Vec::new(),
            None => from_anywhere(have.difference(&known).copied().collect()),
        };
        // A witness tells who was granted what: it is for the owner's own eyes. Others learn of theirs when they show it.
        // What is about a team is about all its members.
        let missing = if owner || member {
            let lacks = match only {
                Some(only) => known.contains(&only).then_some(only).into_iter().collect(),
                None => from_anywhere(known.difference(&have).copied().collect()),
            };
            bodies(store, lacks.iter())?
        } else {
            Vec::new()
        };
        Ok(RevocationSynced { same: false, want, missing, ext: Ext::default() })
    })
    .await
}

/// As many as fit into an answer.
fn bodies<'a>(store: &Store, cids: impl Iterator<Item = &'a CidDigest>) -> Result<Vec<Vec<u8>>, StoreError> {
    let mut bodies = Vec::new();
    let mut bytes = 0;
    for cid in cids.take(REVOCATIONS) {
        let Some(row) = store.revocations().get(cid)? else { continue };
        bytes += row.container.len();
        if bytes > SYNC_BYTES {
            break;
        }
        bodies.push(row.container);
    }
    Ok(bodies)
}

/// Drops a token that this node holds: nothing is asked under it any more.
pub(super) async fn forget(caller: &Caller, request: TokenForget) -> Answer<TokenForgotten> {
    caller.authorize_owner(request.leaf, Command::AdminGrant)?;
    let token = read(caller, &TokenChoice::Kept(request.cid)).await?;
    let cid = token.said.cid_text.clone();
    let gone = with_store(caller, move |store| store.tokens().forget(&cid, clock::now())).await?;
    if !gone {
        let refusal = caller
            .refuse(RefusalCode::Invalid, "this node issued that token: forgetting it would not end it");
        return Err(Box::new(refusal.hint("'clankers token revoke CID' takes it back")));
    }
    let record = record(&token.said, false);
    note(caller, "forget", &record);
    Ok(TokenForgotten { record, ext: Ext::default() })
}

/// A token that its issuer brings, or has brought.
pub(super) async fn token_offer(caller: &Caller, request: TokenOffer) -> Answer<TokenOffered> {
    // Who it is from and for is known before it is put into words, which takes longer.
    let plain = words::read(request.token.trim().as_bytes()).map_err(|denial| {
        caller.count_denial();
        Box::new(caller.refuse(RefusalCode::BadToken, &format!("this is no token: {denial}")))
    })?;
    for_this_node(caller, plain.subject, plain.audience, plain.expires)
        .inspect_err(|_| caller.count_denial())?;
    if !knows(caller, plain.subject).await? {
        caller.count_denial();
        let words = "this node does not know the one that the token is about, and keeps tokens of peers that it knows";
        let refusal = caller.refuse(RefusalCode::Unauthorized, words);
        return Err(Box::new(refusal.hint("hand the token over by file: 'clankers token import FILE'")));
    }
    let said = describe(caller, request.token.trim())?;
    let (kept, container, issuer) = (record(&said, false), said.container.clone(), said.issuer);
    let put = with_store(caller, move |store| {
        store.tokens().put_delivered(&kept, &container, issuer, clock::now())
    })
    .await?;
    if put == Delivered::New {
        note(caller, "delivered", &record(&said, false));
    }
    Ok(TokenOffered { known: put == Delivered::Known, ext: Ext::default() })
}

/// Whether a peer is in the book, or on the local network now.
async fn knows(caller: &Caller, peer: NodeId) -> Answer<bool> {
    let name = peer.to_string();
    let discovery = caller.hall.mesh.get().and_then(|mesh| mesh.discovery());
    if discovery.is_some_and(|discovery| discovery.resolve(&name).is_ok()) {
        return Ok(true);
    }
    with_store(caller, move |store| Ok(store.peers().resolve(&name).is_ok())).await
}

/// A grant of this node's, once more. Whoever asks gets what is worth something to its audience only.
pub(super) async fn renew(caller: &Caller, request: TokenRenew) -> Answer<TokenRenewed> {
    let said = words::read(&request.chain).map_err(|denial| {
        caller.count_denial();
        Box::new(caller.refuse(RefusalCode::BadToken, &denial.to_string()))
    })?;
    let now = clock::now();
    let asked = said.cid_text.clone();
    let line = newest_of(caller, asked.clone(), now).await?;
    let Some((newest, lifetime)) = line.filter(|_| said.subject == caller.hall.id) else {
        caller.count_denial();
        let refusal = caller.refuse(RefusalCode::Revoked, "this token is not issued again");
        return Err(Box::new(refusal.hint("ask the node's owner for a new one")));
    };
    // It is asked for at every connect: one that is fresh enough is given again.
    let left_ms = newest.record.expires.since(now);
    if left_ms > lifetime.saturating_mul(1000) / 2 {
        let token = words::text(&newest.container).map_err(|denial| invalid(caller, &denial.to_string()))?;
        return Ok(TokenRenewed { token, ext: Ext::default() });
    }
    let (seed, nonce) = (&caller.hall.seed, nonce(caller)?);
    let made = caller
        .authority()
        .standing(|standing| mint::renew(standing, seed, &newest.container, lifetime, nonce))
        .map_err(|error| invalid(caller, &error.to_string()))?;
    let token = made.to_text().map_err(|error| invalid(caller, &error.to_string()))?;
    let said = describe(caller, &token)?;
    let kept = record(&said, true);
    let issued = kept.clone();
    let moved = with_store(caller, move |store| {
        store.tokens().put_renewed(&newest.record.cid, &kept, &said.container, clock::now())
    })
    .await?;
    if !moved {
        // Somebody was first, a moment ago: theirs serves both. Or it was revoked meanwhile.
        let Some((first, _)) = newest_of(caller, asked, clock::now()).await? else {
            return Err(Box::new(caller.refuse(RefusalCode::Revoked, "this token is not issued again")));
        };
        let token = words::text(&first.container).map_err(|denial| invalid(caller, &denial.to_string()))?;
        return Ok(TokenRenewed { token, ext: Ext::default() });
    }
    note(caller, "renew", &issued);
    Ok(TokenRenewed { token, ext: Ext::default() })
}

/// The token of a line that is to be renewed, and for how long (seconds); none when any of the line was revoked.
async fn newest_of(caller: &Caller, cid: String, now: Timestamp) -> Answer<Option<(KeptToken, u64)>> {
    with_store(caller, move |store| {
        let mut newest = None;
        for kept in store.tokens().lineage(&cid, now)? {
            let revoked = parse_cid(&kept.record.cid).map(|cid| store.revocations().is_revoked(&cid));
            if revoked.transpose()? == Some(true) {
                // Revoking any of the line ends the line.
                return Ok(None);
            }
            if let Some(lifetime) = store.tokens().renewable(&kept.record.cid, now)? {
                newest = Some((kept, lifetime));
            }
        }
        Ok(newest)
    })
    .await
}
