//! One value of every kind of frame, and of every variant inside it: what the golden vectors hold.

#[path = "samples/attach.rs"]
mod attach;
#[path = "samples/teams.rs"]
mod teams;
#[path = "samples/tokens.rs"]
mod tokens;
#[path = "samples/transfer.rs"]
mod transfer;

use clankers_protocol::{
    CidDigest, Message, NanoUsd, NodeId, PromptId, SessionId, Timestamp,
    conversation::{StopReason, Thinking, ToolStatus, Usage},
    event::{
        CompactedEvent, Delta, DeltaKind, Durable, Event, MessageEvent, Outcome, PromptEvent, ResolvedEvent,
        SettledEvent, SteerEvent, StreamItem, ToolCallEvent, ToolResultEvent, UsageEvent,
    },
    frame,
    hello::{ChainVerdict, Hello, PeerKind, PeerLimits, Present, Presented, Welcome},
    kind::Kind,
    limits::FRAME_BYTES,
    message::Ext,
    refusal::{Refusal, RefusalCode},
    request::{
        admin::{Admin, AdminCommand, AdminDone},
        node::{Info, InfoReply, Ping, Pong},
        peers::{
            PeerChange, PeerEdit, PeerEdited, PeerList, PeerListReply, PeerRecord, PeerResolve, PeerResolved,
        },
        prompt::{Accepted, Prompt, PromptCancel, PromptCancelled, PromptLimits, SessionChoice, When},
        session::{
            SessionCreate, SessionCreated, SessionInfo, SessionKill, SessionKilled, SessionList,
            SessionListReply, SessionState,
        },
    },
};

/// Decodes a body and compares what it says with a value.
pub(crate) type Same = Box<dyn Fn(&[u8]) -> Result<(), String>>;

/// A value, its frame, and the way back.
pub(crate) struct Sample {
    /// The kind's name, and the variant's where there are several.
    pub(crate) name: String,
    /// The kind.
    pub(crate) kind: Kind,
    /// The whole frame: header and body.
    pub(crate) frame: Vec<u8>,
    /// Whether a body says the value.
    pub(crate) same: Same,
}

fn framed(kind: Kind, variant: &str, body: &[u8], same: Same) -> Sample {
    let name = kind.name().unwrap();
    let name = if variant.is_empty() { name.to_owned() } else { format!("{name}/{variant}") };
    Sample { name, kind, frame: frame::encode(kind, body, FRAME_BYTES).unwrap().to_vec(), same }
}

fn compare<T: PartialEq + std::fmt::Debug>(got: &T, wanted: &T) -> Result<(), String> {
    if got == wanted { Ok(()) } else { Err(format!("decodes to {got:?}\nand not to  {wanted:?}")) }
}

fn message<M: Message + PartialEq + std::fmt::Debug + 'static>(variant: &str, value: M) -> Sample {
    let body = value.encode();
    let same = move |body: &[u8]| compare(&M::decode(body).map_err(|e| e.to_string())?, &value);
    framed(M::KIND, variant, &body, Box::new(same))
}

fn item(variant: &str, value: StreamItem) -> Sample {
    let (kind, body) = value.encode();
    let same = move |body: &[u8]| match StreamItem::decode(kind, body) {
        Ok(Some(got)) => compare(&got, &value),
        other => Err(format!("{other:?}")),
    };
    framed(kind, variant, &body, Box::new(same))
}

fn ext() -> Ext {
    Ext(vec![(7, vec![1, 2, 3])])
}

const LEAF: Option<CidDigest> = Some(CidDigest([0xc1; 32]));
const SESSION: SessionId = SessionId([0x5e; 32]);
const NODE: NodeId = NodeId([0x0d; 32]);
const AT: Timestamp = Timestamp(1_763_683_200_123);

fn prompt_id() -> PromptId {
    "golden-1".parse().unwrap()
}

fn record() -> PeerRecord {
    PeerRecord {
        id: NODE,
        label: Some("desk".into()),
        claimed: Some("tower".into()),
        addrs: vec!["192.0.2.1:4433".into(), "[2001:db8::1]:4433".into()],
        relay: Some("https://relay.example/".into()),
        via: vec!["book".into(), "mdns".into()],
        version: Some("clankers/0.1.0".into()),
        last_seen: Some(AT),
        trusted: true,
    }
}

fn session(state: SessionState) -> SessionInfo {
    SessionInfo {
        id: SESSION,
        title: "why is the sky blue".into(),
        state,
        model: "openai/gpt".into(),
        head_seq: 300,
        attached: 2,
        created: AT,
        principal: NODE,
        cwd: "/srv/project".into(),
        archived: false,
    }
}

fn usage() -> Usage {
    Usage { input: 1, output: 200, cache_read: 70_000, cache_write: 0 }
}

