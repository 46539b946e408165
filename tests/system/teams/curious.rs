//! What those learn of teams who belong to none, whatever else they may.

use clankers_auth::GrantSpec;
use clankers_protocol::{
    message::Ext,
    refusal::RefusalCode,
    request::{
        peers::{PeerList, PeerListReply},
        presence::{MeshView, MeshViewReply},
        revocation::{RevocationOffer, RevocationTaken},
    },
};
use clankers_tests::{forge, hostile::Answer, hostile::Hostile};

use super::{hostile::Mallory, node, team};

#[tokio::test(flavor = "multi_thread")]
async fn who_may_see_peers_and_is_no_member_sees_no_roll() {
    let (anna, bert) = (node("anna"), node("bert"));
    team("core", &[&anna, &bert]);
    let operator = Hostile::start().await;
    let chain = forge::grant(&anna.home().seed(), operator.id(), &GrantSpec::operator());
    let (guest, _) = operator.welcomed(anna.address(), vec![chain]).await;
    let view = MeshView { leaf: None, skip: 0, ask_ms: 0, ext: Ext::default() };
    let seen: MeshViewReply = guest.ask(&view).await.message();
    assert!(seen.nodes.iter().any(|node| node.me), "it may ask");
    assert!(seen.nodes.iter().all(|node| node.teams.is_empty()), "{:?}", seen.nodes);
    assert!(seen.nodes.iter().all(|node| node.peer.id != bert.id()), "{:?}", seen.nodes);
    let list = PeerList { leaf: None, skip: 0, ext: Ext::default() };
    let peers: PeerListReply = guest.ask(&list).await.message();
    assert!(peers.peers.iter().all(|peer| !peer.via.iter().any(|via| via == "gossip")), "{:?}", peers.peers);
    operator.close().await;
}

/// Whoever was removed has a good revocation: with it any node could be asked whether it belongs to that team.
#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_does_not_tell_a_stranger_who_belongs_to_the_team() {
    let (anna, carl) = (node("anna"), node("carl"));
    anna.cli(["team", "create", "core"]).run().ok();
    carl.cli(["team", "create", "other"]).run().ok();
    let mallory = Mallory::invited_by(&anna).await;
    anna.cli(["team", "remove", &mallory.mesh.id().to_string()]).run().ok();
    let (guest, _) = mallory.talker.welcomed(anna.address(), Vec::new()).await;
    let Answer::Refused(refusal) = guest.ask(&mallory.show()).await else { panic!("it was removed") };
    let proof = refusal.ext.get(1).expect("the revocation").to_vec();
    let offer = RevocationOffer { revocations: vec![proof], ext: Ext::default() };
    let mut said: Vec<RevocationTaken> = Vec::new();
    for node in [&anna, &carl] {
        let (guest, _) = mallory.talker.welcomed(node.address(), Vec::new()).await;
        said.push(guest.ask(&offer).await.message());
    }
    assert_eq!(said[0], said[1], "one can tell them apart");
    assert_eq!(said[0].refused, [RefusalCode::WrongNode.number()]);
    mallory.mesh.close().await;
}
