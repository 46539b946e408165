//! What holds for every chain: whatever a chain authorizes, each of its prefixes does; so adding a link never turns a no
//! into a yes.

use clankers_auth::{Args, Asks, Command, Usage, mint};
use clankers_protocol::Timestamp;
use proptest::prelude::*;
use ucan::{Draft, Policy};

use crate::forge::{
    NOW, WORKSPACE, World, chain, config, digest, draft, full, id, later, secs, seed, shown, signed,
};

/// A link as it is made up: how it narrows, when it holds, what happened to it.
#[derive(Debug, Clone)]
struct Made {
    command: &'static str,
    policy: Vec<Draft>,
    from: i64,
    until: u64,
    revoked: bool,
    usage: Usage,
    /// Marked as one run of a command line.
    run: bool,
}

fn leaf() -> impl Strategy<Value = Draft> {
    let number = || 0..4_u64;
    let context = prop::sample::select(vec![
        ".ctx.depth",
        ".ctx.spent_nano_usd",
        ".ctx.tokens_used",
        ".ctx.per_min",
        ".ctx.concurrent",
        ".ctx.received_bytes",
    ]);
    prop_oneof![
        4 => (context, 0..5_u8, number()).prop_map(|(selector, operator, number)| match operator {
            0 => Policy::le(selector, number),
            1 => Policy::lt(selector, number),
            2 => Policy::ge(selector, number),
            3 => Policy::gt(selector, number),
            _ => Policy::eq(selector, number),
        }),
        2 => prop::sample::select(Command::ALL).prop_map(|command| Policy::eq(".cmd", command.path())),
        2 => prop::sample::select(vec!["*", "/clankers/*", "*e*", "/clankers/session/*"]).prop_map(|p| Policy::like(".cmd", p)),
        1 => prop::sample::select(vec!["src", "src/*", "*"]).prop_map(|p| Policy::like(".path", p)),
        1 => prop::sample::select(vec!["s1", "s2"]).prop_map(|s| Policy::eq(".session", s)),
        1 => number().prop_map(|most| Policy::any(".ctx", Policy::le(".", most))),
        1 => number().prop_map(|most| Policy::all(".ctx", Policy::le(".", most))),
        1 => Just(Policy::eq(".workspace", WORKSPACE)),
    ]
}

fn statement() -> impl Strategy<Value = Draft> {
    leaf().prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..3).prop_map(Policy::and),
            prop::collection::vec(inner, 1..3).prop_map(Policy::or),
        ]
    })
}

prop_compose! {
    fn made()(
        command in prop::sample::select(vec!["/", "/", "/clankers", "/clankers", "/clankers/session", "/clankers/node/info"]),
        policy in prop::collection::vec(statement(), 0..3),
        from in -2000..30_i64,
        until in 0..1500_u64,
        revoked in prop::bool::weighted(0.05),
        counts in prop::array::uniform5(0..3_u64),
        run in prop::bool::weighted(0.2),
    ) -> Made {
        let [spent_nano_usd, tokens_used, per_min, concurrent, received_bytes] = counts;
        let usage = Usage { spent_nano_usd, tokens_used, per_min, concurrent, received_bytes };
        Made { command, policy, from, until, revoked, usage, run }
    }
}

/// Links from node 1 to 2 to 3 and so on.
fn links(made: &[Made]) -> (Vec<Vec<u8>>, World) {
    let mut world = World::default();
    let mut links = Vec::new();
    for (made, from) in made.iter().zip(1..) {
        let policy = Policy::build(made.policy.clone(), ucan::Profile::Strict).unwrap();
        let start = Timestamp(NOW.0.checked_add_signed(made.from * 1000).unwrap());
        let mut draft = draft(1, from + 1, made.command, from).policy(policy).not_before(secs(start));
        draft = if made.run {
            draft.meta(mint::RUN_LINK_META, ucan::Ipld::Bool(true)).expires(secs(start).saturating_add(600))
        } else {
            draft.expires(secs(start).saturating_add(made.until))
        };
        let link = signed(draft, from);
        if made.revoked {
            world.revoked.insert(digest(&link));
        }
        world.usage.insert(digest(&link), made.usage);
        links.push(link);
    }
    (links, world)
}

proptest! {
    #![proptest_config(config(600))]

    #[test]
    fn a_chain_allows_no_more_than_each_of_its_prefixes(
        made in prop::collection::vec(made(), 1..=5),
        command in prop::sample::select(Command::ALL),
        asks in prop::array::uniform4(0..2_u64),
        when in 0..40_u64,
    ) {
        let (links, world) = links(&made);
        let args = Args { asks: Asks { spend_nano_usd: asks[0], tokens: asks[1], starts: asks[2], bytes: asks[3] }, ..full(command) };
        let standing = world.at(later(when));
        let mut allowed_before = true;
        for count in 1..=links.len() {
            let remote = u8::try_from(count).unwrap() + 1;
            let held = shown(&standing, remote, &chain(&links[..count]));
            let allowed = held.as_ref().is_ok_and(|held| held.authorize(&standing, command, &args).is_ok());
            // Forbidden at a prefix, allowed further down: somebody gave away what they did not have.
            prop_assert!(allowed_before || !allowed, "{} links allow what {} do not", count, count - 1);
            allowed_before = allowed;
            // What may start may also go on.
            if let (true, Ok(held)) = (allowed, &held) {
                prop_assert!(held.authorize_running(&standing, command, &args).is_ok());
                prop_assert!(held.ends().is_none_or(|ends| ends.as_secs() >= standing.now.as_secs()));
            }
        }
    }

    /// The chains above are not all refused: an honest one, narrowed at random by our own presets, goes through.
    #[test]
    fn passing_on_and_using_agree(presets in prop::collection::vec(0..3_usize, 1..5)) {
        let spec = |n: usize| match n {
            0 => clankers_auth::GrantSpec::read_only(),
            1 => clankers_auth::GrantSpec::reviewer(),
            _ => clankers_auth::GrantSpec::default(),
        };
        let mut token = mint::grant(&seed(1), id(2), &clankers_auth::GrantSpec::reviewer(), NOW, 600, [1; 16]).unwrap().to_bytes().unwrap();
        for (preset, from) in presets.iter().zip(2..) {
            let passed = mint::delegate(&seed(from), &token, id(from + 1), &spec(*preset), NOW, 600, [from; 16]).unwrap();
            token = passed.container.to_bytes().unwrap();
        }
        let world = World::default();
        let remote = u8::try_from(presets.len()).unwrap() + 2;
        let held = shown(&world.now(), remote, &token).unwrap();
        prop_assert!(held.authorize(&world.now(), Command::Observe, &full(Command::Observe)).is_ok());
        let may_prompt = held.authorize(&world.now(), Command::PromptSend, &full(Command::PromptSend)).is_ok();
        prop_assert_eq!(may_prompt, !presets.contains(&0));
    }
}
