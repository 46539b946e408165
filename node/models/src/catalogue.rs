//! What models cost and how much they read and write: `data/models.toml`, embedded, with its sources and dates.
//!
//! A price that is not there is unknown, never zero.

use std::sync::OnceLock;

use clankers_protocol::conversation::Price;
use serde::Deserialize;

const DATA: &str = include_str!("../data/models.toml");

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Catalogue {
    #[serde(rename = "provider")]
    providers: Vec<Provider>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Provider {
    name: String,
    source: String,
    as_of: String,
    #[serde(rename = "model")]
    models: Vec<Entry>,
}

/// One model.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Entry {
    pub(crate) name: String,
    input: u64,
    output: u64,
    cache_read: u64,
    cache_write: Option<u64>,
    /// Tokens that it reads and writes together.
    pub(crate) context: Option<u64>,
    /// Tokens that it can write in one answer.
    pub(crate) max_output: Option<u64>,
    /// Whether it takes `thinking: adaptive` (Anthropic).
    #[serde(default)]
    pub(crate) adaptive: bool,
    /// Whether it takes tools at chat completions (OpenAI).
    #[serde(default)]
    pub(crate) chat_tools: ChatTools,
    long: Option<Long>,
}

/// Whether a model takes tools at chat completions.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ChatTools {
    #[default]
    Always,
    /// Only with `reasoning_effort: none`.
    WithoutReasoning,
    Never,
}

/// Prices of a request with a long prompt.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Long {
    above: u64,
    input: u64,
    output: u64,
    cache_read: u64,
    cache_write: Option<u64>,
}

impl Entry {
    /// From how many tokens of prompt on another price holds, and which.
    pub(crate) fn long_price(&self) -> Option<(u64, Price)> {
        let above = self.long.as_ref()?.above;
        Some((above, self.price(above.saturating_add(1))))
    }

    /// The price of a request whose prompt has so many tokens, those from the cache included.
    pub(crate) fn price(&self, prompt_tokens: u64) -> Price {
        let price = |input, output, cache_read, cache_write: Option<u64>| Price {
            input,
            output,
            cache_read,
            cache_write: cache_write.unwrap_or(input),
        };
        match &self.long {
            Some(long) if prompt_tokens > long.above => {
                price(long.input, long.output, long.cache_read, long.cache_write)
            }
            _ => price(self.input, self.output, self.cache_read, self.cache_write),
        }
    }
}

fn catalogue() -> &'static Catalogue {
    static READ: OnceLock<Catalogue> = OnceLock::new();
    READ.get_or_init(|| {
        // A test holds that it can be read; without it no price is known, which is the safe side.
        toml::from_str(DATA).unwrap_or_default()
    })
}

/// A provider's model by its own name.
pub(crate) fn find(provider: &str, name: &str) -> Option<&'static Entry> {
    let models = &catalogue().providers.iter().find(|listed| listed.name == provider)?.models;
    let by_name = |name: &str| models.iter().find(|entry| entry.name == name);
    by_name(name).or_else(|| by_name(without_date(name)?))
}

/// A model by its name alone, for servers that offer several vendors' models: `gpt-5.4`, `openai/gpt-5.4`.
pub(crate) fn find_anywhere(name: &str) -> Option<&'static Entry> {
    if let Some((provider, bare)) = name.split_once('/') {
        return find(provider, bare);
    }
    catalogue().providers.iter().find_map(|provider| find(&provider.name, name))
}

/// Where a provider's prices come from, for a listing.
pub(crate) fn source(provider: &str) -> Option<String> {
    let provider = catalogue().providers.iter().find(|listed| listed.name == provider)?;
    Some(format!("{}, {}", provider.source, provider.as_of))
}

/// `gpt-4o-2024-08-06` is `gpt-4o`, `claude-haiku-4-5-20251001` is `claude-haiku-4-5`.
fn without_date(name: &str) -> Option<&str> {
    let cut = |date: &str| {
        let (family, end) = name.split_at_checked(name.len().checked_sub(date.len())?)?;
        let is_date = end.bytes().zip(date.bytes()).all(|(byte, like)| match like {
            b'0' => byte.is_ascii_digit(),
            other => byte == other,
        });
        is_date.then_some(family)
    };
    cut("-0000-00-00").or_else(|| cut("-00000000"))
}

#[cfg(test)]
mod tests {
    use clankers_protocol::{NanoUsd, conversation::Usage};

    use super::*;

    #[test]
    fn a_known_model_costs_what_the_list_says() {
        let usage = Usage { input: 1_000_000, output: 1_000_000, cache_read: 1_000_000, cache_write: 0 };
        let price = find("openai", "gpt-4o").unwrap().price(0);
        assert_eq!(price.cost(usage), "13.75".parse::<NanoUsd>().unwrap());
        assert_eq!(find("openai", "gpt-4o-2024-08-06").unwrap().price(0), price);
        assert_ne!(find("openai", "gpt-4o-2024-05-13").unwrap().price(0), price);
        let huge = Usage { input: u64::MAX, output: u64::MAX, ..Usage::default() };
        assert_eq!(price.cost(huge), NanoUsd(u64::MAX));
        let haiku = find("anthropic", "claude-haiku-4-5-20251001").unwrap().price(0);
        assert_eq!(haiku, Price { input: 1_000, output: 5_000, cache_read: 100, cache_write: 1_250 });
        assert_eq!(find_anywhere("anthropic/claude-haiku-4-5").unwrap().price(0), haiku);
        assert_eq!(find_anywhere("claude-haiku-4-5").unwrap().price(0), haiku);
    }

    #[test]
    fn a_long_prompt_costs_more_and_all_of_it() {
        let haiku = find("anthropic", "claude-haiku-5-5").unwrap();
        assert_eq!(haiku.price(100_000).input, 100);
        assert_eq!(
            haiku.price(100_001),
            Price { input: 500, output: 2_500, cache_read: 50, cache_write: 625 }
        );
    }

    #[test]
    fn an_unknown_model_has_no_price() {
        for name in ["", "gpt-4o-", "gpt-4o-2024-08-0x", "gpt-99", "-2024-08-06", "é-2024-08-06", "ééééééé"]
        {
            assert_eq!(find("openai", name), None, "{name}");
        }
        assert_eq!(find("anthropic", "gpt-4o"), None);
        assert_eq!(find_anywhere("meta/llama"), None);
    }

    #[test]
    fn the_table_is_sane() {
        let all: Catalogue = toml::from_str(DATA).unwrap();
        assert_eq!(all.providers.len(), 2);
        for provider in &all.providers {
            assert!(provider.source.len() > 20 && provider.as_of.len() == 10 && provider.models.len() > 10);
            for row in &provider.models {
                let name = &row.name;
                assert_eq!(provider.models.iter().filter(|other| other.name == *name).count(), 1, "{name}");
                for price in [row.price(0), row.price(u64::MAX)] {
                    assert!(price.cache_read <= price.input && price.input < price.output, "{name}");
                    assert!(price.cache_write >= price.input && price.cache_write < price.output, "{name}");
                    assert!(price.cache_read > 0 && price.output <= 100_000, "{name}: not nano-dollars?");
                }
                let (context, output) = (row.context.unwrap_or(u64::MAX), row.max_output.unwrap_or(1));
                assert!(output < context && context >= 100_000, "{name}");
            }
        }
    }
}
