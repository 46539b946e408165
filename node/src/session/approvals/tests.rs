use std::{future::Future, pin::pin, sync::Arc};

use clankers_models::ModelSettings;
use clankers_protocol::{
    attach::FromNode,
    event::StreamItem,
    frame::Decoder,
    limits::FRAME_BYTES,
    request::attach::{From, Role},
};
use clankers_store::{Home, NewSession};
use tempfile::TempDir;
use zeroize::Zeroizing;

use super::*;
use crate::{
    hall::{Hall, HallConfig},
    session::viewer::Viewer,
    settings::Settings,
};

const ASKER: NodeId = NodeId([1; 32]);
const BOSS: NodeId = NodeId([2; 32]);

/// A session in a hall of its own; the directory must live as long.
fn session() -> (TempDir, Arc<Session>) {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::open(dir.path()).unwrap();
    let (seed, models) = (Zeroizing::new([7; 32]), ModelSettings::default());
    let settings = Settings::default();
    let hall = Hall::open(HallConfig { home, seed, settings, models, workspace: None }).unwrap();
    let cwd = dir.path().display().to_string();
    let new = NewSession { id: None, principal: ASKER, cwd, model: "offline".into(), title: None };
    let session = Session::create(&hall.context, &new).unwrap();
    (dir, session)
}

fn pending(request: &str, ms: u64) -> Pending {
    Pending {
        request: request.into(),
        prompt_seq: 1,
        tool: "bash".into(),
        what: "make \u{1b}[2J a mess".into(),
        principal: ASKER,
        until: stamp().plus_ms(ms),
        ext: Ext::default(),
    }
}

/// What a viewer hears next, beats aside.
async fn heard(viewer: &mut Viewer, decoder: &mut Decoder) -> FromNode {
    loop {
        if let Some(frame) = decoder.next_frame().unwrap() {
            match FromNode::decode(frame.kind, &frame.body).unwrap().unwrap() {
                FromNode::Beat(_) => continue,
                other => return other,
            }
        }
        for frame in viewer.next().await.unwrap().unwrap() {
            decoder.push(&frame);
        }
    }
}

#[tokio::test]
async fn the_first_answer_wins_and_everybody_hears_of_it() {
    let (_dir, session) = session();
    let _seat = session.sit(BOSS, false, Role::Type, true).unwrap();
    let (mut viewer, _) = session.view(From::Begin);
    let mut decoder = Decoder::new(FRAME_BYTES);
    let asking = tokio::spawn({
        let session = Arc::clone(&session);
        async move { session.ask(pending("c1", 60_000), Args::default()).await }
    });
    let FromNode::Pending(waits) = heard(&mut viewer, &mut decoder).await else { panic!("not pending") };
    assert!(!waits.what.contains('\u{1b}'), "{:?}", waits.what);
    assert_eq!(session.state(&[]).pending, [waits]);
    assert_eq!(session.answer("c2", true, BOSS), Err(AnswerError::NotPending));
    assert_eq!(session.answer("c1", true, BOSS), Ok(()));
    assert_eq!(session.answer("c1", false, ASKER), Err(AnswerError::NotPending));
    assert_eq!(asking.await.unwrap(), Answered { allowed: true, by: Some(BOSS), reason: None });
    let FromNode::Resolved(over) = heard(&mut viewer, &mut decoder).await else { panic!("not resolved") };
    assert_eq!((over.request.as_str(), over.allowed, over.by), ("c1", true, Some(BOSS)));
    assert!(session.approvals.pending().is_empty());
}

#[tokio::test]
async fn nobody_who_may_answer_is_no_at_once() {
    let (_dir, session) = session();
    let _watcher = session.sit(BOSS, false, Role::View, false).unwrap();
    assert!(!session.can_be_answered());
    let answered = session.ask(pending("c1", 3_600_000), Args::default()).await;
    assert_eq!((answered.allowed, answered.by), (false, None));
    let boss = session.sit(BOSS, false, Role::Type, true).unwrap();
    assert!(session.can_be_answered());
    drop(boss);
    assert!(!session.can_be_answered());
}

#[tokio::test]
async fn no_answer_in_time_is_no_and_a_turn_that_ends_takes_its_question_back() {
    let (_dir, session) = session();
    let _seat = session.sit(BOSS, false, Role::Type, true).unwrap();
    let late = session.ask(pending("late", 20), Args::default()).await;
    assert_eq!((late.allowed, late.by, late.reason.is_some()), (false, None, true));
    assert_eq!(session.answer("late", true, BOSS), Err(AnswerError::NotPending));
    {
        let mut asking = pin!(session.ask(pending("gone", 60_000), Args::default()));
        let asked = std::future::poll_fn(|cx| std::task::Poll::Ready(asking.as_mut().poll(cx))).await;
        assert!(asked.is_pending());
        assert_eq!(session.approvals.pending().len(), 1);
    }
    assert!(session.approvals.pending().is_empty());
    assert_eq!(session.answer("gone", true, BOSS), Err(AnswerError::NotPending));
}

