//! The machine that judges a new connection: Hello first, in time, once, and a bounded number of streams
//! parked until then.

use crate::{
    Timestamp,
    hello::Hello,
    limits::{
        UNAUTHENTICATED_HELLO_MS, UNAUTHENTICATED_IDLE_MS, UNAUTHENTICATED_LIFE_MS,
        UNAUTHENTICATED_PARKED_STREAMS,
    },
    refusal::CloseCode,
};

/// What happens to a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// The first stream brought a Hello.
    Hello(Box<Hello>),
    /// The first stream brought something else, or ended.
    NotHello,
    /// A further stream was opened; the shell names it by a number of its own.
    Stream(u64),
    /// A valid chain was shown: the limits of strangers no longer hold.
    Known,
    /// Time passed.
    Tick,
}

/// What the shell is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Answer Hello with this version; the connection is admitted.
    Welcome {
        /// The version in common.
        version: u16,
        /// What was said.
        hello: Box<Hello>,
    },
    /// Serve this stream.
    Serve(u64),
    /// Close the connection; nothing else follows.
    Close(CloseCode),
    /// Come back with [`Input::Tick`] at this time.
    WakeAt(Timestamp),
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    Waiting {
        deadline: Timestamp,
        parked: Vec<u64>,
    },
    /// Hello was said, no valid chain was shown yet.
    Stranger {
        idle: Timestamp,
        end: Timestamp,
    },
    Known,
    Closed,
}

/// One connection on its way in.
#[derive(Debug)]
pub struct Admission {
    state: State,
    versions: &'static [u16],
}

impl Admission {
    /// A connection that was accepted at `now` by a node that speaks `versions`.
    pub fn new(now: Timestamp, versions: &'static [u16], out: &mut Vec<Output>) -> Self {
        let deadline = now.plus_ms(UNAUTHENTICATED_HELLO_MS);
        out.push(Output::WakeAt(deadline));
        Self { state: State::Waiting { deadline, parked: Vec::new() }, versions }
    }

    /// Takes one input, says what to do.
    pub fn handle(&mut self, now: Timestamp, input: Input, out: &mut Vec<Output>) {
        match (&mut self.state, input) {
            (State::Closed, _)
            | (State::Known, Input::Tick | Input::NotHello | Input::Known)
            | (State::Stranger { .. }, Input::NotHello)
            | (State::Waiting { .. }, Input::Known) => {}
            (State::Waiting { deadline, .. }, _) if now >= *deadline => self.close(CloseCode::NoHello, out),
            (State::Waiting { deadline, .. }, Input::Tick) => out.push(Output::WakeAt(*deadline)),
            (State::Waiting { .. }, Input::NotHello) => self.close(CloseCode::NoHello, out),
            (State::Waiting { parked, .. }, Input::Stream(stream)) => {
                if parked.len() < UNAUTHENTICATED_PARKED_STREAMS {
                    parked.push(stream);
                } else {
                    self.close(CloseCode::TooMuch, out);
                }
            }
            (State::Waiting { parked, .. }, Input::Hello(hello)) => {
                let spoken = self.versions.iter().rev().find(|v| hello.versions.contains(v));
                let Some(version) = spoken.copied() else { return self.close(CloseCode::Version, out) };
                let parked = std::mem::take(parked);
                let (idle, end) =
                    (now.plus_ms(UNAUTHENTICATED_IDLE_MS), now.plus_ms(UNAUTHENTICATED_LIFE_MS));
                self.state = State::Stranger { idle, end };
                out.push(Output::WakeAt(idle));
                out.push(Output::Welcome { version, hello });
                out.extend(parked.into_iter().map(Output::Serve));
            }
            (State::Stranger { .. } | State::Known, Input::Hello(_)) => {
                self.close(CloseCode::SecondHello, out)
            }
            (State::Known, Input::Stream(stream)) => out.push(Output::Serve(stream)),
            (State::Stranger { .. }, Input::Known) => self.state = State::Known,
            (State::Stranger { idle, end }, _) if now >= (*idle).min(*end) => {
                self.close(CloseCode::NoAuthority, out);
            }
            (State::Stranger { idle, end }, Input::Tick) => out.push(Output::WakeAt((*idle).min(*end))),
            (State::Stranger { idle, end }, Input::Stream(stream)) => {
                *idle = now.plus_ms(UNAUTHENTICATED_IDLE_MS);
                out.push(Output::WakeAt((*idle).min(*end)));
                out.push(Output::Serve(stream));
            }
        }
    }

