//! The two halves of a stream, over QUIC or in memory, with the same meaning.
//!
//! As in QUIC (RFC 9000 section 2.4): a writer finishes or resets, a reader reads to the end or stops. Dropping
//! a writer finishes it, dropping a reader stops it with code 0. Codes here are `u32`; larger ones of a peer
//! arrive as `u32::MAX`.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use iroh::endpoint::{ReadError, StoppedError, VarInt, WriteError};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::{
    company::Guest,
    connection::{Closed, code_of},
    memory,
};

/// Why a stream ended other than by its writer's finish.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StreamError {
    /// The connection is gone.
    #[error("the connection was lost: {0}")]
    Lost(#[from] Closed),
    /// The reader at the other end wants no more.
    #[error("the peer stopped reading this stream (code {0})")]
    Stopped(u32),
    /// The writer at the other end gave up.
    #[error("the peer abandoned this stream (code {0})")]
    Reset(u32),
    /// The stream ended before the bytes that were asked for.
    #[error("the stream ended after {got} of {wanted} bytes")]
    Ended {
        /// Bytes that came.
        got: usize,
        /// Bytes that were wanted.
        wanted: usize,
    },
    /// This end already finished, reset or stopped the stream.
    #[error("this stream was already closed at this end")]
    AlreadyClosed,
}

impl From<StreamError> for io::Error {
    fn from(e: StreamError) -> Self {
        let kind = match &e {
            StreamError::Lost(_) => io::ErrorKind::NotConnected,
            StreamError::Stopped(_) | StreamError::Reset(_) => io::ErrorKind::ConnectionReset,
            StreamError::Ended { .. } => io::ErrorKind::UnexpectedEof,
            StreamError::AlreadyClosed => io::ErrorKind::BrokenPipe,
        };
        Self::new(kind, e)
    }
}

impl From<WriteError> for StreamError {
    fn from(e: WriteError) -> Self {
        match e {
            WriteError::Stopped(code) => Self::Stopped(code_of(code)),
            WriteError::ConnectionLost(e) => Self::Lost(Closed::from_quic(&e)),
            WriteError::ClosedStream | WriteError::ZeroRttRejected => Self::AlreadyClosed,
        }
    }
}

impl From<ReadError> for StreamError {
    fn from(e: ReadError) -> Self {
        match e {
            ReadError::Reset(code) => Self::Reset(code_of(code)),
            ReadError::ConnectionLost(e) => Self::Lost(Closed::from_quic(&e)),
            ReadError::ClosedStream | ReadError::ZeroRttRejected => Self::AlreadyClosed,
        }
    }
}

/// The writing half of a stream.
#[derive(Debug)]
pub struct SendStream(pub(crate) SendInner, pub(crate) Option<Guest>);

#[derive(Debug)]
pub(crate) enum SendInner {
    Quic(iroh::endpoint::SendStream),
    Memory(memory::Writer),
}

impl SendStream {
    /// Writes all bytes, waiting for room. Not cancel-safe: some bytes may have gone.
    ///
    /// # Errors
    /// [`StreamError`] when the peer stopped, or the connection or the stream is closed.
    pub async fn write_all(&mut self, bytes: &[u8]) -> Result<(), StreamError> {
        match &mut self.0 {
            SendInner::Quic(s) => Ok(s.write_all(bytes).await?),
            SendInner::Memory(w) => w.write_all(bytes).await,
        }
    }

    /// Like [`SendStream::write_all`] without copying the bytes on QUIC.
    ///
    /// # Errors
    /// The same.
    pub async fn write_chunk(&mut self, chunk: Bytes) -> Result<(), StreamError> {
        match &mut self.0 {
            SendInner::Quic(s) => Ok(s.write_chunk(chunk).await?),
            SendInner::Memory(w) => w.write_all(&chunk).await,
        }
    }

    /// Ends the stream after what was written.
    ///
    /// # Errors
    /// [`StreamError::AlreadyClosed`] after a finish or reset.
    pub fn finish(&mut self) -> Result<(), StreamError> {
        match &mut self.0 {
            SendInner::Quic(s) => s.finish().map_err(|_| StreamError::AlreadyClosed),
            SendInner::Memory(w) => w.finish(),
        }
    }

    /// Gives the stream up: the peer reads [`StreamError::Reset`] with this code. Nothing happens after a finish
    /// that was acknowledged.
    pub fn reset(&mut self, code: u32) {
        match &mut self.0 {
            SendInner::Quic(s) => drop(s.reset(VarInt::from_u32(code))),
            SendInner::Memory(w) => w.reset(code),
        }
    }