#[tokio::test]
async fn a_question_that_nobody_can_answer_any_more_is_over_before_its_time() {
    let (_dir, session) = session();
    let boss = session.sit(BOSS, false, Role::Type, true).unwrap();
    let other = session.sit(BOSS, false, Role::Type, true).unwrap();
    let _watcher = session.sit(BOSS, false, Role::View, false).unwrap();
    let ask = |name: &'static str, deserted: Duration| {
        let session = Arc::clone(&session);
        async move { session.ask_within(pending(name, 600_000), Args::default(), deserted).await }
    };
    let mut asking = pin!(ask("c1", Duration::from_millis(20)));
    let (hour, limit) = (Duration::from_secs(3600), Duration::from_secs(60));
    let mut patient = pin!(ask("c2", hour));
    let polled = std::future::poll_fn(|cx| {
        std::task::Poll::Ready((asking.as_mut().poll(cx), patient.as_mut().poll(cx)))
    });
    assert!(matches!(polled.await, (std::task::Poll::Pending, std::task::Poll::Pending)));
    drop(boss);
    assert!(session.can_be_answered(), "one is left");
    drop(other);
    let over = tokio::time::timeout(limit, asking).await.unwrap();
    assert_eq!((over.allowed, over.by), (false, None));
    assert!(over.reason.unwrap().contains("nobody is attached any more"));
    assert_eq!(session.answer("c1", true, BOSS), Err(AnswerError::NotPending));
    // Whoever comes back in time finds the question, and answers.
    let _back = session.sit(BOSS, false, Role::Type, true).unwrap();
    assert_eq!(session.answer("c2", true, BOSS), Ok(()));
    assert!(tokio::time::timeout(limit, patient).await.unwrap().allowed);
}

#[tokio::test]
async fn questions_and_seats_are_bounded() {
    let (_dir, session) = session();
    let mut seats: Vec<_> = std::iter::from_fn(|| session.sit(BOSS, false, Role::Type, true)).collect();
    assert_eq!(seats.len(), crate::limits::VIEWERS);
    let state = session.state(&[]);
    assert_eq!(state.attached, crate::limits::VIEWERS as u64);
    assert!(state.roster.len() <= clankers_protocol::limits::ROSTER);
    seats.pop();
    assert!(session.sit(BOSS, false, Role::View, false).is_some());
    let asking: Vec<_> = (0..PENDING + 1)
        .map(|n| {
            let session = Arc::clone(&session);
            tokio::spawn(async move { session.ask(pending(&format!("c{n}"), 60_000), Args::default()).await })
        })
        .collect();
    let last = asking.into_iter().next_back().unwrap().await.unwrap();
    assert_eq!((last.allowed, last.by), (false, None));
    assert_eq!(session.approvals.pending().len(), PENDING);
}

#[tokio::test]
async fn a_viewer_that_falls_behind_is_told_how_things_are() {
    let (_dir, session) = session();
    let (mut viewer, begins) = session.view(From::Begin);
    assert_eq!((begins.head_seq, begins.first_seq), (0, 1));
    let mut decoder = Decoder::new(FRAME_BYTES);
    let _seat = session.sit(BOSS, false, Role::Type, true).unwrap();
    // More than the ring holds, and all of it live.
    let text = "x".repeat(30_000);
    let mut offset = 0;
    for _ in 0..100 {
        let delta = clankers_protocol::event::Delta { item: "m".into(), offset, text: text.clone() };
        offset += 30_000;
        session.feed.publish([(1, StreamItem::Live(clankers_protocol::event::DeltaKind::Text, delta))]);
    }
    let FromNode::State(state) = heard(&mut viewer, &mut decoder).await else { panic!("not the state") };
    assert_eq!((state.attached, state.open_items.len()), (1, 1));
    assert_eq!(state.open_items[0].to, offset);
    let mut end = state.open_items[0].from;
    while end < offset {
        let FromNode::Item(StreamItem::Live(_, delta)) = heard(&mut viewer, &mut decoder).await else {
            panic!("not a delta")
        };
        assert_eq!(delta.offset, end, "the text so far has no hole");
        end += delta.text.len() as u64;
    }
    assert_eq!(end, offset);
}
