//! A few cores on an ideal network: what honest ones send passes [`wire::look`], what hostile ones send does no
//! harm.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use wire::{Look, look};

fn id(n: u8) -> NodeId {
    NodeId([n; 32])
}

/// Cores that hear each other at once.
struct World {
    cores: Vec<Core>,
    now: Instant,
    got: Vec<Vec<Bytes>>,
    links: BTreeSet<(u8, u8)>,
    looked_at: usize,
}

impl World {
    fn new(count: u8, seed: u8) -> Self {
        let cores = (0..count).map(|n| Core::new(id(n), [seed.wrapping_add(n); 32])).collect();
        let got = vec![Vec::new(); usize::from(count)];
        Self { cores, now: Instant::now(), got, links: BTreeSet::new(), looked_at: 0 }
    }

    /// Lets one core do something and carries out everything that follows.
    fn act(&mut self, n: u8, act: impl FnOnce(&mut Core, Instant, &mut VecDeque<Effect>)) {
        let mut out = VecDeque::new();
        act(&mut self.cores[usize::from(n)], self.now, &mut out);
        let mut todo: VecDeque<_> = out.into_iter().map(|effect| (n, effect)).collect();
        while let Some((n, effect)) = todo.pop_front() {
            let mut out = VecDeque::new();
            let other = match effect {
                Effect::Send(to, bytes) => {
                    let to = to.0[0];
                    assert!(bytes.len() <= GOSSIP_MESSAGE_BYTES + 2);
                    let body = &bytes[2..];
                    assert_eq!(usize::from(u16::from_be_bytes([bytes[0], bytes[1]])), body.len());
                    assert!(look(body).is_ok(), "an honest message is refused: {body:?}");
                    self.looked_at += 1;
                    self.links.insert((n.min(to), n.max(to)));
                    assert!(self.cores[usize::from(to)].message(self.now, id(n), body, &mut out));
                    to
                }
                Effect::Release(peer) => {
                    let peer = peer.0[0];
                    if !self.links.remove(&(n.min(peer), n.max(peer))) {
                        continue;
                    }
                    let mut own = VecDeque::new();
                    self.cores[usize::from(n)].disconnected(self.now, id(peer), &mut own);
                    todo.extend(own.into_iter().map(|effect| (n, effect)));
                    self.cores[usize::from(peer)].disconnected(self.now, id(n), &mut out);
                    peer
                }
                Effect::Received(payload, _) => {
                    self.got[usize::from(n)].push(payload);
                    continue;
                }
                Effect::Up(_) | Effect::Down(_) => continue,
            };
            todo.extend(out.into_iter().map(|effect| (other, effect)));
        }
    }

    fn run(&mut self, for_ms: u64) {
        let end = self.now + Duration::from_millis(for_ms);
        loop {
            let next = (0..self.cores.len()).filter_map(|n| Some((self.cores[n].next_timer()?, n))).min();
            let Some((at, n)) = next.filter(|(at, _)| *at <= end) else { break };
            self.now = at;
            self.act(u8::try_from(n).unwrap(), |core, now, out| core.fire(now, out));
        }
        self.now = end;
    }
}

#[test]
fn honest_members_reach_each_other_and_nothing_that_they_send_is_refused() {
    for seed in 0..8 {
        let mut world = World::new(24, seed * 30);
        for n in 1..24 {
            world.act(n, |core, now, out| core.join(now, vec![id(0), id(n / 2)], out));
            world.run(200);
        }
        world.run(150_000);
        let payload = Bytes::from(vec![seed; crate::limits::GOSSIP_PAYLOAD_BYTES]);
        world.act(7, |core, now, out| core.broadcast(now, payload.clone(), out));
        world.run(2_000);
        for (n, got) in world.got.iter().enumerate() {
            assert_eq!(got.len(), usize::from(n != 7), "seed {seed}: member {n}");
        }
        world.act(3, |core, now, out| core.quit(now, out));
        world.run(70_000);
        assert!(world.looked_at > 500, "{}", world.looked_at);
    }
}

/// Messages by any member, as wild as they may be and still pass `look`.
fn wild() -> impl Strategy<Value = Vec<u8>> {
    let who = (0_u8..12).prop_map(|n| [n; 32]);
    let nobody = None::<u8>;
    let member = who.clone().prop_map(move |id| (id, nobody));
    let members = prop::collection::vec(member.clone(), 0..12);
    let made = |family: u32, kind: u32, rest: Vec<u8>| {
        let mut bytes = postcard::to_stdvec(&(family, kind)).unwrap();
        bytes.extend(rest);
        bytes
    };
    let bytes = |value: &dyn erased::Serialize| value.bytes();
    prop_oneof![
        Just(made(0, 0, bytes(&nobody))),
        (member, 0_u16..20).prop_map(move |x| made(0, 1, bytes(&x))),
        (who.clone(), members.clone(), 0_u16..20).prop_map(move |x| made(0, 2, bytes(&x))),
        members.prop_map(move |x| made(0, 3, bytes(&x))),
        (0_u32..2).prop_map(move |p| made(0, 4, bytes(&(p, nobody)))),
        any::<(bool, bool)>().prop_map(move |x| made(0, 5, bytes(&x))),
        (prop::collection::vec(any::<u8>(), 0..40), any::<u16>()).prop_map(move |(content, round)| {
            let id = *blake3::hash(&content).as_bytes();
            made(1, 0, bytes(&(id, content, (0_u32, round))))
        }),
        Just(made(1, 1, Vec::new())),
        (prop::option::of(who.clone()), any::<u16>()).prop_map(move |x| made(1, 2, bytes(&x))),
        prop::collection::vec((who, any::<u16>()), 0..100).prop_map(move |x| made(1, 3, bytes(&x))),
    ]
}

/// So that one closure takes any value.
mod erased {
    pub(super) trait Serialize {
        fn bytes(&self) -> Vec<u8>;
    }

    impl<T: serde::Serialize> Serialize for T {
        fn bytes(&self) -> Vec<u8> {
            postcard::to_stdvec(self).unwrap()
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn hostile_members_break_nothing(messages in prop::collection::vec((1_u8..8, wild(), 0_u64..300), 1..200)) {
        let mut core = Core::new(id(0), [9; 32]);
        let (mut now, mut out) = (Instant::now(), VecDeque::new());
        for (from, message, pause_ms) in messages {
            if matches!(look(&message), Ok(Look::Payload { .. } | Look::Join | Look::Other { .. })) {
                prop_assert!(core.message(now, id(from), &message, &mut out));
            }
            now += Duration::from_millis(pause_ms);
            core.fire(now, &mut out);
            prop_assert!(!out.iter().any(|e| matches!(e, Effect::Send(to, _) if *to == id(0))), "to itself");
            out.clear();
        }
        // What was announced and never came is forgotten, and no timer is left but the two that always run.
        for _ in 0..120 {
            now += Duration::from_secs(1);
            core.fire(now, &mut out);
        }
        core.sweep(now, &mut out);
        prop_assert!(core.timers() <= 4, "{} timers are left", core.timers());
    }
}
