//! What a node knows besides the chain that somebody shows: what was revoked, what was spent, since when tokens
//! count. Every judgement is made here, with all of it, and the ones worth keeping go to the audit log.
//!
//! - [`audit`]: one line for each decision
//! - [`charge`]: what a use costs, charged to every link that counts

pub(crate) mod audit;
pub(crate) mod charge;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use clankers_auth::{
    Args, Command, Counters, Denial, Grant, Held, Revocations, Standing, Unreadable, Usage, VerifiedTokens,
    admit,
    team::{self, Member, NotMember},
};
use clankers_protocol::{CidDigest, NodeId, SessionId, TeamId, Timestamp};
use clankers_store::{Authority as Records, Home, Store, audit::AuditSettings};
use tokio::sync::watch;

use self::audit::Audit;
use crate::{
    clock,
    limits::{AUTHORITY_LOOK, AUTHORITY_PAUSE},
};

/// All that a node's judgements rest on.
pub(crate) struct Authority {
    me: NodeId,
    /// The epoch that the settings say.
    set_epoch: Timestamp,
    store: OnceLock<Arc<Store>>,
    /// Peers can reach this hall: what cannot be read denies. A hall for one command serves its own process only.
    networked: AtomicBool,
    verified: Mutex<VerifiedTokens>,
    /// Grows when something was revoked or the epoch moved.
    changed: watch::Sender<u64>,
    /// What runs under which chains.
    running: Mutex<BTreeMap<u64, Runs>>,
    pub(crate) audit: Audit,
}

/// What runs under a chain.
struct Runs {
    chain: Vec<CidDigest>,
    /// Which prompt it is, or whose end it waits for.
    prompt: Option<(SessionId, u64)>,
}

/// Something that runs under a chain, for as long as this lives.
struct Running<'a> {
    authority: &'a Authority,
    number: u64,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.authority.lock_running().remove(&self.number);
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").field("me", &self.me).finish_non_exhaustive()
    }
}

/// The store as the check asks it, at one moment.
struct View<'a> {
    store: Option<&'a Store>,
    networked: bool,
    now: Timestamp,
}

impl View<'_> {
    fn store(&self) -> Result<Option<&Store>, Unreadable> {
        match self.store {
            None if self.networked => Err(Unreadable("the store is not open".into())),
            store => Ok(store),
        }
    }
}

fn unreadable(error: impl fmt::Display) -> Unreadable {
    Unreadable(error.to_string())
}

impl Revocations for View<'_> {
    fn is_revoked(&self, cid: &CidDigest, above: &[NodeId]) -> Result<bool, Unreadable> {
        match self.store()? {
            Some(store) => store.revocations().is_revoked_under(cid, above).map_err(unreadable),
            None => Ok(false),
        }
    }

    fn is_forgotten(&self, expires: Timestamp) -> Result<bool, Unreadable> {
        match self.store()? {
            Some(store) => store.revocations().is_forgotten(expires).map_err(unreadable),
            None => Ok(false),
        }
    }
}

impl Counters for View<'_> {
    fn usage(&self, cid: &CidDigest) -> Result<Usage, Unreadable> {
        match self.store()? {
            Some(store) => store.ledger().usage(cid, self.now).map(charge::usage).map_err(unreadable),
            None => Ok(Usage::default()),
        }
    }
}

impl Authority {
    pub(crate) fn new(me: NodeId, set_epoch: Timestamp, home: Home, audit: AuditSettings) -> Self {
        Self {
            me,
            set_epoch,
            store: OnceLock::new(),
            networked: AtomicBool::new(false),
            verified: Mutex::default(),
            changed: watch::Sender::new(0),
            running: Mutex::default(),
            audit: Audit::new(home, audit),
        }
    }

    /// This node: the owner's words are its own.
    pub(crate) fn me(&self) -> NodeId {
        self.me
    }

    /// The store is open.
    pub(crate) fn rest_on(&self, store: Arc<Store>) {
        let _again = self.store.set(store);
    }

    /// Peers can reach the hall from now on.
    pub(crate) fn open_to_peers(&self) {
        self.networked.store(true, Ordering::Release);
    }

