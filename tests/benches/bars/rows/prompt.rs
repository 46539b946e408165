//! A remote prompt: how long until it is accepted (written down and synced), and from then to the first thing that
//! the model says, without the time that the model itself takes.
//!
//! The model is a server in this process, as the client is: one clock times all of it. It thinks for a while, so
//! that its first words do not come in one packet with the acceptance.

use std::time::Instant;

use clankers_client::Client;
use clankers_protocol::{
    PromptId,
    event::{DeltaKind, StreamItem},
    message::Ext,
    request::prompt::{Prompt, PromptLimits, SessionChoice, When},
};
use clankers_tests::{
    Start, forge,
    model::{MODEL, MockModel, Reply},
    owner::Owner,
    stats::{Samples, millis},
};

use crate::{
    limits::{PROMPTS, THINKING},
    peers::Lab,
    report::{Judge, Row},
};

/// When what happened to one prompt, as its client saw it.
struct Seen {
    sent: Instant,
    accepted: Instant,
    words: Instant,
    settled: Instant,
}

pub(crate) fn overhead(lab: &Lab) -> Vec<Row> {
    let home = lab.home();
    home.settings(&format!("[models.openai]\nmodels = [{MODEL:?}]\n"));
    let model = MockModel::start([Reply::Slowly(vec!["ok".into()], THINKING)]);
    let node = Start::new().env("OPENAI_BASE_URL", model.base()).on(&home);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let seen: Vec<Seen> = runtime.block_on(async {
        let owner = Owner::of(&node).await;
        let mut seen = Vec::new();
        for _ in 0..lab.rounds * PROMPTS {
            seen.push(once(owner.client()).await);
        }
        owner.close().await;
        seen
    });
    let asked = model.asked();
    assert_eq!(asked.len(), seen.len(), "every prompt asked the model once");
    let mut above = Samples::new();
    for (seen, asked) in seen.iter().zip(&asked) {
        let thought = asked.answered.expect("answered") - asked.at;
        above.push(millis((seen.words - seen.accepted).saturating_sub(thought)));
    }
    let all = |from: fn(&Seen) -> Instant, to: fn(&Seen) -> Instant| -> Samples {
        seen.iter().map(|seen| millis(to(seen) - from(seen))).collect()
    };
    let figure = "prompt accepted -> first words at the client, above the model";
    vec![
        Row::new(figure, "ms", above.clone(), Judge::P50, 5.0, 1.0),
        Row::new("  the same, p99", "ms", above, Judge::P99, 25.0, 5.0),
        Row::shown("  sent -> accepted: a new session, synced", "ms", all(|s| s.sent, |s| s.accepted)),
        Row::shown("  first words -> settled, synced", "ms", all(|s| s.words, |s| s.settled)),
    ]
}

async fn once(client: &Client) -> Seen {
    let prompt = Prompt {
        leaf: None,
        prompt_id: PromptId::from_random(forge::random()),
        session: SessionChoice::New { cwd: None },
        text: "hi".into(),
        model: None,
        when: When::Queue,
        limits: PromptLimits::default(),
        cancel_on_close: false,
        ext: Ext::default(),
    };
    let sent = Instant::now();
    let mut stream = client.prompt(&prompt).await.expect("accepted");
    let accepted = Instant::now();
    let mut words = None;
    while let Some(item) = stream.next().await.expect("an event") {
        if matches!(item, StreamItem::Live(DeltaKind::Text, _)) {
            words.get_or_insert_with(Instant::now);
        }
    }
    Seen { sent, accepted, words: words.expect("the model's words"), settled: Instant::now() }
}
