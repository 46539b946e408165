//! Budgets and rates: charged to every link, reserved before, and forgotten by no restart.

use std::time::Duration;

use clankers_auth::GrantSpec;
use clankers_protocol::{
    NanoUsd,
    event::Outcome,
    message::Ext,
    refusal::RefusalCode,
    request::prompt::{Prompt, PromptCancel, PromptCancelled},
};
use clankers_tests::{
    NodeHome, Script, Turn, forge,
    hostile::{Guest, Hostile},
    model::{MockModel, Reply},
    wait,
};

use super::{granted, pass, tokens};
use crate::{BIN, attacks::raw};

const LIMIT: Duration = Duration::from_secs(20);
/// More than one call of the model is set aside for, and less than two.
const ONE_CALL: &str = "0.10";

/// A node whose model has a known price, and the server that answers for it.
fn priced(replies: impl IntoIterator<Item = Reply>) -> (NodeHome, MockModel) {
    let (home, model) = (NodeHome::new(BIN), MockModel::start(replies));
    home.settings(&format!(
        "model = \"openai/gpt-5-mini\"\n[models.openai]\napi_base = {:?}\nmodels = [\"gpt-5-mini\"]\n",
        model.base()
    ));
    (home, model)
}

/// How a prompt to the model ends.
async fn asks(guest: &Guest) -> Outcome {
    raw::run(guest, "hello").await.expect("a prompt that is taken").outcome()
}

