//! Older events of a session, page by page.
//!
//! ```text
//! HISTORY -> HISTORY_PAGE, durable events (GAP where one cannot be read), end of the stream
//! ```

use serde::{Deserialize, Serialize};

use crate::{
    CidDigest, SessionId,
    kind::Kind,
    limits,
    message::{Ext, Message, MessageError, within},
};

/// Show me what came before. Needs `/clankers/session/attach/observe`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// The chain's leaf.
    pub leaf: Option<CidDigest>,
    /// An id, a unique prefix, or `last`, which is what none means.
    pub session: Option<String>,
    /// Only events with a smaller seq than this; none means up to the head.
    pub before: Option<u64>,
    /// The last so many of them (count), at most [`limits::HISTORY_EVENTS`].
    pub count: u32,
    /// What later versions add.
    pub ext: Ext,
}

/// What follows: every durable event from `from` to `to`, each once and in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryPage {
    /// The session.
    pub session: SessionId,
    /// The log's epoch.
    pub epoch: u64,
    /// Seq of the first durable event that there is.
    pub oldest_seq: u64,
    /// Seq of the last one at this moment.
    pub head_seq: u64,
    /// Seq of the first event of the page.
    pub from: u64,
    /// Seq of its last; below `from` when there is none.
    pub to: u64,
    /// What later versions add.
    pub ext: Ext,
}

impl Message for History {
    const KIND: Kind = Kind::HISTORY;

    fn check(&self) -> Result<(), MessageError> {
        within("session", self.session.as_ref().map_or(0, String::len), limits::SELECTOR_BYTES)?;
        within("events", usize::try_from(self.count).unwrap_or(usize::MAX), limits::HISTORY_EVENTS)?;
        self.ext.check()
    }
}

super::plain_messages! {
    HistoryPage = HISTORY_PAGE;
}
