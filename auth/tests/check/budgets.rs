//! What is used up: money, tokens, rates, depth; charged to every link that asks.

use clankers_auth::{
    Args, Asks, Command, Denial, GrantSpec, Usage,
    denial::{Budget, Rate},
    mint,
};
use clankers_protocol::{NanoUsd, Timestamp, refusal::RefusalCode};
use ucan::Policy;

use crate::forge::{DAY, NOW, World, calm, chain, digest, full, granted, held, id, link, seed, shown};

fn prompt(asks: Asks) -> Args {
    Args { asks, ..full(Command::PromptSend) }
}

fn spend(nano: u64) -> Args {
    prompt(Asks { spend_nano_usd: nano, ..Asks::default() })
}

const LIMITED: Usage =
    Usage { spent_nano_usd: 1000, tokens_used: 100, per_min: 5, concurrent: 2, received_bytes: 0 };

fn limited() -> GrantSpec {
    GrantSpec {
        max_cost: Some(NanoUsd(LIMITED.spent_nano_usd)),
        max_tokens: Some(LIMITED.tokens_used),
        per_min: Some(LIMITED.per_min),
        concurrent: Some(LIMITED.concurrent),
        ..GrantSpec::reviewer()
    }
}

#[test]
fn each_limit_is_refused_by_its_own_name() {
    let token = granted(&limited());
    let held = held(2, &token);
    let cid = held.cids()[0];
    let asks = Asks { spend_nano_usd: 10, tokens: 10, starts: 1, bytes: 0 };
    let judge = |usage: Usage| {
        let world = World { usage: [(cid, usage)].into(), ..World::default() };
        held.authorize(&world.now(), Command::PromptSend, &prompt(asks)).map(|_| ())
    };
    let fits = Usage { spent_nano_usd: 990, tokens_used: 90, per_min: 4, concurrent: 1, received_bytes: 0 };
    assert_eq!(judge(fits), Ok(()), "up to the last one");
    let cases = [
        (Usage { spent_nano_usd: 991, ..fits }, Denial::Budget(Budget::Money), RefusalCode::OverBudget),
        (Usage { tokens_used: 91, ..fits }, Denial::Budget(Budget::Tokens), RefusalCode::OverBudget),
        (Usage { per_min: 5, ..fits }, Denial::Rate(Rate::PerMinute), RefusalCode::RateLimited),
        (Usage { concurrent: 2, ..fits }, Denial::Rate(Rate::Concurrent), RefusalCode::RateLimited),
        (Usage { spent_nano_usd: u64::MAX, ..fits }, Denial::Budget(Budget::Money), RefusalCode::OverBudget),
        (
            Usage { spent_nano_usd: 999, per_min: 9, ..fits },
            Denial::Budget(Budget::Money),
            RefusalCode::OverBudget,
        ),
        (
            Usage { per_min: 9, concurrent: 9, ..fits },
            Denial::Rate(Rate::PerMinute),
            RefusalCode::RateLimited,
        ),
    ];
    for (usage, denial, code) in cases {
        assert_eq!(judge(usage), Err(denial.clone()), "{usage:?}");
        assert_eq!(denial.code(), code);
    }
}

#[test]
fn what_a_request_asks_for_counts_at_once() {
    let held = held(2, &granted(&limited()));
    let world = World::default();
    assert!(held.authorize(&world.now(), Command::PromptSend, &spend(1000)).is_ok());
    let refused = held.authorize(&world.now(), Command::PromptSend, &spend(1001)).unwrap_err();
    assert_eq!(refused, Denial::Budget(Budget::Money));
    let wrap = World { usage: [(held.cids()[0], LIMITED)].into(), ..World::default() };
    let refused = held.authorize(&wrap.now(), Command::PromptSend, &spend(u64::MAX)).unwrap_err();
    assert_eq!(refused, Denial::Budget(Budget::Money), "the sum does not wrap");
}

