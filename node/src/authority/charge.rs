//! What a use costs, charged to every link that counts: reserved before it happens, settled after.

use std::sync::Arc;

use clankers_auth::{
    Args, Asks, Command, Counters, Denial, Held, Standing, Total, Unreadable, Usage, denial::Budget,
};
use clankers_protocol::{CidDigest, NanoUsd, Timestamp};
use clankers_store::{Amount, Arrival, LedgerUsage, Reservation, Running, Store};

use super::{Authority, unreadable};
use crate::clock;

/// What is reserved for one use. Dropping it without [`Charge::settle`] leaves it charged in full.
#[derive(Debug)]
pub(crate) struct Charge {
    store: Arc<Store>,
    reservation: Reservation,
}

/// What one use took in the end.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Spent {
    pub(crate) money: NanoUsd,
    pub(crate) tokens: u64,
}

/// What the ledger said within its own transaction.
struct Counted<'a>(&'a [(CidDigest, LedgerUsage)]);

impl Counters for Counted<'_> {
    fn usage(&self, cid: &CidDigest) -> Result<Usage, Unreadable> {
        let found = self.0.iter().find(|(link, _)| link == cid);
        found.map(|(_, used)| usage(*used)).ok_or_else(|| Unreadable("a link was not counted".into()))
    }
}

pub(super) fn usage(used: LedgerUsage) -> Usage {
    Usage {
        spent_nano_usd: used.spent_nano_usd,
        tokens_used: used.tokens_used,
        per_min: used.per_min,
        concurrent: used.concurrent,
        received_bytes: used.received_bytes,
    }
}

/// Why files may not come.
#[derive(Debug)]
pub(crate) struct NoRoom {
    pub(crate) denial: Denial,
    /// The total that does not cover it, and what is left of it (bytes).
    pub(crate) short: Option<(Total, u64)>,
}

/// Of the totals of a chain the one of which the least is left.
fn shortest(held: &Held, counts: &[(CidDigest, LedgerUsage)]) -> Option<(Total, u64)> {
    let left = |total: Total| {
        let used =
            counts.iter().find(|(cid, _)| *cid == total.cid).map_or(0, |(_, used)| used.received_bytes);
        (total, total.most.saturating_sub(used))
    };
    held.totals().into_iter().map(left).min_by_key(|(_, left)| *left)
}

/// The links that count, the root before all others: the number of counters is bounded by it.
fn links(held: &Held) -> Vec<(CidDigest, Timestamp)> {
    let ends = held.ends().unwrap_or(Timestamp(u64::MAX));
    let root = held.cids().first().map(|root| (*root, ends));
    let metered = held.metered().iter().map(|link| (link.cid, link.expires));
    let below = metered.clone().filter(|(cid, _)| root.is_none_or(|(root, _)| root != *cid));
    let root =
        root.map(|(cid, ends)| (cid, metered.clone().find(|(m, _)| *m == cid).map_or(ends, |(_, at)| at)));
    root.into_iter().chain(below).collect()
}

fn amount(args: &Args) -> Amount {
    let Asks { spend_nano_usd, tokens, starts, bytes } = args.asks;
    Amount { nano_usd: spend_nano_usd, tokens, starts, bytes }
}

/// Asks the check once more, with the counts as they are inside the transaction.
fn judge(
    authority: &Authority,
    held: &Held,
    command: Command,
    args: &Args,
    counts: &[(CidDigest, LedgerUsage)],
) -> Result<(), Denial> {
    authority.standing(|outside| {
        let counted = Counted(counts);
        let inside = Standing { counters: &counted, ..*outside };
        held.authorize_running(&inside, command, args)
    })
}

