//! Guests that do not behave, played by raw iroh and by raw packets.

use std::net::UdpSocket;

use clankers_mesh::limits::{
    UNAUTHENTICATED_CONNECTIONS_PER_SOURCE, UNAUTHENTICATED_STREAMS, UNAUTHENTICATED_WINDOW_BYTES,
};
use iroh::{
    Endpoint, EndpointAddr, SecretKey, TransportAddr,
    endpoint::{ConnectError, presets},
};

use tokio::sync::watch;

use super::{ALPN, PATIENCE, connect, soon, start};

/// An endpoint that keeps none of our manners.
async fn stranger(seed: u8) -> Endpoint {
    Endpoint::builder(presets::Minimal)
        .secret_key(SecretKey::from_bytes(&[seed; 32]))
        .clear_ip_transports()
        .bind_addr("127.0.0.1:0")
        .unwrap()
        .bind()
        .await
        .unwrap()
}

fn address(mesh: &clankers_mesh::Mesh) -> EndpointAddr {
    let id = iroh::EndpointId::from_bytes(&mesh.id().0).unwrap();
    EndpointAddr::from_parts(id, mesh.addrs().into_iter().map(TransportAddr::Ip))
}

async fn knock(stranger: &Endpoint, at: &EndpointAddr) -> Result<iroh::endpoint::Connection, ConnectError> {
    soon("knocking", stranger.connect(at.clone(), ALPN)).await
}

#[tokio::test]
async fn one_source_holds_only_so_many_unauthenticated_connections() {
    let mesh = start(2).await;
    let (at, guest) = (address(&mesh), stranger(1).await);
    let mut held = Vec::new();
    for _ in 0..UNAUTHENTICATED_CONNECTIONS_PER_SOURCE {
        let outer = knock(&guest, &at).await.unwrap();
        let inner = soon("accept", mesh.accept()).await.unwrap();
        held.push((outer, inner));
    }
    let refused = knock(&guest, &at).await.map(drop).unwrap_err();
    assert!(format!("{refused:?}").contains("refused"), "{refused:?}");
    // An admitted connection no longer counts ...
    held[0].1.admit();
    held[0].1.admit();
    held.push((knock(&guest, &at).await.unwrap(), soon("accept", mesh.accept()).await.unwrap()));
    assert!(knock(&guest, &at).await.is_err());
    // ... nor does one that is gone.
    held.swap_remove(5);
    held.push((knock(&guest, &at).await.unwrap(), soon("accept", mesh.accept()).await.unwrap()));
    tokio::join!(mesh.close(), guest.close());
}

#[tokio::test]
async fn an_unauthenticated_peer_opens_only_a_few_streams() {
    let pair = connect(1, 2).await;
    let mut open = Vec::new();
    for _ in 0..UNAUTHENTICATED_STREAMS {
        let (mut send, recv) = pair.at_a.open().await.unwrap();
        send.write_all(b"x").await.unwrap();
        open.push((send, recv));
    }
    let one_more = pair.at_a.open();
    tokio::pin!(one_more);
    let uni = pair.at_a.open_uni();
    tokio::pin!(uni);
    // A round trip later neither has been allowed.
    let (_back, mut got) = pair.at_b.accept().await.unwrap();
    let round_trip = async {
        got.read_exact(&mut [0]).await.unwrap();
        pair.at_b.open().await.unwrap().0.write_all(b"y").await.unwrap();
        pair.at_a.accept().await.unwrap();
    };
    tokio::select! {
        biased;
        _ = &mut one_more => panic!("an unauthenticated peer got one more stream"),
        _ = &mut uni => panic!("an unauthenticated peer got a one-way stream"),
        () = round_trip => {}
    }
    pair.at_b.admit();
    soon("a stream after admission", &mut one_more).await.unwrap();
    soon("a one-way stream after admission", &mut uni).await.unwrap();
    pair.close().await;
}

#[tokio::test]
async fn an_unauthenticated_peer_fills_only_a_small_window() {
    let mesh = start(2).await;
    let guest = stranger(1).await;
    let outer = knock(&guest, &address(&mesh)).await.unwrap();
    let inner = soon("accept", mesh.accept()).await.unwrap();
    let window = UNAUTHENTICATED_WINDOW_BYTES as usize;
    let written = watch::Sender::new(0);
    let mut seen = written.subscribe();
    let flood = tokio::spawn({
        let outer = outer.clone();
        async move {
            let (mut send, recv) = outer.open_bi().await.unwrap();
            for _ in 0..100 {
                // Nobody reads at first, so QUIC takes bytes until the window is full.
                send.write_all(&[0; 8192]).await.unwrap();
                written.send_modify(|n| *n += 8192);
            }
            (send, recv)
        }
    });
    soon("the window to fill", seen.wait_for(|n| *n >= window)).await.unwrap();
    // A round trip later it is still what it was.
    inner.open().await.unwrap().0.write_all(b"x").await.unwrap();
    let (_back, mut got) = outer.accept_bi().await.unwrap();
    got.read_exact(&mut [0]).await.unwrap();
    assert_eq!(*seen.borrow(), window);
    // Admitted, it goes on, though nobody has read a byte.
    inner.admit();
    let (_send, _recv) = soon("the flood to end", flood).await.unwrap();
    tokio::join!(mesh.close(), guest.close());
}

#[tokio::test]
async fn noise_and_silence_hold_up_nobody() {
    let mesh = start(2).await;
    let addr = mesh.addrs()[0];
    let noise = UdpSocket::bind("127.0.0.1:0").unwrap();
    // Initial packets of QUIC version 1 that lead nowhere, and plain noise.
    let mut packet = vec![0xc3, 0, 0, 0, 1, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0x44, 0xb0];
    packet.resize(1200, 0x5a);
    for n in 0..400_u32 {
        packet[6..10].copy_from_slice(&n.to_be_bytes());
        noise.send_to(&packet, addr).unwrap();
        noise.send_to(&n.to_be_bytes(), addr).unwrap();
    }
    let guest = stranger(1).await;
    let outer = knock(&guest, &address(&mesh)).await.unwrap();
    assert_eq!(soon("accept", mesh.accept()).await.unwrap().remote().0, *guest.id().as_bytes());
    drop(outer);
    tokio::join!(mesh.close(), guest.close());
}

#[tokio::test]
async fn huge_codes_and_dirty_reasons_of_a_peer_are_tamed() {
    let mesh = start(2).await;
    let guest = stranger(1).await;
    let outer = knock(&guest, &address(&mesh)).await.unwrap();
    let inner = soon("accept", mesh.accept()).await.unwrap();
    let code = iroh::endpoint::VarInt::from_u64((1 << 62) - 1).unwrap();
    outer.close(code, "\x1b]0;owned\x07\u{202e}\n".repeat(40).as_bytes());
    let closed = soon("closed", inner.closed()).await;
    assert_eq!(closed.code, Some(u32::MAX));
    assert!(!closed.reason.chars().any(|c| c.is_control() || c == '\u{202e}'), "{:?}", closed.reason);
    assert!(closed.reason.chars().count() <= clankers_mesh::limits::REASON_CHARS);
    tokio::time::timeout(PATIENCE, async { tokio::join!(mesh.close(), guest.close()) }).await.unwrap();
}