#[test]
fn looking_on_costs_nothing_even_when_all_is_spent() {
    let held = held(2, &granted(&limited()));
    let most = u64::MAX;
    let spent =
        Usage { spent_nano_usd: most, tokens_used: most, per_min: 99, concurrent: 99, received_bytes: most };
    let world = World { usage: [(held.cids()[0], spent)].into(), ..World::default() };
    for command in [Command::Observe, Command::PromptCancel, Command::ToolUse, Command::NodeInfo] {
        assert!(held.authorize(&world.now(), command, &full(command)).is_ok(), "{command:?}");
    }
}

#[test]
fn two_holders_of_one_grant_share_its_budget() {
    let root = link(1, 2, [Policy::le(".ctx.spent_nano_usd", 1000_u64)]);
    let (a, b) = (link(2, 3, []), link(2, 4, []));
    let through_a = held(3, &chain(&[root.clone(), a.clone()]));
    let through_b = held(4, &chain(&[root.clone(), b]));
    // Both are charged to the same link, and to none of their own.
    assert_eq!(through_a.metered(), through_b.metered());
    assert_eq!(through_a.metered().iter().map(|m| m.cid).collect::<Vec<_>>(), [digest(&root)]);
    let usage = Usage { spent_nano_usd: 600, ..Usage::default() };
    let world = World { usage: [(digest(&root), usage)].into(), ..World::default() };
    for held in [&through_a, &through_b] {
        assert!(held.authorize(&world.now(), Command::PromptSend, &spend(400)).is_ok());
        assert!(held.authorize(&world.now(), Command::PromptSend, &spend(401)).is_err());
    }
}

/// What comes here is charged to every link that counts it, and only what comes: who has sent all still reads and prompts.
#[test]
fn totals_of_files_are_counted_by_link_and_bind_what_is_sent() {
    let total = |most, base| GrantSpec { max_total: Some(most), ..base };
    let root = granted(&total(1_000, GrantSpec::operator()));
    let wide = total(1_000_000, GrantSpec::default());
    let below = mint::delegate(&seed(2), &root, id(3), &wide, NOW, DAY, [7; 16]).unwrap();
    let held = held(3, &below.container.to_bytes().unwrap());
    let totals: Vec<_> =
        held.totals().iter().map(|total| (total.root, total.issuer, total.audience, total.most)).collect();
    assert_eq!(totals, [(true, id(1), id(2), 1_000), (false, id(2), id(3), 1_000_000)]);
    assert_eq!(held.metered().iter().map(|m| m.cid).collect::<Vec<_>>(), held.cids());
    let used = Usage { received_bytes: 600, ..Usage::default() };
    let world = World { usage: [(held.cids()[0], used)].into(), ..World::default() };
    let judge = |command, bytes| {
        let args = Args { asks: Asks { bytes, ..Asks::default() }, ..full(command) };
        held.authorize(&world.now(), command, &args).map(|_| ())
    };
    for command in [Command::FileDrop, Command::FileOffer] {
        assert_eq!(judge(command, 400), Ok(()));
        for over in [401, 1_001, u64::MAX] {
            let denial = judge(command, over).unwrap_err();
            assert_eq!((denial.clone(), denial.code()), (Denial::Budget(Budget::Bytes), RefusalCode::Quota));
        }
    }
    for command in [Command::FileRead, Command::PromptSend, Command::NodeInfo] {
        assert_eq!(judge(command, u64::MAX), Ok(()), "{command:?}");
    }
}

#[test]
fn each_link_is_asked_about_its_own_use() {
    let root = link(1, 2, [Policy::le(".ctx.tokens_used", 100_u64)]);
    let below = link(2, 3, [Policy::le(".ctx.tokens_used", 10_u64)]);
    let held = held(3, &chain(&[root.clone(), below.clone()]));
    assert_eq!(held.metered().len(), 2);
    assert_eq!(held.metered()[0].expires, Timestamp(NOW.0 + DAY * 1000));
    let used = |cid, tokens_used| (cid, Usage { tokens_used, ..Usage::default() });
    let judge = |above, under| {
        let usage = [used(digest(&root), above), used(digest(&below), under)].into();
        let world = World { usage, ..World::default() };
        held.authorize(&world.now(), Command::NodeInfo, &Args::default()).is_ok()
    };
    assert!(judge(100, 10));
    assert!(!judge(101, 10) && !judge(100, 11));
}