/// All of them.
pub(crate) fn all() -> Vec<Sample> {
    [
        greetings(),
        nodes(),
        sessions(),
        prompts(),
        peers(),
        tokens::all(),
        teams::all(),
        attach::all(),
        transfer::all(),
        events(),
        deltas(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn greetings() -> Vec<Sample> {
    let hello = |kind| Hello {
        versions: vec![1, 300],
        software: "clankers/0.1.0".into(),
        kind,
        label: Some("desk".into()),
        features: vec![1],
        boot_id: u64::MAX,
        now: AT,
        chains: vec![vec![0xc0, 0xff], Vec::new()],
        ext: ext(),
    };
    let verdicts = || vec![ChainVerdict::Held(CidDigest([0xc1; 32])), ChainVerdict::Refused(2)];
    let welcome = Welcome {
        version: 1,
        software: "clankers/0.1.0".into(),
        label: None,
        features: Vec::new(),
        boot_id: 5,
        now: AT,
        limits: PeerLimits { frame_bytes: FRAME_BYTES, streams: 256 },
        chains: verdicts(),
        ext: ext(),
    };
    let refusal =
        Refusal { ext: ext(), ..Refusal::new(RefusalCode::Expired, "too late", NODE).hint("ask again") };
    vec![
        message("node", hello(PeerKind::Node)),
        message("cli", hello(PeerKind::Cli)),
        message("", welcome),
        message("", refusal),
        message("", Present { chains: vec![vec![1]], ext: ext() }),
        message("", Presented { chains: verdicts(), ext: ext() }),
    ]
}

fn nodes() -> Vec<Sample> {
    let info = InfoReply {
        id: NODE,
        pid: 4711,
        software: "clankers/0.1.0".into(),
        label: Some("desk".into()),
        addrs: vec!["192.0.2.1:4433".into()],
        relay: None,
        ticket: "endpointabc".into(),
        uptime_ms: 86_400_000,
        sessions: 3,
        prompts: 1,
        connections: 2,
        refusals: 4,
        model: "offline".into(),
        workspace: Some("/srv/project".into()),
        ext: ext(),
    };
    let stop = AdminCommand::Stop { drain_ms: 10_000 };
    vec![
        message("", Ping { nonce: 0x1234, ext: ext() }),
        message("", Pong { nonce: 0x1234, ext: ext() }),
        message("", Info { leaf: LEAF, ext: ext() }),
        message("", info),
        message("stop", Admin { leaf: LEAF, command: stop, ext: ext() }),
        message("", AdminDone { pid: 4711, prompts: 1, ext: ext() }),
    ]
}

fn sessions() -> Vec<Sample> {
    let states = [SessionState::Idle, SessionState::Running, SessionState::Busy, SessionState::Damaged];
    let reply = SessionListReply { sessions: states.map(session).to_vec(), more: 9, ext: ext() };
    let create = SessionCreate { leaf: LEAF, cwd: Some("/srv".into()), model: None, ext: ext() };
    vec![
        message("", SessionList { leaf: None, skip: 200, archived: true, ext: ext() }),
        message("", reply),
        message("", create),
        message("", SessionCreated { session: SESSION, ext: ext() }),
        message("", SessionKill { leaf: LEAF, session: "5e5e".into(), ext: ext() }),
        message("", SessionKilled { session: SESSION, was_running: true, ext: ext() }),
    ]
}

fn prompts() -> Vec<Sample> {
    let prompt = |session, when, limits| Prompt {
        leaf: LEAF,
        prompt_id: prompt_id(),
        session,
        text: "grüß dich".into(),
        model: Some("offline".into()),
        when,
        limits,
        cancel_on_close: true,
        ext: ext(),
    };
    let limits = PromptLimits {
        timeout_ms: Some(90_000),
        max_cost: Some(NanoUsd(1_500_000_000)),
        max_turns: Some(3),
        tools: Some(vec!["read".into(), "grep".into()]),
    };
    let new = SessionChoice::New { cwd: Some("/srv/project".into()) };
    let existing = SessionChoice::Existing("last".into());
    let accepted = Accepted { session: SESSION, prompt_seq: 128, duplicate: true, ext: ext() };
    let cancel =
        PromptCancel { leaf: LEAF, session: "5e5e".into(), prompt_id: Some(prompt_id()), ext: ext() };
    vec![
        message("new", prompt(new, When::Queue, limits)),
        message("existing", prompt(existing, When::Steer, PromptLimits::default())),
        message("", accepted),
        message("", cancel),
        message("", PromptCancelled { was_running: false, ext: ext() }),
    ]
}

fn peers() -> Vec<Sample> {
    let edit = |change| PeerEdit { leaf: LEAF, change, ext: ext() };
    let add = PeerChange::Add {
        id: NODE,
        addrs: vec!["192.0.2.1:4433".into()],
        relay: Some("https://relay.example/".into()),
        label: Some("desk".into()),
    };
    let label = PeerChange::Label { peer: "desk".into(), label: None };
    let trust = PeerChange::Trust { peer: "desk".into(), trusted: true };
    vec![
        message("", PeerList { leaf: LEAF, skip: 200, ext: ext() }),
        message("", PeerListReply { peers: vec![record()], more: 3, ext: ext() }),
        message("", PeerResolve { leaf: None, peer: "desk".into(), wait_ms: 3_000, ext: ext() }),
        message("", PeerResolved { peer: record(), chains: vec![vec![1, 2]], ext: ext() }),
        message("add", edit(add)),
        message("remove", edit(PeerChange::Remove("desk".into()))),
        message("label", edit(label)),
        message("trust", edit(trust)),
        message("", PeerEdited { peer: record(), ext: ext() }),
    ]
}

fn events() -> Vec<Sample> {
    durables().into_iter().map(|(variant, durable)| item(&variant, StreamItem::Durable(durable))).collect()
}

/// The durable events; the documented JSON is checked against them too.
pub(crate) fn durables() -> Vec<(String, Durable)> {
    let mut all = Vec::new();
    let mut add = |variant: &str, event| {
        let seq = all.len() as u64 + 126;
        let at = Timestamp(1_763_683_200_000 + seq);
        all.push((variant.to_owned(), Durable { seq, at, event }));
    };
    let prompt = PromptEvent {
        prompt_id: prompt_id(),
        principal: NODE,
        leaf: LEAF,
        text: "why?".into(),
        model: "openai/gpt".into(),
    };
    add("", Event::Prompt(prompt));
    let thinking = vec![Thinking { text: "hm".into(), signature: Some("sig".into()) }];
    for (variant, stop) in [
        ("end_turn", StopReason::EndTurn),
        ("tool_use", StopReason::ToolUse),
        ("max_tokens", StopReason::MaxTokens),
        ("refusal", StopReason::Refusal),
        ("interrupted", StopReason::Interrupted),
    ] {
        let thinking = thinking.clone();
        add(variant, Event::Message(MessageEvent { item: "m1".into(), thinking, text: "so".into(), stop }));
    }
    let (item, message, name) = ("c1".to_owned(), "m1".into(), "grep".to_owned());
    let arguments = r#"{"pattern":"x"}"#.into();
    add("", Event::ToolCall(ToolCallEvent { item: item.clone(), message, name: name.clone(), arguments }));
    for (variant, status) in [
        ("ok", ToolStatus::Ok),
        ("error", ToolStatus::Error),
        ("denied", ToolStatus::Denied),
        ("interrupted", ToolStatus::Interrupted),
    ] {
        let (item, name, text) = (item.clone(), name.clone(), "a.rs:1: x".into());
        add(variant, Event::ToolResult(ToolResultEvent { item, name, status, text }));
    }
    let cost = Some(NanoUsd(12_345));
    add("", Event::Usage(UsageEvent { model: "openai/gpt".into(), usage: usage(), cost }));
    for (variant, outcome) in [
        ("completed", Outcome::Completed),
        ("failed", Outcome::Failed),
        ("credentials", Outcome::Credentials),
        ("denied", Outcome::Denied),
        ("limit", Outcome::Limit),
        ("cancelled", Outcome::Cancelled),
        ("timed_out", Outcome::TimedOut),
        ("interrupted", Outcome::Interrupted),
    ] {
        let (prompt_id, reason, usage) = (prompt_id(), Some("because".into()), usage());
        add(
            variant,
            Event::Settled(SettledEvent { prompt_id, prompt_seq: 3, outcome, reason, usage, cost: None }),
        );
    }
    add(
        "",
        Event::Steered(SteerEvent {
            prompt_id: prompt_id(),
            principal: NODE,
            leaf: LEAF,
            text: "wait".into(),
        }),
    );
    let (item, stop) = ("m2".into(), StopReason::Pause);
    add("pause", Event::Message(MessageEvent { item, thinking: Vec::new(), text: "so".into(), stop }));
    let (summary, tokens_before, tokens_after) = ("so far".into(), 190_000, 21_000);
    add("", Event::Compacted(CompactedEvent { summary, kept: 9, tokens_before, tokens_after }));
    let (request, reason) = ("c1".to_owned(), Some("because".to_owned()));
    add("", Event::Resolved(ResolvedEvent { request, by: Some(NODE), allowed: true, reason }));
    all
}

fn deltas() -> Vec<Sample> {
    [DeltaKind::Text, DeltaKind::Thinking, DeltaKind::ToolOutput, DeltaKind::Notice]
        .into_iter()
        .map(|kind| {
            let delta = Delta { item: "m1".into(), offset: 16_384, text: "piece".into() };
            item("", StreamItem::Live(kind, delta))
        })
        .collect()
}
