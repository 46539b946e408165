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
    calls: u32,
    usage: Usage,
    /// `None` once something of unknown cost was used.
    cost: Option<NanoUsd>,
}

impl Spend {
    pub(super) fn new(price: Option<Price>) -> Self {
        Self { price, calls: 0, usage: Usage::default(), cost: Some(NanoUsd(0)) }
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

    /// A model call ended. Without a reported usage nothing is known, unless the model is free.
    pub(super) fn answered(&mut self, usage: Option<Usage>, model: &str, out: &mut Vec<Output>) {
        let Some(usage) = usage else {
            if self.price != Some(Price::default()) {
                self.cost = None;
            }
            return;
        };
        let cost = self.price.map(|price| price.cost(usage));
        self.usage = self.usage.plus(usage);
        self.cost = self.cost.zip(cost).map(|(sum, cost)| sum.plus(cost));
        out.push(Output::Durable(Event::Usage(UsageEvent { model: model.to_owned(), usage, cost })));
    }

    pub(super) fn total(&self) -> (Usage, Option<NanoUsd>) {
        (self.usage, self.cost)
    }
}
