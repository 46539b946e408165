//! Totals of tokens: what comes under one is reserved before it comes, and settled by what came.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use clankers_auth::{Args, Command, Held};
use clankers_client::transfer::Meter;
use clankers_files::{Inbox, PartId, There};
use clankers_protocol::{
    Message, NodeId,
    refusal::{Refusal, RefusalCode},
    request::transfer::FileReceipt,
    text,
    transfer::TransferId,
};
use clankers_store::Arrival;

use crate::{
    authority::{Authority, charge::NoRoom},
    hall::Hall,
};

/// One attempt at a transfer, counted. Whoever writes what comes holds it; dropped by the last, it settles.
#[derive(Debug)]
pub(crate) struct Counted {
    authority: Arc<Authority>,
    held: Held,
    command: Command,
    args: Args,
    of: (PartId, TransferId),
    remote: NodeId,
    /// Its number in the ledger, once something is reserved.
    number: Mutex<Option<u64>>,
    came: AtomicU64,
}

impl Counted {
    /// For what comes under this chain; `None` when nothing under it is counted.
    pub(crate) fn under(
        authority: &Arc<Authority>,
        held: &Held,
        (command, args): (Command, &Args),
        of: (PartId, TransferId),
        remote: NodeId,
    ) -> Option<Arc<dyn Meter>> {
        if !held.counts_files() {
            return None;
        }
        let (authority, held, args) = (Arc::clone(authority), held.clone(), args.clone());
        let (number, came) = (Mutex::default(), AtomicU64::default());
        Some(Arc::new(Self { authority, held, command, args, of, remote, number, came }))
    }

    /// In words for the sender: what its own chain says, and how much of that is left.
    fn refusal(&self, why: &NoRoom, bytes: u64) -> Box<Refusal> {
        let (code, principal) = (why.denial.code(), self.held.principal());
        let Some((total, left)) = why.short else {
            let words = match code {
                RefusalCode::NodeTrouble => "the node cannot read its records of authority",
                _ => "the token does not allow this any more",
            };
            tracing::info!(peer = %self.remote, denial = %why.denial, "files may not come");
            return Box::new(Refusal::new(code, words, self.remote));
        };
        let whose = match (total.root, total.audience == principal) {
            (_, true) => "your token".to_owned(),
            (true, false) => {
                format!("the token of {}, from which yours was made,", total.audience.short())
            }
            (false, false) => format!(
                "the token that {} made for {}, from which yours was made,",
                total.issuer.short(),
                total.audience.short()
            ),
        };
        // What looks the same when it is rounded is told exactly.
        let exact = text::size(bytes) == text::size(left);
        let words = |n: u64| if exact { format!("{n} bytes") } else { text::size(n) };
        let (bytes, left_words, most) = (words(bytes), words(left), text::size(total.most));
        let words =
            format!("{bytes} would come, and {left_words} is left of the {most} that {whose} allows in all");
        let flag = if self.command == Command::FileDrop { "--drop" } else { "--offer" };
        let wider = format!("clankers token create --for {principal} {flag} --max-total SIZE");
        let refusal = Refusal::new(code, &words, self.remote);
        let refusal = if left > 0 { refusal.hint("send less") } else { refusal };
        Box::new(refusal.hint(&format!("the node's owner can make a new token: {wider}")))
    }
}

impl Meter for Counted {
    fn admit(&self, bytes: u64, had: u64) -> Result<(), Box<Refusal>> {
        let mut number = self.number.lock().unwrap_or_else(PoisonError::into_inner);
        let (part, transfer) = (self.of.0.to_string(), self.of.1);
        let arrival = Arrival { part, transfer, had, bytes };
        let asked = (self.command, &self.args);
        let arrived = self.authority.arrive(&self.held, asked, &arrival, *number);
        *number = Some(arrived.map_err(|why| self.refusal(&why, bytes))?);
        Ok(())
    }

    fn came(&self, bytes: u64) {
        self.came.fetch_add(bytes, Ordering::Relaxed);
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let number = self.number.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        let (Some(number), came) = (number, *self.came.get_mut()) else { return };
        let authority = Arc::clone(&self.authority);
        // What the end of the node leaves out, its next start does.
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(move || authority.arrived(number, came))),
            Err(_) => authority.arrived(number, came),
        }
    }
}

/// Settles what an earlier run of the node left by what is here. Blocks; before anything comes.
pub(crate) fn settle_left(hall: &Hall) {
    let authority = &hall.context.authority;
    let left = authority.arrivals();
    if left.is_empty() {
        return;
    }
    let inbox = match Inbox::open(&hall.settings.files.inbox(hall.context.home.inbox_dir())) {
        Ok(inbox) => inbox,
        Err(error) => return tracing::warn!(%error, "what was reserved for files stays charged"),
    };
    for (number, arrival) in left {
        let there = PartId::parse(&arrival.part).map(|part| inbox.there(&part, &arrival.transfer));
        let came = match there {
            None | Some(Ok(There::Nothing)) => 0,
            Some(Ok(There::Part(bytes))) => bytes.saturating_sub(arrival.had),
            Some(Ok(There::Landed(note))) => {
                FileReceipt::decode(&note).map_or(arrival.bytes, |kept| kept.receipt.sent_bytes)
            }
            Some(Err(error)) => {
                tracing::warn!(%error, "what was reserved for a transfer stays charged");
                continue;
            }
        };
        tracing::info!(part = arrival.part, came, reserved = arrival.bytes, "settled what broke off");
        authority.arrived(number, came);
    }
}
