//! What must hold of a link whatever is set and sent.

use proptest::prelude::*;

use super::*;
use crate::limits::BUCKET_BYTES;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn frame(number: u32, size: usize) -> Bytes {
    let mut bytes = vec![0; size.max(18)];
    bytes[HEADER..HEADER + 4].copy_from_slice(&number.to_be_bytes());
    bytes.into()
}

fn number(frame: &Bytes) -> u32 {
    u32::from_be_bytes(*frame[HEADER..].first_chunk().unwrap())
}

/// Everything the link still holds, in the order in which it comes out.
fn drain(link: &mut Link) -> Vec<(Duration, Bytes)> {
    let mut out = Vec::new();
    while let Some(next) = link.next() {
        while let Some(due) = link.due(next) {
            out.push(due);
        }
    }
    out
}

fn chances() -> impl Strategy<Value = Chance> {
    prop_oneof![Just(Chance::NEVER), (0u32..=1_000_000).prop_map(Chance::ppm), Just(Chance::ALWAYS)]
}

fn losses() -> impl Strategy<Value = Loss> {
    let bursts = (chances(), chances(), chances(), chances());
    prop_oneof![
        Just(Loss::None),
        chances().prop_map(Loss::Each),
        bursts.prop_map(|(enter, leave, bad, good)| Loss::Bursts { enter, leave, bad, good }),
    ]
}

prop_compose! {
    fn settings()(
        delay in 0u64..300, jitter in 0u64..200, loss in losses(), queue in 0usize..40_000,
        rate in prop::option::of(10_000u64..2_000_000_000), share in chances(), by in 0u64..200,
        duplicate in chances(), corrupt in chances(),
    ) -> Setting {
        let reorder = Reorder { chance: share, by: ms(by) };
        let rate = rate.map(Rate::bits);
        Setting { delay: ms(delay), jitter: ms(jitter), loss, rate, queue, reorder, duplicate, corrupt }
    }
}

/// What happens on a link next.
#[derive(Debug, Clone)]
enum Step {
    /// After so many microseconds, a frame of so many bytes.
    Frame(u64, usize),
    Set(Setting),
    Cut(Option<u64>),
    Heal,
    /// Take what is due.
    Take,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        20 => (0u64..20_000, 18usize..9_000).prop_map(|(after, size)| Step::Frame(after, size)),
        1 => settings().prop_map(Step::Set),
        1 => prop::option::of(0u64..200).prop_map(Step::Cut),
        1 => Just(Step::Heal),
        5 => Just(Step::Take),
    ];
    prop::collection::vec(step, 1..200)
}

/// A run's whole record: the fates, and what came out when.
fn run(seed: u64, setting: &Setting, steps: &[Step]) -> (Vec<Fate>, Vec<(Duration, Bytes)>, Link) {
    let (mut link, mut now, mut fates, mut out) = (Link::new(seed), Duration::ZERO, Vec::new(), Vec::new());
    link.set(now, setting.clone());
    for step in steps {
        match step {
            Step::Frame(after, size) => {
                now += Duration::from_micros(*after);
                let queued = link.queued_bytes();
                fates.push(link.offer(now, frame(u32::try_from(fates.len()).unwrap(), *size)));
                let bound = queued.max(link.setting().queue).max(2 * *size);
                assert!(link.queued_bytes() <= bound, "{} bytes wait, {bound} may", link.queued_bytes());
            }
            Step::Set(setting) => link.set(now, setting.clone()),
            Step::Cut(time) => link.cut(now, time.map(ms)),
            Step::Heal => link.heal(),
            Step::Take => {
                while let Some(due) = link.due(now) {
                    assert!(due.0 <= now);
                    out.push(due);
                }
            }
        }
        let Counts { offered, doubled, delivered, .. } = link.counts();
        assert_eq!(offered + doubled, delivered + link.counts().lost() + link.under_way() as u64);
    }
    out.extend(drain(&mut link));
    (fates, out, link)
}

