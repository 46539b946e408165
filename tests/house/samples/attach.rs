//! Samples of an attached session's frames.

use clankers_protocol::{
    event::DeltaKind,
    refusal::{Refusal, RefusalCode},
    request::{
        attach::{
            Answer, Attach, AttachCancel, Attached, Attendee, Beat, Detach, Detached, From, Gap, GapWhy,
            Input, InputDone, InputRefused, InputTaken, OpenItem, Pending, Presence, Resolved, Role, State,
            Unattended,
        },
        history::{History, HistoryPage},
        prompt::When,
    },
};

use super::{AT, LEAF, NODE, SESSION, Sample, ext, message, prompt_id};

fn attendee(role: Role) -> Attendee {
    Attendee { attach_id: 300, principal: NODE, role, since: AT }
}

fn pending() -> Pending {
    Pending {
        request: "c1".into(),
        prompt_seq: 128,
        tool: "bash".into(),
        what: "cargo test".into(),
        principal: NODE,
        until: AT,
        ext: ext(),
    }
}

fn state() -> State {
    let open = |kind| OpenItem { item: "m1".into(), kind, from: 16_384, to: 70_000 };
    State {
        roster: vec![attendee(Role::View), attendee(Role::Type)],
        attached: 2,
        pending: vec![pending()],
        open_items: [DeltaKind::Text, DeltaKind::Thinking, DeltaKind::ToolOutput].map(open).to_vec(),
        model: "openai/gpt".into(),
        running: true,
        queued: 3,
        ext: ext(),
    }
}

pub(super) fn all() -> Vec<Sample> {
    [asked(), said(), told()].into_iter().flatten().collect()
}

fn asked() -> Vec<Sample> {
    let attach = |role, from| Attach { leaf: LEAF, session: Some("5e5e".into()), role, from, ext: ext() };
    let attached = Attached {
        attach_id: 300,
        session: SESSION,
        epoch: 1_763_683_200,
        oldest_seq: 1,
        head_seq: 300,
        first_seq: 129,
        role_granted: Role::Type,
        cwd: "/srv/project".into(),
        state: state(),
        ext: ext(),
    };
    let page = HistoryPage {
        session: SESSION,
        epoch: 1_763_683_200,
        oldest_seq: 1,
        head_seq: 300,
        from: 172,
        to: 299,
        ext: ext(),
    };
    vec![
        message("begin", attach(Role::View, From::Begin)),
        message("tail", attach(Role::Type, From::Tail(128))),
        message("after", attach(Role::Type, From::After { epoch: Some(1_763_683_200), seq: 128 })),
        message("", attached),
        message(
            "",
            History { leaf: LEAF, session: Some("5e5e".into()), before: Some(300), count: 128, ext: ext() },
        ),
        message("", page),
    ]
}

fn said() -> Vec<Sample> {
    let input =
        |when, model| Input { input_id: prompt_id(), text: "grüß dich".into(), when, model, ext: ext() };
    let cancel = AttachCancel { input_id: prompt_id(), prompt_id: Some(prompt_id()), ext: ext() };
    let refusal = Refusal::new(RefusalCode::Revoked, "it was taken back", NODE);
    vec![
        message("queue", input(When::Queue, None)),
        message("steer", input(When::Steer, Some("offline".into()))),
        message("", cancel),
        message("", Answer { input_id: prompt_id(), request: "c1".into(), allow: true, ext: ext() }),
        message("", Unattended { ext: ext() }),
        message("", Detach { ext: ext() }),
        message("", InputTaken { input_id: prompt_id(), prompt_seq: 128, duplicate: true, ext: ext() }),
        message("", InputDone { input_id: prompt_id(), changed: true, ext: ext() }),
        message("", InputRefused { input_id: prompt_id(), refusal, ext: ext() }),
        message("", Detached { ext: ext() }),
    ]
}

fn told() -> Vec<Sample> {
    let gap = |why| Gap { from: 129, to: 0, why, ext: ext() };
    let resolved = |by, reason: Option<&str>| Resolved {
        request: "c1".into(),
        allowed: by == Some(NODE),
        by,
        reason: reason.map(str::to_owned),
        ext: ext(),
    };
    vec![
        message("epoch", gap(GapWhy::Epoch)),
        message("lost", gap(GapWhy::Lost)),
        message("", Presence { who: attendee(Role::View), joined: true, ext: ext() }),
        message("", pending()),
        message("answered", resolved(Some(NODE), None)),
        message("late", resolved(None, Some("nobody answered in time"))),
        message("", state()),
        message("", Beat { head_seq: 300, ext: ext() }),
    ]
}
