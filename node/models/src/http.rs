//! What all servers have in common: one client, its time limits, refusals, retries, and an answer that comes as
//! server-sent events.

pub(crate) mod client;
pub(crate) mod fault;
mod retry;
mod sse;

use std::{sync::OnceLock, time::Duration};

use bytes::Bytes;
use clankers_protocol::conversation::ModelEvent;
use reqwest::{Client, Response, Url, header::HeaderName};
use serde_json::Value;
use tokio::time::timeout;

pub(crate) use self::{
    fault::{Again, Fault},
    retry::Retry,
};
use crate::{
    error::{ModelError, ModelErrorKind},
    limits::{ERROR_BODY_BYTES, RESPONSE_BYTES},
    secret::Secret,
    settings::Timing,
    sink::Sink,
};

/// What a provider is called, and how it wants its key.
#[derive(Debug)]
pub(crate) struct Names {
    pub(crate) provider: &'static str,
    /// What its protocol calls an answer, for the error about something else.
    pub(crate) answer: &'static str,
    /// The variable with its key; empty: it has none.
    pub(crate) key_var: &'static str,
    /// The variable with its address.
    pub(crate) base_var: &'static str,
    pub(crate) base_example: &'static str,
    pub(crate) key_header: HeaderName,
    /// What stands before the key in its header.
    pub(crate) key_prefix: &'static str,
    /// Sent with every request.
    pub(crate) headers: &'static [(&'static str, &'static str)],
}

/// Why a piece of an answer cannot be taken.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Bad {
    /// Not JSON.
    Garbage,
    /// Above a limit; which.
    TooLarge(&'static str),
    /// The server says that it failed: its error object.
    Server(Value),
}

/// An answer that is put together from JSON. Pure: data in, events out.
pub(crate) trait Answer {
    /// Takes the data of one event, or a whole answer that came without streaming.
    fn take(&mut self, data: &str, out: &mut Vec<ModelEvent>) -> Result<(), Bad>;
    /// Whether anything looked like an answer at all.
    fn has_begun(&self) -> bool;
    /// Whether the model said why it stopped: only usage can follow.
    fn has_stopped(&self) -> bool;
    /// Whether nothing more can follow.
    fn is_done(&self) -> bool;
    /// What is said at the end: the tool calls and the stop reason. Only after it has stopped.
    fn finish(self, out: &mut Vec<ModelEvent>);
}

/// One server: one client, one pool of connections, shared by all its models.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) names: &'static Names,
    pub(crate) base: Url,
    pub(crate) timing: Timing,
    key: Option<Secret>,
    /// Made when first used: a program that never calls this provider does not pay for it.
    client: OnceLock<Client>,
}

impl Endpoint {
    pub(crate) fn new(
        names: &'static Names,
        base: &str,
        key: Option<Secret>,
        timing: Timing,
    ) -> Result<Self, ModelError> {
        let base = client::base(names, base)?;
        Ok(Self { names, base, timing, key, client: OnceLock::new() })
    }

    /// Host and port, to be named in listings and errors.
    pub(crate) fn place(&self) -> String {
        client::place(&self.base)
    }

    pub(crate) fn has_key(&self) -> bool {
        self.key.is_some()
    }

