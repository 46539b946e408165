//! "What must be refused": every line of it that strikes where processes meet, over real connections.
//! `docs/reliability.md` says which test is for which line.

#[path = "authority/budgets.rs"]
mod budgets;
#[path = "authority/found.rs"]
mod found;
#[path = "authority/live.rs"]
mod live;
#[path = "authority/lost.rs"]
mod lost;
#[path = "authority/meetings.rs"]
mod meetings;
#[path = "authority/reading.rs"]
mod reading;
#[path = "authority/revoked.rs"]
mod revoked;
#[path = "authority/scopes.rs"]
mod scopes;
#[path = "authority/sessions.rs"]
mod sessions;
#[path = "authority/tools.rs"]
mod tools;

use clankers_auth::{GrantSpec, mint, revoke, words};
use clankers_protocol::{
    CidDigest, NodeId,
    hello::{ChainVerdict, Present, Presented},
    message::Ext,
    request::revocation::{RevocationOffer, RevocationTaken},
};
use clankers_tests::{
    Node, NodeHome, forge,
    hostile::{Guest, Hostile},
};
use serde_json::Value;

/// A peer with a token that the node's command line made, which it has shown.
async fn granted(node: &Node, what: &[&str]) -> (Hostile, Guest, Vec<u8>) {
    let peer = Hostile::start().await;
    let chain = node.token(peer.id(), what).into_bytes();
    let (guest, welcome) = peer.welcomed(node.address(), vec![chain.clone()]).await;
    assert!(matches!(welcome.chains[..], [ChainVerdict::Held(_)]), "{what:?}: {welcome:?}");
    (peer, guest, chain)
}

/// What the key with this seed makes of a chain that it holds, for somebody else.
fn pass(seed: &[u8; 32], chain: &[u8], to: NodeId, narrowing: &GrantSpec) -> Vec<u8> {
    let made = mint::delegate(seed, chain, to, narrowing, forge::now(), forge::DAY, forge::random());
    made.expect("a chain that goes on").container.to_bytes().expect("a chain")
}

/// The links of a chain, root first.
fn cids(chain: &[u8]) -> Vec<CidDigest> {
    words::tree(chain, forge::now()).expect("a chain").iter().map(|link| link.cid).collect()
}

/// A link's CID as people write it.
fn cid_text(chain: &[u8], link: usize) -> String {
    words::cid_text(&cids(chain)[link])
}

/// A revocation of one link of a chain, signed with this seed.
fn revocation(seed: &[u8; 32], chain: &[u8], link: usize) -> Vec<u8> {
    let made = revoke::make(seed, chain, &cids(chain)[link], forge::now(), forge::random());
    made.expect("a revocation").bytes
}

/// Hands revocations over.
async fn offer(guest: &Guest, revocations: Vec<Vec<u8>>) -> RevocationTaken {
    guest.ask(&RevocationOffer { revocations, ext: Ext::default() }).await.message()
}

/// Shows a chain on a connection, and says what was thought of it.
async fn show(guest: &Guest, chain: &[u8]) -> ChainVerdict {
    let present = Present { chains: vec![chain.to_vec()], ext: Ext::default() };
    let presented: Presented = guest.ask(&present).await.message();
    presented.chains.into_iter().next().expect("a verdict")
}

/// Tokens that a home has issued or holds.
fn tokens(home: &NodeHome) -> Vec<Value> {
    home.cli(["token", "list", "--json"]).run().ok().json().as_array().expect("a list").clone()
}

/// Gives the guest the node's addresses, under the name `desk`.
fn name_it(guest: &NodeHome, node: &Node) {
    guest.cli(["rpc", "peers", "add", node.ticket(), "--label", "desk"]).run().ok();
}
