//! Times as people say them: "tomorrow 14:05 (in 24h)". Programs get RFC 3339 (`output::rfc3339`).

use clankers_protocol::Timestamp;
use jiff::{Unit, civil::Weekday, tz::TimeZone};

/// A time in this machine's zone.
pub(crate) fn when(at: Timestamp) -> String {
    words(at, clankers_node::clock::now(), &TimeZone::system())
}

/// A time in a record, to the second, in this machine's zone.
pub(crate) fn stamp(at: Timestamp) -> String {
    let there = zoned(at, &TimeZone::system()).and_then(|there| there.round(Unit::Second).ok());
    there.map_or_else(|| crate::output::rfc3339(at), |there| there.strftime("%Y-%m-%d %H:%M:%S").to_string())
}

/// The time of day when it is near, and how far away it is. Pure.
fn words(at: Timestamp, now: Timestamp, zone: &TimeZone) -> String {
    let (Some(there), Some(here)) = (zoned(at, zone), zoned(now, zone)) else {
        return crate::output::rfc3339(at);
    };
    let days = here.date().until((Unit::Day, there.date())).map_or(i32::MAX, |span| span.get_days());
    let clock = there.strftime("%H:%M");
    let day = match days {
        0 => format!("today {clock}"),
        1 => format!("tomorrow {clock}"),
        -1 => format!("yesterday {clock}"),
        2..=6 => format!("{} {clock}", weekday(there.weekday())),
        _ => there.strftime("%Y-%m-%d %H:%M").to_string(),
    };
    format!("{day} ({})", away(at, now))
}

fn zoned(at: Timestamp, zone: &TimeZone) -> Option<jiff::Zoned> {
    let millis = i64::try_from(at.0).ok()?;
    Some(jiff::Timestamp::from_millisecond(millis).ok()?.to_zoned(zone.clone()))
}

fn weekday(day: Weekday) -> &'static str {
    match day {
        Weekday::Monday => "Monday",
        Weekday::Tuesday => "Tuesday",
        Weekday::Wednesday => "Wednesday",
        Weekday::Thursday => "Thursday",
        Weekday::Friday => "Friday",
        Weekday::Saturday => "Saturday",
        Weekday::Sunday => "Sunday",
    }
}

/// How far away, in whole hours where it is some, else in the largest unit of which there are two: "in 1h", "3m ago".
fn away(at: Timestamp, now: Timestamp) -> String {
    let secs = at.0.abs_diff(now.0).saturating_add(500) / 1000;
    let rounded = |unit: u64| (secs + unit / 2) / unit;
    let far = match secs {
        0..120 => format!("{secs}s"),
        120..7_200 if rounded(60) == 60 => "1h".to_owned(),
        120..7_200 => format!("{}m", rounded(60)),
        7_200..172_800 => format!("{}h", rounded(3_600)),
        _ => format!("{}d", rounded(86_400)),
    };
    if at >= now { format!("in {far}") } else { format!("{far} ago") }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Saturday 2026-11-21, 14:05:10 UTC.
    const NOW: Timestamp = Timestamp(1_795_269_910_000);
    const HOUR: u64 = 3_600_000;

    fn later(ms: u64) -> String {
        words(Timestamp(NOW.0 + ms), NOW, &TimeZone::UTC)
    }

    #[test]
    fn near_times_have_names() {
        assert_eq!(later(30_000), "today 14:05 (in 30s)");
        assert_eq!(later(24 * HOUR - 700), "tomorrow 14:05 (in 24h)");
        assert_eq!(later(2 * 24 * HOUR), "Monday 14:05 (in 2d)");
        assert_eq!(later(6 * 24 * HOUR), "Friday 14:05 (in 6d)");
        assert_eq!(later(7 * 24 * HOUR), "2026-11-28 14:05 (in 7d)");
        assert_eq!(later(HOUR - 400), "today 15:05 (in 1h)");
        assert_eq!(later(90 * 60_000), "today 15:35 (in 90m)");
        let ago = words(Timestamp(NOW.0 - 20 * HOUR), NOW, &TimeZone::UTC);
        assert_eq!(ago, "yesterday 18:05 (20h ago)");
    }

    #[test]
    fn the_day_is_that_of_the_zone() {
        let zone = TimeZone::fixed(jiff::tz::offset(11));
        assert_eq!(words(NOW, NOW, &zone), "today 01:05 (in 0s)");
        assert_eq!(words(Timestamp(NOW.0 - 2 * HOUR), NOW, &zone), "yesterday 23:05 (2h ago)");
    }

    #[test]
    fn any_number_is_some_time() {
        assert_eq!(words(Timestamp(u64::MAX), NOW, &TimeZone::UTC), "9999-12-31T23:59:59Z");
        assert!(words(Timestamp(0), NOW, &TimeZone::UTC).starts_with("1970-01-01 00:00"));
    }
}
