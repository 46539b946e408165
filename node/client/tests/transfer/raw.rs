//! One side that speaks the frames by itself, and as it likes, with the shell of the other side.

use std::{sync::atomic::AtomicBool, time::Duration};

use clankers_client::transfer::{Looked, Progress, Received, Selection, Sent, TransferError};
use clankers_files::Source;
use clankers_mesh::{Connection, FrameReader, FrameWriter};
use clankers_protocol::{
    Message, frame,
    limits::FRAME_BYTES,
    message::Ext,
    request::transfer::{
        Entry, EntryKind, FileAccept, FileBlock, FileCommit, FileData, FileManifest, FileOffer, FileProgress,
    },
    transfer::SourceIdentity,
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::pair::{Pair, ids};

/// Entries in a page (count): names of a few bytes.
const PAGE: usize = 500;
/// How often a side says that it is there (time).
const BEAT: Duration = Duration::from_secs(1);

/// The end of a stream.
pub(crate) struct Talk {
    pub(crate) reader: FrameReader,
    pub(crate) writer: FrameWriter,
}

impl Talk {
    fn new((send, recv): (clankers_mesh::SendStream, clankers_mesh::RecvStream)) -> Self {
        let (mut writer, mut reader) = (FrameWriter::new(send), FrameReader::new(recv));
        writer.set_limit(FRAME_BYTES);
        reader.set_limit(FRAME_BYTES);
        Self { reader, writer }
    }

    /// Reads until a message of this kind comes; `None` when the stream ends before.
    pub(crate) async fn until<M: Message>(&mut self) -> Option<M> {
        while let Ok(Some(frame)) = self.reader.next().await {
            if frame.kind == M::KIND {
                return Some(M::decode(&frame.body).unwrap());
            }
        }
        None
    }

    /// Says that it is there, again and again, and nothing else; until the other side has had enough.
    pub(crate) async fn beat(&mut self, progress: FileProgress) {
        let mut beats = tokio::time::interval(BEAT);
        loop {
            tokio::select! {
                _ = beats.tick() => {
                    if self.writer.send(&progress).await.is_err() {
                        return;
                    }
                }
                next = self.reader.next() => {
                    if !matches!(next, Ok(Some(_))) {
                        return;
                    }
                }
            }
        }
    }

    pub(crate) async fn commit(&mut self) {
        let _cut = self.writer.send(&FileCommit { ext: Ext::default() }).await;
    }
}

/// What a side says of itself when it is so far.
pub(crate) fn progress(bytes: u64) -> FileProgress {
    FileProgress { bytes, durable: bytes, received: bytes, files: 0, ext: Ext::default() }
}

/// A sender that offers these entries.
pub(crate) struct RawSender {
    pub(crate) control: Talk,
    pub(crate) connection: Connection,
    offer: FileOffer,
    pages: Vec<Vec<Entry>>,
}

/// What the pair has to send.
fn listed(pair: &Pair) -> (SourceIdentity, Vec<Entry>) {
    let source = Source::walk(&pair.source, &Selection::default(), &AtomicBool::new(false)).unwrap();
    let looked = Looked::of(source).unwrap();
    (looked.source().identity(), looked.manifest().pages().flatten().collect())
}

impl RawSender {
    async fn new(
        pair: &Pair,
        connection: Connection,
        (source, entries): (SourceIdentity, Vec<Entry>),
    ) -> Self {
        let dirs = entries.iter().filter(|entry| entry.kind == EntryKind::Dir).count();
        let offer = FileOffer {
            leaf: None,
            transfer: pair.transfer,
            name: entries[0].name.clone(),
            source,
            bytes: entries.iter().map(|entry| entry.size).sum(),
            files: (entries.len() - dirs) as u32,
            dirs: dirs as u32,
            to: None,
            on_conflict: pair.on_conflict,
            lanes: 1,
            entries: Vec::new(),
            ext: Ext::default(),
        };
        let control = Talk::new(connection.open().await.unwrap());
        let pages = entries.chunks(PAGE).map(<[Entry]>::to_vec).collect();
        Self { control, connection, offer, pages }
    }

    /// Offers it, and waits until it is taken.
    pub(crate) async fn offer(&mut self) {
        let mut pages = std::mem::take(&mut self.pages).into_iter();
        let offer = FileOffer { entries: pages.next().unwrap(), ..self.offer.clone() };
        self.control.writer.send(&offer).await.unwrap();
        for entries in pages {
            let page = FileManifest { entries, ext: Ext::default() };
            self.control.writer.send(&page).await.unwrap();
        }
        self.control.until::<FileAccept>().await.unwrap();
    }

    /// A data stream.
    pub(crate) async fn lane(&self) -> Talk {
        let mut lane = Talk::new(self.connection.open().await.unwrap());
        let first = FileData { transfer: self.offer.transfer, lane: 0, ext: Ext::default() };
        lane.writer.send(&first).await.unwrap();
        lane
    }
}

/// A block's frame and its bytes.
pub(crate) fn block(head: &FileBlock, bytes: &[u8]) -> Vec<u8> {
    let mut out = frame::encode(FileBlock::KIND, &head.encode(), FRAME_BYTES).unwrap().to_vec();
    out.extend_from_slice(bytes);
    out
}

/// The receiver's shell, with this sender of what the pair has to send.
pub(crate) async fn receive_from<F: Future<Output = ()>>(
    pair: &Pair,
    script: impl FnOnce(RawSender) -> F,
) -> Result<Received, TransferError> {
    receive_these(pair, listed(pair), script).await
}

/// The same with any entries.
pub(crate) async fn receive_these<F: Future<Output = ()>>(
    pair: &Pair,
    listed: (SourceIdentity, Vec<Entry>),
    script: impl FnOnce(RawSender) -> F,
) -> Result<Received, TransferError> {
    let (us, them) = ids();
    let (ours, theirs) = Connection::memory_pair(us, them);
    let (idle, stop) = (watch::channel(Progress::default()).0, CancellationToken::new());
    let sending = async {
        script(RawSender::new(pair, ours, listed).await).await;
        std::future::pending::<()>().await;
    };
    tokio::select! {
        received = pair.receive(&theirs, &idle, &stop) => received,
        () = sending => unreachable!("it never ends"),
    }
}

/// The sender's shell, with this receiver: its control stream, after the offer, and the connection.
pub(crate) async fn send_to<F: Future<Output = ()>>(
    pair: &Pair,
    script: impl FnOnce(Talk, Connection) -> F,
) -> Result<Sent, TransferError> {
    let (us, them) = ids();
    let (ours, theirs) = Connection::memory_pair(us, them);
    let (idle, stop) = (watch::channel(Progress::default()).0, CancellationToken::new());
    let receiving = async {
        let mut control = Talk::new(theirs.accept().await.unwrap());
        let _offer = control.until::<FileOffer>().await.unwrap();
        script(control, theirs.clone()).await;
        std::future::pending::<()>().await;
    };
    tokio::select! {
        sent = pair.send(&ours, &idle, &stop) => sent,
        () = receiving => unreachable!("it never ends"),
    }
}

/// Takes the offer.
pub(crate) async fn accept(control: &mut Talk) {
    let accept = FileAccept { name: "sent".into(), lanes: 1, ext: Ext::default() };
    control.writer.send(&accept).await.unwrap();
}

/// Reads all that comes on the data streams, until the connection ends.
pub(crate) async fn swallow(connection: Connection) {
    while let Ok((_send, mut recv)) = connection.accept().await {
        tokio::spawn(async move { while let Ok(Some(_)) = recv.read_chunk(64 * 1024).await {} });
    }
}