    /// Orders this stream before those with a smaller number when a connection is short of room. Streams start
    /// at 0. In memory nothing is short, and nothing is ordered.
    pub fn set_priority(&self, priority: i32) {
        if let SendInner::Quic(s) = &self.0 {
            drop(s.set_priority(priority));
        }
    }

    /// This stream carries bulk, or belongs to what does: nobody waits for it, see
    /// [`Connection::is_shared`](crate::Connection::is_shared).
    pub fn stand_aside(&self) {
        if let Some(guest) = &self.1 {
            guest.stand_aside();
        }
    }

    /// Waits until the peer has stopped (its code), or has taken everything that was finished (`None`).
    ///
    /// # Errors
    /// [`StreamError::Lost`] when the connection goes first.
    pub async fn stopped(&self) -> Result<Option<u32>, StreamError> {
        match &self.0 {
            SendInner::Quic(s) => match s.stopped().await {
                Ok(code) => Ok(code.map(code_of)),
                Err(StoppedError::ConnectionLost(e)) => Err(StreamError::Lost(Closed::from_quic(&e))),
                Err(StoppedError::ZeroRttRejected) => Err(StreamError::AlreadyClosed),
            },
            SendInner::Memory(w) => w.stopped().await,
        }
    }
}

impl AsyncWrite for SendStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.0 {
            SendInner::Quic(s) => {
                Pin::new(s).poll_write(cx, buf).map_err(|e| io::Error::from(StreamError::from(e)))
            }
            SendInner::Memory(w) => w.poll_write(cx, buf).map_err(Into::into),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Both kinds send without being asked.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.finish().map_err(Into::into))
    }
}

/// The reading half of a stream.
#[derive(Debug)]
pub struct RecvStream {
    inner: RecvInner,
    /// Set by [`RecvStream::stop`]: QUIC itself would read on as if the stream had ended well.
    stopped: bool,
}

#[derive(Debug)]
pub(crate) enum RecvInner {
    Quic(iroh::endpoint::RecvStream),
    Memory(memory::Reader),
}

impl RecvStream {
    pub(crate) fn new(inner: RecvInner) -> Self {
        Self { inner, stopped: false }
    }

    fn wanted(&self) -> Result<(), StreamError> {
        if self.stopped { Err(StreamError::AlreadyClosed) } else { Ok(()) }
    }

    /// Reads what is there, waiting for at least one byte; `None` at the end. Cancel-safe.
    ///
    /// # Errors
    /// [`StreamError`] when the peer reset, or the connection or the stream is closed.
    pub async fn read(&mut self, buf: &mut [u8]) -> Result<Option<usize>, StreamError> {
        self.wanted()?;
        match &mut self.inner {
            RecvInner::Quic(s) => Ok(s.read(buf).await?),
            RecvInner::Memory(r) => r.read(buf).await,
        }
    }

    /// Reads the next piece of at most `max` bytes without copying on QUIC; `None` at the end. Cancel-safe.
    ///
    /// # Errors
    /// The same as [`RecvStream::read`].
    pub async fn read_chunk(&mut self, max: usize) -> Result<Option<Bytes>, StreamError> {
        self.wanted()?;
        match &mut self.inner {
            RecvInner::Quic(s) => Ok(s.read_chunk(max).await?),
            RecvInner::Memory(r) => r.read_chunk(max).await,
        }
    }

    /// Fills the buffer. Not cancel-safe.
    ///
    /// # Errors
    /// The same, and [`StreamError::Ended`] when the stream is shorter.
    pub async fn read_exact(&mut self, buf: &mut [u8]) -> Result<(), StreamError> {
        let wanted = buf.len();
        let mut got = 0;
        while let Some(rest) = buf.get_mut(got..).filter(|rest| !rest.is_empty()) {
            match self.read(rest).await? {
                Some(n) => got += n,
                None => return Err(StreamError::Ended { got, wanted }),
            }
        }
        Ok(())
    }

    /// Wants no more: the peer's writes fail with [`StreamError::Stopped`] and this code.
    pub fn stop(&mut self, code: u32) {
        self.stopped = true;
        match &mut self.inner {
            RecvInner::Quic(s) => drop(s.stop(VarInt::from_u32(code))),
            RecvInner::Memory(r) => r.stop(code),
        }
    }
}

impl AsyncRead for RecvStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.wanted()?;
        match &mut self.inner {
            RecvInner::Quic(s) => {
                let n = ready!(s.poll_read(cx, buf.initialize_unfilled()))
                    .map_err(|e| io::Error::from(StreamError::from(e)))?;
                buf.advance(n);
                Poll::Ready(Ok(()))
            }
            RecvInner::Memory(r) => {
                let n = ready!(r.poll_read(cx, buf.initialize_unfilled())).map_err(io::Error::from)?;
                buf.advance(n);
                Poll::Ready(Ok(()))
            }
        }
    }
}
