//! How the news of a removal travels: once, and past whoever would stand in its way.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use clankers_auth::revoke;
use clankers_mesh::GossipEvent;
use clankers_protocol::{
    NodeId, Timestamp,
    limits::REVOCATIONS,
    message::Ext,
    presence::Gossiped,
    refusal::{CloseCode, RefusalCode},
    request::{
        revocation::{RevocationOffer, RevocationSync, RevocationSynced, RevocationTaken},
        team::{TeamShow, TeamShown},
    },
};
use clankers_store::{Home, TeamKeys};
use clankers_tests::{Node, forge, hostile::Answer, hostile::Guest, hostile::Hostile, wait};

use super::{HEARD, hostile::Mallory, join, node, sees, team};

/// Seconds.
const DAY: u64 = 86_400;

/// Between two questions to the same node (time).
const PAUSE: Duration = Duration::from_millis(100);
/// Messages full of revocations that a member offers (count).
const OFFERS: usize = 3;
/// Beats of each node that must have come after all knew (count): whatever it had to say before was said before them.
const BEATS: usize = 2;

async fn shown(member: &Mallory, at: &Node) -> Guest {
    let (guest, _) = member.talker.welcomed(at.address(), Vec::new()).await;
    let _shown: TeamShown = guest.ask(&member.show()).await.message();
    guest
}

