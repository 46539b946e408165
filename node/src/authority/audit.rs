//! The audit log: who, under which chain, asked for what, and what was said.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use clankers_auth::{Args, Command, Denial, Held};
use clankers_protocol::{NodeId, PromptId, SessionId};
use clankers_store::{
    Home,
    audit::{AuditLog, AuditRow, AuditSettings, Verdict},
};
use serde_json::{Map, Value};

use crate::{clock, limits::AUDIT_RETRY};

/// The log, opened when the first line is written: a command that decides nothing makes none.
pub(crate) struct Audit {
    home: Home,
    settings: AuditSettings,
    log: Mutex<Slot>,
}

/// The log as far as it is open; one that could not be opened is tried again, not at every line.
#[derive(Default)]
struct Slot {
    log: Option<AuditLog>,
    failed: Option<Instant>,
}

/// What was decided about.
#[derive(Debug, Default)]
pub(crate) struct About<'a> {
    pub(crate) held: Option<&'a Held>,
    pub(crate) command: &'a str,
    pub(crate) args: Map<String, Value>,
    pub(crate) session: Option<SessionId>,
    pub(crate) prompt_id: Option<PromptId>,
}

impl Audit {
    pub(super) fn new(home: Home, settings: AuditSettings) -> Self {
        Self { home, settings, log: Mutex::default() }
    }

    /// Writes a decision of the check down.
    pub(crate) fn note(&self, peer: NodeId, about: About<'_>, denial: Option<&Denial>) {
        match denial {
            None => self.verdict(peer, about, Ok(())),
            Some(denial) => self.verdict(peer, about, Err((denial.code().name(), &denial.to_string()))),
        }
    }

    /// Writes a decision down; a denial with the name of its code, and why. Never waits, never fails: a log that cannot be
    /// written is said once.
    pub(crate) fn verdict(&self, peer: NodeId, about: About<'_>, verdict: Result<(), (&str, &str)>) {
        let denial = verdict.err();
        let row = AuditRow {
            at: clock::now(),
            peer,
            principal: about.held.map(Held::principal),
            chain: about.held.map(chain).unwrap_or_default(),
            command: about.command.to_owned(),
            args: about.args,
            verdict: if denial.is_some() { Verdict::Deny } else { Verdict::Allow },
            code: denial.map(|(code, _)| code.to_owned()),
            reason: denial.map(|(_, why)| why.to_owned()),
            session: about.session,
            prompt_id: about.prompt_id,
        };
        let mut slot = self.lock();
        if slot.log.is_none() && slot.failed.is_none_or(|at| at.elapsed() >= AUDIT_RETRY) {
            match AuditLog::open(&self.home, self.settings, clock::now()) {
                Ok(log) => slot.log = Some(log),
                Err(error) => {
                    tracing::error!(%error, "decisions are not written down: there is no audit log");
                    slot.failed = Some(Instant::now());
                }
            }
        }
        if let Some(log) = &mut slot.log {
            log.append(&row);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Slot> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes what is queued, for at most `limit`.
    pub(crate) fn flush(&self, limit: std::time::Duration) {
        if let Some(log) = &self.lock().log {
            let _late = log.flush(limit);
        }
    }
}

/// A chain as the log names it, root first.
fn chain(held: &Held) -> Vec<String> {
    held.cids().iter().map(clankers_auth::words::cid_text).collect()
}

/// The arguments of a request as the log shows them.
pub(crate) fn args(args: &Args) -> Map<String, Value> {
    let texts = [
        ("session", &args.session),
        ("workspace", &args.workspace),
        ("path", &args.path),
        ("tool", &args.tool),
        ("argv0", &args.argv0),
        ("model", &args.model),
    ];
    let mut map: Map<String, Value> = texts
        .into_iter()
        .filter_map(|(name, text)| Some((name.to_owned(), Value::String(text.clone()?))))
        .collect();
    if let Some(size) = args.size {
        map.insert("size".into(), size.into());
    }
    if args.asks.spend_nano_usd > 0 {
        map.insert("asks_nano_usd".into(), args.asks.spend_nano_usd.into());
    }
    if args.asks.bytes > 0 {
        map.insert("asks_bytes".into(), args.asks.bytes.into());
    }
    map
}

/// What a command and its arguments are about.
pub(crate) fn about<'a>(held: Option<&'a Held>, command: Command, with: &Args) -> About<'a> {
    let session = with.session.as_deref().and_then(|id| id.parse().ok());
    About { held, command: command.path(), args: args(with), session, ..About::default() }
}
