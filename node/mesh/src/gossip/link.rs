//! One gossip connection: a task that writes what is queued and reads what comes, until either ends.
//!
//! The two are one task on purpose. In iroh-gossip's own shell the writer can die while the connection lives on,
//! and what is sent to that peer goes nowhere from then on (upstream #159).

use std::time::Duration;

use bytes::{Buf, Bytes};
use clankers_protocol::NodeId;
use tokio::{sync::mpsc, time::timeout};

use super::wire::VERSION;
use crate::{
    connection::{Closed, Connection},
    limits::{GOSSIP_LINGER_MS, GOSSIP_MESSAGE_BYTES, GOSSIP_OPEN_MS, GOSSIP_STALL_MS},
    stream::{RecvStream, SendStream, StreamError},
};

/// Close codes on a team's ALPN.
pub mod code {
    /// Everything was said; the connection is no longer needed.
    pub const RELEASED: u32 = 0;
    /// The peer has not shown its membership of this team to this node, or no longer is a member.
    pub const NOT_SHOWN: u32 = 1;
    /// Too many connections.
    pub const BUSY: u32 = 2;
    /// The peer takes its messages too slowly.
    pub const SLOW: u32 = 3;
    /// The peer has sent too much, or what no honest node sends.
    pub const CONDUCT: u32 = 4;
    /// The peer speaks another version, or no sense.
    pub const PROTOCOL: u32 = 5;
}

/// The number of a connection within its team's task.
pub(crate) type LinkId = u64;

/// What a connection reports to its team's task.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) link: LinkId,
    pub(crate) peer: NodeId,
    pub(crate) what: Reported,
}

#[derive(Debug)]
pub(crate) enum Reported {
    Message(Bytes),
    Ended(End),
}

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// Either side gave it up in good order.
    Released,
    /// The peer does not (or no longer) know that we are a member.
    Forgotten,
    /// The peer was too slow.
    Slow,
    /// The peer makes no sense.
    Senseless,
    /// The transport was lost, or closed for a reason that is not ours.
    Lost,
}

impl End {
    fn of(closed: &Closed) -> Self {
        match closed.code {
            Some(code::RELEASED) => Self::Released,
            Some(code::NOT_SHOWN) if closed.by_peer => Self::Forgotten,
            _ => Self::Lost,
        }
    }
}

/// What a connection is run with.
pub(crate) struct Link {
    pub(crate) id: LinkId,
    pub(crate) connection: Connection,
    /// Whether we dialed: the dialer opens the stream.
    pub(crate) dialed: bool,
    /// Messages to send; when the other half is dropped, the rest is sent and the connection given up.
    pub(crate) queue: mpsc::Receiver<Bytes>,
    pub(crate) reports: mpsc::Sender<Report>,
}

impl Link {
    /// Runs until the connection is over, and reports that.
    pub(crate) async fn run(self) {
        let Self { id, connection, dialed, queue, reports } = self;
        let peer = connection.remote();
        let report = Reporter { link: id, peer, reports };
        let end = carry(&connection, dialed, queue, &report).await;
        let (code, reason) = match end {
            End::Slow => (code::SLOW, "messages are taken too slowly"),
            End::Senseless => (code::PROTOCOL, "not a gossip message of this version"),
            End::Released | End::Forgotten | End::Lost => (code::RELEASED, ""),
        };
        connection.close(code, reason);
        // A second report of the same end changes nothing.
        report.ended(end).await;
    }
}

struct Reporter {
    link: LinkId,
    peer: NodeId,
    reports: mpsc::Sender<Report>,
}

impl Reporter {
    /// Says whether anybody still listens.
    async fn send(&self, what: Reported) -> bool {
        self.reports.send(Report { link: self.link, peer: self.peer, what }).await.is_ok()
    }

    async fn ended(&self, end: End) {
        // Without a team's task nobody needs to know.
        let _listens = self.send(Reported::Ended(end)).await;
    }
}

