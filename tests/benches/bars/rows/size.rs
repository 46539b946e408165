//! The binary on disk.

use std::{fs, path::Path, process::Command};

use clankers_tests::stats::Samples;

use crate::{
    peers::Lab,
    report::{Judge, Row},
};

#[allow(clippy::cast_precision_loss)]
pub(crate) fn binary(lab: &Lab) -> Vec<Row> {
    let megabytes = |path: &Path| -> Samples {
        let bytes = fs::metadata(path).expect("the binary").len();
        [bytes as f64 / 1e6].into_iter().collect()
    };
    let home = lab.home();
    let copy = home.root().join("stripped");
    fs::copy(&lab.binary, &copy).expect("a copy of the binary");
    // Without the tool it is measured as the release profile leaves it: with its symbols.
    let stripped = Command::new("strip").arg(&copy).status().is_ok_and(|status| status.success());
    let name =
        if stripped { "stripped release binary" } else { "release binary, not stripped (no `strip` here)" };
    vec![
        Row::new(name, "MB", megabytes(&copy), Judge::P50, 40.0, 25.0),
        Row::shown("  as built", "MB", megabytes(&lab.binary)),
    ]
}