    /// Something was revoked, or the epoch moved: whatever runs under it is looked at again, at once.
    pub(crate) fn changed(&self) {
        self.changed.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// How often that was so (count).
    pub(crate) fn changes(&self) -> u64 {
        *self.changed.borrow()
    }

    /// Whoever waits for that.
    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// The time before which every token was withdrawn.
    pub(crate) fn epoch(&self) -> Timestamp {
        self.store.get().map_or(self.set_epoch, |store| store.epoch().max(self.set_epoch))
    }

    /// Asks something of the check, with all that this node knows now.
    pub(crate) fn standing<T>(&self, ask: impl FnOnce(&Standing<'_>) -> T) -> T {
        let now = clock::now();
        let networked = self.networked.load(Ordering::Acquire);
        let view = View { store: self.store.get().map(Arc::as_ref), networked, now };
        ask(&Standing { now, epoch: self.epoch(), revocations: &view, counters: &view })
    }

    /// Records that were lost would un-revoke what was revoked: then nobody but the owner is let in.
    fn whole(&self, held: &Held) -> Result<(), Denial> {
        match self.store.get().map(|store| store.authority()) {
            Some(Records::Lost { why }) if !held.is_owner() => Err(Denial::from(Unreadable(format!(
                "this node's records of revocations are lost ({why}); 'clankers token revoke --all' begins anew"
            )))),
            _ => Ok(()),
        }
    }

    /// Why peers are refused altogether, when they are.
    pub(crate) fn trouble(&self) -> Option<String> {
        match self.store.get()?.authority() {
            Records::Lost { why } => Some(why),
            Records::Whole => None,
        }
    }

    /// Judges a chain that `remote` shows.
    pub(crate) fn admit(&self, remote: NodeId, chain: &[u8]) -> Result<Held, Denial> {
        let held = self.standing(|standing| admit(standing, self.me, remote, chain, &mut self.verified()))?;
        self.whole(&held)?;
        Ok(held)
    }

    /// Judges a membership that somebody shows. What was lost may have been a revocation: then nobody is a member.
    pub(crate) fn judge_member(
        &self,
        team: TeamId,
        member: NodeId,
        chain: &[u8],
    ) -> Result<Member, NotMember> {
        if let Some(why) = self.trouble() {
            return Err(Denial::from(Unreadable(why)).into());
        }
        self.standing(|standing| team::judge(standing, team, member, chain, &mut self.verified()))
    }

    /// Judges a request.
    pub(crate) fn authorize(&self, held: &Held, command: Command, args: &Args) -> Result<Grant, Denial> {
        self.whole(held)?;
        self.standing(|standing| held.authorize(standing, command, args))
    }

    /// Judges an effect of what runs already.
    pub(crate) fn authorize_running(&self, held: &Held, command: Command, args: &Args) -> Result<(), Denial> {
        self.whole(held)?;
        self.standing(|standing| held.authorize_running(standing, command, args))
    }

    /// Whether what runs may go on.
    pub(crate) fn check_running(&self, held: &Held) -> Result<(), Denial> {
        self.whole(held)?;
        self.standing(|standing| held.check_running(standing))
    }

    /// Waits until what runs under this chain must end, and says why: it expired, or a link was revoked. For the
    /// owner's own run that is never. `prompt`: those who run it and who wait for it are counted once. Cancel-safe.
    pub(crate) async fn ended(&self, held: &Held, prompt: Option<(SessionId, u64)>) -> Denial {
        let mut changed = self.changed.subscribe();
        let _running = self.note_running(held, prompt);
        loop {
            changed.mark_unchanged();
            if let Err(denial) = self.check_running(held) {
                return denial;
            }
            // The clock may be set meanwhile: a long wait is made of short ones.
            let left = held.ends().map(|ends| Duration::from_millis(ends.since(clock::now())));
            let wait = left.map_or(AUTHORITY_LOOK, |left| left.clamp(AUTHORITY_PAUSE, AUTHORITY_LOOK));
            let _woken = tokio::time::timeout(wait, changed.changed()).await;
        }
    }

    fn note_running(&self, held: &Held, prompt: Option<(SessionId, u64)>) -> Running<'_> {
        let mut running = self.lock_running();
        let number = running.last_key_value().map_or(0, |(last, _)| last.wrapping_add(1));
        running.insert(number, Runs { chain: held.cids().to_vec(), prompt });
        Running { authority: self, number }
    }

    /// How much runs under one of these links now: prompts, and streams of viewers (count).
    pub(crate) fn running_under(&self, links: &[CidDigest]) -> u64 {
        self.count(|chain| chain.iter().any(|cid| links.contains(cid)))
    }

    /// How much runs under any grant now (count).
    pub(crate) fn running(&self) -> u64 {
        // The owner's own chain is one run link.
        self.count(|chain| chain.len() > 1)
    }

    /// A prompt once, whoever waits for it; streams of viewers each.
    fn count(&self, means: impl Fn(&[CidDigest]) -> bool) -> u64 {
        let running = self.lock_running();
        let meant = running.values().filter(|runs| means(&runs.chain));
        let prompts: BTreeSet<_> = meant.clone().filter_map(|runs| runs.prompt).collect();
        (prompts.len() + meant.filter(|runs| runs.prompt.is_none()).count()) as u64
    }

    fn lock_running(&self) -> MutexGuard<'_, BTreeMap<u64, Runs>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn verified(&self) -> MutexGuard<'_, VerifiedTokens> {
        self.verified.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
