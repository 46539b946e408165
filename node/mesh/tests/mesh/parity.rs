//! One body, two kinds of connection: what holds over QUIC holds in memory.

use bytes::Bytes;
use clankers_mesh::{Connection, Path, StreamError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{Pair, connect, id_of};

/// Runs a body over both kinds; the acceptor's end is admitted.
macro_rules! both {
    ($($name:ident),* $(,)?) => {
        mod quic {
            $(#[tokio::test]
            async fn $name() {
                let pair = super::connect(1, 2).await;
                pair.at_b.admit();
                crate::soon(stringify!($name), super::$name(&pair.at_a, &pair.at_b)).await;
                pair.close().await;
            })*
        }
        mod memory {
            $(#[tokio::test]
            async fn $name() {
                let (a, b) = super::Connection::memory_pair(super::id_of(1), super::id_of(2));
                crate::soon(stringify!($name), super::$name(&a, &b)).await;
            })*
        }
    };
}

both!(
    ids_are_known,
    a_stream_goes_both_ways,
    two_hundred_streams_at_once,
    more_streams_than_the_limit_wait_their_turn,
    a_large_body_waits_for_its_reader,
    a_reset_is_read_as_such,
    a_stop_ends_the_writer,
    dropping_a_reader_stops_the_writer,
    dropping_a_writer_finishes,
    closing_ends_every_stream,
    the_last_handle_closes,
    an_unwritten_stream_is_not_seen,
    a_short_stream_is_said_to_be_short,
    one_way_streams,
    the_io_traits_say_the_same,
    accept_is_cancel_safe,
    nothing_works_after_the_end,
);

async fn ids_are_known(a: &Connection, b: &Connection) {
    assert_eq!((a.remote(), b.remote()), (id_of(2), id_of(1)));
    assert_eq!(a.close_reason(), None);
}

async fn a_stream_goes_both_ways(a: &Connection, b: &Connection) {
    let (mut send, mut recv) = a.open().await.unwrap();
    send.set_priority(3);
    send.write_all(b"ping").await.unwrap();
    send.finish().unwrap();
    let (mut back, mut got) = b.accept().await.unwrap();
    let mut buf = [0; 4];
    got.read_exact(&mut buf).await.unwrap();
    assert_eq!(&buf, b"ping");
    assert_eq!(got.read(&mut buf).await, Ok(None));
    back.write_chunk(Bytes::from_static(b"pong")).await.unwrap();
    back.finish().unwrap();
    assert_eq!(recv.read_chunk(64).await.unwrap().as_deref(), Some(&b"pong"[..]));
    assert_eq!(recv.read_chunk(64).await, Ok(None));
    assert_eq!(recv.read_chunk(64).await, Ok(None));
    assert_eq!(send.stopped().await, Ok(None));
}

async fn two_hundred_streams_at_once(a: &Connection, b: &Connection) {
    let server = async {
        let mut echoes = tokio::task::JoinSet::new();
        for _ in 0..200 {
            let (mut send, mut recv) = b.accept().await.unwrap();
            echoes.spawn(async move { tokio::io::copy(&mut recv, &mut send).await.unwrap() });
        }
        echoes.join_all().await
    };
    let client = async {
        let mut open = Vec::new();
        for n in 0..200_u32 {
            let (mut send, recv) = a.open().await.unwrap();
            send.write_all(&n.to_be_bytes()).await.unwrap();
            open.push((n, send, recv));
        }
        for (n, mut send, mut recv) in open {
            send.finish().unwrap();
            let mut all = Vec::new();
            recv.read_to_end(&mut all).await.unwrap();
            assert_eq!(all, n.to_be_bytes());
        }
    };
    let (echoed, ()) = tokio::join!(server, client);
    assert_eq!(echoed, vec![4; 200]);
}

async fn more_streams_than_the_limit_wait_their_turn(a: &Connection, b: &Connection) {
    let limit = clankers_protocol::limits::CONNECTION_STREAMS;
    let mut open = Vec::new();
    for _ in 0..limit {
        let (mut send, recv) = a.open().await.unwrap();
        send.write_all(b"x").await.unwrap();
        open.push((send, recv));
    }
    let mut accepted = Vec::new();
    for _ in 0..limit {
        accepted.push(b.accept().await.unwrap());
    }
    let one_more = a.open();
    tokio::pin!(one_more);
    // All are open, so the next one waits ...
    tokio::select! {
        biased;
        _ = &mut one_more => panic!("over the limit"),
        () = tokio::task::yield_now() => {}
    }
    // ... until some are over at both ends. (QUIC hands out new numbers an eighth of the limit at a time.)
    for ((mut send, mut recv), (mut back, mut got)) in open.drain(..40).zip(accepted.drain(..40)) {
        let mut byte = [0];
        send.finish().unwrap();
        got.read_exact(&mut byte).await.unwrap();
        assert_eq!(got.read(&mut byte).await, Ok(None));
        back.finish().unwrap();
        assert_eq!(recv.read(&mut byte).await, Ok(None));
    }
    one_more.await.unwrap();
}

async fn a_large_body_waits_for_its_reader(a: &Connection, b: &Connection) {
    let body: Vec<u8> = (0..8_000_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    let (mut send, _recv) = a.open().await.unwrap();
    let written = async {
        send.write_all(&body).await.unwrap();
        send.finish().unwrap();
    };
    let read = async {
        let (_back, mut got) = b.accept().await.unwrap();
        let mut all = Vec::new();
        while let Some(piece) = got.read_chunk(100_000).await.unwrap() {
            assert!(piece.len() <= 100_000);
            all.extend_from_slice(&piece);
        }
        all
    };
    let ((), all) = tokio::join!(written, read);
    assert!(all == body, "{} of {} bytes, or other ones", all.len(), body.len());
}

async fn a_reset_is_read_as_such(a: &Connection, b: &Connection) {
    let (mut send, _recv) = a.open().await.unwrap();
    send.write_all(b"begun").await.unwrap();
    let (_back, mut got) = b.accept().await.unwrap();
    send.reset(17);
    let mut buf = [0; 64];
    let end = loop {
        match got.read(&mut buf).await {
            Ok(Some(_)) => {}
            end => break end,
        }
    };
    assert_eq!(end, Err(StreamError::Reset(17)));
    assert_eq!(send.write_all(b"more").await, Err(StreamError::AlreadyClosed));
}

async fn a_stop_ends_the_writer(a: &Connection, b: &Connection) {
    let (mut send, _recv) = a.open().await.unwrap();
    send.write_all(b"begun").await.unwrap();
    let (_back, mut got) = b.accept().await.unwrap();
    got.stop(23);
    assert_eq!(send.stopped().await, Ok(Some(23)));
    assert_eq!(send.write_all(b"more").await, Err(StreamError::Stopped(23)));
    assert_eq!(got.read(&mut [0; 8]).await, Err(StreamError::AlreadyClosed));
}

async fn dropping_a_reader_stops_the_writer(a: &Connection, b: &Connection) {
    let (mut send, _recv) = a.open().await.unwrap();
    send.write_all(b"begun").await.unwrap();
    drop(b.accept().await.unwrap());
    assert_eq!(send.stopped().await, Ok(Some(0)));
}

async fn dropping_a_writer_finishes(a: &Connection, b: &Connection) {
    let (mut send, _recv) = a.open().await.unwrap();
    send.write_all(b"all").await.unwrap();
    drop(send);
    let (_back, mut got) = b.accept().await.unwrap();
    let mut all = Vec::new();
    got.read_to_end(&mut all).await.unwrap();
    assert_eq!(all, b"all");
}

async fn closing_ends_every_stream(a: &Connection, b: &Connection) {
    let (mut send, mut recv) = a.open().await.unwrap();
    send.write_all(b"x").await.unwrap();
    let (mut back, mut got) = b.accept().await.unwrap();
    let waiting = tokio::spawn(async move { recv.read(&mut [0; 8]).await });
    b.close(9, "enough");
    // The first close counts.
    b.close(10, "again");
    let seen = a.closed().await;
    assert_eq!((seen.code, seen.reason.as_str(), seen.by_peer), (Some(9), "enough", true));
    assert_eq!(waiting.await.unwrap(), Err(StreamError::Lost(seen.clone())));
    assert_eq!(send.write_all(b"y").await, Err(StreamError::Lost(seen.clone())));
    assert_eq!(send.stopped().await, Err(StreamError::Lost(seen.clone())));
    assert_eq!(a.open().await.unwrap_err(), seen);
    assert_eq!(a.accept().await.unwrap_err(), seen);
    assert_eq!(a.close_reason(), Some(seen));
    let own = b.closed().await;
    assert_eq!((own.code, own.reason.as_str(), own.by_peer), (Some(9), "enough", false));
    assert!(matches!(back.write_all(b"z").await, Err(StreamError::Lost(_))));
    drop(got.read(&mut [0; 1]).await);
    assert!(got.read(&mut [0; 1]).await.is_err());
}

async fn the_last_handle_closes(a: &Connection, b: &Connection) {
    // A body borrows its ends, so a pair of its own is closed here.
    let (_meshes, c, d) = match a.path() {
        Path::Local => {
            let (c, d) = Connection::memory_pair(a.remote(), b.remote());
            (None, c, d)
        }
        Path::Direct(_) | Path::Relay | Path::Unknown => {
            let Pair { a, b, at_a, at_b } = connect(3, 4).await;
            (Some((a, b)), at_a, at_b)
        }
    };
    let (mut send, _recv) = c.open().await.unwrap();
    send.write_all(b"x").await.unwrap();
    let other = c.clone();
    drop(c);
    let (_back, mut got) = d.accept().await.unwrap();
    got.read_exact(&mut [0]).await.unwrap();
    assert_eq!(d.close_reason(), None);
    drop(other);
    send.write_all(b"y").await.unwrap();
    got.read_exact(&mut [0]).await.unwrap();
    drop((send, _recv));
    let seen = d.closed().await;
    assert_eq!((seen.code, seen.by_peer), (Some(0), true));
}

async fn an_unwritten_stream_is_not_seen(a: &Connection, b: &Connection) {
    let (mut late, _late_recv) = a.open().await.unwrap();
    let (mut first, _first_recv) = a.open().await.unwrap();
    first.finish().unwrap();
    drop(first);
    late.write_all(b"late").await.unwrap();
    late.finish().unwrap();
    // QUIC shows streams in the order of their numbers, memory in the order of their first bytes; either way
    // nothing is seen before it begins, and both come.
    let mut sizes = Vec::new();
    for _ in 0..2 {
        let (_back, mut got) = b.accept().await.unwrap();
        let mut all = Vec::new();
        got.read_to_end(&mut all).await.unwrap();
        sizes.push(all.len());
    }
    sizes.sort_unstable();
    assert_eq!(sizes, [0, 4]);
}

async fn a_short_stream_is_said_to_be_short(a: &Connection, b: &Connection) {
    let (mut send, _recv) = a.open().await.unwrap();
    send.write_all(b"abc").await.unwrap();
    send.finish().unwrap();
    let (_back, mut got) = b.accept().await.unwrap();
    assert_eq!(got.read_exact(&mut [0; 5]).await, Err(StreamError::Ended { got: 3, wanted: 5 }));
    assert_eq!(send.finish(), Err(StreamError::AlreadyClosed));
}

async fn one_way_streams(a: &Connection, b: &Connection) {
    let mut send = a.open_uni().await.unwrap();
    send.write_all(b"bulk").await.unwrap();
    send.finish().unwrap();
    let mut got = b.accept_uni().await.unwrap();
    let mut all = Vec::new();
    got.read_to_end(&mut all).await.unwrap();
    assert_eq!(all, b"bulk");
}

async fn the_io_traits_say_the_same(a: &Connection, b: &Connection) {
    let (mut send, _recv) = a.open().await.unwrap();
    AsyncWriteExt::write_all(&mut send, b"x").await.unwrap();
    send.flush().await.unwrap();
    let (_back, mut got) = b.accept().await.unwrap();
    got.stop(5);
    send.stopped().await.unwrap();
    let e = AsyncWriteExt::write_all(&mut send, b"y").await.unwrap_err();
    assert_eq!(e.kind(), std::io::ErrorKind::ConnectionReset);
    let inner = e.into_inner().unwrap().downcast::<StreamError>().unwrap();
    assert_eq!(*inner, StreamError::Stopped(5));
}

async fn accept_is_cancel_safe(a: &Connection, b: &Connection) {
    let (mut send, _recv) = a.open().await.unwrap();
    for _ in 0..100 {
        tokio::select! {
            biased;
            _ = b.accept() => panic!("nothing was written"),
            () = tokio::task::yield_now() => {}
        }
    }
    send.write_all(b"x").await.unwrap();
    b.accept().await.unwrap();
}

async fn nothing_works_after_the_end(a: &Connection, b: &Connection) {
    a.close(1, "");
    assert_eq!(b.closed().await.code, Some(1));
    for end in [a, b] {
        assert!(end.open().await.is_err());
        assert!(end.open_uni().await.is_err());
        assert!(end.accept().await.is_err());
        assert!(end.accept_uni().await.is_err());
    }
}
