//! Transfers as they are listed: what this machine's records say, and what its node knows besides.

use std::time::Duration;

use clankers_client::{
    Client,
    transfer::{Direction, Record, State, TransferError},
};
use clankers_protocol::{
    NodeId, Timestamp,
    message::Ext,
    request::transfer::{
        keeping::{self, TransferInfo, TransferList, TransferListReply, TransferState},
        moving::{self, Moving, Signed},
    },
    text,
};
use serde_json::{Value, json};

use crate::{
    commands::{
        carry::{records, shown_name},
        progress::{clock, left_of, size},
    },
    error::CliError,
    local::Machine,
    output::{ago, rfc3339},
};

/// Characters of a name in a list.
const NAME_CHARS: usize = 48;

/// One line of the list.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub(super) id: String,
    /// This machine began it, and has the record; any other the node alone knows, by the id that its peer chose.
    pub(super) own: bool,
    pub(super) direction: &'static str,
    pub(super) peer: String,
    pub(super) subject: NodeId,
    pub(super) name: String,
    pub(super) state: &'static str,
    pub(super) bytes: u64,
    pub(super) total: u64,
    /// Files in all (count), and those that are whole of one that runs.
    pub(super) files: u64,
    pub(super) files_done: u64,
    /// Bytes in a second, of one that runs.
    pub(super) rate: Option<u64>,
    pub(super) error: Option<String>,
    pub(super) at: Timestamp,
    pub(super) receipt: Option<Value>,
    /// This machine's node goes on with it by itself.
    pub(super) detached: bool,
}

/// All of them, the latest first; without a node, those that this machine began. None hides another: whoever begins a
/// transfer chooses its id, and may choose that of one that it was sent. Each answer of the node may take so long.
pub(super) async fn lines(
    machine: &Machine,
    node: Option<(&Client, Duration)>,
) -> Result<Vec<Line>, CliError> {
    let mut lines = match node {
        Some((client, limit)) => all(client, limit).await?,
        None => Vec::new(),
    };
    let kept = records(machine).list().map_err(TransferError::from)?;
    lines.extend(kept.iter().map(recorded));
    lines.sort_by(|a, b| b.at.cmp(&a.at).then_with(|| a.id.cmp(&b.id)));
    Ok(lines)
}

/// All that the node knows, page by page.
async fn all(client: &Client, limit: Duration) -> Result<Vec<Line>, CliError> {
    let mut found = Vec::new();
    loop {
        let skip = u32::try_from(found.len()).unwrap_or(u32::MAX);
        let ask = TransferList { leaf: None, skip, ext: Ext::default() };
        let page: TransferListReply = client.ask_within(&ask, limit).await?;
        let is_last = page.more == 0 || page.transfers.is_empty();
        let (moves, signed) = moving::noted(&page);
        for (place, info) in (0_u16..).zip(&page.transfers) {
            let moves = moves.iter().find(|one| one.place == place);
            found.push(known(info, moves, signed.iter().find(|one| one.place == place)));
        }
        if is_last {
            return Ok(found);
        }
    }
}

fn recorded(record: &Record) -> Line {
    let receipt = record.receipt.as_ref().map(|receipt| {
        json!({
            "files": receipt.files, "bytes": receipt.bytes, "sent_bytes": receipt.sent_bytes, "root": receipt.root,
            "name": receipt.name, "signed": receipt.signed, "signature": receipt.signature,
        })
    });
    Line {
        id: record.id.clone(),
        own: true,
        direction: match record.direction {
            Direction::Send => "send",
            Direction::Get => "get",
        },
        peer: if record.peer.len() > 64 { record.subject.short() } else { record.peer.clone() },
        subject: record.subject,
        name: shown_name(record),
        state: record.state.word(),
        bytes: record.bytes,
        total: record.total,
        files: record.files,
        files_done: record.files_done,
        rate: (record.state == State::Running).then_some(record.rate_bps),
        error: record.error.clone().filter(|_| !matches!(record.state, State::Done | State::Running)),
        at: record.updated,
        receipt,
        detached: record.detached,
    }
}

fn known(info: &TransferInfo, moves: Option<&Moving>, signed: Option<&Signed>) -> Line {
    let receipt = signed.map(|signed| {
        json!({
            "files": info.files, "bytes": info.bytes, "sent_bytes": signed.sent_bytes, "root": signed.root.to_string(),
            "name": info.name,
        })
    });
    Line {
        id: info.transfer.to_string(),
        own: false,
        direction: match info.direction {
            keeping::Direction::Send => "send",
            keeping::Direction::Receive => "receive",
        },
        peer: info.label.clone().unwrap_or_else(|| info.peer.short()),
        subject: info.peer,
        name: info.name.clone(),
        state: state_word(info.state),
        bytes: info.done_bytes,
        total: info.bytes,
        files: info.files.into(),
        files_done: moves.map_or(0, |moves| moves.files.into()),
        rate: moves.filter(|_| info.state == TransferState::Running).map(|moves| moves.rate_bps),
        error: info.error.clone(),
        at: info.at,
        receipt,
        detached: false,
    }
}

fn state_word(state: TransferState) -> &'static str {
    match state {
        TransferState::Running => "running",
        TransferState::Waiting => "waiting",
        TransferState::Interrupted => "interrupted",
        TransferState::Done => "done",
        TransferState::Failed => "failed",
        TransferState::Cancelled => "cancelled",
    }
}

impl Line {
    /// Seconds that are left, of one that moves.
    pub(super) fn left(&self) -> Option<u64> {
        left_of(self.total.saturating_sub(self.bytes), self.rate?)
    }

    pub(super) fn row(&self, now: Timestamp) -> [String; 9] {
        let done = if self.total == 0 || self.bytes == self.total {
            size(self.bytes)
        } else {
            format!("{} of {}", size(self.bytes), size(self.total))
        };
        [
            text::head(&self.id, 10).to_owned(),
            self.direction.to_owned(),
            self.peer.clone(),
            text::line(&self.name, NAME_CHARS),
            self.state.to_owned(),
            done,
            self.rate.map(|rate| format!("{}/s", size(rate))).unwrap_or_default(),
            self.left().map(clock).unwrap_or_default(),
            ago(self.at, now),
        ]
    }

    pub(super) fn as_json(&self) -> Value {
        json!({
            "id": self.id, "direction": self.direction, "peer": self.peer, "name": self.name, "state": self.state,
            "bytes": self.bytes, "total": self.total, "files": self.files, "rate_bps": self.rate,
            "eta_s": self.left(), "error": self.error, "at": rfc3339(self.at), "receipt": self.receipt,
        })
    }
}