    fn close(&mut self, code: CloseCode, out: &mut Vec<Output>) {
        self.state = State::Closed;
        out.push(Output::Close(code));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{hello::PeerKind, message::Ext};

    fn hello(versions: Vec<u16>) -> Input {
        Input::Hello(Box::new(Hello {
            versions,
            software: String::new(),
            kind: PeerKind::Cli,
            label: None,
            features: vec![],
            boot_id: 0,
            now: Timestamp(0),
            chains: vec![],
            ext: Ext::default(),
        }))
    }

    fn run(inputs: Vec<(u64, Input)>) -> Vec<Output> {
        let mut out = Vec::new();
        let mut machine = Admission::new(Timestamp(0), &[1, 2], &mut out);
        out.clear();
        for (at, input) in inputs {
            machine.handle(Timestamp(at), input, &mut out);
        }
        out
    }

    #[test]
    fn streams_wait_for_hello_and_are_served_in_order() {
        let out = run(vec![
            (0, Input::Stream(4)),
            (1, Input::Stream(8)),
            (2, hello(vec![1])),
            (3, Input::Stream(12)),
        ]);
        let out: Vec<_> = out.into_iter().filter(|o| !matches!(o, Output::WakeAt(_))).collect();
        assert!(matches!(out[0], Output::Welcome { version: 1, .. }));
        assert_eq!(out[1..], [Output::Serve(4), Output::Serve(8), Output::Serve(12)]);
    }

    #[test]
    fn the_highest_common_version_is_spoken() {
        assert!(matches!(run(vec![(0, hello(vec![1, 2, 3]))])[1], Output::Welcome { version: 2, .. }));
        assert_eq!(run(vec![(0, hello(vec![7]))]), [Output::Close(CloseCode::Version)]);
    }

    #[test]
    fn silence_noise_and_repetition_close() {
        assert_eq!(run(vec![(UNAUTHENTICATED_HELLO_MS, Input::Tick)]), [Output::Close(CloseCode::NoHello)]);
        assert_eq!(run(vec![(0, Input::NotHello)]), [Output::Close(CloseCode::NoHello)]);
        let out = run(vec![(0, hello(vec![1])), (1, hello(vec![1])), (2, Input::Stream(4))]);
        assert_eq!(out.last(), Some(&Output::Close(CloseCode::SecondHello)));
        let flood = (0..9).map(|n| (0, Input::Stream(n))).collect();
        assert_eq!(run(flood), [Output::Close(CloseCode::TooMuch)]);
    }

    #[test]
    fn a_stranger_that_rests_or_stays_for_ever_is_closed_and_a_known_peer_is_not() {
        let idle = UNAUTHENTICATED_IDLE_MS;
        let closed = Some(&Output::Close(CloseCode::NoAuthority));
        assert_eq!(run(vec![(0, hello(vec![1])), (idle, Input::Tick)]).last(), closed);
        let busy = (0..100).map(|n| (n * 2_000, Input::Stream(n)));
        let asked: Vec<_> = std::iter::once((0, hello(vec![1]))).chain(busy).collect();
        assert_eq!(run(asked).last(), closed);
        let known = vec![(0, hello(vec![1])), (1, Input::Known), (UNAUTHENTICATED_LIFE_MS, Input::Tick)];
        assert!(!run(known).iter().any(|o| matches!(o, Output::Close(_))));
    }

    proptest! {
        #[test]
        fn nothing_is_served_before_welcome_nor_after_close(
            steps in prop::collection::vec((0_u64..6000, 0_u8..5), 0..40)
        ) {
            let mut at = 0;
            let inputs = steps.into_iter().enumerate().map(|(n, (dt, what))| {
                at += dt / 10;
                (at, match what {
                    0 => hello(vec![1]),
                    1 => Input::NotHello,
                    2 => Input::Tick,
                    3 => Input::Known,
                    _ => Input::Stream(n as u64),
                })
            }).collect();
            let out = run(inputs);
            let welcome = out.iter().position(|o| matches!(o, Output::Welcome { .. }));
            let close = out.iter().position(|o| matches!(o, Output::Close(_)));
            for (n, output) in out.iter().enumerate() {
                if matches!(output, Output::Serve(_)) {
                    prop_assert!(welcome.is_some_and(|w| w < n));
                    prop_assert!(close.is_none_or(|c| n < c));
                }
            }
            prop_assert!(close.is_none_or(|c| c == out.len() - 1));
        }
    }
}