/// All that a node knows to be taken back in the team.
async fn known(guest: &Guest, member: &Mallory) -> Vec<Vec<u8>> {
    let question = RevocationSync {
        subject: member.team.node(),
        count: u64::MAX,
        hash: [0; 32],
        have: Vec::new(),
        ext: Ext::default(),
    };
    guest.ask(&question).await.message::<RevocationSynced>().missing
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removal_is_announced_by_who_made_it_and_by_nobody_else() {
    let (anna, bert, carl) = (node("anna"), node("bert"), node("carl"));
    team("core", &[&anna, &bert, &carl]);
    let mallory = Mallory::invited_by(&anna).await;
    let (_guest, _gossip, mut events) = mallory.gossip_with(&anna).await;
    let (at_bert, at_carl) = (shown(&mallory, &bert).await, shown(&mallory, &carl).await);
    // Somebody who was invited and never came.
    let gone = forge::id_of(&forge::random()).to_string();
    anna.cli(["team", "invite", &gone]).run().ok();
    anna.cli(["team", "remove", &gone]).run().ok();

    let mut authors = BTreeSet::new();
    let mut after: BTreeMap<NodeId, usize> = BTreeMap::new();
    let mut all_know = false;
    let mut look = tokio::time::interval(PAUSE);
    wait::within("all to know, and to have said all", HEARD * 2, async {
        loop {
            tokio::select! {
                event = events.next() => {
                    let Some(GossipEvent::Received { payload, .. }) = event else { continue };
                    match Gossiped::decode(&payload).expect("what honest nodes say") {
                        Gossiped::Revoked(notice) => drop(authors.insert(notice.body.author)),
                        Gossiped::Presence(said) if all_know => *after.entry(said.body.author).or_default() += 1,
                        _ => {}
                    }
                }
                _ = look.tick(), if !all_know => {
                    all_know = known(&at_bert, &mallory).await.len() == 1
                        && known(&at_carl, &mallory).await.len() == 1;
                }
            }
            let each = [&anna, &bert, &carl].map(|node| after.get(&node.id()).copied().unwrap_or_default());
            if each.into_iter().all(|beats| beats >= BEATS) {
                return;
            }
        }
    })
    .await;
    assert_eq!(authors, BTreeSet::from([anna.id()]), "bert {} carl {}", bert.id(), carl.id());
    mallory.mesh.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_members_idle_connection_is_closed_and_that_of_one_with_a_token_is_not() {
    let anna = node("anna");
    anna.cli(["team", "create", "core"]).run().ok();
    let (mallory, friend) = (Mallory::invited_by(&anna).await, Mallory::invited_by(&anna).await);
    let token = anna.token(friend.mesh.id(), &["--tools", "ls"]).into_bytes();
    let (at_friends, _) = friend.talker.welcomed(anna.address(), vec![token]).await;
    let _shown: TeamShown = at_friends.ask(&friend.show()).await.message();
    let idle = shown(&mallory, &anna).await;
    for member in [&friend, &mallory] {
        anna.cli(["team", "remove", &member.mesh.id().to_string()]).run().ok();
    }
    assert_eq!(idle.closed().await.code, Some(u32::from(CloseCode::AuthorityEnded.number())));
    // Its other rights hold: it is refused what members may ask, and nothing else.
    assert_eq!(at_friends.ask(&friend.show()).await.refused(), RefusalCode::Revoked);
    assert!(at_friends.connection().close_reason().is_none());
    mallory.mesh.close().await;
    friend.mesh.close().await;
}

/// Revocations of links that a member made for keys of its own: well signed, and nobody's business.
fn own_revocations(member: &Mallory, count: usize) -> Vec<Vec<u8>> {
    let above = ucan::Container::decode(&member.chain, &ucan::ContainerLimits::CHAIN, ucan::Profile::Strict)
        .expect("the own membership");
    let made = |_| {
        let fresh = forge::id_of(&forge::random());
        let link = forge::Link::new(member.seed, member.team.node(), fresh).command("/team/member").bytes();
        let chain = forge::container(above.tokens().map(<[u8]>::to_vec).chain([link]));
        let said = clankers_auth::words::tree(&chain, forge::now()).expect("a chain");
        let leaf = said.last().expect("its last link").cid;
        let made = revoke::make(&member.seed, &chain, &leaf, forge::now(), forge::random());
        made.expect("a revocation").bytes
    };
    (0..count).map(made).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_member_takes_back_of_its_own_does_not_stand_in_the_way_of_a_removal() {
    let (anna, bert, carl) = (node("anna"), node("bert"), node("carl"));
    team("core", &[&anna, &bert, &carl]);
    let mallory = Mallory::invited_by(&anna).await;
    // Another set for each: so that the two differ for ever, if they took them.
    let mut stored = 0;
    for node in [&anna, &bert] {
        let guest = shown(&mallory, node).await;
        for page in own_revocations(&mallory, OFFERS * REVOCATIONS).chunks(REVOCATIONS) {
            let offer = RevocationOffer { revocations: page.to_vec(), ext: Ext::default() };
            // Who is refused too often is not even listened to.
            if let answer @ Answer::Frame(_) = guest.ask(&offer).await {
                let taken: RevocationTaken = answer.message();
                stored += taken.stored;
                assert_eq!(taken.refused.len(), page.len(), "{taken:?}");
            }
        }
    }
    assert_eq!(stored, 0);
    let honest = Mallory::invited_by(&anna).await;
    let id = carl.id().to_string();
    let (bert, anna) = tokio::task::spawn_blocking(move || {
        anna.cli(["team", "remove", &id]).run().ok();
        sees(&bert, &carl, "removed", HEARD);
        (bert, anna)
    })
    .await
    .expect("the removal");
    for node in [&anna, &bert] {
        let guest = shown(&honest, node).await;
        let known = known(&guest, &honest).await;
        assert_eq!(known.len(), 1, "carl's, and nothing else");
    }
    mallory.mesh.close().await;
    honest.mesh.close().await;
}

/// The revocation that proves a removal was once forgotten with the link that it takes back, and who joined later never learned
/// who had been removed: an invite of before, which lasts longer, let that one in.
#[tokio::test(flavor = "multi_thread")]
async fn who_joins_when_the_removed_link_has_long_ended_learns_of_the_removal() {
    let anna = node("anna");
    anna.cli(["team", "create", "core"]).run().ok();
    let member = Mallory::invited_by(&anna).await;
    let key = TeamKeys::of(&Home::open(&anna.home().path()).expect("anna's home"));
    let key = *key.get(member.team).expect("a key").expect("anna's").expose();
    let (frank, now) = (forge::random(), forge::now());
    let link = |from: u64, to: u64| {
        let link = forge::Link::new(key, member.team.node(), forge::id_of(&frank)).command("/team/member");
        forge::container([link.valid(now.as_secs() - from, now.as_secs() + 365 * DAY - to).bytes()])
    };
    // Taken back three days ago, an hour before its end; the other one has most of its life before it.
    let (short, kept) = (link(4 * DAY, 368 * DAY - 3_600), link(5 * DAY, 0));
    let leaf = clankers_auth::words::read(&short).expect("a chain").cid;
    let at = Timestamp::from_secs(now.as_secs() - 3 * DAY);
    let removal = revoke::make(&key, &short, &leaf, at, forge::random()).expect("a revocation").bytes;
    let offer = RevocationOffer { revocations: vec![removal.clone()], ext: Ext::default() };
    let taken: RevocationTaken = shown(&member, &anna).await.ask(&offer).await.message();
    assert_eq!((taken.stored, taken.refused.len()), (1, 0));

    let carl = node("carl");
    join(&anna, &carl, &[]);
    let guest = shown(&member, &carl).await;
    wait::within("carl to know", HEARD, async {
        while known(&guest, &member).await != [removal.clone()] {
            tokio::time::sleep(PAUSE).await;
        }
    })
    .await;
    let show = TeamShow { team: member.team, chain: kept, ext: Ext::default() };
    for node in [&anna, &carl] {
        let talker = Hostile::with_seed(frank).await;
        let (guest, _) = talker.welcomed(node.address(), Vec::new()).await;
        assert_eq!(guest.ask(&show).await.refused(), RefusalCode::Revoked);
    }
    member.mesh.close().await;
}
