//! Attached sessions: how soon an event is everywhere, what a frozen viewer costs the others, how soon a late comer
//! has the history, and what is lost, doubled or reordered over a thousand cuts.
//!
//! The model is a server in this process, as the viewers are: one clock times all of it, from just before a piece is
//! written to the node's socket until the viewer has it. Each piece carries its time as its text.

mod history;

use std::time::{Duration, Instant};

use clankers_client::{AttachStream, Client, ClientError, Way, Wish};
use clankers_protocol::{
    PromptId,
    attach::Shown,
    event::{DeltaKind, Durable, Event, StreamItem},
    message::Ext,
    request::{
        attach::{From, Role},
        prompt::{Prompt, PromptLimits, SessionChoice, When},
    },
};
use clankers_tests::{
    Node, Start, forge, load,
    model::MODEL,
    owner::Owner,
    pacer::{Pacer, Speech},
    stats::{Samples, millis},
};
use rustix::process::Signal;

pub(crate) use self::history::{cuts, late_join};
use crate::{
    limits::{ATTACH_PIECES, ATTACH_VIEWERS, PATIENCE},
    peers::Lab,
    report::{Judge, Row},
};

/// Bytes of a mebibyte.
const MIB: f64 = 1024.0 * 1024.0;

/// One connection, shared by the streams on it.
struct Road(Client);

impl Way for Road {
    type Keep = ();
    type Error = ClientError;

    async fn reach(&self) -> Result<(Client, ()), ClientError> {
        Ok((self.0.clone(), ()))
    }

    async fn renew(&self, _client: &Client, (): &()) {}

    async fn part(&self, (): ()) {}
}

fn open(owner: &Owner, session: &str, from: From) -> AttachStream<Road> {
    let wish = Wish { session: Some(session.to_owned()), role: Role::View, from };
    AttachStream::open(Road(owner.client().clone()), wish)
}

async fn next(stream: &mut AttachStream<Road>) -> Shown {
    let shown = tokio::time::timeout(PATIENCE, stream.next()).await.expect("in time");
    shown.unwrap_or_else(|end| panic!("the stream ended: {end:?}"))
}

fn prompt(session: SessionChoice, text: &str) -> Prompt {
    Prompt {
        leaf: None,
        prompt_id: PromptId::from_random(forge::random()),
        session,
        text: text.to_owned(),
        model: None,
        when: When::Queue,
        limits: PromptLimits::default(),
        cancel_on_close: false,
        ext: Ext::default(),
    }
}

/// Prompts and waits for the end: the session, and seq of its last event.
async fn run(owner: &Owner, session: SessionChoice, text: &str) -> (String, u64) {
    let mut stream = owner.client().prompt(&prompt(session, text)).await.expect("accepted");
    let mut last = 0;
    while let Some(item) = stream.next().await.expect("an event") {
        if let StreamItem::Durable(durable) = item {
            last = durable.seq;
        }
    }
    (stream.accepted().session.to_string(), last)
}

/// The pieces of one prompt as one viewer gets them: how long each took (milliseconds).
async fn watch(stream: &mut AttachStream<Road>, began: Instant) -> Vec<f64> {
    let (mut times, mut text) = (Vec::new(), String::new());
    loop {
        match next(stream).await {
            Shown::Item(StreamItem::Live(DeltaKind::Text, delta)) => {
                let now = began.elapsed();
                text.push_str(&delta.text);
                // A piece that is not whole yet comes with the next.
                let whole = text.rfind(' ').map_or(0, |space| space + 1);
                for word in text.drain(..whole).collect::<String>().split_whitespace() {
                    let sent = Duration::from_nanos(word.parse().expect("nanoseconds"));
                    times.push(millis(now.saturating_sub(sent)));
                }
            }
            Shown::Item(StreamItem::Durable(Durable { event: Event::Settled(_), .. })) => return times,
            _ => {}
        }
    }
}

