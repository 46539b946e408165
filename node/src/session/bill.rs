//! What one call of a model is charged: reserved by estimate, paid by what the provider said.

use std::pin::Pin;

use clankers_auth::Asks;
use clankers_models::Model;
use clankers_protocol::{
    NanoUsd,
    conversation::{ModelEvent, ModelRequest, Usage},
};

use crate::{
    authority::charge::{Charge, Spent},
    limits::{BYTES_PER_TOKEN_LEAST, CUT_TOKENS, UNKNOWN_COST},
};

/// Settling a charge.
pub(super) type Payment = Pin<Box<dyn Future<Output = ()> + Send>>;

/// How a call ended, as far as money goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// The model said all.
    Whole,
    /// It was cut off by this node.
    Cut,
    /// It failed.
    Failed,
}

/// What was heard of one call.
#[derive(Debug)]
pub(super) struct Bill {
    charge: Option<Charge>,
    model: Model,
    usage: Option<Usage>,
    heard: bool,
    /// What it wrote that came here (bytes).
    bytes: u64,
    /// It said its last word: nothing follows, whatever becomes of the call.
    stopped: bool,
}

/// What a call may take: the estimate's tokens, and their price. A price that is not known is more than any budget.
pub(super) fn asks(model: &Model, request: &ModelRequest) -> Asks {
    let estimate = model.estimate(request);
    let spend_nano_usd =
        model.price_at(estimate.input).map_or(UNKNOWN_COST.0, |price| price.cost(estimate).0);
    Asks { spend_nano_usd, tokens: tokens(estimate), ..Asks::default() }
}

fn tokens(usage: Usage) -> u64 {
    [usage.input, usage.output, usage.cache_read, usage.cache_write].into_iter().fold(0, u64::saturating_add)
}

impl Bill {
    pub(super) fn new(charge: Option<Charge>, model: Model) -> Self {
        Self { charge, model, usage: None, heard: false, bytes: 0, stopped: false }
    }

    pub(super) fn hear(&mut self, event: &ModelEvent) {
        self.heard = true;
        let text = match event {
            ModelEvent::Usage(usage) => {
                self.usage = Some(*usage);
                0
            }
            ModelEvent::Text(text) | ModelEvent::Thinking(text) => text.len(),
            ModelEvent::ToolCall(call) => call.name.len() + call.arguments.len(),
            ModelEvent::Stop(_) => {
                self.stopped = true;
                0
            }
            ModelEvent::ThinkingSignature(_) => 0,
        };
        self.bytes = self.bytes.saturating_add(text as u64);
    }

    /// How it is paid; `None` when nothing was reserved, or when all of it stays charged.
    pub(super) fn payment(mut self, ending: Ending) -> Option<Payment> {
        let charge = self.charge.take()?;
        let spent = self.spent(ending)?;
        Some(Box::pin(charge.settle(spent)))
    }

    /// What it took; `None` when nobody can tell: a call that was heard and never said what it took.
    fn spent(&self, ending: Ending) -> Option<Spent> {
        match (self.usage, self.heard, ending) {
            (Some(mut usage), ..) => {
                if ending != Ending::Whole && !self.stopped {
                    // What a provider says before its end leaves out what it wrote since: whoever cuts it off late
                    // pays for what was heard all the same.
                    let heard = (self.bytes / BYTES_PER_TOKEN_LEAST).saturating_add(CUT_TOKENS);
                    usage.output = usage.output.max(heard);
                }
                let prompt = usage.input.saturating_add(usage.cache_read).saturating_add(usage.cache_write);
                let price = self.model.price_at(prompt);
                let money = price.map_or(NanoUsd(0), |price| price.cost(usage));
                Some(Spent { money, tokens: tokens(usage) })
            }
            // The provider refused it, or was never reached.
            (None, false, Ending::Failed) => Some(Spent::default()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is charged after this was heard (tokens), with 10 of the prompt said before.
    fn spent(heard: &[ModelEvent], ending: Ending) -> Option<u64> {
        let model = Model::scripted(clankers_models::scripted::Script::default());
        let mut bill = Bill::new(None, model);
        heard.iter().for_each(|event| bill.hear(event));
        bill.spent(ending).map(|spent| spent.tokens)
    }

    fn said(output: u64) -> ModelEvent {
        ModelEvent::Usage(Usage { input: 10, output, ..Usage::default() })
    }

    #[test]
    fn a_call_that_is_cut_off_late_is_charged_for_all_that_was_heard() {
        let text = ModelEvent::Text("words ".repeat(10_000));
        for ending in [Ending::Cut, Ending::Failed] {
            // Providers say what a call takes at its beginning and at its end.
            let charged = spent(&[said(1), text.clone(), text.clone()], ending).unwrap();
            assert_eq!(charged, 10 + 120_000 / BYTES_PER_TOKEN_LEAST + CUT_TOKENS, "{ending:?}");
            assert_eq!(spent(&[said(1), text.clone(), said(99_999)], ending), Some(10 + 99_999));
            // Heard, and nobody knows what it took: all that was reserved stays charged.
            assert_eq!(spent(std::slice::from_ref(&text), ending), None);
        }
        assert_eq!(spent(&[said(1), text, said(7)], Ending::Whole), Some(17));
        assert_eq!(spent(&[], Ending::Cut), None);
        assert_eq!(spent(&[], Ending::Failed), Some(0));
    }
}
