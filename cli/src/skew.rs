//! Clocks that differ: said once, beside a refusal that may come of it. Tokens have dates, and each machine compares them
//! with its own clock.

use std::sync::OnceLock;

use clankers_client::Client;
use clankers_protocol::{NodeId, Timestamp, hello, refusal::RefusalCode};

/// Less than this is of no account: the check itself forgives a minute (milliseconds).
const DIFFERS_MS: u64 = 120_000;

/// What is to be said, once it is known.
static FOUND: OnceLock<String> = OnceLock::new();

/// Compares the clock of a peer, as its answer to Hello says it, with this machine's: beside the command, which does not
/// wait for it.
pub(crate) fn watch(client: &Client, peer: NodeId) {
    let client = client.clone();
    tokio::spawn(async move {
        let Ok(welcome) = client.welcome().await else { return };
        let who = hello::describe(peer, welcome.label.as_deref());
        if let Some(words) = words(&who, welcome.now, clankers_node::clock::now()) {
            let _first = FOUND.set(words);
        }
    });
}

/// What there is to say of clocks to somebody who was refused for this.
pub(crate) fn hint(code: RefusalCode) -> Option<&'static str> {
    let for_time = matches!(code, RefusalCode::Expired | RefusalCode::NotYetValid);
    FOUND.get().filter(|_| for_time).map(String::as_str)
}

fn words(who: &str, theirs: Timestamp, ours: Timestamp) -> Option<String> {
    let apart = theirs.0.abs_diff(ours.0);
    if apart <= DIFFERS_MS {
        return None;
    }
    let far = match apart / 60_000 {
        minutes @ 0..120 => format!("{minutes} minutes"),
        minutes @ 120..2_880 => format!("{} hours", minutes / 60),
        minutes => format!("{} days", minutes / 1_440),
    };
    let way = if theirs > ours { "ahead of" } else { "behind" };
    Some(format!("the clock of {who} is {far} {way} this machine's: set the one that is wrong"))
}

#[cfg(test)]
mod tests {
    use super::{Timestamp, words};

    #[test]
    fn clocks_are_spoken_of_when_they_differ_by_more_than_two_minutes() {
        let ours = Timestamp(1_800_000_000_000);
        let theirs = |ms: i64| words("desk", Timestamp(ours.0.saturating_add_signed(ms)), ours);
        assert_eq!(theirs(120_000), None);
        assert_eq!(theirs(-120_000), None);
        let said = |ms: i64| theirs(ms).expect("words");
        assert!(said(180_000).starts_with("the clock of desk is 3 minutes ahead of this machine's"));
        assert!(said(-5 * 3_600_000).contains("5 hours behind this machine's"));
        assert!(said(3 * 86_400_000 + 5).contains("3 days ahead"));
    }
}
