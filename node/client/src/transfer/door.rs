//! Where the data streams of a transfer begin and end, whoever opened them.

use std::sync::{Arc, OnceLock, atomic::AtomicU64};

use clankers_mesh::{Connection, FrameReader, FrameWriter};
use clankers_protocol::{
    limits::TRANSFER_LANES, message::Ext, request::transfer::FileData, transfer::TransferId,
};
use tokio::{
    sync::{Semaphore, mpsc},
    task::JoinSet,
};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    lane::{self, Came, LaneError, Loads},
    limit::Limit,
    pace::Pace,
    pool::Pool,
};
use crate::limits::LANE_PRIORITY;

/// Serves the data streams of one running transfer. Clones are the same door.
#[derive(Debug, Clone)]
pub struct Door {
    way: Way,
    /// The transfer is over.
    over: CancellationToken,
    /// Why a stream is of no more use.
    broke: mpsc::Sender<LaneError>,
    /// Only so many streams at a time.
    places: Arc<Semaphore>,
    /// One pace for all of them.
    pace: Arc<OnceLock<Arc<Pace>>>,
    /// And one limit, where somebody wished for it.
    limit: Option<Arc<Limit>>,
}

#[derive(Debug, Clone)]
enum Way {
    /// Blocks go out.
    Out { loads: Loads, written: mpsc::Sender<u32> },
    /// Blocks come in.
    In { pool: Pool, came: mpsc::Sender<Came>, arrived: Arc<AtomicU64> },
}

impl Door {
    /// A door for a sender's blocks, which closes when the guard is dropped.
    pub(crate) fn out(
        loads: Loads,
        written: mpsc::Sender<u32>,
        broke: mpsc::Sender<LaneError>,
    ) -> (Self, DropGuard) {
        Self::new(Way::Out { loads, written }, broke)
    }

    /// The same for a receiver's; `arrived` counts their bytes as they come.
    pub(crate) fn into(
        pool: Pool,
        (came, arrived): (mpsc::Sender<Came>, Arc<AtomicU64>),
        broke: mpsc::Sender<LaneError>,
    ) -> (Self, DropGuard) {
        Self::new(Way::In { pool, came, arrived }, broke)
    }

    fn new(way: Way, broke: mpsc::Sender<LaneError>) -> (Self, DropGuard) {
        let over = CancellationToken::new();
        let places = Arc::new(Semaphore::new(usize::from(TRANSFER_LANES)));
        let pace = Arc::default();
        (Self { way, over: over.clone(), broke, places, pace, limit: None }, over.drop_guard())
    }

    /// No more bytes in a second than this; of clones that are made afterwards.
    pub(crate) fn limited(self, rate: Option<u64>) -> Self {
        Self { limit: rate.map(|rate| Arc::new(Limit::new(rate))), ..self }
    }

    /// Serves one data stream, its first frame being read or written already, until it or the transfer ends.
    pub async fn serve(
        &self,
        connection: &Connection,
        first: &FileData,
        reader: FrameReader,
        writer: &mut FrameWriter,
    ) {
        let Ok(_place) = self.places.try_acquire() else { return };
        let served = tokio::select! {
            served = self.run(connection, first.lane, reader, writer) => served,
            () = self.over.cancelled() => Ok(()),
        };
        if let Err(error) = served {
            // The first reason is the one that counts.
            let _told = self.broke.try_send(error);
        }
    }

    async fn run(
        &self,
        connection: &Connection,
        lane: u8,
        reader: FrameReader,
        writer: &mut FrameWriter,
    ) -> Result<(), LaneError> {
        // One behind the other: what a link carries at a time is one block and not a part of each, so that blocks get whole
        // soon and little is lost with a connection. A lane whose window is full lets the next one go.
        writer.stream().set_priority(LANE_PRIORITY - i32::from(lane.min(TRANSFER_LANES)));
        writer.stream().stand_aside();
        match &self.way {
            Way::Out { loads, written } => {
                let pace = self.pace.get_or_init(|| Arc::new(Pace::new(connection.clone())));
                lane::write(writer.stream(), loads, written, (pace, self.limit.as_deref())).await
            }
            Way::In { pool, came, arrived } => {
                let _finished = writer.finish();
                let (rest, stream) = reader.into_raw();
                lane::read((rest, stream), pool, came, arrived).await
            }
        }
    }

    /// Opens data streams of a transfer on a connection that was dialed here, and serves them.
    pub(crate) fn open(
        &self,
        connection: &Connection,
        transfer: TransferId,
        lanes: u8,
        tasks: &mut JoinSet<()>,
    ) {
        for lane in 0..lanes {
            let (door, connection) = (self.clone(), connection.clone());
            tasks.spawn(async move {
                let Ok((send, recv)) = connection.open().await else { return };
                let mut writer = FrameWriter::new(send);
                let first = FileData { transfer, lane, ext: Ext::default() };
                if writer.send(&first).await.is_ok() {
                    door.serve(&connection, &first, FrameReader::new(recv), &mut writer).await;
                }
            });
        }
    }
}
