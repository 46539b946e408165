//! What models cost: a small embedded catalogue. A price that is not here is unknown, never zero.

use clankers_protocol::conversation::Price;

/// One row: dollars a million tokens, times 1000, are nano-dollars a token.
struct Row {
    name: &'static str,
    input: u64,
    cache_read: u64,
    output: u64,
}

const fn row(name: &'static str, input: u64, cache_read: u64, output: u64) -> Row {
    Row { name, input, cache_read, output }
}

/// Nano-dollars a token: input, input read from the cache, output. Writing to the cache costs what input costs.
///
/// Source: OpenAI's public price list, standard tier, short context, as published up to June 2026
/// (<https://openai.com/api/pricing/>). Prices change: what a provider bills is what counts.
const OPENAI: &[Row] = &[
    row("gpt-5.5", 5_000, 500, 30_000),
    row("gpt-5.4", 2_500, 250, 15_000),
    row("gpt-5.4-mini", 750, 75, 4_500),
    row("gpt-5.4-nano", 200, 20, 1_250),
    row("gpt-5.1", 1_250, 125, 10_000),
    row("gpt-5", 1_250, 125, 10_000),
    row("gpt-5-mini", 250, 25, 2_000),
    row("gpt-5-nano", 50, 5, 400),
    row("gpt-4.1", 2_000, 500, 8_000),
    row("gpt-4.1-mini", 400, 100, 1_600),
    row("gpt-4.1-nano", 100, 25, 400),
    row("gpt-4o-2024-05-13", 5_000, 5_000, 15_000),
    row("gpt-4o", 2_500, 1_250, 10_000),
    row("gpt-4o-mini", 150, 75, 600),
    row("o3", 2_000, 500, 8_000),
    row("o4-mini", 1_100, 275, 4_400),
];

/// The price of a model at OpenAI itself, by its own name; a dated snapshot (`gpt-4o-2024-08-06`) costs what its
/// family costs, unless it is listed by itself.
#[must_use]
pub(crate) fn openai(name: &str) -> Option<Price> {
    let find = |name: &str| OPENAI.iter().find(|row| row.name == name);
    let row = find(name).or_else(|| find(without_date(name)?))?;
    Some(Price { input: row.input, output: row.output, cache_read: row.cache_read, cache_write: row.input })
}

/// `gpt-4o-2024-08-06` is `gpt-4o`.
fn without_date(name: &str) -> Option<&str> {
    let (family, date) = name.split_at_checked(name.len().checked_sub("-2024-08-06".len())?)?;
    let is_date = date.bytes().enumerate().all(|(at, byte)| match at {
        0 | 5 | 8 => byte == b'-',
        _ => byte.is_ascii_digit(),
    });
    is_date.then_some(family)
}

#[cfg(test)]
mod tests {
    use clankers_protocol::{NanoUsd, conversation::Usage};

    use super::*;

    #[test]
    fn a_known_model_costs_what_the_list_says() {
        let usage = Usage { input: 1_000_000, output: 1_000_000, cache_read: 1_000_000, cache_write: 0 };
        let price = openai("gpt-4o").unwrap();
        assert_eq!(price.cost(usage), "13.75".parse::<NanoUsd>().unwrap());
        assert_eq!(openai("gpt-4o-2024-08-06"), Some(price));
        assert_ne!(openai("gpt-4o-2024-05-13"), Some(price));
        let huge = Usage { input: u64::MAX, output: u64::MAX, ..Usage::default() };
        assert_eq!(price.cost(huge), NanoUsd(u64::MAX));
    }

    #[test]
    fn an_unknown_model_has_no_price() {
        for name in ["", "gpt-4o-", "gpt-4o-2024-08-0x", "gpt-99", "-2024-08-06", "é-2024-08-06", "ééééééé"]
        {
            assert_eq!(openai(name), None, "{name}");
        }
    }

    #[test]
    fn the_table_is_sane() {
        for row in OPENAI {
            assert!(row.cache_read <= row.input && row.input < row.output, "{}", row.name);
            assert_eq!(OPENAI.iter().filter(|other| other.name == row.name).count(), 1, "{}", row.name);
        }
    }
}
