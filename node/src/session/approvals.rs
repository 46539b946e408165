//! Tool calls that wait for somebody's leave: state, not events. The first answer wins, everybody hears of it, and a
//! lost answer hangs nothing: at the deadline the answer is no.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use clankers_auth::Args;
use clankers_protocol::{
    NodeId,
    limits::{PENDING, PENDING_WHAT_BYTES, SELECTOR_BYTES},
    message::Ext,
    request::attach::{Pending, Resolved},
    text,
};
use tokio::sync::oneshot;

use super::{Session, stamp};
use crate::limits::DESERTED_WAIT;

/// How an approval ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answered {
    pub(crate) allowed: bool,
    /// Who said so; nobody when nobody did.
    pub(crate) by: Option<NodeId>,
    /// Why, when nobody did.
    pub(crate) reason: Option<String>,
}

/// Why an answer does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AnswerError {
    /// There is none of this name, or it is over: the first answer won.
    #[error("nothing of this name waits for an answer; somebody else may have answered, or its time was up")]
    NotPending,
}

/// What waits in one session.
#[derive(Debug, Default)]
pub(crate) struct Approvals(Mutex<BTreeMap<String, Waiting>>);

#[derive(Debug)]
struct Waiting {
    pending: Pending,
    /// What the call would do, as the right to it is judged.
    args: Args,
    reply: oneshot::Sender<Answered>,
}

impl Approvals {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Waiting>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What waits now.
    pub(crate) fn pending(&self) -> Vec<Pending> {
        self.lock().values().map(|waiting| waiting.pending.clone()).collect()
    }

    /// The approval with this name, and what the call would do: whoever allows it must be allowed it.
    pub(crate) fn get(&self, request: &str) -> Option<(Pending, Args)> {
        self.lock().get(request).map(|waiting| (waiting.pending.clone(), waiting.args.clone()))
    }
}

/// Takes a request back when whoever asked waits no more.
struct Withdraw<'a> {
    session: &'a Session,
    request: &'a str,
}

impl Drop for Withdraw<'_> {
    fn drop(&mut self) {
        let withdrawn = Answered { allowed: false, by: None, reason: Some("it was withdrawn".into()) };
        // When it was answered there is nothing left to withdraw.
        let _answered = self.session.resolve(self.request, withdrawn);
    }
}

impl Session {
    /// Whether somebody is attached who could answer: when not, asking is waiting for nothing.
    pub(crate) fn can_be_answered(&self) -> bool {
        self.roster.has_approver()
    }

    /// Asks whoever is attached, and waits for the first answer, or until its time is up. Dropping this withdraws
    /// the request. Nobody who may answer, or too many questions: the answer is no, at once; when the last who may has
    /// left, after a while, for a way that broke comes back.
    pub(crate) async fn ask(&self, pending: Pending, args: Args) -> Answered {
        self.ask_within(pending, args, DESERTED_WAIT).await
    }

    async fn ask_within(&self, mut pending: Pending, args: Args, deserted: Duration) -> Answered {
        let no = |reason: &str| Answered { allowed: false, by: None, reason: Some(reason.to_owned()) };
        if !self.can_be_answered() {
            return no("nobody is attached who may allow it");
        }
        pending.what =
            text::head(&text::line(&pending.what, PENDING_WHAT_BYTES), PENDING_WHAT_BYTES).to_owned();
        let request = pending.request.clone();
        let (reply, mut answer) = oneshot::channel();
        {
            let mut waiting = self.approvals.lock();
            if waiting.len() >= PENDING || waiting.contains_key(&request) || request.len() > SELECTOR_BYTES {
                return no("too much waits for an answer already");
            }
            waiting.insert(request.clone(), Waiting { pending: pending.clone(), args, reply });
        }
        let _withdraw = Withdraw { session: self, request: &request };
        self.feed.publish_message(&pending);
        let left = Duration::from_millis(pending.until.since(stamp()));
        let over = tokio::select! {
            biased;
            Ok(answered) = &mut answer => return answered,
            () = tokio::time::sleep(left) => no("nobody answered in time"),
            () = self.roster.deserted(deserted) => no("nobody is attached any more who may allow it"),
        };
        match self.resolve(&request, over.clone()) {
            Ok(()) => over,
            // Somebody did, in the last moment.
            Err(AnswerError::NotPending) => answer.try_recv().unwrap_or(over),
        }
    }

    /// Somebody who may answers. Whether they may was judged before.
    pub(crate) fn answer(&self, request: &str, allowed: bool, by: NodeId) -> Result<(), AnswerError> {
        self.resolve(request, Answered { allowed, by: Some(by), reason: None })
    }

    fn resolve(&self, request: &str, answered: Answered) -> Result<(), AnswerError> {
        let waiting = self.approvals.lock().remove(request).ok_or(AnswerError::NotPending)?;
        let resolved = Resolved {
            request: request.to_owned(),
            allowed: answered.allowed,
            by: answered.by,
            reason: answered.reason.clone(),
            ext: Ext::default(),
        };
        self.feed.publish_message(&resolved);
        // Who asked may have gone; everybody else has heard it.
        let _gone = waiting.reply.send(answered);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