impl Authority {
    /// Runs something that blocks on the ledger; a store that fails denies.
    async fn with_ledger<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self, Arc<Store>) -> Result<T, Denial> + Send + 'static,
    ) -> Result<T, Denial> {
        let authority = Arc::clone(self);
        let task = tokio::task::spawn_blocking(move || {
            let store = authority.store.get().cloned();
            let store = store.ok_or_else(|| Denial::from(unreadable("the store is not open")))?;
            work(&authority, store)
        });
        match task.await {
            Ok(done) => done,
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        }
    }

    /// Reserves what `args` asks for under every link that counts; `None` when none does.
    pub(crate) async fn reserve(
        self: &Arc<Self>,
        held: &Held,
        command: Command,
        args: Args,
    ) -> Result<Option<Charge>, Denial> {
        if held.metered().is_empty() {
            return Ok(None);
        }
        let held = held.clone();
        let reserved = self.with_ledger(move |authority, store| {
            let check = |counts: &[_]| judge(authority, &held, command, &args, counts);
            let reserved = store.ledger().reserve(&links(&held), amount(&args), clock::now(), check);
            let reservation = reserved.map_err(|error| Denial::from(unreadable(error)))??;
            Ok(Charge { store, reservation })
        });
        reserved.await.map(Some)
    }

    /// Counts one that starts and runs until the answer is dropped; `None` when no link counts.
    pub(crate) async fn start(
        self: &Arc<Self>,
        held: &Held,
        command: Command,
        args: Args,
    ) -> Result<Option<Running>, Denial> {
        if held.metered().is_empty() {
            return Ok(None);
        }
        let held = held.clone();
        let started = self.with_ledger(move |authority, store| {
            let failed = |error: clankers_store::StoreError| Denial::from(unreadable(error));
            let check = |counts: &[_]| judge(authority, &held, command, &args, counts);
            let asked = amount(&args);
            let started = store.ledger().start(&links(&held), asked, clock::now(), check);
            let (reservation, running) = started.map_err(failed)??;
            store.ledger().settle(reservation, asked, clock::now()).map_err(failed)?;
            Ok(running)
        });
        started.await.map(Some)
    }
}

/// Files that come: all of these block.
impl Authority {
    /// Reserves `of.bytes` under every link that counts, for what comes by this request; or so many more for what `before`
    /// names. Gives its number.
    pub(crate) fn arrive(
        &self,
        held: &Held,
        (command, args): (Command, &Args),
        of: &Arrival,
        before: Option<u64>,
    ) -> Result<u64, Box<NoRoom>> {
        let fail = |denial| Box::new(NoRoom { denial, short: None });
        let store = self.store.get().ok_or_else(|| fail(unreadable("the store is not open").into()))?;
        let asks = Args { asks: Asks { bytes: of.bytes, ..Asks::default() }, ..args.clone() };
        let check = |counts: &[_]| {
            judge(self, held, command, &asks, counts).map_err(|denial| {
                let short = (denial == Denial::Budget(Budget::Bytes)).then(|| shortest(held, counts));
                Box::new(NoRoom { denial, short: short.flatten() })
            })
        };
        let number = store.ledger().arrive(&links(held), of, before, clock::now(), check);
        number.map_err(|error| fail(unreadable(error).into()))?
    }

    /// It is over: what came takes the place of what was reserved.
    pub(crate) fn arrived(&self, number: u64, bytes: u64) {
        let Some(store) = self.store.get() else { return };
        if let Err(error) = store.ledger().arrived(number, bytes, clock::now()) {
            tracing::warn!(%error, "what came stays charged as it was reserved, until the next start");
        }
    }

    /// What is reserved for files and not settled.
    pub(crate) fn arrivals(&self) -> Vec<(u64, Arrival)> {
        let Some(store) = self.store.get() else { return Vec::new() };
        store.ledger().arrivals().unwrap_or_else(|error| {
            tracing::warn!(%error, "what was reserved for files cannot be read; it stays charged");
            Vec::new()
        })
    }
}

impl Charge {
    /// The use is over: what it really took takes the place of what was reserved.
    pub(crate) async fn settle(self, spent: Spent) {
        let actual = Amount { nano_usd: spent.money.0, tokens: spent.tokens, ..Amount::default() };
        let settle = move || self.store.ledger().settle(self.reservation, actual, clock::now());
        match tokio::task::spawn_blocking(settle).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "a use stays charged in full"),
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        }
    }
}
