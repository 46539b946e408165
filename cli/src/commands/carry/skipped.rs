//! What does not travel, as it is told: by its sender before it sends, or to whoever got the rest.

use clankers_client::transfer::Skips;
use clankers_protocol::{request::transfer::left_out::LeftOut, text};

use super::{NAMED, PATH_CHARS};
use crate::{error::Outcome, output};

/// What the peer left out of what was got: all are counted, the first are named.
pub(super) fn report_left_out(left_out: &LeftOut) {
    let count = left_out.count();
    if count == 0 {
        return;
    }
    let named: Vec<String> = left_out
        .named
        .iter()
        .map(|one| format!("{} ({})", text::line(&one.path, PATH_CHARS), text::line(&one.why, PATH_CHARS)))
        .collect();
    let more = count.saturating_sub(named.len() as u64);
    let more = if more > 0 { format!("; and {more} more") } else { String::new() };
    anstream::eprintln!("! {count} left out: {}{more}", named.join("; "));
}

pub(super) fn left_out_json(left_out: &LeftOut) -> Outcome {
    for one in &left_out.named {
        output::json(&serde_json::json!({
            "type": "skipped",
            "path": text::line(&one.path, 4096),
            "reason": text::line(&one.why, PATH_CHARS),
            "missed": one.missed,
        }))?;
    }
    counted_json(left_out.count(), left_out.missed.into())
}

/// How much was left out in all, when it is anything.
pub(super) fn counted_json(count: u64, missed: u64) -> Outcome {
    if count > 0 {
        output::json(&serde_json::json!({"type": "left_out", "count": count, "missed": missed}))?;
    }
    Ok(())
}

/// What is left out of what is sent: at most some of it by name.
pub(crate) fn report_skipped(skips: &Skips) {
    for skipped in skips.named().take(NAMED) {
        let (path, why) =
            (text::line(&skipped.path, PATH_CHARS), text::line(&skipped.why.to_string(), PATH_CHARS));
        anstream::eprintln!("! {path} is not sent: {why}");
    }
    let more = skips.count().saturating_sub(NAMED as u64);
    if more > 0 {
        anstream::eprintln!("! and {more} more are not sent");
    }
}

pub(crate) fn skipped_json(skips: &Skips) -> Outcome {
    for skipped in skips.named() {
        output::json(&serde_json::json!({
            "type": "skipped",
            "path": text::line(&skipped.path, 4096),
            "reason": skipped.why.to_string(),
            "missed": skipped.why.is_missed(),
        }))?;
    }
    Ok(())
}