#[test]
fn links_that_do_not_ask_are_not_charged() {
    let depth = link(1, 2, [Policy::le(".ctx.depth", 5_u64)]);
    let all = link(2, 3, [Policy::any(".ctx", Policy::ge(".", 0_u64))]);
    let run =
        mint::for_run(&seed(3), Some(&chain(&[depth, all.clone()])), id(1), id(9), NOW, [1; 16]).unwrap();
    let held = held(9, &run.to_bytes().unwrap());
    assert_eq!(
        held.metered().iter().map(|m| m.cid).collect::<Vec<_>>(),
        [digest(&all)],
        "any way of asking counts"
    );
    assert!(held.counts_files() && held.totals().is_empty());
}

#[test]
fn counters_that_cannot_be_read_deny_where_they_are_asked_for() {
    let world = World { counters_unreadable: true, ..World::default() };
    let asks = held(2, &granted(&limited()));
    let denial = asks.authorize(&world.now(), Command::PromptSend, &spend(0)).unwrap_err();
    assert_eq!(denial.code(), RefusalCode::NodeTrouble);
    let free = held(2, &granted(&GrantSpec::reviewer()));
    assert!(free.authorize(&world.now(), Command::PromptSend, &spend(0)).is_ok());
}

#[test]
fn depth_counts_links_below_and_not_the_run() {
    let root = |most: u32| granted(&GrantSpec { max_depth: Some(most), ..GrantSpec::reviewer() });
    let judge = |token: &[u8], remote: u8| {
        shown(&calm(), remote, token)?.authorize(&calm(), Command::NodeInfo, &Args::default()).map(|_| ())
    };
    let run = |from: u8, token: &[u8], run: u8| {
        mint::for_run(&seed(from), Some(token), id(1), id(run), NOW, [3; 16]).unwrap().to_bytes().unwrap()
    };
    let onward = |token: &[u8], from: u8, to: u8| {
        let container =
            ucan::Container::decode(token, &ucan::ContainerLimits::CHAIN, ucan::Profile::Strict).unwrap();
        let mut links: Vec<Vec<u8>> = container.tokens().map(<[u8]>::to_vec).collect();
        links.push(link(from, to, []));
        chain(&links)
    };
    assert_eq!(judge(&run(2, &root(0), 40), 40), Ok(()), "a run is no passing on");
    let once = onward(&root(0), 2, 3);
    assert_eq!(judge(&once, 3), Err(Denial::Depth));
    assert_eq!(judge(&run(3, &once, 41), 41), Err(Denial::Depth));
    let once = onward(&root(1), 2, 3);
    assert_eq!(judge(&once, 3), Ok(()));
    assert_eq!(judge(&run(3, &once, 41), 41), Ok(()));
    let twice = onward(&once, 3, 4);
    assert_eq!(judge(&twice, 4), Err(Denial::Depth));
    // A mark of a run in the middle does not make it one.
    let run_then_more = onward(&run(2, &root(0), 40), 40, 5);
    assert_eq!(judge(&run_then_more, 5), Err(Denial::Depth));
}

#[test]
fn a_policy_that_wants_depth_gets_none_by_passing_on() {
    // Allowed only when passed on: then adding a link would turn a no into a yes.
    for policy in [Policy::ge(".ctx.depth", 1_u64), Policy::or([Policy::eq(".ctx.depth", 2_u64)])] {
        let links = [link(1, 2, [policy]), link(2, 3, []), link(3, 4, [])];
        for (count, remote) in [(1, 2), (2, 3), (3, 4)] {
            let held = held(remote, &chain(&links[..count]));
            assert!(held.authorize(&calm(), Command::NodeInfo, &Args::default()).is_err(), "{count}");
        }
    }
}

#[test]
fn a_context_that_is_not_known_denies() {
    for selector in [".ctx.mood", ".ctx.depth.x", ".nothing"] {
        let held = held(2, &chain(&[link(1, 2, [Policy::le(selector, 1_u64)])]));
        let denial = held.authorize(&calm(), Command::NodeInfo, &Args::default()).unwrap_err();
        assert_eq!(denial.code(), RefusalCode::Unauthorized, "{selector}");
    }
}
