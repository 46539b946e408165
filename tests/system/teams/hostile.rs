//! Members and strangers that do not keep to the rules.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use clankers_auth::team::{self, seal};
use clankers_mesh::{
    Bind, Gossip, GossipConfig, GossipEvent, GossipEvents, Mesh, MeshConfig, Screen, Screened, TeamTopic,
};
use clankers_protocol::{
    ALPN, NodeId, TeamId, Timestamp,
    message::Ext,
    presence::{Gossiped, Load, Lost, Noted, Notice, Record, Say},
    refusal::{CloseCode, RefusalCode},
    request::{
        invite::Invite,
        presence::{PresenceSync, PresenceSynced},
        team::{TeamClaim, TeamShow, TeamShown},
    },
};
use clankers_tests::{Node, forge, hostile::Guest, hostile::Hostile, limits::STEP, wait};

use super::{HEARD, all_alive, invite, members, node, sees, state_of, team};

/// How often somebody asks to be a neighbour who was refused (time): a refused one waits for 2 s.
const AGAIN: Duration = Duration::from_secs(3);

/// Takes everything: whoever wrote this has no interest in the truth.
pub(super) struct Anything;

impl Screen for Anything {
    fn judge(&self, from: NodeId, _payload: &[u8]) -> Screened {
        Screened::Pass { author: from }
    }
}

/// A member with a key of its own, an endpoint that accepts, and no manners.
pub(super) struct Mallory {
    pub(super) seed: [u8; 32],
    pub(super) mesh: Mesh,
    pub(super) talker: Hostile,
    pub(super) chain: Vec<u8>,
    pub(super) team: TeamId,
    counter: u64,
}

impl Mallory {
    pub(super) async fn invited_by(anna: &Node) -> Self {
        let seed: [u8; 32] = forge::random();
        let config = MeshConfig {
            bind: Bind::Loopback { port: 0 },
            alpns: vec![ALPN.to_vec()],
            ..MeshConfig::dial_only(seed.into())
        };
        let mesh = Mesh::start(config).await.expect("an endpoint");
        let id = mesh.id().to_string();
        let made = anna.cli(["team", "invite", &id, "--json"]).run().ok().json();
        let text = made["invite"].as_str().expect("an invite");
        let chain = Invite::parse(text).expect("an invite").chain;
        let (team, audience) = team::peek(&chain).expect("a membership");
        assert_eq!(audience, mesh.id());
        let talker = Hostile::with_seed(seed).await;
        Self { seed, mesh, talker, chain, team, counter: 1 }
    }

    pub(super) fn show(&self) -> TeamShow {
        TeamShow { team: self.team, chain: self.chain.clone(), ext: Ext::default() }
    }

    /// Shows its membership on `clankers/1`, and takes its place in gossip.
    pub(super) async fn gossip_with(&self, anna: &Node) -> (Guest, Gossip, GossipEvents) {
        let (guest, _) = self.talker.welcomed(anna.address(), Vec::new()).await;
        let _shown: TeamShown = guest.ask(&self.show()).await.message();
        let config = GossipConfig { seed: forge::random(), screen: Arc::new(Anything) };
        let topic = TeamTopic::of(&self.team.did());
        let (gossip, mut events) = self.mesh.gossip(&topic, config).expect("gossip");
        gossip.allow(anna.address().clone()).await.expect("allowed");
        // What it has shown may not have reached anna's gossip yet, which refuses it then: it asks again.
        let mut again = tokio::time::interval(AGAIN);
        wait::within("anna as a neighbour", HEARD, async {
            loop {
                tokio::select! {
                    event = events.next() => {
                        if matches!(event, Some(GossipEvent::NeighborUp(id)) if id == anna.id()) {
                            return;
                        }
                    }
                    _ = again.tick() => gossip.join(vec![anna.id()]).await.expect("joined"),
                }
            }
        })
        .await;
        (guest, gossip, events)
    }

    /// A record in somebody's name, signed with this key.
    fn record(&mut self, author: NodeId, label: &str, seed: &[u8; 32], boot_id: u64) -> Gossiped {
        self.counter += 1;
        seal(
            seed,
            Say::Presence(Record {
                team: self.team,
                author,
                boot_id,
                counter: self.counter,
                at: forge::now(),
                lease_ms: 3_600_000,
                addrs: vec!["192.0.2.66:6666".parse().expect("an address")],
                relay: None,
                label: Some(label.to_owned()),
                version: "evil/1".into(),
                load: Load::default(),
                leaving: false,
                ext: Ext::default(),
            }),
        )
    }
}