fn spent(home: &NodeHome) -> u64 {
    tokens(home).iter().filter_map(|token| token["spent"].as_u64()).max().unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_racing_for_the_last_cent_one_gets_it_and_a_kill_gives_nothing_back() {
    let (home, model) = priced([Reply::Hangs(vec!["thinking".into()])]);
    let mut node = home.start();
    let (peer, guest, chain) = granted(&node, &["--reviewer", "--max-cost", ONE_CALL]).await;
    let racing: Vec<_> = (0..10)
        .map(|_| {
            let guest = guest.clone();
            tokio::spawn(async move { asks(&guest).await })
        })
        .collect();
    // Nine end at once; the tenth is being answered.
    let ended = || racing.iter().filter(|one| one.is_finished()).count();
    wait::until("nine that get nothing", LIMIT, || (ended() == 9).then_some(()));
    wait::until("the tenth is being answered", LIMIT, || (model.asked().len() == 1).then_some(()));
    let reserved = spent(&home);
    assert!(reserved > 50_000_000 && reserved < 100_000_000, "{reserved}");
    for one in racing {
        if one.is_finished() {
            assert_eq!(one.await.unwrap(), Outcome::Limit);
        } else {
            one.abort();
        }
    }
    // Killed in the midst of it: what was set aside is spent.
    node.kill9();
    node.restart();
    assert_eq!(spent(&home), reserved);
    let (guest, _) = peer.welcomed(node.address(), vec![chain]).await;
    assert_eq!(asks(&guest).await, Outcome::Limit);
    assert_eq!(model.asked().len(), 1, "the model was asked although nothing was left");
    // What costs nothing still works.
    assert_eq!(raw::run(&guest, "/ls").await.unwrap().outcome(), Outcome::Completed);
    peer.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_to_whom_a_grant_was_passed_on_share_its_budget() {
    let (home, model) = priced([Reply::Says(vec!["hi".into()]), Reply::Hangs(vec!["hm".into()])]);
    let node = home.start();
    let middle = forge::random::<32>();
    let granted = node.token(forge::id_of(&middle), &["--reviewer", "--max-cost", ONE_CALL]).into_bytes();
    let (first, second) = (Hostile::start().await, Hostile::start().await);
    let mut guests = Vec::new();
    for peer in [&first, &second] {
        // Each of them is told that it may spend all of it.
        let all = GrantSpec { max_cost: Some(NanoUsd(100_000_000)), ..GrantSpec::default() };
        let chain = pass(&middle, &granted, peer.id(), &all);
        guests.push(peer.welcomed(node.address(), vec![chain]).await.0);
    }
    // What a call really cost is paid, and no more: 10 tokens in, 2 out.
    assert_eq!(asks(&guests[0]).await, Outcome::Completed);
    wait::until("it is paid", LIMIT, || (spent(&home) == 10 * 250 + 2 * 2_000).then_some(()));
    let mut running = guests[0].say(&raw::prompt("hello")).await;
    let _accepted = running.answer().await;
    wait::until("it is being answered", LIMIT, || (model.asked().len() == 2).then_some(()));
    assert_eq!(asks(&guests[1]).await, Outcome::Limit);
    assert_eq!(model.asked().len(), 2);
    first.close().await;
    second.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_price_that_nobody_knows_is_on_no_budget() {
    let (home, model) = (NodeHome::new(BIN), MockModel::start([Reply::Says(vec!["hi".into()])]));
    home.settings(&format!(
        "model = \"openai/mystery\"\n[models.openai]\napi_base = {:?}\nmodels = [\"mystery\"]\n",
        model.base()
    ));
    let node = home.start();
    let guest = NodeHome::new(BIN);
    node.grant(&guest, &["--reviewer"]);
    let ran = guest.cli(["rpc", "prompt", node.ticket(), "hello"]).run().code(5);
    assert!(ran.err().contains("not known") && ran.err().contains("--max-cost none"), "{}", ran.story());
    assert_eq!(model.asked().len(), 0);
    let guest = NodeHome::new(BIN);
    node.grant(&guest, &["--reviewer", "--max-cost", "none"]);
    guest.cli(["rpc", "prompt", node.ticket(), "hello"]).run().ok();
    assert_eq!(model.asked().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rate_is_kept_across_connections_and_restarts() {
    let home = NodeHome::new(BIN);
    let mut node = home.start();
    let (peer, guest, chain) = granted(&node, &["--reviewer", "--per-minute", "3"]).await;
    for _ in 0..2 {
        assert_eq!(raw::run(&guest, "/ls").await.unwrap().outcome(), Outcome::Completed);
    }
    let (again, _) = peer.welcomed(node.address(), vec![chain.clone()]).await;
    assert_eq!(raw::run(&again, "/ls").await.unwrap().outcome(), Outcome::Completed);
    for guest in [&guest, &again] {
        assert_eq!(raw::refused(guest, &raw::prompt("/ls")).await, RefusalCode::RateLimited);
    }
    node.kill9();
    node.restart();
    let (again, _) = peer.welcomed(node.address(), vec![chain]).await;
    assert_eq!(raw::refused(&again, &raw::prompt("/ls")).await, RefusalCode::RateLimited);
    // A key of one's own beneath it has no minute of its own.
    let below = forge::random::<32>();
    let chain = node.token(forge::id_of(&below), &["--reviewer", "--per-minute", "1"]).into_bytes();
    let (a, b) = (Hostile::start().await, Hostile::start().await);
    let (first, _) =
        a.welcomed(node.address(), vec![pass(&below, &chain, a.id(), &GrantSpec::default())]).await;
    let (second, _) =
        b.welcomed(node.address(), vec![pass(&below, &chain, b.id(), &GrantSpec::default())]).await;
    assert_eq!(raw::run(&first, "/ls").await.unwrap().outcome(), Outcome::Completed);
    assert_eq!(raw::refused(&second, &raw::prompt("/ls")).await, RefusalCode::RateLimited);
    for peer in [peer, a, b] {
        peer.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn so_many_at_a_time_and_no_more() {
    let home = NodeHome::new(BIN);
    home.script(&Script::always(Turn::says("working").hangs()));
    let mut node = home.start();
    let (peer, guest, chain) = granted(&node, &["--reviewer", "--concurrent", "1"]).await;
    let mut running = guest.say(&raw::prompt("go")).await;
    let accepted: clankers_protocol::request::prompt::Accepted = running.answer().await.message();
    let (again, _) = peer.welcomed(node.address(), vec![chain.clone()]).await;
    assert_eq!(raw::refused(&again, &raw::prompt("go")).await, RefusalCode::RateLimited);
    let session = accepted.session.to_string();
    let cancel = PromptCancel { leaf: None, session, prompt_id: None, ext: Ext::default() };
    let cancelled: PromptCancelled = again.ask(&cancel).await.message();
    assert!(cancelled.was_running);
    let mut free = wait::within("a place that is free again", LIMIT, free(&again)).await;
    // One that was killed holds no place.
    let _accepted = free.answer().await;
    node.kill9();
    node.restart();
    let (again, _) = peer.welcomed(node.address(), vec![chain]).await;
    let ran = raw::send(&again, &Prompt { cancel_on_close: true, ..raw::prompt("/ls") }).await.unwrap();
    assert_eq!(ran.outcome(), Outcome::Completed);
    peer.close().await;
}

/// Prompts until one is taken.
async fn free(guest: &Guest) -> clankers_tests::hostile::Talk {
    loop {
        let prompt = raw::prompt("go");
        if !matches!(guest.ask(&prompt).await, clankers_tests::hostile::Answer::Refused(_)) {
            // The same one again: its events from the beginning.
            return guest.say(&prompt).await;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_model_that_the_token_does_not_name_is_not_used() {
    let home = NodeHome::new(BIN);
    home.script_and(
        &Script::always(Turn::says("hello")),
        "[models.openai]\napi_base = \"http://127.0.0.1:9/v1\"\nmodels = [\"dear\"]\n",
    );
    let node = home.start();
    let (peer, guest, _) = granted(&node, &["--reviewer", "--model", "scripted"]).await;
    let with = |model: &str| Prompt { model: Some(model.to_owned()), ..raw::prompt("hello") };
    assert_eq!(raw::send(&guest, &with("scripted")).await.unwrap().outcome(), Outcome::Completed);
    assert_eq!(asks(&guest).await, Outcome::Completed);
    for model in ["openai/dear", "dear"] {
        assert_eq!(raw::refused(&guest, &with(model)).await, RefusalCode::Unauthorized, "{model}");
    }
    peer.close().await;
    let (peer, guest, _) = granted(&node, &["--reviewer", "--model", "openai/dear"]).await;
    assert_eq!(raw::refused(&guest, &raw::prompt("hello")).await, RefusalCode::Unauthorized);
    peer.close().await;
}
