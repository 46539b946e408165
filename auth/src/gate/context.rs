//! The arguments as policies see them, and `ctx`: what a link knows about its place and its use.
//!
//! | argument | what |
//! |---|---|
//! | `.ctx.depth` | links below this one, the run link not counted |
//! | `.ctx.spent_nano_usd` | money used under this link by everybody, and what this request would add |
//! | `.ctx.tokens_used` | the same, tokens of models |
//! | `.ctx.per_min` | prompts started within the last minute, this one included |
//! | `.ctx.concurrent` | prompts running or queued, this one included |
//! | `.ctx.received_bytes` | content of files that came here under this link, sent by anybody, and what this transfer would add |

use std::collections::BTreeMap;

use clankers_protocol::CidDigest;
use ucan::{ChainError, Ipld, Policy, Profile};

use super::facts::PolicyAsks;
use crate::{
    denial::{Budget, Denial, Rate},
    standing::{Asks, Standing, Usage},
    step::{Step, left_out},
    vocab::{Args, Command},
};

/// The name of what came under a link.
const RECEIVED: &str = "received_bytes";
/// The same as policies select it.
pub(crate) const RECEIVED_SELECTOR: &str = ".ctx.received_bytes";

/// Where a link stands.
pub(super) struct Place {
    /// Which link, 0 at the root.
    pub(super) link: usize,
    pub(super) cid: CidDigest,
    /// Links below it, the run link aside.
    pub(super) below: usize,
    pub(super) asks: PolicyAsks,
}

/// Asks a policy that speaks of `ctx`.
///
/// A link's depth grows as it is passed on. So that adding a link can never turn a no into a yes, whatever the
/// policy, it must have accepted every lesser depth as well.
pub(super) fn judge(
    policy: &Policy,
    plain: &Ipld,
    place: &Place,
    standing: &Standing<'_>,
    asks: Asks,
) -> Result<(), Denial> {
    let used = match place.asks.usage && !left_out(Step::Counters) {
        true => standing.counters.usage(&place.cid)?.plus(asks),
        false => Usage::default(),
    };
    let below = if left_out(Step::Depth) { 0 } else { place.below };
    let from = if place.asks.depth { 0 } else { below };
    for depth in from..=below {
        let args = with_context(plain.clone(), depth, used);
        if let Err(denial) = policy.evaluate(&args, Profile::Strict) {
            let otherwise = ChainError::Policy { link: place.link, denial };
            let accepts = |depth, used| {
                policy.evaluate(&with_context(plain.clone(), depth, used), Profile::Strict).is_ok()
            };
            return Err(why(accepts, depth, used).unwrap_or(Denial::Chain(otherwise)));
        }
    }
    Ok(())
}

/// What stands in the way, when the policy would accept if nothing were used and nothing passed on: the first thing
/// that is enough to refuse alone, what can never change before what can.
fn why(accepts: impl Fn(usize, Usage) -> bool, depth: usize, used: Usage) -> Option<Denial> {
    let none = Usage::default();
    if !accepts(0, none) {
        return None;
    }
    let alone = [
        (depth, none, Denial::Depth),
        (0, Usage { spent_nano_usd: used.spent_nano_usd, ..none }, Denial::Budget(Budget::Money)),
        (0, Usage { tokens_used: used.tokens_used, ..none }, Denial::Budget(Budget::Tokens)),
        (0, Usage { received_bytes: used.received_bytes, ..none }, Denial::Budget(Budget::Bytes)),
        (0, Usage { per_min: used.per_min, ..none }, Denial::Rate(Rate::PerMinute)),
        (0, Usage { concurrent: used.concurrent, ..none }, Denial::Rate(Rate::Concurrent)),
    ];
    alone.into_iter().find(|(depth, used, _)| !accepts(*depth, *used)).map(|(.., why)| why)
}

/// The arguments of a link of which nothing was used and which was not passed on.
pub(crate) fn unused(plain: Ipld) -> Ipld {
    with_context(plain, 0, Usage::default())
}

fn with_context(mut plain: Ipld, depth: usize, used: Usage) -> Ipld {
    if let Ipld::Map(map) = &mut plain {
        let number = |name: &str, value: u64| (name.to_owned(), Ipld::Integer(value.into()));
        let context = BTreeMap::from([
            number("depth", u64::try_from(depth).unwrap_or(u64::MAX)),
            number("spent_nano_usd", used.spent_nano_usd),
            number("tokens_used", used.tokens_used),
            number("per_min", used.per_min),
            number("concurrent", used.concurrent),
            number(RECEIVED, used.received_bytes),
        ]);
        map.insert("ctx".to_owned(), Ipld::Map(context));
    }
    plain
}

/// The arguments as policies see them; what is not there is not there.
pub(crate) fn ipld(command: Command, args: &Args) -> Ipld {
    let mut map = BTreeMap::from([("cmd".to_owned(), Ipld::String(command.path().to_owned()))]);
    for (name, value) in [
        ("session", &args.session),
        ("workspace", &args.workspace),
        ("path", &args.path),
        ("tool", &args.tool),
        ("argv0", &args.argv0),
        ("model", &args.model),
    ] {
        if let Some(value) = value {
            map.insert(name.to_owned(), Ipld::String(value.clone()));
        }
    }
    if let Some(size) = args.size {
        map.insert("size".to_owned(), Ipld::Integer(size.into()));
    }
    Ipld::Map(map)
}
