//! Tokens that must be refused: how long each takes from its bytes to the verdict.

use std::{hint::black_box, time::Instant};

use clankers_auth::{Standing, VerifiedTokens, admit};
use clankers_tests::{
    fuzz::seeds,
    stats::{Samples, micros},
};

use crate::{
    peers::Lab,
    report::{Judge, Row},
};

/// The checked-in vectors of chains, each shown once in every round; the verdict must be the vector's.
pub(crate) fn vectors(lab: &Lab) -> Vec<Row> {
    let vectors = seeds::refused();
    let mut times = Samples::new();
    for _ in 0..lab.rounds {
        for vector in &vectors {
            let standing = Standing::offline(vector.now, vector.epoch);
            let mut verified = VerifiedTokens::default();
            let start = Instant::now();
            let judged = black_box(admit(
                &standing,
                vector.me,
                vector.remote,
                black_box(&vector.bytes),
                &mut verified,
            ));
            times.push(micros(start.elapsed()));
            let code = judged.map(|_| "allowed").unwrap_or_else(|denial| denial.code().name());
            assert_eq!(code, vector.code, "{}", vector.name);
        }
    }
    let figure = format!("invalid tokens, {} vectors, each refused for its reason", vectors.len());
    vec![Row::new(&figure, "µs", times, Judge::P99, 1000.0, 1000.0)]
}
