//! What does not travel, as it is told: by its sender before it sends, or to whoever got the rest.

use clankers_client::transfer::{Skipped, is_missed};
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
    if left_out.count() > 0 {
        output::json(&serde_json::json!({
            "type": "left_out", "count": left_out.count(), "missed": left_out.missed,
        }))?;
    }
    Ok(())
}

/// What is left out of what is sent: at most some of it by name.
pub(crate) fn report_skipped(skipped: &[Skipped]) {
    for skipped in skipped.iter().take(NAMED) {
        let (path, why) =
            (text::line(&skipped.path, PATH_CHARS), text::line(&skipped.why.to_string(), PATH_CHARS));
        anstream::eprintln!("! {path} is not sent: {why}");
    }
    if skipped.len() > NAMED {
        anstream::eprintln!("! and {} more are not sent", skipped.len() - NAMED);
    }
}

pub(crate) fn skipped_json(skipped: &[Skipped]) -> Outcome {
    for skipped in skipped {
        output::json(&serde_json::json!({
            "type": "skipped",
            "path": text::line(&skipped.path, 4096),
            "reason": skipped.why.to_string(),
            "missed": is_missed(&skipped.why),
        }))?;
    }
    Ok(())
}
