//! A prompt, and the stream of what comes of it.

use clankers_mesh::{FrameReader, FrameWriter};
use clankers_protocol::{
    event::{Durable, Event, StreamItem},
    request::prompt::{Accepted, Prompt},
};

use crate::{
    client::{Client, expect},
    error::ClientError,
    limits::UNKNOWN_EVENTS,
};

/// An accepted prompt. Dropping it leaves the prompt running, unless the prompt asked otherwise.
#[derive(Debug)]
pub struct PromptStream {
    client: Client,
    writer: FrameWriter,
    reader: FrameReader,
    accepted: Accepted,
    settled: bool,
    unknown: u32,
}

impl Client {
    /// Sends a prompt and waits until the node has written it down.
    ///
    /// # Errors
    /// [`ClientError::Refused`] when the node does not take it; else what broke on the way. The prompt may
    /// have been accepted all the same: sending it again with the same id never runs it twice.
    pub async fn prompt(&self, prompt: &Prompt) -> Result<PromptStream, ClientError> {
        let (writer, mut reader) = self.send(prompt).await?;
        let (kind, body) = self.next(&mut reader).await?.ok_or(ClientError::NoAnswer)?;
        let accepted = expect(kind, &body)?;
        Ok(PromptStream { client: self.clone(), writer, reader, accepted, settled: false, unknown: 0 })
    }
}

impl PromptStream {
    /// What the node said when it took the prompt.
    #[must_use]
    pub fn accepted(&self) -> &Accepted {
        &self.accepted
    }

    /// The next item; `None` after the one that settles the prompt. Event kinds of a newer version are
    /// skipped. Cancel-safe.
    ///
    /// # Errors
    /// What broke before the prompt was settled.
    pub async fn next(&mut self) -> Result<Option<StreamItem>, ClientError> {
        while !self.settled {
            let (kind, body) = self.client.next(&mut self.reader).await?.ok_or(ClientError::NoAnswer)?;
            if kind == clankers_protocol::kind::Kind::REFUSAL {
                expect::<Accepted>(kind, &body)?;
            }
            let Some(item) = StreamItem::decode(kind, &body)? else {
                self.unknown += 1;
                if self.unknown > UNKNOWN_EVENTS {
                    return Err(ClientError::Unexpected(kind));
                }
                continue;
            };
            if let StreamItem::Durable(Durable { event: Event::Settled(_), .. }) = &item {
                self.settled = true;
                // Nothing is left to be said; whether the peer still hears it does not matter.
                let _finished = self.writer.finish();
            }
            return Ok(Some(item));
        }
        Ok(None)
    }
}
