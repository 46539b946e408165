//! A sender and a receiver.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicBool},
};

use clankers_auth::mint;
use clankers_client::transfer::{
    Judge, Looked, Progress, Received, Receiving, Sending, Sent, Taken, TransferError, Verdict,
};
use clankers_files::{Place, Selection, Source};
use clankers_mesh::{Connection, FrameReader, FrameWriter};
use clankers_protocol::{
    Message, NodeId, Timestamp,
    kind::Kind,
    limits::FRAME_BYTES,
    message::Ext,
    request::transfer::{FileData, FileOffer, OnConflict},
    transfer::{TransferId, manifest::ManifestLimits, sender::OfferDraft},
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub(crate) const SENDER: [u8; 32] = [1; 32];
pub(crate) const RECEIVER: [u8; 32] = [2; 32];
pub(crate) const NOW: Timestamp = Timestamp(1_800_000_000_000);

/// What is sent, and where it lands.
pub(crate) struct Pair {
    pub(crate) source: PathBuf,
    pub(crate) inbox: PathBuf,
    pub(crate) on_conflict: OnConflict,
    pub(crate) declined: BTreeSet<u32>,
    pub(crate) transfer: TransferId,
    pub(crate) lanes: u8,
    /// Bytes in a second at the most.
    pub(crate) limit: Option<u64>,
    #[allow(dead_code, reason = "removed with the pair")]
    pub(crate) dir: tempfile::TempDir,
}

/// How both sides ended.
pub(crate) struct Ended {
    pub(crate) sent: Result<Sent, TransferError>,
    pub(crate) received: Result<Received, TransferError>,
}

pub(crate) fn ids() -> (NodeId, NodeId) {
    (mint::id_of(&SENDER), mint::id_of(&RECEIVER))
}

/// Bytes that no two files share.
pub(crate) fn content(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    })
    .flatten()
    .take(len)
    .collect()
}

