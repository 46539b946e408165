//! What a hostile peer sees of an acceptor that does each of the things that a node may do.

use bytes::Bytes;
use clankers_mesh::{Bind, Relay};
use clankers_protocol::request::node::{Ping, Pong};

use super::*;

/// An acceptor on loopback that is no node: it does as it is told.
async fn acceptor() -> (Mesh, PeerAddress) {
    let config = MeshConfig {
        secret: forge::random().into(),
        bind: Bind::Loopback { port: 0 },
        relay: Relay::Off,
        mdns: None,
        alpns: vec![ALPN.to_vec()],
    };
    let mesh = Mesh::start(config).await.unwrap();
    let address = mesh.address();
    (mesh, address)
}

const PING: Ping = Ping { nonce: 7, ext: Ext(Vec::new()) };

#[tokio::test]
async fn answers_are_told_apart() {
    let (mesh, address) = acceptor().await;
    let serving = tokio::spawn(async move {
        let connection = mesh.accept().await.unwrap();
        let mut kept = Vec::new();
        for number in 0..5 {
            let (mut send, mut recv) = connection.accept().await.unwrap();
            let refusal = Refusal::new(RefusalCode::Busy, "busy", connection.remote());
            let bytes = match number {
                0 => frame(Pong::KIND, &Pong { nonce: 7, ext: Ext::default() }.encode()),
                1 => frame(Kind::REFUSAL, &refusal.encode()),
                2 => Vec::new(),
                3 => {
                    send.reset(9);
                    recv.stop(9);
                    kept.push((send, recv));
                    continue;
                }
                _ => frame_claiming(Kind::PONG, u32::MAX, b""),
            };
            send.write_chunk(Bytes::from(bytes)).await.unwrap();
            send.finish().unwrap();
            // A guest that is not heard out would be told to stop.
            while recv.read_chunk(1024).await.ok().flatten().is_some() {}
        }
        connection.closed().await
    });
    let hostile = Hostile::start().await;
    let guest = hostile.connect(&address).await;
    assert_eq!(guest.ask(&PING).await.message::<Pong>().nonce, 7);
    assert_eq!(guest.ask(&PING).await.refused(), RefusalCode::Busy);
    assert!(matches!(guest.ask(&PING).await, Answer::Ended));
    assert!(matches!(guest.ask(&PING).await, Answer::Reset(9)));
    assert!(matches!(guest.ask(&PING).await, Answer::Nonsense(_)));
    guest.connection().close(3, "enough");
    let closed = wait::within("the goodbye", STEP, serving).await.unwrap();
    assert_eq!((closed.code, closed.by_peer), (Some(3), true));
    hostile.close().await;
}

#[tokio::test]
async fn a_close_is_seen_with_its_code() {
    let (mesh, address) = acceptor().await;
    let serving = tokio::spawn(async move {
        let connection = mesh.accept().await.unwrap();
        let (_send, mut recv) = connection.accept().await.unwrap();
        let mut first = [0; HEADER_BYTES];
        recv.read_exact(&mut first).await.unwrap();
        assert_eq!(first, [0xff, 0xff, 4, 0, 0, 0]);
        connection.close(u32::from(CloseCode::Malformed.number()), "");
        connection.closed().await;
        mesh.close().await;
    });
    let hostile = Hostile::with_seed([9; 32]).await;
    assert_eq!(hostile.id(), forge::id_of(&[9; 32]));
    let guest = hostile.connect(&address).await;
    let mut talk = guest.frame(Kind(0xffff), b"abcd").await;
    assert!(matches!(talk.answer().await, Answer::Closed(_)));
    assert_eq!(guest.close_code().await, CloseCode::Malformed);
    assert!(matches!(guest.try_bytes(b"more").await, Err(Answer::Closed(_))));
    wait::within("the acceptor's end", STEP, serving).await.unwrap();
    hostile.close().await;
}
