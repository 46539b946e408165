//! Older events of a session, page by page.

use clankers_mesh::{FrameReader, FrameWriter};
use clankers_protocol::{
    attach::FromNode,
    event::{Durable, StreamItem},
    kind::Kind,
    request::{
        attach::Gap,
        history::{History, HistoryPage},
    },
};

use crate::{
    client::{Client, expect},
    error::ClientError,
    limits::UNKNOWN_EVENTS,
};

/// One thing of the past.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Older {
    /// An event.
    Event(Durable),
    /// Events that cannot be read.
    Gap(Gap),
}

/// A page that is being read. Nothing of it is kept here.
#[derive(Debug)]
pub struct HistoryStream {
    client: Client,
    reader: FrameReader,
    _writer: FrameWriter,
    page: HistoryPage,
    unknown: u32,
}

impl Client {
    /// Asks for a page.
    ///
    /// # Errors
    /// [`ClientError::Refused`] when the node does not show it; else what broke on the way.
    pub async fn history(&self, request: &History) -> Result<HistoryStream, ClientError> {
        let (mut writer, mut reader) = self.send(request).await?;
        let _finished = writer.finish();
        let (kind, body) = self.next(&mut reader).await?.ok_or(ClientError::NoAnswer)?;
        let page = expect(kind, &body)?;
        Ok(HistoryStream { client: self.clone(), reader, _writer: writer, page, unknown: 0 })
    }
}

impl HistoryStream {
    /// What the page is.
    #[must_use]
    pub fn page(&self) -> &HistoryPage {
        &self.page
    }

    /// The next thing; `None` at the page's end. Cancel-safe.
    ///
    /// # Errors
    /// What broke before that.
    pub async fn next(&mut self) -> Result<Option<Older>, ClientError> {
        while let Some((kind, body)) = self.client.next(&mut self.reader).await? {
            if kind == Kind::REFUSAL {
                expect::<HistoryPage>(kind, &body)?;
            }
            match FromNode::decode(kind, &body)? {
                Some(FromNode::Item(StreamItem::Durable(durable))) => return Ok(Some(Older::Event(durable))),
                Some(FromNode::Gap(gap)) => return Ok(Some(Older::Gap(gap))),
                Some(_) => return Err(ClientError::Unexpected(kind)),
                None => {
                    self.unknown += 1;
                    if self.unknown > UNKNOWN_EVENTS {
                        return Err(ClientError::Unexpected(kind));
                    }
                }
            }
        }
        Ok(None)
    }
}
