//! Pieces of files: read, hashed, and loaded onto whatever lane has room.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use clankers_files::{FilesError, SourceFile};
use clankers_protocol::{
    request::transfer::FileBlock,
    transfer::{
        Fault,
        sender::{Input, Piece},
        tree::hash_block,
    },
};
use tokio::sync::mpsc;

use crate::transfer::{
    Looked,
    error::fault,
    lane::{Load, head},
    pool::{Buffer, Pool},
};

/// A file of several blocks, opened by whoever reads its first.
#[derive(Debug, Default)]
pub(super) struct Opened(Mutex<Option<Arc<SourceFile>>>);

impl Opened {
    fn get(&self, looked: &Looked, file: u32) -> Result<Arc<SourceFile>, Fault> {
        let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = &*slot {
            return Ok(Arc::clone(open));
        }
        let open = Arc::new(looked.source().open_file(file).map_err(|error| told(&error))?);
        *slot = Some(Arc::clone(&open));
        Ok(open)
    }
}

fn told(error: &FilesError) -> Fault {
    tracing::info!(%error, "a file is not sent");
    fault(error)
}

/// What works on pieces: clones work side by side.
#[derive(Debug, Clone)]
pub(super) struct Work {
    pub(super) looked: Arc<Looked>,
    pub(super) pool: Pool,
    pub(super) loads: mpsc::Sender<Load>,
    pub(super) tell: mpsc::Sender<Vec<Input>>,
}

/// One piece that was read: its frame's head and its hash, or why not.
type Read = Result<FileBlock, (u32, Fault)>;

impl Work {
    /// One block of a large file.
    pub(super) async fn block(self, piece: Piece, opened: Arc<Opened>) {
        let Some(mut buffer) = self.pool.get().await else { return };
        let looked = Arc::clone(&self.looked);
        let read = tokio::task::spawn_blocking(move || {
            let read = read_block(&looked, &piece, &opened, buffer.bytes_mut());
            (buffer, read)
        });
        let Ok((buffer, read)) = read.await else { return };
        let load = read.as_ref().ok().filter(|_| piece.send).and_then(|block| {
            let chunks = vec![head(block)?, Bytes::from_owner(buffer)];
            Some(Load { chunks, bytes: block.len })
        });
        self.done(vec![read], load).await;
    }

    /// Small files, each one block, one after the other in one load.
    pub(super) async fn small(self, pieces: Vec<Piece>) {
        let Some(buffer) = self.pool.get().await else { return };
        let looked = Arc::clone(&self.looked);
        let read = tokio::task::spawn_blocking(move || read_small(&looked, &pieces, buffer));
        let Ok((buffer, bytes, read)) = read.await else { return };
        let load = (bytes > 0).then(|| Load { chunks: vec![Bytes::from_owner(buffer)], bytes });
        self.done(read, load).await;
    }

    /// Looks whether a file that was read is what it was.
    pub(super) async fn check(self, file: u32, opened: Arc<Opened>) {
        let looked = Arc::clone(&self.looked);
        let checked = tokio::task::spawn_blocking(move || {
            opened.get(&looked, file).and_then(|open| open.check().map_err(|error| told(&error)))
        });
        let input = match checked.await {
            Ok(Ok(())) => Input::Checked { file },
            Ok(Err(fault)) => Input::Failed { file, fault },
            Err(_) => return,
        };
        let _over = self.tell.send(vec![input]).await;
    }

    async fn done(self, read: Vec<Read>, load: Option<Load>) {
        let inputs = read.into_iter().map(|read| match read {
            Ok(FileBlock { file, block, cv, .. }) => Input::Hashed { file, block, cv },
            Err((file, fault)) => Input::Failed { file, fault },
        });
        if self.tell.send(inputs.collect()).await.is_ok()
            && let Some(load) = load
        {
            // The transfer may be over meanwhile.
            let _over = self.loads.send(load).await;
        }
    }
}

fn read_block(looked: &Looked, piece: &Piece, opened: &Opened, into: &mut Vec<u8>) -> Read {
    let file = opened.get(looked, piece.file).map_err(|fault| (piece.file, fault))?;
    file.read_block(piece.block, into).map_err(|error| (piece.file, told(&error)))?;
    hashed(looked, piece, into)
}

fn hashed(looked: &Looked, piece: &Piece, bytes: &[u8]) -> Read {
    let size = looked.manifest().file(piece.file).map_or(0, |entry| entry.size);
    if u32::try_from(bytes.len()) != Ok(piece.len) {
        return Err((piece.file, Fault::SourceChanged));
    }
    let cv = hash_block(size, piece.block, bytes);
    Ok(FileBlock { file: piece.file, block: piece.block, len: piece.len, cv })
}

fn read_small(looked: &Looked, pieces: &[Piece], mut buffer: Buffer) -> (Buffer, u32, Vec<Read>) {
    let (mut content, mut told_of) = (0, Vec::new());
    let mut bytes = Vec::new();
    let out = buffer.bytes_mut();
    out.clear();
    for piece in pieces {
        bytes.clear();
        let read = looked.source().read_small(piece.file, &mut bytes);
        let read =
            read.map_err(|error| (piece.file, told(&error))).and_then(|()| hashed(looked, piece, &bytes));
        if let Ok(block) = &read
            && piece.send
            && let Some(head) = head(block)
        {
            out.extend_from_slice(&head);
            out.extend_from_slice(&bytes);
            content += block.len;
        }
        told_of.push(read);
    }
    (buffer, content, told_of)
}