proptest! {
    /// Nothing is lost, doubled or changed but by a decision, and each decision is carried out.
    #[test]
    fn no_frame_is_lost_without_a_decision(seed: u64, setting in settings(), steps in steps()) {
        let (fates, out, link) = run(seed, &setting, &steps);
        prop_assert_eq!(link.under_way(), 0);
        prop_assert_eq!(link.queued_bytes(), 0);
        let mut seen = std::collections::BTreeMap::<usize, u32>::new();
        for (_, bytes) in &out {
            let which = number(bytes) as usize;
            // A flipped bit may be in the number itself.
            if let Some(Fate::Carried { corrupted: false, .. }) = fates.get(which) {
                *seen.entry(which).or_default() += 1;
            }
        }
        let mut copies = 0;
        for (which, fate) in fates.iter().enumerate() {
            match fate {
                Fate::Lost(_) => {}
                Fate::Carried { twice, corrupted, .. } => {
                    copies += 1 + usize::from(*twice);
                    if !corrupted {
                        // A corrupted frame may bear this one's number now; fewer is never right.
                        prop_assert!(seen.get(&which).copied().unwrap_or(0) > u32::from(*twice));
                    }
                }
            }
        }
        prop_assert_eq!(out.len(), copies);
        let lost = fates.iter().filter(|fate| matches!(fate, Fate::Lost(_))).count();
        // A second copy may be lost in the queue as well.
        prop_assert!(link.counts().lost() >= lost as u64);
    }

    #[test]
    fn the_same_seed_decides_the_same(seed: u64, setting in settings(), steps in steps()) {
        let (first, second) = (run(seed, &setting, &steps), run(seed, &setting, &steps));
        prop_assert_eq!(first.0, second.0);
        prop_assert_eq!(first.1, second.1);
    }

    /// Chance depends on the number of the frame, not on when it comes, nor on its size.
    #[test]
    fn chance_does_not_look_at_the_clock(seed: u64, loss in losses(), gaps in prop::collection::vec(0u64..9_000, 1..200)) {
        let decide = |gaps: &[u64]| -> Vec<Fate> {
            let mut link = Link::new(seed);
            link.set(Duration::ZERO, Setting { loss, ..Setting::default() });
            let mut now = Duration::ZERO;
            let offer = |gap: &u64| {
                now += Duration::from_micros(*gap);
                link.offer(now, frame(0, usize::try_from(*gap).unwrap()))
            };
            gaps.iter().map(offer).collect()
        };
        prop_assert_eq!(decide(&gaps), decide(&vec![1; gaps.len()]));
    }

    #[test]
    fn order_is_kept_when_nothing_reorders(seed: u64, mut setting in settings(), mut steps in steps()) {
        let calm = |setting: &mut Setting| {
            (setting.reorder, setting.corrupt) = (Reorder::default(), Chance::NEVER);
        };
        calm(&mut setting);
        steps.iter_mut().for_each(|step| if let Step::Set(setting) = step { calm(setting) });
        let (_, out, _) = run(seed, &setting, &steps);
        prop_assert!(out.is_sorted_by_key(|(at, bytes)| (*at, number(bytes))));
        prop_assert!(out.is_sorted_by_key(|(_, bytes)| number(bytes)));
    }

    /// In any window, at most the bucket and what the rate allows.
    #[test]
    fn the_rate_is_never_exceeded(
        seed: u64, mut setting in settings(), rate in 10_000u64..1_000_000_000,
        frames in prop::collection::vec((0u64..20_000, 18usize..9_000), 1..150),
    ) {
        setting.rate = Some(Rate::bits(rate));
        (setting.jitter, setting.reorder) = (Duration::ZERO, Reorder::default());
        let steps: Vec<Step> = frames.iter().map(|(after, size)| Step::Frame(*after, *size)).collect();
        let (_, out, _) = run(seed, &setting, &steps);
        let largest = out.iter().map(|(_, bytes)| bytes.len() as u64).max().unwrap_or(0);
        for (first, (start, _)) in out.iter().enumerate() {
            let mut passed = 0;
            for (at, bytes) in &out[first..] {
                passed += bytes.len() as u64;
                let allowed = largest.max(BUCKET_BYTES) + Rate::bits(rate).bytes_in(*at - *start);
                prop_assert!(passed <= allowed, "{passed} bytes within {:?}, {allowed} may", *at - *start);
            }
        }
    }

    #[test]
    fn delay_is_what_was_set(seed: u64, delay in 0u64..500, jitter in 0u64..500, gaps in prop::collection::vec(0u64..50, 1..50)) {
        let mut link = Link::new(seed);
        link.set(Duration::ZERO, Setting { delay: ms(delay), jitter: ms(jitter), ..Setting::default() });
        let mut now = Duration::ZERO;
        let mut latest = Duration::ZERO;
        for gap in gaps {
            now += ms(gap);
            link.offer(now, frame(0, 100));
            let (at, _) = drain(&mut link).pop().unwrap();
            prop_assert!(at >= (now + ms(delay)).saturating_sub(ms(jitter)));
            // Jitter delays what follows rather than being overtaken.
            prop_assert!(at <= (now + ms(delay + jitter)).max(latest));
            latest = at;
        }
    }
}

fn offered(setting: Setting, frames: u32) -> Vec<Fate> {
    let mut link = Link::new(7);
    link.set(Duration::ZERO, setting);
    (0..frames).map(|n| link.offer(ms(n.into()), frame(n, 100))).collect()
}