async fn carry(
    connection: &Connection,
    dialed: bool,
    queue: mpsc::Receiver<Bytes>,
    report: &Reporter,
) -> End {
    let Ok(opened) = timeout(Duration::from_millis(GOSSIP_OPEN_MS), open(connection, dialed)).await else {
        return End::Slow;
    };
    let (send, mut recv) = match opened {
        Ok(streams) => streams,
        Err(end) => return end,
    };
    let linger = Duration::from_millis(GOSSIP_LINGER_MS);
    let read = read_all(&mut recv, report);
    let write = write_all(send, queue);
    tokio::pin!(read, write);
    tokio::select! {
        end = &mut read => {
            if end == End::Released {
                // The peer has said everything, and still listens for a moment: what is queued is for others too.
                // The team's task stops using this connection with the report, and the queue ends.
                report.ended(end).await;
                drop(timeout(linger, &mut write).await);
            }
            end_of(connection, end)
        }
        end = &mut write => {
            if end == End::Released {
                // Everything is sent: the peer reads it, and ends its side or the connection.
                drop(timeout(linger, &mut read).await);
                return end;
            }
            end_of(connection, end)
        }
    }
}

/// A stream that fails says less than its connection, when that was closed with a code.
fn end_of(connection: &Connection, end: End) -> End {
    match (end, connection.close_reason()) {
        (End::Lost, Some(closed)) => End::of(&closed),
        (end, _) => end,
    }
}

async fn open(connection: &Connection, dialed: bool) -> Result<(SendStream, RecvStream), End> {
    let lost = |closed: Closed| End::of(&closed);
    if dialed {
        let (mut send, recv) = connection.open().await.map_err(lost)?;
        send.write_all(&[VERSION]).await.map_err(|e| stream_end(&e))?;
        return Ok((send, recv));
    }
    let (send, mut recv) = connection.accept().await.map_err(lost)?;
    let mut version = [0];
    recv.read_exact(&mut version).await.map_err(|e| stream_end(&e))?;
    if version != [VERSION] {
        return Err(End::Senseless);
    }
    Ok((send, recv))
}

fn stream_end(e: &StreamError) -> End {
    match e {
        StreamError::Lost(closed) => End::of(closed),
        // The dialer opened the stream and finished it without a message: it changed its mind.
        StreamError::Ended { .. } => End::Released,
        _ => End::Lost,
    }
}

/// Reads messages until the peer finishes its side.
async fn read_all(recv: &mut RecvStream, report: &Reporter) -> End {
    loop {
        let mut length = [0; 2];
        match recv.read_exact(&mut length).await {
            Ok(()) => {}
            Err(StreamError::Ended { got: 0, .. }) => return End::Released,
            Err(e) => return stream_end(&e),
        }
        let length = usize::from(length.as_slice().get_u16());
        if length == 0 || length > GOSSIP_MESSAGE_BYTES {
            return End::Senseless;
        }
        let mut message = vec![0; length];
        if let Err(e) = recv.read_exact(&mut message).await {
            return if matches!(e, StreamError::Ended { .. }) { End::Senseless } else { stream_end(&e) };
        }
        if !report.send(Reported::Message(message.into())).await {
            return End::Released;
        }
    }
}

/// Writes messages until there will be no more, and waits until the peer has them all.
async fn write_all(mut send: SendStream, mut queue: mpsc::Receiver<Bytes>) -> End {
    let stall = Duration::from_millis(GOSSIP_STALL_MS);
    loop {
        let message = tokio::select! {
            message = queue.recv() => message,
            // Before a finish, this is the peer that stopped reading, or the end of the connection. Without a
            // message to write nothing else would tell.
            stopped = send.stopped() => return stopped.map_or_else(|e| stream_end(&e), |_| End::Lost),
        };
        let Some(message) = message else { break };
        match timeout(stall, send.write_chunk(message)).await {
            Ok(Ok(())) => {}
            Ok(Err(e)) => return stream_end(&e),
            Err(_) => return End::Slow,
        }
    }
    if send.finish().is_ok() {
        drop(timeout(Duration::from_millis(GOSSIP_LINGER_MS), send.stopped()).await);
    }
    End::Released
}
