//! What a model is told beside the prompt, and what it costs when it is cut off.

use std::{fs, time::Duration};

use clankers_protocol::{
    event::Outcome,
    message::Ext,
    request::{
        node::InfoReply,
        prompt::{PromptCancel, PromptCancelled},
    },
};
use clankers_tests::{
    NodeHome, Start, forge,
    hostile::{Guest, Hostile},
    model::{MockModel, Reply},
    wait,
};

use super::super::{granted, tokens};
use crate::{
    BIN,
    attacks::{info, raw},
};

/// Asks the model, and gives what it was sent.
async fn told(model: &MockModel, guest: &Guest) -> String {
    let before = model.asked().len();
    assert_eq!(raw::run(guest, "hello").await.unwrap().outcome(), Outcome::Completed);
    model.asked()[before..].iter().map(|asked| asked.body.to_string()).collect()
}

/// A skill of the owner's, instructions of the owner's, and some of the project's.
fn furnished(home: &NodeHome) {
    let skill = home.path().join("agent/skills/deploy");
    fs::create_dir_all(&skill).unwrap();
    fs::write(home.path().join("agent/AGENTS.md"), "OWNERS-INSTRUCTIONS\n").unwrap();
    fs::write(skill.join("SKILL.md"), "---\nname: deploy\ndescription: OWNERS-SKILL\n---\nThe words.\n")
        .unwrap();
    home.file("AGENTS.md", "PROJECTS-INSTRUCTIONS\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guests_model_is_told_nothing_of_the_owners_and_nothing_outside_of_its_paths() {
    let (home, model) = (NodeHome::new(BIN), MockModel::start([Reply::Says(vec!["hi".into()])]));
    home.settings(&format!(
        "model = \"openai/gpt-5-mini\"\n[models.openai]\napi_base = {:?}\nmodels = [\"gpt-5-mini\"]\n",
        model.base()
    ));
    furnished(&home);
    let node = home.start();
    let (narrow, guest, _) = granted(&node, &["--tools", "read,grep", "--path", "src"]).await;
    let words = told(&model, &guest).await;
    for secret in ["OWNERS-INSTRUCTIONS", "OWNERS-SKILL", "PROJECTS-INSTRUCTIONS", "\"skill\""] {
        assert!(!words.contains(secret), "{secret}: {words}");
    }
    let (reviewer, guest, _) = granted(&node, &["--reviewer"]).await;
    let words = told(&model, &guest).await;
    assert!(words.contains("PROJECTS-INSTRUCTIONS"), "{words}");
    for secret in ["OWNERS-INSTRUCTIONS", "OWNERS-SKILL", "\"skill\""] {
        assert!(!words.contains(secret), "{secret}: {words}");
    }
    let owner = Hostile::start().await;
    let run = forge::owner_run(&home.seed(), owner.id());
    let (guest, _) = owner.welcomed(node.address(), vec![run]).await;
    let words = told(&model, &guest).await;
    for own in ["OWNERS-INSTRUCTIONS", "OWNERS-SKILL", "PROJECTS-INSTRUCTIONS", "\"skill\""] {
        assert!(words.contains(own), "{own}: {words}");
    }
    for peer in [narrow, reviewer, owner] {
        peer.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_is_cancelled_late_is_charged_for_what_was_heard() {
    const HEARD: usize = 40_000;
    let (home, model) =
        (NodeHome::new(BIN), MockModel::start([Reply::Hangs(vec!["words ".repeat(HEARD / 6)])]));
    home.settings("model = \"anthropic/claude-haiku-4-5\"\n");
    let node = Start::new()
        .env("ANTHROPIC_API_KEY", "sk-ant-lab")
        .env("ANTHROPIC_BASE_URL", model.anthropic_base())
        .on(&home);
    let (peer, guest, _) = granted(&node, &["--reviewer", "--max-cost", "5"]).await;
    let prompt = raw::prompt("write a lot");
    let mut running = guest.say(&prompt).await;
    let accepted: clankers_protocol::request::prompt::Accepted = running.answer().await.message();
    let mut heard = 0;
    while heard < HEARD - 6 {
        match running.answer().await {
            clankers_tests::hostile::Answer::Frame(frame) => heard += frame.body.len(),
            other => panic!("{other:?}"),
        }
    }
    let cancel = PromptCancel {
        leaf: None,
        session: accepted.session.to_string(),
        prompt_id: Some(prompt.prompt_id),
        ext: Ext::default(),
    };
    let done: PromptCancelled = guest.ask(&cancel).await.message();
    assert!(done.was_running);
    let last = running.answers().await;
    assert!(!last.is_empty());
    // 5 dollars for a million tokens that are written; four bytes to a token at the very most.
    let least = HEARD as u64 / 4 * 5_000;
    let spent = || tokens(&home)[0]["spent"].as_u64().unwrap_or(0);
    // What was set aside before is more: it is paid when less than that stands there.
    let paid = wait::until("it is paid", Duration::from_secs(10), || {
        Some(spent()).filter(|spent| (least..least * 4).contains(spent))
    });
    eprintln!("charged {paid} nano-dollars for {HEARD} bytes");
    let _works: InfoReply = guest.ask(&info()).await.message();
    peer.close().await;
}