fn share(fates: &[Fate], what: impl Fn(&Fate) -> bool) -> f64 {
    let hits = fates.iter().filter(|fate| what(fate)).count();
    f64::from(u32::try_from(hits).unwrap()) / f64::from(u32::try_from(fates.len()).unwrap())
}

#[test]
fn chances_are_met_over_many_frames() {
    let percent = Chance::percent;
    let fates = offered(Setting { loss: Loss::Each(percent(2)), ..Setting::default() }, 100_000);
    assert!((share(&fates, |f| matches!(f, Fate::Lost(Lost::Chance))) - 0.02).abs() < 0.003);
    let all = Setting { duplicate: percent(10), corrupt: percent(20), ..Setting::default() };
    let all = Setting { reorder: Reorder { chance: percent(30), by: ms(5) }, ..all };
    let fates = offered(all, 100_000);
    assert!((share(&fates, |f| matches!(f, Fate::Carried { twice: true, .. })) - 0.1).abs() < 0.01);
    assert!((share(&fates, |f| matches!(f, Fate::Carried { corrupted: true, .. })) - 0.2).abs() < 0.01);
    assert!((share(&fates, |f| matches!(f, Fate::Carried { held: true, .. })) - 0.3).abs() < 0.01);
}

#[test]
fn bursts_are_as_long_and_as_frequent_as_set() {
    let (enter, leave) = (Chance::percent(1), Chance::percent(25));
    let loss = Loss::Bursts { enter, leave, bad: Chance::ALWAYS, good: Chance::NEVER };
    let fates = offered(Setting { loss, ..Setting::default() }, 200_000);
    let lost: Vec<bool> = fates.iter().map(|fate| matches!(fate, Fate::Lost(_))).collect();
    let bursts = lost.windows(2).filter(|pair| !pair[0] && pair[1]).count();
    let total = lost.iter().filter(|lost| **lost).count();
    let mean = f64::from(u32::try_from(total).unwrap()) / f64::from(u32::try_from(bursts).unwrap());
    assert!((mean - 4.0).abs() < 0.3, "a burst has {mean} frames on average, not 4");
    let share = share(&fates, |f| matches!(f, Fate::Lost(_)));
    assert!((share - 1.0 / 26.0).abs() < 0.004, "{share} are lost, not 1/26");
}

#[test]
fn a_cut_begins_and_ends_on_time_and_lets_arrive_what_is_in_flight() {
    let mut link = Link::new(1);
    link.set(Duration::ZERO, Setting::delayed(ms(100)));
    link.offer(ms(0), frame(0, 100));
    link.cut(ms(10), Some(ms(50)));
    assert_eq!(link.offer(ms(10), frame(1, 100)), Fate::Lost(Lost::Cut));
    assert_eq!(link.offer(ms(59), frame(2, 100)), Fate::Lost(Lost::Cut));
    assert!(matches!(link.offer(ms(60), frame(3, 100)), Fate::Carried { .. }));
    link.cut(ms(61), None);
    assert_eq!(link.offer(ms(1_000_000), frame(4, 100)), Fate::Lost(Lost::Cut));
    link.heal();
    assert!(matches!(link.offer(ms(1_000_001), frame(5, 100)), Fate::Carried { .. }));
    let seen: Vec<_> = drain(&mut link).iter().map(|(at, bytes)| (*at, number(bytes))).collect();
    assert_eq!(seen, [(ms(100), 0), (ms(160), 3), (ms(1_000_101), 5)]);
}

#[test]
fn a_faster_rate_empties_the_queue_faster() {
    let mut link = Link::new(1);
    let slow = Setting { rate: Some(Rate::bits(8_000)), ..Setting::default() };
    link.set(Duration::ZERO, slow.clone());
    for n in 0..10 {
        link.offer(Duration::ZERO, frame(n, 1_000));
    }
    // Three frames were in the bucket, the others take a second each.
    assert_eq!(link.under_way() - link.queue.len(), 3);
    link.set(ms(500), Setting { rate: Some(Rate::bits(8_000_000)), ..slow });
    let last = drain(&mut link).pop().unwrap().0;
    assert!(last < ms(510), "{last:?}");
}

#[test]
fn held_frames_are_overtaken() {
    let mut link = Link::new(3);
    let reorder = Reorder { chance: Chance::percent(20), by: ms(30) };
    link.set(Duration::ZERO, Setting { reorder, ..Setting::delayed(ms(10)) });
    let fates: Vec<Fate> =
        (0..100).map(|n| link.offer(ms(n), frame(u32::try_from(n).unwrap(), 100))).collect();
    for (at, bytes) in drain(&mut link) {
        let which = number(&bytes);
        let held = matches!(fates[which as usize], Fate::Carried { held: true, .. });
        assert_eq!(at, ms(u64::from(which) + if held { 40 } else { 10 }));
    }
}
