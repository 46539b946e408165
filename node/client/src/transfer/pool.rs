//! Buffers of one block each, used again and again.
//!
//! They are also the bound on what a transfer holds in memory: whoever wants a buffer waits until one is free, and what a
//! stream has not sent yet still has its own.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use clankers_protocol::limits::TRANSFER_BLOCK_BYTES;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes of a buffer: a block, and the frames' heads of a block's worth of small files.
const BUFFER_BYTES: usize = TRANSFER_BLOCK_BYTES + HEADS_BYTES;
const HEADS_BYTES: usize = 64 * 1024;

/// So many buffers.
#[derive(Debug, Clone)]
pub(crate) struct Pool {
    free: Arc<Mutex<Vec<Vec<u8>>>>,
    places: Arc<Semaphore>,
}

/// A buffer, given back when it is dropped.
pub(crate) struct Buffer {
    bytes: Vec<u8>,
    free: Arc<Mutex<Vec<Vec<u8>>>>,
    _place: OwnedSemaphorePermit,
}

impl Pool {
    /// At most `count` buffers at a time; each is made when it is first wanted.
    pub(crate) fn new(count: usize) -> Self {
        Self { free: Arc::default(), places: Arc::new(Semaphore::new(count)) }
    }

    /// So many more.
    pub(crate) fn grow(&self, count: usize) {
        self.places.add_permits(count);
    }

    /// A buffer, as soon as one is free. Cancel-safe.
    pub(crate) async fn get(&self) -> Option<Buffer> {
        let place = Arc::clone(&self.places).acquire_owned().await.ok()?;
        Some(self.with(place))
    }

    /// A buffer, if one is free now.
    #[cfg(test)]
    fn try_get(&self) -> Option<Buffer> {
        let place = Arc::clone(&self.places).try_acquire_owned().ok()?;
        Some(self.with(place))
    }

    fn with(&self, place: OwnedSemaphorePermit) -> Buffer {
        let used = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let bytes = used.unwrap_or_else(|| Vec::with_capacity(BUFFER_BYTES));
        Buffer { bytes, free: Arc::clone(&self.free), _place: place }
    }
}

impl Buffer {
    /// Its bytes: what an earlier user left, to be cleared or written over.
    pub(crate) fn bytes_mut(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buffer").field("bytes", &self.bytes.len()).finish_non_exhaustive()
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        self.free.lock().unwrap_or_else(PoisonError::into_inner).push(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_buffer_comes_back_when_its_last_user_is_done() {
        let pool = Pool::new(2);
        let mut one = pool.get().await.unwrap();
        one.bytes_mut().extend_from_slice(&[1; 100]);
        let two = pool.get().await.unwrap();
        assert!(pool.try_get().is_none());
        let shared = bytes::Bytes::from_owner(one);
        let half = shared.slice(50..);
        drop(shared);
        assert!(pool.try_get().is_none(), "a piece of it is still to be sent");
        drop(half);
        let again = pool.try_get().unwrap();
        assert_eq!(again.as_ref(), &[1; 100], "the same memory");
        drop((two, again));
        assert_eq!(pool.free.lock().unwrap().len(), 2);
    }
}