impl Pair {
    /// A directory to send with these files (path, bytes); a single one with an empty path is sent as a file.
    pub(crate) fn new(files: &[(&str, usize)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let source = dir.path().join("sent");
        for (seed, (path, len)) in (1..).zip(files) {
            let at = if path.is_empty() { source.clone() } else { source.join(path) };
            fs::create_dir_all(at.parent().unwrap()).unwrap();
            fs::write(&at, content(seed, *len)).unwrap();
        }
        let inbox = dir.path().join("inbox");
        fs::create_dir(&inbox).unwrap();
        Self {
            source,
            inbox,
            on_conflict: OnConflict::Rename,
            declined: BTreeSet::new(),
            transfer: TransferId([7; 16]),
            lanes: 1,
            limit: None,
            dir,
        }
    }

    fn judge(&self) -> Judge {
        let taken = Taken {
            place: Place::open(&self.inbox).unwrap(),
            principal: "sender".into(),
            to: None,
            name: None,
            on_conflict: self.on_conflict,
            declined: self.declined.clone(),
            note: serde_json::Value::Null,
            meter: None,
        };
        Box::new(move |_, _, tell| {
            Box::pin(async move {
                let _over = tell.send(Verdict::Take(Box::new(taken))).await;
            })
        })
    }

    /// Sends it once; `cut` may close the connection, given how far the receiver is.
    pub(crate) async fn run(&self, cut: impl Fn(&Progress) -> bool) -> Ended {
        let (us, them) = ids();
        let (ours, theirs) = Connection::memory_pair(us, them);
        let (tell, mut seen) = watch::channel(Progress::default());
        let (stop, idle) = (CancellationToken::new(), watch::channel(Progress::default()).0);
        let sending = self.send(&ours, &idle, &stop);
        let receiving = self.receive(&theirs, &tell, &stop);
        let watching = async {
            while seen.changed().await.is_ok() {
                let now = *seen.borrow();
                if cut(&now) {
                    ours.close(0, "cut");
                    break;
                }
            }
            std::future::pending::<()>().await;
        };
        let both = async { tokio::join!(sending, receiving) };
        let (sent, received) = tokio::select! {
            both = both => both,
            () = watching => unreachable!("it never ends"),
        };
        Ended { sent, received }
    }

    pub(crate) async fn send(
        &self,
        connection: &Connection,
        tell: &watch::Sender<Progress>,
        stop: &CancellationToken,
    ) -> Result<Sent, TransferError> {
        let source = Source::walk(&self.source, &Selection::default(), &AtomicBool::new(false))?;
        let looked = Arc::new(Looked::of(source)?);
        let draft = OfferDraft {
            leaf: None,
            transfer: self.transfer,
            source: looked.source().identity(),
            to: None,
            on_conflict: self.on_conflict,
            lanes: self.lanes,
            ext: Ext::default(),
        };
        let (send, recv) = connection.open().await.unwrap();
        let (mut writer, mut reader) = (FrameWriter::new(send), FrameReader::new(recv));
        let sending =
            Sending::new(looked, draft, connection.remote(), Some(connection.clone())).limited(self.limit);
        let never = std::future::pending();
        sending.run(&mut reader, &mut writer, NOW, tell, stop, never).await
    }

    pub(crate) async fn receive(
        &self,
        connection: &Connection,
        tell: &watch::Sender<Progress>,
        stop: &CancellationToken,
    ) -> Result<Received, TransferError> {
        let Ok((send, recv)) = connection.accept().await else { return Err(TransferError::Lost) };
        let (mut writer, mut reader) = (FrameWriter::new(send), FrameReader::new(recv));
        reader.set_limit(FRAME_BYTES);
        let Ok(Some(frame)) = reader.next().await else { return Err(TransferError::Lost) };
        assert_eq!(frame.kind, Kind::FILE_OFFER);
        let offer = FileOffer::decode(&frame.body).unwrap();
        let receiving = Receiving::new(
            RECEIVER.into(),
            (ids().0, connection.remote()),
            ManifestLimits::default(),
            self.judge(),
            Some(offer),
            None,
        );
        let door = receiving.door();
        let lanes = async {
            while let Ok((send, recv)) = connection.accept().await {
                let (door, connection) = (door.clone(), connection.clone());
                tokio::spawn(async move {
                    let (mut writer, mut reader) = (FrameWriter::new(send), FrameReader::new(recv));
                    let first = reader.expect::<FileData>().await.unwrap();
                    door.serve(&connection, &first, reader, &mut writer).await;
                });
            }
            std::future::pending::<()>().await;
        };
        let never = std::future::pending();
        tokio::select! {
            done = receiving.run(&mut reader, &mut writer, NOW, tell, stop, never) => done,
            () = lanes => unreachable!("it never ends"),
        }
    }

    /// Compares what landed under this name with what was sent.
    pub(crate) fn is_whole(&self, name: &str) {
        same(&self.source, &self.inbox.join(name));
        assert!(!self.inbox.join(".clankers-part").exists() || only_done(&self.inbox.join(".clankers-part")));
    }
}

fn only_done(parts: &Path) -> bool {
    fs::read_dir(parts).unwrap().all(|entry| entry.unwrap().file_name().to_string_lossy().ends_with(".done"))
}

fn same(a: &Path, b: &Path) {
    let (of_a, of_b) = (fs::metadata(a).unwrap(), fs::metadata(b).unwrap());
    assert_eq!(of_a.permissions(), of_b.permissions(), "{}", b.display());
    assert_eq!(of_a.modified().unwrap(), of_b.modified().unwrap(), "{}", b.display());
    if of_a.is_file() {
        assert!(fs::read(a).unwrap() == fs::read(b).unwrap(), "{} is not what was sent", b.display());
        return;
    }
    let names = |dir: &Path| -> BTreeSet<_> {
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name()).collect()
    };
    assert_eq!(names(a), names(b), "{}", b.display());
    names(a).iter().for_each(|name| same(&a.join(name), &b.join(name)));
}
