//! A remote prompt: how long until it is accepted (written down and synced), and from then to the first thing that
//! the model says. The model is scripted and takes no time of its own.

use std::time::Instant;

use clankers_protocol::{
    PromptId,
    event::{DeltaKind, StreamItem},
    message::Ext,
    request::prompt::{Prompt, PromptLimits, SessionChoice, When},
};
use clankers_tests::{
    Script, Turn, forge,
    owner::Owner,
    stats::{Samples, millis},
};

use crate::{
    limits::PROMPTS,
    peers::Lab,
    report::{Judge, Row},
};

#[derive(Default)]
struct Times {
    accepted: Samples,
    first_item: Samples,
    first_text: Samples,
    settled: Samples,
}

pub(crate) fn overhead(lab: &Lab) -> Vec<Row> {
    let home = lab.home();
    home.script(&Script::always(Turn::says("ok")));
    let node = home.start();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let mut times = Times::default();
    runtime.block_on(async {
        let owner = Owner::of(&node).await;
        for _ in 0..lab.rounds * PROMPTS {
            once(&owner, &mut times).await;
        }
        owner.close().await;
    });
    let text = times.first_text;
    vec![
        Row::new("prompt accepted -> the model's first words here", "ms", text.clone(), Judge::P50, 5.0, 1.0),
        Row::new("  the same, p99", "ms", text, Judge::P99, 25.0, 5.0),
        Row::shown("  accepted -> first event of any kind", "ms", times.first_item),
        Row::shown("  sent -> accepted: a new session, synced", "ms", times.accepted),
        Row::shown("  sent -> settled", "ms", times.settled),
    ]
}

async fn once(owner: &Owner, times: &mut Times) {
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
    let mut stream = owner.client().prompt(&prompt).await.expect("accepted");
    let accepted = Instant::now();
    times.accepted.push(millis(accepted - sent));
    let (mut any, mut text) = (None, None);
    while let Some(item) = stream.next().await.expect("an event") {
        any.get_or_insert_with(Instant::now);
        if matches!(item, StreamItem::Live(DeltaKind::Text, _)) {
            text.get_or_insert_with(Instant::now);
        }
    }
    times.settled.push(millis(sent.elapsed()));
    times.first_item.push(millis(any.expect("an event") - accepted));
    times.first_text.push(millis(text.expect("the model's words") - accepted));
}
