//! What calls itself a node: it listens, welcomes whoever comes, and answers what they ask as the test says.

use std::{pin::Pin, sync::Arc};

use clankers_mesh::{Bind, Connection, FrameReader, FrameWriter, Mesh, MeshConfig};
use clankers_protocol::{
    ALPN, Message, NodeId, VERSION,
    frame::Frame,
    hello::{Hello, PeerLimits, Welcome},
    limits::FRAME_BYTES,
    message::Ext,
    refusal::{Refusal, RefusalCode},
};
use tokio::task::JoinHandle;

use crate::forge;

/// A stream that a guest opened.
#[derive(Debug)]
pub struct Asked {
    /// What it said first.
    pub first: Frame,
    /// What else it says.
    pub reader: FrameReader,
    /// Answers: messages by [`FrameWriter::send`], any bytes by [`FrameWriter::stream`].
    pub writer: FrameWriter,
    /// The connection.
    pub connection: Connection,
}

impl Asked {
    /// Refuses it as something that this node does not do.
    pub async fn refuse(mut self) {
        let remote = self.connection.remote();
        let refusal = Refusal::new(RefusalCode::NotFound, "this is no node", remote);
        let _sent = self.writer.send(&refusal).await;
        let _done = self.writer.finish();
    }

    /// Reads until a message of this kind comes; `None` when the stream ends before.
    pub async fn until<M: Message>(&mut self) -> Option<M> {
        while let Ok(Some(frame)) = self.reader.next().await {
            if frame.kind == M::KIND {
                return M::decode(&frame.body).ok();
            }
        }
        None
    }
}

/// How it answers one stream, Hello excepted.
pub type Manner = Arc<dyn Fn(Asked) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// It listens until it is closed.
#[derive(Debug)]
pub struct Impostor {
    mesh: Arc<Mesh>,
    seed: [u8; 32],
    serving: JoinHandle<()>,
}

impl Impostor {
    /// One on loopback, with a fresh key.
    ///
    /// # Panics
    /// When no endpoint can be made.
    pub async fn that(manner: Manner) -> Self {
        let seed: [u8; 32] = forge::random();
        let config = MeshConfig {
            bind: Bind::Loopback { port: 0 },
            alpns: vec![ALPN.to_vec()],
            ..MeshConfig::dial_only(seed.into())
        };
        let mesh = Arc::new(Mesh::start(config).await.expect("an endpoint on loopback"));
        let listening = Arc::clone(&mesh);
        let serving = tokio::spawn(async move {
            while let Some(connection) = listening.accept().await {
                tokio::spawn(serve(connection, Arc::clone(&manner)));
            }
        });
        Self { mesh, seed, serving }
    }

    /// Who it is: what TLS proves.
    #[must_use]
    pub fn id(&self) -> NodeId {
        self.mesh.id()
    }

    /// Its key, to sign with.
    #[must_use]
    pub fn seed(&self) -> [u8; 32] {
        self.seed
    }

    /// Where to find it.
    #[must_use]
    pub fn ticket(&self) -> String {
        self.mesh.ticket()
    }

    /// Closes its endpoint.
    pub async fn close(self) {
        self.serving.abort();
        self.mesh.close().await;
    }
}

async fn serve(connection: Connection, manner: Manner) {
    connection.admit();
    while let Ok((send, recv)) = connection.accept().await {
        let (manner, connection) = (Arc::clone(&manner), connection.clone());
        tokio::spawn(async move {
            let (mut writer, mut reader) = (FrameWriter::new(send), FrameReader::new(recv));
            writer.set_limit(FRAME_BYTES);
            reader.set_limit(FRAME_BYTES);
            let Ok(Some(first)) = reader.next().await else { return };
            if first.kind == Hello::KIND {
                let _sent = writer.send(&welcome()).await;
                let _done = writer.finish();
                return;
            }
            manner(Asked { first, reader, writer, connection }).await;
        });
    }
}

fn welcome() -> Welcome {
    Welcome {
        version: VERSION,
        software: "lab/0".into(),
        label: None,
        features: Vec::new(),
        boot_id: u64::from_le_bytes(forge::random()),
        now: forge::now(),
        limits: PeerLimits { frame_bytes: FRAME_BYTES, streams: 16 },
        chains: Vec::new(),
        ext: Ext::default(),
    }
}