    fn client(&self) -> Result<&Client, ModelError> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        // Two first calls at once may both make one; one of them is kept.
        let client = client::build(self.names, &self.base, self.key.as_ref(), &self.timing)?;
        Ok(self.client.get_or_init(|| client))
    }

    /// Asks once and forwards what is answered.
    pub(crate) async fn ask<A: Answer>(
        &self,
        path: &str,
        body: Bytes,
        answer: A,
        sink: &mut Sink,
    ) -> Result<(), Fault> {
        let url = client::below(&self.base, path);
        let send = self.client()?.post(url).header("accept", "text/event-stream").body(body).send();
        let response = self.first_byte(sink, send).await?;
        if !response.status().is_success() {
            return Err(self.refusal(response, sink).await?);
        }
        let kind = response.headers().get("content-type").and_then(|value| value.to_str().ok()).unwrap_or("");
        if kind.starts_with("application/json") {
            self.whole(response, answer, sink).await
        } else {
            self.events(response, answer, sink).await
        }
    }

    /// Gets JSON of at most `most` bytes.
    pub(crate) async fn get(&self, path: &str, most: usize, sink: &Sink) -> Result<Value, Fault> {
        let send = self.client()?.get(client::below(&self.base, path)).send();
        let mut response = self.first_byte(sink, send).await?;
        if !response.status().is_success() {
            return Err(self.refusal(response, sink).await?);
        }
        let body = self.body(&mut response, most, sink).await?;
        serde_json::from_slice(&body).map_err(|_| self.bad(Bad::Garbage))
    }

    async fn first_byte(
        &self,
        sink: &Sink,
        send: impl Future<Output = reqwest::Result<Response>>,
    ) -> Result<Response, Fault> {
        let limit = self.timing.first_byte;
        match sink.unless_cancelled(timeout(limit, send)).await? {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(fault::transport(self.names, error, &self.place())),
            Err(_) => Err(self.silent(limit, "did not begin to answer")),
        }
    }

    fn silent(&self, limit: Duration, what: &str) -> Fault {
        let message = format!("{} {what} within {limit:?}: try again, or use another model", self.place());
        Fault::new(self.names, ModelErrorKind::Timeout, message)
    }

    /// The next piece of a response; `None` at its end.
    async fn piece(
        &self,
        response: &mut Response,
        sink: &Sink,
        stopped: bool,
    ) -> Result<Option<Bytes>, Fault> {
        let limit = if stopped { self.timing.after_stop } else { self.timing.idle };
        match sink.unless_cancelled(timeout(limit, response.chunk())).await? {
            Ok(Ok(piece)) => Ok(piece),
            Ok(Err(error)) => Err(fault::transport(self.names, error, &self.place())),
            Err(_) => Err(self.silent(limit, "fell silent and sent nothing")),
        }
    }

    async fn refusal(&self, mut response: Response, sink: &Sink) -> Result<Fault, Fault> {
        let mut body = Vec::new();
        while body.len() < ERROR_BODY_BYTES {
            match self.piece(&mut response, sink, true).await {
                Ok(Some(piece)) => body.extend_from_slice(&piece),
                Ok(None) => break,
                Err(fault) if fault.error.kind == ModelErrorKind::Cancelled => return Err(fault),
                // The status alone says enough.
                Err(_) => break,
            }
        }
        body.truncate(ERROR_BODY_BYTES);
        let status = response.status().as_u16();
        Ok(fault::refused(self.names, status, response.headers(), &body, self.key.as_ref()))
    }

    async fn body(&self, response: &mut Response, most: usize, sink: &Sink) -> Result<Vec<u8>, Fault> {
        let mut body = Vec::new();
        while let Some(piece) = self.piece(response, sink, false).await? {
            body.extend_from_slice(&piece);
            self.check_size(body.len(), most)?;
        }
        Ok(body)
    }

    /// A server that ignores `stream` and answers at once.
    async fn whole<A: Answer>(
        &self,
        mut response: Response,
        mut answer: A,
        sink: &mut Sink,
    ) -> Result<(), Fault> {
        let body = self.body(&mut response, RESPONSE_BYTES, sink).await?;
        let mut out = Vec::new();
        answer.take(&String::from_utf8_lossy(&body), &mut out).map_err(|bad| self.bad(bad))?;
        if !answer.has_begun() {
            return Err(self.bad(Bad::Garbage));
        }
        answer.finish(&mut out);
        Ok(forward(sink, &mut out).await?)
    }

    async fn events<A: Answer>(
        &self,
        mut response: Response,
        mut answer: A,
        sink: &mut Sink,
    ) -> Result<(), Fault> {
        let mut sse = sse::Sse::default();
        let (mut data, mut out) = (Vec::new(), Vec::new());
        let mut received = 0;
        while !answer.is_done() {
            let piece = match self.piece(&mut response, sink, answer.has_stopped()).await {
                Ok(Some(piece)) => piece,
                Ok(None) => break,
                Err(fault) if answer.has_stopped() && fault.error.kind != ModelErrorKind::Cancelled => break,
                Err(fault) => return Err(fault),
            };
            received += piece.len();
            self.check_size(received, RESPONSE_BYTES)?;
            let pushed = sse.push(&piece, &mut data);
            let taken = data.drain(..).try_for_each(|data| answer.take(&data, &mut out));
            // What came before something bad was said, however the network has parted it.
            forward(sink, &mut out).await?;
            taken.map_err(|bad| self.bad(bad))?;
            pushed.map_err(|_| self.bad(Bad::TooLarge("an event")))?;
        }
        sse.finish(&mut data).map_err(|_| self.bad(Bad::TooLarge("an event")))?;
        for data in data {
            // A last event without its blank line counts when it is whole; half of one is just where it was cut.
            match answer.take(&data, &mut out) {
                Ok(()) | Err(Bad::Garbage) => {}
                Err(bad) => return Err(self.bad(bad)),
            }
        }
        if !answer.has_stopped() {
            return Err(self.ended_early(received, answer.has_begun()));
        }
        answer.finish(&mut out);
        Ok(forward(sink, &mut out).await?)
    }

    fn ended_early(&self, received: usize, begun: bool) -> Fault {
        if received > 0 && !begun {
            return self.bad(Bad::Garbage);
        }
        let message = format!("{} ended the stream in the middle of the answer: try again", self.place());
        Fault::new(self.names, ModelErrorKind::Cut, message)
    }

    fn check_size(&self, bytes: usize, most: usize) -> Result<(), Fault> {
        if bytes > most { Err(self.bad(Bad::TooLarge("the response"))) } else { Ok(()) }
    }

    fn bad(&self, bad: Bad) -> Fault {
        let (names, place) = (self.names, self.place());
        match bad {
            Bad::Garbage => {
                let hint = format!("is {} right? Write it like {}", names.base_var, names.base_example);
                let message = format!("{place} sent what is no {}: {hint}", names.answer);
                Fault::new(names, ModelErrorKind::Garbage, message)
            }
            Bad::TooLarge(what) => {
                let message = format!("{place} sent more than is accepted: {what} is too large");
                Fault::new(names, ModelErrorKind::TooLarge, message)
            }
            Bad::Server(error) => fault::inside_stream(names, &error, self.key.as_ref()),
        }
    }
}

async fn forward(sink: &mut Sink, out: &mut Vec<ModelEvent>) -> Result<(), ModelError> {
    for event in out.drain(..) {
        sink.send(event).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
