//! One direction of a stream in memory.

use std::{
    future::poll_fn,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use bytes::{Bytes, BytesMut};
use tokio::sync::{Notify, OwnedSemaphorePermit, mpsc};

use super::{End, Incoming};
use crate::{limits::MEMORY_PIPE_BYTES, stream::StreamError};

/// A place among the open streams, free again when both halves at both ends are gone.
#[derive(Debug, Clone)]
pub(crate) struct Slot {
    _permit: Arc<OwnedSemaphorePermit>,
}

impl Slot {
    pub(super) fn new(permit: OwnedSemaphorePermit) -> Self {
        Self { _permit: Arc::new(permit) }
    }
}

/// A stream that the peer has not been told of yet.
#[derive(Debug)]
pub(super) struct Announce(mpsc::OwnedPermit<Incoming>, Incoming);

impl Announce {
    pub(super) fn new(permit: mpsc::OwnedPermit<Incoming>, incoming: Incoming) -> Self {
        Self(permit, incoming)
    }
}

#[derive(Debug, Default)]
struct State {
    buffer: BytesMut,
    finished: bool,
    reset: Option<u32>,
    stopped: Option<u32>,
    lost: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl State {
    fn wake(&mut self) {
        for waker in [self.reader.take(), self.writer.take()].into_iter().flatten() {
            waker.wake();
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Pipe {
    state: Mutex<State>,
    /// Tells [`Writer::stopped`] of a stop, finish or loss.
    settled: Notify,
}

impl Pipe {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection has ended.
    pub(super) fn lose(&self) {
        let mut state = self.lock();
        state.lost = true;
        state.wake();
        drop(state);
        self.settled.notify_waiters();
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.lock();
        change(&mut state);
        state.wake();
        drop(state);
        self.settled.notify_waiters();
    }
}

/// The writing half.
#[derive(Debug)]
pub(crate) struct Writer {
    pipe: Arc<Pipe>,
    end: Arc<End>,
    _slot: Slot,
    announce: Option<Announce>,
}

impl Writer {
    pub(super) fn new(pipe: Arc<Pipe>, end: Arc<End>, slot: Slot, announce: Option<Announce>) -> Self {
        Self { pipe, end, _slot: slot, announce }
    }

    /// Lets the peer see the stream.
    fn announce(&mut self) {
        if let Some(Announce(permit, incoming)) = self.announce.take() {
            permit.send(incoming);
        }
    }

    fn lost(&self) -> StreamError {
        lost(&self.end)
    }

    pub(crate) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<Result<usize, StreamError>> {
        let mut state = self.pipe.lock();
        if state.finished || state.reset.is_some() {
            return Poll::Ready(Err(StreamError::AlreadyClosed));
        }
        if state.lost {
            drop(state);
            return Poll::Ready(Err(self.lost()));
        }
        if let Some(code) = state.stopped {
            return Poll::Ready(Err(StreamError::Stopped(code)));
        }
        let room = MEMORY_PIPE_BYTES.saturating_sub(state.buffer.len());
        if room == 0 && !buf.is_empty() {
            state.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let piece = buf.get(..room.min(buf.len())).unwrap_or_default();
        state.buffer.extend_from_slice(piece);
        if let Some(waker) = state.reader.take() {
            waker.wake();
        }
        drop(state);
        self.announce();
        Poll::Ready(Ok(piece.len()))
    }

    pub(crate) async fn write_all(&mut self, mut bytes: &[u8]) -> Result<(), StreamError> {
        while !bytes.is_empty() {
            let n = poll_fn(|cx| self.poll_write(cx, bytes)).await?;
            bytes = bytes.get(n..).unwrap_or_default();
        }
        Ok(())
    }

    pub(crate) fn finish(&mut self) -> Result<(), StreamError> {
        let mut fresh = false;
        self.pipe.change(|s| {
            fresh = !s.finished && s.reset.is_none();
            s.finished |= fresh;
        });
        self.announce();
        if fresh { Ok(()) } else { Err(StreamError::AlreadyClosed) }
    }

    pub(crate) fn reset(&mut self, code: u32) {
        self.pipe.change(|s| {
            // As on QUIC, what was finished and taken is beyond recall.
            if s.reset.is_none() && !(s.finished && s.buffer.is_empty()) {
                s.reset = Some(code);
                s.buffer.clear();
            }
        });
        self.announce();
    }

    pub(crate) async fn stopped(&self) -> Result<Option<u32>, StreamError> {
        loop {
            let settled = self.pipe.settled.notified();
            tokio::pin!(settled);
            settled.as_mut().enable();
            {
                let state = self.pipe.lock();
                if state.stopped.is_some() {
                    return Ok(state.stopped);
                }
                if state.finished || state.reset.is_some() {
                    return Ok(None);
                }
                if state.lost {
                    drop(state);
                    return Err(self.lost());
                }
            }
            settled.await;
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // An error says that it was finished or reset before, which is as good.
        drop(self.finish());
    }
}

/// The reading half.
#[derive(Debug)]
pub(crate) struct Reader {
    pipe: Arc<Pipe>,
    end: Arc<End>,
    _slot: Slot,
}

impl Reader {
    pub(super) fn new(pipe: Arc<Pipe>, end: Arc<End>, slot: Slot) -> Self {
        Self { pipe, end, _slot: slot }
    }

    /// Takes up to `max` bytes; empty means the end.
    fn poll_take(&mut self, cx: &mut Context<'_>, max: usize) -> Poll<Result<Bytes, StreamError>> {
        let mut state = self.pipe.lock();
        if state.stopped.is_some() {
            return Poll::Ready(Err(StreamError::AlreadyClosed));
        }
        if let Some(code) = state.reset {
            return Poll::Ready(Err(StreamError::Reset(code)));
        }
        if max == 0 {
            return Poll::Ready(Ok(Bytes::new()));
        }
        if !state.buffer.is_empty() {
            let n = max.min(state.buffer.len());
            let piece = state.buffer.split_to(n).freeze();
            if let Some(waker) = state.writer.take() {
                waker.wake();
            }
            return Poll::Ready(Ok(piece));
        }
        if state.finished {
            return Poll::Ready(Ok(Bytes::new()));
        }
        if state.lost {
            drop(state);
            return Poll::Ready(Err(lost(&self.end)));
        }
        state.reader = Some(cx.waker().clone());
        Poll::Pending
    }

    pub(crate) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<Result<usize, StreamError>> {
        self.poll_take(cx, buf.len()).map_ok(|piece| {
            if let Some(room) = buf.get_mut(..piece.len()) {
                room.copy_from_slice(&piece);
            }
            piece.len()
        })
    }

    pub(crate) async fn read(&mut self, buf: &mut [u8]) -> Result<Option<usize>, StreamError> {
        let n = poll_fn(|cx| self.poll_read(cx, buf)).await?;
        Ok((n > 0 || buf.is_empty()).then_some(n))
    }

    pub(crate) async fn read_chunk(&mut self, max: usize) -> Result<Option<Bytes>, StreamError> {
        let piece = poll_fn(|cx| self.poll_take(cx, max)).await?;
        Ok((!piece.is_empty() || max == 0).then_some(piece))
    }

    pub(crate) fn stop(&mut self, code: u32) {
        self.pipe.change(|s| {
            if s.stopped.is_none() && s.reset.is_none() && !(s.finished && s.buffer.is_empty()) {
                s.stopped = Some(code);
                s.buffer.clear();
            }
        });
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.stop(0);
    }
}

fn lost(end: &End) -> StreamError {
    // Pipes are lost only after the link has its reason.
    end.close_reason().map_or(StreamError::AlreadyClosed, StreamError::Lost)
}
