//! A connection to one peer, over QUIC or in memory.

use std::{
    fmt,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use clankers_protocol::{NodeId, limits::CONNECTION_STREAMS, text};
use iroh::{
    TransportAddr,
    endpoint::{ConnectionError, VarInt},
};

use crate::{
    company::Company,
    limits::{CONNECTION_UNI_STREAMS, CONNECTION_WINDOW_BYTES, REASON_BYTES, REASON_CHARS},
    memory,
    source::SourcePermit,
    stream::{RecvInner, RecvStream, SendInner, SendStream},
};

/// How a connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closed {
    /// The code that an application gave: ours, or the peer's. None when nobody said goodbye: a time-out, a
    /// restart of the peer, a broken transport.
    pub code: Option<u32>,
    /// The reason as given, cleaned and cut for display; or what happened, when there is no code.
    pub reason: String,
    /// Says whether the peer ended it.
    pub by_peer: bool,
}

impl Closed {
    pub(crate) fn from_quic(e: &ConnectionError) -> Self {
        let lost =
            |by_peer, reason: &str| Self { code: None, reason: text::line(reason, REASON_CHARS), by_peer };
        match e {
            ConnectionError::ApplicationClosed(close) => Self {
                code: Some(code_of(close.error_code)),
                reason: text::line(&String::from_utf8_lossy(&close.reason), REASON_CHARS),
                by_peer: true,
            },
            ConnectionError::ConnectionClosed(close) => lost(true, &close.to_string()),
            ConnectionError::LocallyClosed => lost(false, "closed here"),
            ConnectionError::TimedOut => lost(false, "the peer stopped answering"),
            ConnectionError::Reset => lost(true, "the peer has restarted"),
            ConnectionError::VersionMismatch => lost(true, "the peer speaks no QUIC version that we speak"),
            ConnectionError::TransportError(e) => lost(false, &e.to_string()),
            ConnectionError::CidsExhausted => lost(false, "no connection ids are left"),
        }
    }
}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.code, self.by_peer) {
            (Some(code), true) => write!(f, "closed by the peer with code {code}")?,
            (Some(code), false) => write!(f, "closed here with code {code}")?,
            (None, _) => return f.write_str(&self.reason),
        }
        if self.reason.is_empty() { Ok(()) } else { write!(f, ": {}", self.reason) }
    }
}

impl std::error::Error for Closed {}

/// A peer's code, which may be up to 62 bits long, as one of ours.
pub(crate) fn code_of(code: VarInt) -> u32 {
    u32::try_from(code.into_inner()).unwrap_or(u32::MAX)
}

/// The way that packets take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Path {
    /// From address to address.
    Direct(SocketAddr),
    /// Through a relay.
    Relay,
    /// In memory, within this process.
    Local,
    /// None that is known: the connection was made this moment, or has ended.
    Unknown,
}

impl Path {
    /// To where QUIC sends.
    fn to(addr: Option<&TransportAddr>) -> Self {
        match addr {
            Some(TransportAddr::Ip(addr)) => Self::Direct(*addr),
            Some(_) => Self::Relay,
            None => Self::Unknown,
        }
    }

    /// The word for it in `--json` output: `direct`, `relay`, `local` or `unknown`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Direct(_) => "direct",
            Self::Relay => "relay",
            Self::Local => "local",
            Self::Unknown => "unknown",
        }
    }
}

/// A connection to one peer whose id is proven (by TLS over QUIC; by construction in memory).
///
/// Clones are handles to the same connection. When the last handle and the last stream are gone, it closes with
/// code 0.
#[derive(Debug, Clone)]
pub struct Connection(Inner);

#[derive(Debug, Clone)]
enum Inner {
    Quic(Arc<Quic>),
    Memory(Arc<memory::End>),
}

#[derive(Debug)]
struct Quic {
    conn: iroh::endpoint::Connection,
    /// What was said in [`Connection::close`], which QUIC itself does not remember.
    said: Mutex<Option<(u32, String)>>,
    /// Counts the connection as unauthenticated until it is admitted.
    permit: Mutex<Option<SourcePermit>>,
    /// Streams that somebody waits for.
    company: Arc<Company>,
}

impl Connection {
    pub(crate) fn quic(conn: iroh::endpoint::Connection, permit: Option<SourcePermit>) -> Self {
        let (said, permit) = (Mutex::new(None), Mutex::new(permit));
        Self(Inner::Quic(Arc::new(Quic { conn, said, permit, company: Company::new() })))
    }

