//! Data streams: frames of blocks, each followed by its bytes.

use std::{
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::{Buf, Bytes};
use clankers_mesh::{RecvStream, SendStream, StreamError};
use clankers_protocol::{
    Message, frame,
    kind::Kind,
    limits::{FRAME_BYTES, TRANSFER_BLOCK_BYTES},
    message::MessageError,
    request::transfer::FileBlock,
};
use tokio::sync::{Mutex, mpsc};

use super::{
    limit::Limit,
    pace::Pace,
    pool::{Buffer, Pool},
};
use crate::limits::{BLOCK_HEAD_BYTES, LANE_AHEAD_BYTES, LAST_FRAMES};

/// Bytes for some lane, whichever has room first.
#[derive(Debug)]
pub(crate) struct Load {
    /// Frames and bytes of whole blocks.
    pub(crate) chunks: Vec<Bytes>,
    /// Bytes of content in them (count).
    pub(crate) bytes: u32,
}

/// Blocks that came on a lane, with their bytes in one buffer.
#[derive(Debug)]
pub(crate) struct Came {
    pub(crate) buffer: Arc<Buffer>,
    pub(crate) blocks: Vec<(FileBlock, Range<usize>)>,
}

/// Why a lane is of no more use.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LaneError {
    #[error("a data stream broke: {0}")]
    Stream(#[from] StreamError),
    #[error("a data stream carried something else than blocks: {0}")]
    Malformed(#[from] MessageError),
    #[error("a data stream carried a frame of kind {0}")]
    Kind(Kind),
    #[error("a block of {0} bytes was announced")]
    Size(u64),
    #[error("a data stream ended inside a block")]
    Cut,
}

impl LaneError {
    /// How long the peer may take to say more about it (time): a peer that ends a stream says why on another. What carries
    /// nonsense needs no word.
    pub(crate) fn patience(&self) -> Duration {
        match self {
            Self::Stream(_) | Self::Cut => LAST_FRAMES,
            Self::Malformed(_) | Self::Kind(_) | Self::Size(_) => Duration::ZERO,
        }
    }
}

/// A block's frame, which its bytes follow.
pub(crate) fn head(block: &FileBlock) -> Option<Bytes> {
    frame::encode(Kind::FILE_BLOCK, &block.encode(), FRAME_BYTES).ok()
}

/// What all writing lanes of a transfer take from.
pub(crate) type Loads = Arc<Mutex<mpsc::Receiver<Load>>>;

/// Writes loads to a lane until there are no more, and says of each how many bytes are in the stream.
pub(crate) async fn write(
    stream: &mut SendStream,
    loads: &Loads,
    written: &mpsc::Sender<u32>,
    (pace, limit): (&Pace, Option<&Limit>),
) -> Result<(), LaneError> {
    loop {
        let mut turn = loads.lock().await;
        let Some(load) = turn.recv().await else { break };
        // Where the pace is what holds them up, one block leaves after the other, and not a part of each.
        let _turn = (limit.is_some() || pace.is_shared()).then_some(turn);
        for mut chunk in load.chunks {
            while !chunk.is_empty() {
                let mut part = match limit {
                    Some(limit) => limit.turn(&mut chunk).await,
                    None => std::mem::take(&mut chunk),
                };
                while !part.is_empty() {
                    let piece = pace.turn(&mut part).await;
                    stream.write_chunk(piece).await?;
                }
            }
        }
        if written.send(load.bytes).await.is_err() {
            break;
        }
    }
    // Whether it was closed by the reader meanwhile does not matter.
    let _finished = stream.finish();
    Ok(())
}

/// Reads blocks from a lane until it ends, and hands them on, as many at a time as are there already.
pub(crate) async fn read(
    (rest, stream): (Bytes, RecvStream),
    pool: &Pool,
    came: &mpsc::Sender<Came>,
    arrived: &AtomicU64,
) -> Result<(), LaneError> {
    let mut ahead = Ahead::new(rest, stream);
    loop {
        while ahead.head()?.is_none() {
            if !ahead.more().await? {
                return if ahead.is_empty() { Ok(()) } else { Err(LaneError::Cut) };
            }
        }
        let Some(buffer) = pool.get().await else { return Ok(()) };
        let batch = batch(&mut ahead, buffer, arrived).await?;
        if came.send(batch).await.is_err() {
            ahead.stream.stop(0);
            return Ok(());
        }
    }
}

/// As many blocks as have begun to arrive and have room.
async fn batch(ahead: &mut Ahead, mut buffer: Buffer, arrived: &AtomicU64) -> Result<Came, LaneError> {
    let mut blocks = Vec::new();
    let bytes = buffer.bytes_mut();
    bytes.resize(TRANSFER_BLOCK_BYTES, 0);
    let mut filled = 0;
    while let Some((block, head)) = ahead.head()? {
        let end = filled + block.len as usize;
        let Some(room) = bytes.get_mut(filled..end) else { break };
        // What is whole does not wait for what is still to come.
        if filled > 0 && ahead.held().len() < head + room.len() {
            break;
        }
        ahead.skip(head);
        ahead.fill(room, arrived).await?;
        blocks.push((block, filled..end));
        filled = end;
    }
    Ok(Came { buffer: Arc::new(buffer), blocks })
}

/// A stream read ahead.
struct Ahead {
    stream: RecvStream,
    buffer: Vec<u8>,
    from: usize,
    to: usize,
}

impl Ahead {
    fn new(rest: Bytes, stream: RecvStream) -> Self {
        let to = rest.len();
        let mut buffer = Vec::from(rest);
        buffer.resize(to.max(LANE_AHEAD_BYTES), 0);
        Self { stream, buffer, from: 0, to }
    }

    fn is_empty(&self) -> bool {
        self.from == self.to
    }

    fn held(&self) -> &[u8] {
        self.buffer.get(self.from..self.to).unwrap_or_default()
    }

    fn skip(&mut self, bytes: usize) {
        self.from = self.to.min(self.from + bytes);
    }

    /// Reads at least one byte more; false at the stream's end.
    async fn more(&mut self) -> Result<bool, LaneError> {
        self.buffer.copy_within(self.from..self.to, 0);
        self.to -= self.from;
        self.from = 0;
        let Some(room) = self.buffer.get_mut(self.to..).filter(|room| !room.is_empty()) else {
            // A head is far smaller than the buffer.
            return Err(LaneError::Cut);
        };
        match self.stream.read(room).await? {
            Some(read) => {
                self.to += read;
                Ok(true)
            }
            None => Ok(false),
        }
    }

    /// The next block's frame and its size, if it is there whole.
    fn head(&self) -> Result<Option<(FileBlock, usize)>, LaneError> {
        let Some((mut fixed, rest)) =
            self.held().split_first_chunk::<{ frame::HEADER_BYTES }>().map(|(f, r)| (&f[..], r))
        else {
            return Ok(None);
        };
        let kind = Kind(fixed.get_u16_le());
        if kind != Kind::FILE_BLOCK {
            return Err(LaneError::Kind(kind));
        }
        let claimed = fixed.get_u32_le();
        let size = usize::try_from(claimed).unwrap_or(usize::MAX);
        if size > BLOCK_HEAD_BYTES {
            return Err(LaneError::Size(u64::from(claimed)));
        }
        let Some(body) = rest.get(..size) else { return Ok(None) };
        let block = FileBlock::decode(body)?;
        if block.len == 0 || block.len as usize > TRANSFER_BLOCK_BYTES {
            return Err(LaneError::Size(u64::from(block.len)));
        }
        Ok(Some((block, frame::HEADER_BYTES + size)))
    }

    /// Fills `into` with the next bytes, and counts them as they come.
    async fn fill(&mut self, into: &mut [u8], arrived: &AtomicU64) -> Result<(), LaneError> {
        let held = self.held();
        let have = held.len().min(into.len());
        let (now, mut later) = into.split_at_mut(have);
        now.copy_from_slice(held.get(..have).unwrap_or_default());
        self.skip(have);
        let count = |bytes: usize| arrived.fetch_add(u64::try_from(bytes).unwrap_or(0), Ordering::Relaxed);
        count(have);
        while !later.is_empty() {
            let read = self.stream.read(later).await?.ok_or(LaneError::Cut)?;
            count(read);
            later = later.get_mut(read..).unwrap_or_default();
        }
        Ok(())
    }
}
