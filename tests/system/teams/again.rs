//! What another node answers that is not quite in order: its clock is wrong, or it refuses now what it will not refuse later.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use clankers_auth::team::{self, found};
use clankers_mesh::{Bind, Connection, FrameReader, FrameWriter, Mesh, MeshConfig};
use clankers_protocol::{
    ALPN, VERSION,
    hello::{PeerLimits, Welcome},
    kind::Kind,
    limits::{CONNECTION_STREAMS, FRAME_BYTES},
    message::Ext,
    refusal::{Refusal, RefusalCode},
    request::{
        invite::{Bootstrap, Invite},
        team::TeamShown,
    },
};
use clankers_tests::{NodeHome, forge, wait};
use tokio::task::JoinHandle;

use super::{HEALED, HEARD, members, node};
use crate::BIN;

const DAY: u64 = 86_400;
/// Three hours and a half.
const AHEAD_MS: u64 = 12_600_000;

/// What it says.
#[derive(Debug, Clone, Default)]
struct Manner {
    /// So far its clock is ahead (milliseconds).
    ahead_ms: u64,
    /// What it answers to whatever is asked: a refusal's number.
    code: u16,
    /// But this membership to whoever shows one, from the second time on.
    chain: Vec<u8>,
    /// How often one was shown (count).
    shows: Arc<AtomicU64>,
}

/// A node that answers in this manner, until it is closed.
struct Odd {
    mesh: Arc<Mesh>,
    serving: JoinHandle<()>,
}

impl Odd {
    async fn with_seed(seed: [u8; 32]) -> Mesh {
        let config = MeshConfig {
            bind: Bind::Loopback { port: 0 },
            alpns: vec![ALPN.to_vec()],
            ..MeshConfig::dial_only(seed.into())
        };
        Mesh::start(config).await.expect("an endpoint on loopback")
    }

    fn answering(mesh: Mesh, manner: Manner) -> Self {
        let mesh = Arc::new(mesh);
        let listening = Arc::clone(&mesh);
        let serving = tokio::spawn(async move {
            while let Some(connection) = listening.accept().await {
                tokio::spawn(serve(connection, manner.clone()));
            }
        });
        Self { mesh, serving }
    }

    async fn close(self) {
        self.serving.abort();
        self.mesh.close().await;
    }
}

async fn serve(connection: Connection, manner: Manner) {
    let welcome = Welcome {
        version: VERSION,
        software: "lab/0".into(),
        label: Some("desk".into()),
        features: Vec::new(),
        boot_id: 1,
        now: forge::now().plus_ms(manner.ahead_ms),
        limits: PeerLimits { frame_bytes: FRAME_BYTES, streams: CONNECTION_STREAMS },
        chains: Vec::new(),
        ext: Ext::default(),
    };
    while let Ok((send, recv)) = connection.accept().await {
        let (mut reader, mut writer) = (FrameReader::new(recv), FrameWriter::new(send));
        let Ok(Some(frame)) = reader.next().await else { continue };
        let refusal = || {
            let code = RefusalCode::from_number(manner.code);
            Refusal::new(code, "not today", connection.remote())
        };
        // Whoever asked may have gone.
        let _sent = match frame.kind {
            Kind::HELLO => writer.send(&welcome).await,
            Kind::TEAM_SHOW if manner.shows.fetch_add(1, Ordering::Relaxed) > 0 => {
                writer.send(&TeamShown { chain: manner.chain.clone(), ext: Ext::default() }).await
            }
            _ => writer.send(&refusal()).await,
        };
        let _finished = writer.finish();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_refused_for_a_date_is_told_of_clocks_that_differ_and_nobody_else() {
    let home = NodeHome::new(BIN);
    let hints = |mesh: &Mesh| {
        let ran = home.cli(["rpc", "prompt", &mesh.ticket(), "/ls", "--json"]).run();
        ran.error()["hints"].to_string()
    };
    let told = "the clock of desk";
    for (ahead_ms, code, told_so) in [
        (AHEAD_MS, RefusalCode::Expired, true),
        (0, RefusalCode::Expired, false),
        (AHEAD_MS, RefusalCode::Unauthorized, false),
    ] {
        let manner = Manner { ahead_ms, code: code.number(), ..Manner::default() };
        let desk = Odd::answering(Odd::with_seed(forge::random()).await, manner);
        if told_so {
            // The refusal may be read before the greeting, and then nothing is known of its clock.
            let said = wait::until("what is said of the clocks", HEARD, || {
                Some(hints(&desk.mesh)).filter(|said| said.contains(told))
            });
            assert!(said.contains("3 hours ahead of this machine's"), "{said}");
        } else {
            let said = hints(&desk.mesh);
            assert!(!said.contains(told), "{code:?}: {said}");
        }
        desk.close().await;
    }
}

/// By the node that joined: it remembers whom the invite named, and nobody says anything to it meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_refused_at_first_by_whom_it_joins_asks_again() {
    let bert = node("bert");
    let key: [u8; 32] = forge::random();
    let written =
        |id| found(&key, id, false, forge::now(), DAY, forge::random()).expect("a membership").chain;
    let mesh = Odd::with_seed(forge::random()).await;
    let manner = Manner { code: RefusalCode::Busy.number(), chain: written(mesh.id()), ..Manner::default() };
    let (shows, id, addrs) = (Arc::clone(&manner.shows), mesh.id(), mesh.addrs());
    let desk = Odd::answering(mesh, manner);
    let peers = vec![Bootstrap { id, addrs, relay: None }];
    let invite = Invite { name: "core".into(), chain: written(bert.id()), peers }.to_text();
    let joined = bert.cli(["team", "join", "-", "--json"]).stdin(invite).run().ok().json();
    assert_eq!(joined["id"], team::id_of(&key).to_string().as_str());
    let seen = wait::until("a member that let it in", HEALED, || {
        members(&bert).into_iter().find(|member| member["id"] == id.to_string().as_str())
    });
    assert!(seen["expires"].is_string() && seen["renews"] == false, "{seen}");
    assert!(shows.load(Ordering::Relaxed) > 1);
    desk.close().await;
}