/// A node whose model speaks at a pace.
fn paced(lab: &Lab) -> (Pacer, Node) {
    let home = lab.home();
    home.settings(&format!("[models.openai]\nmodels = [{MODEL:?}]\n"));
    let pacer = Pacer::start(Speech::stamped(ATTACH_PIECES));
    let node = Start::new().env("OPENAI_BASE_URL", pacer.base()).on(&home);
    (pacer, node)
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// One prompt, seen by so many viewers, each on a connection of its own; the times of all.
async fn round(node: &Node, pacer: &Pacer, viewers: usize, frozen: bool) -> Vec<f64> {
    let owner = Owner::of(node).await;
    let (session, _) = run(&owner, SessionChoice::New { cwd: None }, "/ls").await;
    let sleeps = frozen.then(|| {
        // A process of its own, stopped once it is attached: nothing that it gets is acknowledged.
        let words = ["attach", &session, "--read-only", "--tail", "0", "--mode", "json"];
        let mut viewer = node.cli(words).stdin_open().start();
        viewer.json_of_type("attached");
        viewer.process().signal(Signal::STOP);
        viewer
    });
    let (began, mut watching) = (pacer.began(), Vec::new());
    for _ in 0..viewers {
        let other = Owner::of(node).await;
        let mut stream = open(&other, &session, From::Tail(0));
        let _attached = next(&mut stream).await;
        watching.push(tokio::spawn(async move {
            let times = watch(&mut stream, began).await;
            drop(stream);
            other.close().await;
            times
        }));
    }
    run(&owner, SessionChoice::Existing(session), "go").await;
    let mut all = Vec::new();
    for watching in watching {
        all.extend(watching.await.expect("a viewer"));
    }
    if let Some(viewer) = sleeps {
        viewer.kill9();
        viewer.finish();
    }
    owner.close().await;
    all
}

/// One viewer at 1,000 pieces a second.
pub(crate) fn fan_out(lab: &Lab) -> Vec<Row> {
    let (pacer, node) = paced(lab);
    let all = runtime().block_on(async {
        let mut all = Samples::new();
        for _ in 0..lab.rounds {
            all.extend(round(&node, &pacer, 1, false).await);
        }
        all
    });
    let pace = pacer.pace();
    let figure = format!("attach fan-out, 1 viewer, {pace:.0} events/s: model's socket -> viewer");
    vec![
        Row::new(&figure, "ms", all.clone(), Judge::P50, 0.5, 0.2),
        Row::new("  the same, p99", "ms", all, Judge::P99, 3.0, 1.0),
    ]
}

/// Sixteen viewers, one of them frozen, beside fifteen without it.
#[allow(clippy::cast_precision_loss)]
pub(crate) fn frozen(lab: &Lab) -> Vec<Row> {
    let (pacer, node) = paced(lab);
    let (mut with, mut without, mut grown) = (Samples::new(), Samples::new(), Samples::new());
    let memory = || load::memory(node.pid(), "VmRSS").expect("a living node") as f64 / MIB;
    runtime().block_on(async {
        // The first prompt of a node fills its caches.
        round(&node, &pacer, ATTACH_VIEWERS - 1, false).await;
        for number in 0..lab.rounds {
            // Whoever comes first in a round is somebody else in the next.
            for frozen in [number % 2 == 0, number % 2 != 0] {
                let before = memory();
                let times: Samples =
                    round(&node, &pacer, ATTACH_VIEWERS - 1, frozen).await.into_iter().collect();
                if frozen {
                    with.push(times.p99());
                    grown.push((memory() - before).max(0.0));
                } else {
                    without.push(times.p99());
                }
            }
        }
    });
    vec![
        Row::new("16 viewers, one frozen: p99 of the others", "ms", with, Judge::Ratio, 1.2, 1.05)
            .beside("without it", without),
        Row::new("  growth of the node meanwhile", "MiB", grown, Judge::P50, 8.0, 8.0),
    ]
}
