//! What a turn has used, and whether it may use more.

use clankers_protocol::{
    NanoUsd,
    conversation::{Price, Usage},
    event::{Event, UsageEvent},
};

use super::{Output, TurnLimits};

#[derive(Debug)]
pub(super) struct Spend {
    price: Option<Price>,
    /// Above so many tokens of prompt.
    long_price: Option<(u64, Price)>,
    calls: u32,
    usage: Usage,
    /// `None` once something of unknown cost was used.
    cost: Option<NanoUsd>,
}

impl Spend {
    pub(super) fn new(price: Option<Price>, long_price: Option<(u64, Price)>) -> Self {
        Self { price, long_price, calls: 0, usage: Usage::default(), cost: Some(NanoUsd(0)) }
    }

    /// Whether one more model call is allowed; otherwise why not, and what to do.
    pub(super) fn may_ask(&self, limits: &TurnLimits, model: &str) -> Result<(), String> {
        if self.calls >= limits.max_model_calls {
            let max = limits.max_model_calls;
            return Err(format!(
                "the limit of {max} model calls is reached: prompt again to go on, or raise it"
            ));
        }
        let Some(max) = limits.max_cost else { return Ok(()) };
        if self.price.is_none() {
            return Err(format!(
                "the price of {model} is not known, so a limit on cost cannot be kept: drop the limit"
            ));
        }
        match self.cost {
            None => Err(format!(
                "{model} did not say how many tokens it used, so the limit on cost cannot be kept: drop the limit"
            )),
            Some(cost) if cost >= max => Err(format!(
                "the cost limit of {max} is reached ({cost}): prompt again to go on, or raise it"
            )),
            Some(_) => Ok(()),
        }
    }

    pub(super) fn asked(&mut self) {
        self.calls = self.calls.saturating_add(1);
    }

    /// The provider did not take the request: it was no call.
    pub(super) fn was_refused(&mut self) {
        self.calls = self.calls.saturating_sub(1);
    }

    /// A model call ended. Without a reported usage nothing is known, unless the model is free.
    pub(super) fn answered(&mut self, usage: Option<Usage>, model: &str, out: &mut Vec<Output>) {
        let Some(usage) = usage else {
            if self.price != Some(Price::default()) {
                self.cost = None;
            }
            return;
        };
        let prompt = usage.input.saturating_add(usage.cache_read).saturating_add(usage.cache_write);
        let price = match self.long_price {
            Some((above, price)) if prompt > above => Some(price),
            _ => self.price,
        };
        let cost = price.map(|price| price.cost(usage));
        self.usage = self.usage.plus(usage);
        self.cost = self.cost.zip(cost).map(|(sum, cost)| sum.plus(cost));
        out.push(Output::Durable(Event::Usage(UsageEvent { model: model.to_owned(), usage, cost })));
    }

    pub(super) fn total(&self) -> (Usage, Option<NanoUsd>) {
        (self.usage, self.cost)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_prompt_costs_what_long_prompts_cost() {
        let price = |input| Price { input, ..Price::default() };
        let mut spend = Spend::new(Some(price(1)), Some((100, price(2))));
        let mut out = Vec::new();
        for (input, cache_read) in [(100, 0), (60, 41)] {
            spend.answered(Some(Usage { input, cache_read, ..Usage::default() }), "m", &mut out);
        }
        // All of a long one, not only what is above.
        assert_eq!(spend.total().1, Some(NanoUsd(100 + 120)));
    }
}