async fn send(gossip: &Gossip, payload: impl Into<Bytes>) {
    let payload = payload.into();
    wait::within("a payload to be sent", STEP, async {
        while gossip.broadcast(payload.clone()).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}

/// A cut of the own node is not to be waited for.
fn encoded(said: &Gossiped) -> Vec<u8> {
    // Also what no honest node would encode.
    postcard::to_stdvec(said).expect("bytes")
}

fn dropped(node: &Node) -> u64 {
    node.cli(["team", "list", "--json"]).run().ok().json()[0]["dropped"].as_u64().expect("a count")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_forges_replays_and_spams_changes_nothing_for_the_others() {
    let (anna, bert) = (node("anna"), node("bert"));
    team("core", &[&anna, &bert]);
    let mut mallory = Mallory::invited_by(&anna).await;
    let (_guest, gossip, mut events) = mallory.gossip_with(&anna).await;
    // What bert says is heard, and kept for later.
    let old = wait::within("a record of bert's", HEARD, async {
        loop {
            if let Some(GossipEvent::Received { payload, .. }) = events.next().await
                && matches!(Gossiped::decode(&payload), Ok(Gossiped::Presence(said)) if said.body.author == bert.id())
            {
                return payload;
            }
        }
    })
    .await;
    let before = dropped(&anna);
    let far = forge::now().0 + 365 * 24 * 3_600_000;
    let (seed, me, stranger) = (mallory.seed, mallory.mesh.id(), forge::random::<32>());
    // In bert's name, under mallory's signature; with a boot number that would silence the real one for ever.
    let forged = mallory.record(bert.id(), "owned", &seed, far);
    send(&gossip, encoded(&forged)).await;
    // In the name of somebody who is no member, well signed.
    let unknown = mallory.record(forge::id_of(&stranger), "stranger", &stranger, 1);
    send(&gossip, encoded(&unknown)).await;
    // What a terminal would obey.
    let dirty = mallory.record(me, "\u{1b}[2Jowned\u{202e}", &seed, 1);
    send(&gossip, encoded(&dirty)).await;
    send(&gossip, vec![0xff; 700]).await;
    send(&gossip, old).await;
    // A year ahead, and a notice about what nobody revoked.
    let ahead = mallory.record(me, "mallory", &seed, far);
    send(&gossip, encoded(&ahead)).await;
    let cid = clankers_protocol::CidDigest([7; 32]);
    let noted = Noted { cid, subject: mallory.team.node(), expires: Timestamp(far) };
    let notice = Notice { team: mallory.team, author: me, counter: 1, revoked: vec![noted] };
    send(&gossip, encoded(&seal(&seed, Say::Revoked(notice)))).await;
    // "I lost bert": who lives says so.
    let lost = Lost {
        team: mallory.team,
        author: me,
        counter: 9,
        member: bert.id(),
        boot_id: u64::MAX,
        heard: u64::MAX,
    };
    send(&gossip, encoded(&seal(&seed, Say::Lost(lost)))).await;
    for _ in 0..300 {
        let spam = mallory.record(me, "mallory", &seed, far);
        let _too_fast = gossip.broadcast(Bytes::from(encoded(&spam))).await;
    }
    tokio::task::spawn_blocking(move || {
        wait::until("what anna dropped", HEARD, || (dropped(&anna) > before).then_some(()));
        sees(&anna, &bert, "alive", HEARD);
        let seen = members(&anna);
        let of = |id: NodeId| seen.iter().find(|member| member["id"] == id.to_string().as_str());
        assert_eq!(of(bert.id()).expect("bert")["claimed"], "bert");
        assert_eq!(of(bert.id()).expect("bert")["addrs"][0], bert.addrs()[0].to_string());
        assert!(of(forge::id_of(&stranger)).is_none(), "{seen:?}");
        assert!(seen.iter().all(|member| !member["claimed"].to_string().contains("owned")), "{seen:?}");
        sees(&bert, &anna, "alive", HEARD);
        // Both can still do what they did.
        bert.cli(["rpc", "ping", "anna"]).run().ok();
        assert_eq!(state_of(&anna, &bert), "alive");
    })
    .await
    .expect("the checks");
    mallory.mesh.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_was_removed_is_refused_and_its_gossip_ends() {
    let (anna, bert) = (node("anna"), node("bert"));
    team("core", &[&anna, &bert]);
    let mallory = Mallory::invited_by(&anna).await;
    let (guest, _gossip, mut events) = mallory.gossip_with(&anna).await;
    anna.cli(["team", "remove", &mallory.mesh.id().to_string()]).run().ok();
    wait::within("the end of gossip", HEARD, async {
        while !matches!(events.next().await, Some(GossipEvent::NeighborDown(id)) if id == anna.id()) {}
    })
    .await;
    // The connection that it had is closed, and on a new one the membership is worth nothing.
    assert_eq!(guest.closed().await.code, Some(u32::from(CloseCode::AuthorityEnded.number())));
    let sync = PresenceSync {
        team: mallory.team,
        have: Some(Vec::new()),
        records: Vec::new(),
        chains: Vec::new(),
        ask: vec![bert.id()],
        ext: Ext::default(),
    };
    let (again, _) = mallory.talker.welcomed(anna.address(), Vec::new()).await;
    assert_eq!(again.ask(&sync).await.refused(), RefusalCode::Unauthorized);
    assert_eq!(again.ask(&mallory.show()).await.refused(), RefusalCode::Revoked);
    // Bert heard of it by gossip: it is refused there as well.
    tokio::task::spawn_blocking(move || {
        let id = mallory.mesh.id().to_string();
        wait::until("bert's knowledge of it", HEARD, || {
            let seen = members(&bert).into_iter().find(|member| member["id"] == id.as_str());
            seen.is_none_or(|member| member["state"] == "removed").then_some(())
        });
        all_alive(&bert, 2);
    })
    .await
    .expect("the checks");
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_learn_nothing_of_teams() {
    let (anna, bert) = (node("anna"), node("bert"));
    team("core", &[&anna, &bert]);
    anna.cli(["team", "grant", "--reviewer"]).run().ok();
    let stolen = Invite::parse(&invite(&anna, &bert, &[])).expect("an invite").chain;
    let (id, _) = team::peek(&stolen).expect("a membership");
    let stranger = Hostile::start().await;
    let (guest, _) = stranger.welcomed(anna.address(), Vec::new()).await;
    let own: [u8; 32] = forge::random();
    let made = team::found(&own, stranger.id(), true, forge::now(), 3_600, forge::random()).expect("a team");
    let mut said = Vec::new();
    // Bert's membership, shown by somebody else; a team of the stranger's own; rubbish; and the team as a claim.
    for (team, chain) in [
        (id, stolen),
        (team::id_of(&own), made.chain.clone()),
        (id, made.chain),
        (id, vec![0x40; 200]),
        (TeamId([9; 32]), Vec::new()),
    ] {
        let answer = guest.ask(&TeamShow { team, chain, ext: Ext::default() }).await;
        let clankers_tests::hostile::Answer::Refused(refusal) = answer else { panic!("{answer:?}") };
        said.push((refusal.code(), refusal.message, refusal.hints));
    }
    assert!(said.iter().all(|answer| *answer == said[0]), "one can tell them apart: {said:?}");
    assert_eq!(said[0].0, RefusalCode::Unauthorized);
    let claim = TeamClaim { team: id, ext: Ext::default() };
    assert_eq!(guest.ask(&claim).await.refused(), RefusalCode::Unauthorized);
    let sync = PresenceSync {
        team: id,
        have: None,
        records: Vec::new(),
        chains: Vec::new(),
        ask: Vec::new(),
        ext: Ext::default(),
    };
    assert_eq!(guest.ask(&sync).await.refused(), RefusalCode::Unauthorized);
    // Nor does gossip take it.
    let alpn = TeamTopic::of(&id.did()).alpn().to_vec();
    if let Ok(guest) = stranger.try_connect(anna.address(), &alpn).await {
        assert!(guest.closed().await.by_peer);
    }
    stranger.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_members_tell_of_others_is_judged_like_all_else() {
    let (anna, bert) = (node("anna"), node("bert"));
    team("core", &[&anna, &bert]);
    let mut mallory = Mallory::invited_by(&anna).await;
    let (guest, _) = mallory.talker.welcomed(anna.address(), Vec::new()).await;
    let _shown: TeamShown = guest.ask(&mallory.show()).await.message();
    let seed = mallory.seed;
    let far = forge::now().0 + 365 * 24 * 3_600_000;
    let forged = mallory.record(bert.id(), "owned", &seed, far);
    let told = |said: &Gossiped, age_ms| clankers_protocol::request::presence::ToldRecord {
        age_ms,
        record: encoded(said),
    };
    let ask = |records| PresenceSync {
        team: mallory.team,
        have: Some(Vec::new()),
        records,
        chains: vec![clankers_protocol::request::presence::MemberChain {
            member: NodeId([5; 32]),
            chain: mallory.chain.clone(),
        }],
        ask: vec![bert.id(), NodeId([5; 32])],
        ext: Ext::default(),
    };
    let synced: PresenceSynced =
        guest.ask(&ask(vec![told(&forged, 0), told(&forged, u64::MAX)])).await.message();
    // It is a member, so it is told who is there, and by which right: with proofs that it can check.
    assert!(synced.chains.iter().all(|chain| chain.member != NodeId([5; 32])));
    assert!(synced.chains.iter().any(|chain| chain.member == bert.id()));
    tokio::task::spawn_blocking(move || {
        let seen = members(&anna);
        let bert_id = bert.id().to_string();
        let seen_bert = seen.iter().find(|member| member["id"] == bert_id.as_str()).expect("bert");
        assert_eq!((&seen_bert["claimed"], &seen_bert["state"]), (&"bert".into(), &"alive".into()));
        assert!(!seen.iter().any(|member| member["id"] == NodeId([5; 32]).to_string().as_str()));
    })
    .await
    .expect("the checks");
    mallory.mesh.close().await;
}