    /// Two ends of a connection within this process: the first is held by `a` and has `b` as its remote.
    #[must_use]
    pub fn memory_pair(a: NodeId, b: NodeId) -> (Self, Self) {
        let (end_a, end_b) = memory::pair(a, b);
        (Self(Inner::Memory(end_a)), Self(Inner::Memory(end_b)))
    }

    /// The peer's id.
    #[must_use]
    pub fn remote(&self) -> NodeId {
        match &self.0 {
            Inner::Quic(q) => NodeId(*q.conn.remote_id().as_bytes()),
            Inner::Memory(m) => m.remote(),
        }
    }

    /// The protocol that was agreed on; empty in memory.
    #[must_use]
    pub fn alpn(&self) -> &[u8] {
        match &self.0 {
            Inner::Quic(q) => q.conn.alpn(),
            Inner::Memory(_) => &[],
        }
    }

    /// Opens a stream, waiting while the peer's limit of open streams is reached. The peer sees it when the
    /// first byte is written (or it is finished).
    ///
    /// # Errors
    /// [`Closed`] when the connection has ended.
    pub async fn open(&self) -> Result<(SendStream, RecvStream), Closed> {
        match &self.0 {
            Inner::Quic(q) => {
                let (send, recv) = q.conn.open_bi().await.map_err(|e| q.closed(&e))?;
                Ok((q.writer(send), RecvStream::new(RecvInner::Quic(recv))))
            }
            Inner::Memory(m) => m.open().await.map(wrap),
        }
    }

    /// The next stream that the peer opened. Cancel-safe.
    ///
    /// # Errors
    /// [`Closed`] when the connection has ended.
    pub async fn accept(&self) -> Result<(SendStream, RecvStream), Closed> {
        match &self.0 {
            Inner::Quic(q) => {
                let (send, recv) = q.conn.accept_bi().await.map_err(|e| q.closed(&e))?;
                Ok((q.writer(send), RecvStream::new(RecvInner::Quic(recv))))
            }
            Inner::Memory(m) => m.accept().await.map(wrap),
        }
    }

    /// Opens a one-way stream to the peer.
    ///
    /// # Errors
    /// [`Closed`] when the connection has ended.
    pub async fn open_uni(&self) -> Result<SendStream, Closed> {
        match &self.0 {
            Inner::Quic(q) => Ok(q.writer(q.conn.open_uni().await.map_err(|e| q.closed(&e))?)),
            Inner::Memory(m) => Ok(SendStream(SendInner::Memory(m.open_uni().await?), None)),
        }
    }

    /// The next one-way stream that the peer opened. Cancel-safe.
    ///
    /// # Errors
    /// [`Closed`] when the connection has ended.
    pub async fn accept_uni(&self) -> Result<RecvStream, Closed> {
        match &self.0 {
            Inner::Quic(q) => {
                Ok(RecvStream::new(RecvInner::Quic(q.conn.accept_uni().await.map_err(|e| q.closed(&e))?)))
            }
            Inner::Memory(m) => Ok(RecvStream::new(RecvInner::Memory(m.accept_uni().await?))),
        }
    }

    /// Lifts the `UNAUTHENTICATED_*` limits of an accepted connection: call it once the peer has shown a valid
    /// chain. More calls change nothing.
    pub fn admit(&self) {
        if let Inner::Quic(q) = &self.0
            && q.permit.lock().unwrap_or_else(PoisonError::into_inner).take().is_some()
        {
            q.conn.set_receive_window(VarInt::from_u32(CONNECTION_WINDOW_BYTES));
            q.conn.set_max_concurrent_bi_streams(VarInt::from_u32(CONNECTION_STREAMS));
            q.conn.set_max_concurrent_uni_streams(VarInt::from_u32(CONNECTION_UNI_STREAMS));
        }
    }

    /// Counts an accepted connection as unauthenticated no more, while its limits stay: gossip needs no room.
    pub(crate) fn settle(&self) {
        if let Inner::Quic(q) = &self.0 {
            drop(q.permit.lock().unwrap_or_else(PoisonError::into_inner).take());
        }
    }

