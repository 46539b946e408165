//! What members get who ask for it in ways that the product does not: many times at once, again and again, after it was
//! taken back.

use std::time::Duration;

use clankers_auth::words;
use clankers_protocol::{
    Timestamp,
    message::Ext,
    refusal::RefusalCode,
    request::team::{TeamClaim, TeamClaimed, TeamShown},
};
use clankers_tests::{Node, forge, hostile::Answer, hostile::Guest, wait};
use serde_json::Value;
use tokio::task::JoinSet;

use super::{HEARD, hostile::Mallory, node};

/// How often the same is asked at once (count).
const AT_ONCE: usize = 10;
/// Between two questions (time): each is a request of its own, and time passes meanwhile.
const PAUSE: Duration = Duration::from_millis(50);

/// A team of one that gives members this, and a member that has shown itself there.
async fn world(grant: &[&str]) -> (Node, Mallory, Guest) {
    let anna = node("anna");
    anna.cli(["team", "create", "core"]).run().ok();
    give(&anna, grant);
    let mallory = Mallory::invited_by(&anna).await;
    let guest = shown(&mallory, &anna).await;
    (anna, mallory, guest)
}

fn give(anna: &Node, grant: &[&str]) {
    anna.cli(["team", "grant"]).args(grant).run().ok();
}

async fn shown(mallory: &Mallory, anna: &Node) -> Guest {
    let (guest, _) = mallory.talker.welcomed(anna.address(), Vec::new()).await;
    let _shown: TeamShown = guest.ask(&mallory.show()).await.message();
    guest
}

/// Its token, or why there is none.
async fn claim(guest: &Guest, mallory: &Mallory) -> Result<String, RefusalCode> {
    let answer = guest.ask(&TeamClaim { team: mallory.team, ext: Ext::default() }).await;
    match answer {
        Answer::Refused(refusal) => Err(refusal.code()),
        answer => Ok(answer.message::<TeamClaimed>().token),
    }
}

fn ends(token: &str) -> Timestamp {
    words::describe(token.as_bytes()).expect("a token").expires
}

/// What anna has issued and what holds still.
fn issued(anna: &Node) -> Vec<Value> {
    anna.cli(["token", "list", "--json"]).run().ok().json().as_array().expect("an array").clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_claims_at_once_are_given_one_token() {
    let (anna, mallory, guest) = world(&["--tools", "grep", "--max-cost", "1"]).await;
    let mut asks = JoinSet::new();
    for _ in 0..AT_ONCE {
        let (guest, claim) = (guest.clone(), TeamClaim { team: mallory.team, ext: Ext::default() });
        asks.spawn(async move { guest.ask(&claim).await.message::<TeamClaimed>().token });
    }
    let mut tokens = asks.join_all().await;
    assert_eq!(tokens.len(), AT_ONCE);
    tokens.dedup();
    assert_eq!(tokens.len(), 1, "each has a budget of its own: {tokens:?}");
    // Nor on a second connection.
    let second = shown(&mallory, &anna).await;
    assert_eq!(claim(&second, &mallory).await.as_ref(), Ok(&tokens[0]));
    let issued = issued(&anna);
    assert_eq!(issued.len(), 1, "{issued:?}");
    mallory.mesh.close().await;
}

/// A fresh one would be a fresh budget while the old one holds.
#[tokio::test(flavor = "multi_thread")]
async fn it_is_the_same_token_until_that_has_ended() {
    let (_anna, mallory, guest) = world(&["--tools", "grep", "--max-cost", "1", "--expire", "6s"]).await;
    let first = claim(&guest, &mallory).await.expect("a token");
    let (begun, ends) = (forge::now(), ends(&first));
    let half = Timestamp(begun.0.midpoint(ends.0));
    let mut late = 0;
    let second = wait::within("another token", HEARD, async {
        loop {
            let asked = forge::now();
            let token = claim(&guest, &mallory).await.expect("a token");
            if token != first {
                return token;
            }
            assert!(asked <= ends, "it was given although it had ended at {ends:?}");
            late += usize::from(asked > half);
            tokio::time::sleep(PAUSE).await;
        }
    })
    .await;
    println!("given again {late} times in the second half of its life");
    assert!(forge::now() >= ends, "another budget before the first had ended");
    assert_ne!(words::describe(second.as_bytes()).expect("a token").expires, ends);
    mallory.mesh.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_taken_back_is_not_given_again_also_after_its_end() {
    let grant = ["--tools", "grep", "--max-cost", "1", "--expire", "12s"];
    let (anna, mallory, guest) = world(&grant).await;
    let first = claim(&guest, &mallory).await.expect("a token");
    let (said, over) = (words::describe(first.as_bytes()).expect("a token"), ends(&first));
    anna.cli(["token", "revoke", &said.cid_text]).run().ok();
    // The member keeps quiet until there is no trace of the old one.
    while forge::now() <= over.plus_ms(1_000) {
        tokio::time::sleep(PAUSE).await;
    }
    assert_eq!(claim(&guest, &mallory).await, Err(RefusalCode::NotFound));
    assert_eq!(claim(&guest, &mallory).await, Err(RefusalCode::NotFound));
    give(&anna, &grant);
    assert_ne!(claim(&guest, &mallory).await.expect("a token"), first);
    mallory.mesh.close().await;
}

/// `token revoke --all` is for when something is wrong: nothing is given by itself after it.
#[tokio::test(flavor = "multi_thread")]
async fn revoking_everything_ends_what_members_are_given() {
    let grant = ["--tools", "grep", "--max-cost", "1"];
    let (anna, mallory, guest) = world(&grant).await;
    let first = claim(&guest, &mallory).await.expect("a token");
    let late = Mallory::invited_by(&anna).await;
    anna.cli(["token", "revoke", "--all", "--yes"]).run().ok();
    for member in [&mallory, &late] {
        let guest = shown(member, &anna).await;
        assert_eq!(claim(&guest, member).await, Err(RefusalCode::NotFound));
    }
    let list = anna.cli(["team", "list", "--json"]).run().ok().json();
    assert_eq!(list[0]["grants"], Value::Null, "{list}");
    // The epoch moves to now, to the second: what is made later holds.
    let again = wait::within("something new to be given", HEARD, async {
        give(&anna, &grant);
        loop {
            let guest = shown(&late, &anna).await;
            if let Ok(token) = claim(&guest, &late).await {
                return token;
            }
            tokio::time::sleep(PAUSE).await;
        }
    })
    .await;
    assert_ne!(again, first);
    mallory.mesh.close().await;
    late.mesh.close().await;
}
