//! A peer that the command line dials, and that behaves badly.

use clankers_mesh::{Bind, FrameReader, FrameWriter, Mesh, MeshConfig};
use clankers_protocol::{
    ALPN, NodeId,
    refusal::{CloseCode, Refusal, RefusalCode},
};
use clankers_tests::forge;
use tokio::task::JoinHandle;

/// What it does with whoever comes.
#[derive(Debug, Clone)]
pub(crate) enum Manner {
    /// Closes the connection at once with this code.
    ClosesWith(CloseCode),
    /// Answers whatever is asked by refusing it in these words: message and hint.
    Refuses(String, String),
}

/// It listens until it is closed.
pub(crate) struct Fake {
    mesh: std::sync::Arc<Mesh>,
    serving: JoinHandle<()>,
}

impl Fake {
    pub(crate) async fn that(manner: Manner) -> Self {
        Self::speaking(ALPN, manner).await
    }

    pub(crate) async fn speaking(alpn: &[u8], manner: Manner) -> Self {
        let seed: [u8; 32] = forge::random();
        let config = MeshConfig {
            bind: Bind::Loopback { port: 0 },
            alpns: vec![alpn.to_vec()],
            ..MeshConfig::dial_only(seed.into())
        };
        let mesh = std::sync::Arc::new(Mesh::start(config).await.expect("an endpoint on loopback"));
        let listening = mesh.clone();
        let serving = tokio::spawn(async move {
            while let Some(connection) = listening.accept().await {
                tokio::spawn(serve(connection, manner.clone()));
            }
        });
        Self { mesh, serving }
    }

    pub(crate) fn ticket(&self) -> String {
        self.mesh.ticket()
    }

    pub(crate) async fn close(self) {
        self.serving.abort();
        self.mesh.close().await;
    }
}

async fn serve(connection: clankers_mesh::Connection, manner: Manner) {
    match manner {
        Manner::ClosesWith(code) => {
            connection.close(u32::from(code.number()), code.meaning());
        }
        Manner::Refuses(message, hint) => {
            let remote: NodeId = connection.remote();
            while let Ok((send, recv)) = connection.accept().await {
                let _asked = FrameReader::new(recv).next().await;
                let refusal = Refusal::new(RefusalCode::Unauthorized, &message, remote).hint(&hint);
                let mut writer = FrameWriter::new(send);
                let _sent = writer.send(&refusal).await;
                let _done = writer.finish();
            }
        }
    }
    // Whoever closes a connection must still be there for its last words to arrive.
    connection.closed().await;
}