    /// Ends the connection at once; what is still under way may be lost. The first close counts. The reason is
    /// cut to [`REASON_BYTES`].
    pub fn close(&self, code: u32, reason: &str) {
        let reason = text::head(reason, REASON_BYTES);
        match &self.0 {
            Inner::Quic(q) => {
                q.said
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .get_or_insert_with(|| (code, text::line(reason, REASON_CHARS)));
                q.conn.close(VarInt::from_u32(code), reason.as_bytes());
            }
            Inner::Memory(m) => m.close(code, reason),
        }
    }

    /// Waits for the end of the connection and says how it came.
    pub async fn closed(&self) -> Closed {
        match &self.0 {
            Inner::Quic(q) => q.closed(&q.conn.closed().await),
            Inner::Memory(m) => m.closed().await,
        }
    }

    /// How the connection ended, if it has.
    #[must_use]
    pub fn close_reason(&self) -> Option<Closed> {
        match &self.0 {
            Inner::Quic(q) => q.conn.close_reason().map(|e| q.closed(&e)),
            Inner::Memory(m) => m.close_reason(),
        }
    }

    /// The way that packets take now. A loopback address is [`Path::Direct`].
    #[must_use]
    pub fn path(&self) -> Path {
        match &self.0 {
            Inner::Quic(q) => q.path(),
            Inner::Memory(_) => Path::Local,
        }
    }

    /// The peer's address, when the path is direct.
    #[must_use]
    pub fn remote_addr(&self) -> Option<SocketAddr> {
        match self.path() {
            Path::Direct(addr) => Some(addr),
            Path::Relay | Path::Local | Path::Unknown => None,
        }
    }

    /// The round-trip time of the present path as QUIC estimates it; zero in memory, and while there is no path.
    #[must_use]
    pub fn rtt(&self) -> Duration {
        match &self.0 {
            Inner::Quic(q) => {
                let paths = q.conn.paths();
                let best = paths.iter().find(|p| p.is_selected()).or_else(|| paths.iter().next());
                best.map(|p| p.rtt()).unwrap_or_default()
            }
            Inner::Memory(_) => Duration::ZERO,
        }
    }

    /// Whether somebody waits for answers on this connection: it has a stream that did not stand aside, or had one within
    /// this time. Never in memory, where nothing is short.
    #[must_use]
    pub fn is_shared(&self, within: Duration) -> bool {
        match &self.0 {
            Inner::Quic(q) => q.company.is_there(within),
            Inner::Memory(_) => false,
        }
    }

    /// A number that is the same for clones of one connection, and for nothing else alive in this process.
    #[must_use]
    pub fn serial(&self) -> usize {
        match &self.0 {
            Inner::Quic(q) => Arc::as_ptr(q) as usize,
            Inner::Memory(m) => Arc::as_ptr(m) as usize,
        }
    }
}

impl Quic {
    fn writer(&self, send: iroh::endpoint::SendStream) -> SendStream {
        SendStream(SendInner::Quic(send), Some(self.company.enter()))
    }

    fn closed(&self, e: &ConnectionError) -> Closed {
        if matches!(e, ConnectionError::LocallyClosed)
            && let Some((code, reason)) = self.said.lock().unwrap_or_else(PoisonError::into_inner).clone()
        {
            return Closed { code: Some(code), reason, by_peer: false };
        }
        Closed::from_quic(e)
    }

    fn path(&self) -> Path {
        let paths = self.conn.paths();
        // Until a path is selected, a direct one is the one in use if there is any.
        let best = paths
            .iter()
            .find(|p| p.is_selected())
            .or_else(|| paths.iter().find(|p| p.is_ip()))
            .or_else(|| paths.iter().next());
        Path::to(best.as_ref().map(|p| p.remote_addr()))
    }
}

fn wrap((send, recv): (memory::Writer, memory::Reader)) -> (SendStream, RecvStream) {
    (SendStream(SendInner::Memory(send), None), RecvStream::new(RecvInner::Memory(recv)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_without_a_path_is_not_relayed() {
        assert_eq!(Path::to(None), Path::Unknown);
        let addr = SocketAddr::from(([10, 0, 0, 1], 7));
        assert_eq!(Path::to(Some(&TransportAddr::Ip(addr))), Path::Direct(addr));
        let relay = TransportAddr::Relay("https://relay.example".parse().unwrap());
        assert_eq!(Path::to(Some(&relay)), Path::Relay);
    }
}
