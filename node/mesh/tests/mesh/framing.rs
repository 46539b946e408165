//! Frames over a stream.

use clankers_mesh::{Connection, FrameReader, FrameWriter, FramedError, StreamError, encode_message};
use clankers_protocol::{
    frame::FrameError,
    kind::Kind,
    limits::{FRAME_BYTES, UNAUTHENTICATED_FRAME_BYTES},
    message::{Ext, Message, MessageError},
    request::node::{Ping, Pong},
};

use super::{id_of, soon};

/// A writer at one end, a reader at the other, and what keeps the stream whole.
async fn framed() -> (FrameWriter, FrameReader, (Connection, Connection)) {
    let (a, b) = Connection::memory_pair(id_of(1), id_of(2));
    let (send, _) = a.open().await.unwrap();
    let mut writer = FrameWriter::new(send);
    // The first frame shows the stream to the other end.
    writer.send_raw(Kind(7), b"").await.unwrap();
    let (_, recv) = b.accept().await.unwrap();
    let mut reader = FrameReader::new(recv);
    assert_eq!(reader.next().await.unwrap().unwrap().kind, Kind(7));
    (writer, reader, (a, b))
}

fn ping() -> Ping {
    Ping { nonce: 7, ext: Ext::default() }
}

#[tokio::test]
async fn messages_come_whole_and_in_order() {
    let (mut writer, mut reader, _ends) = framed().await;
    let sent = async {
        for n in 0..200_u16 {
            writer.send_raw(Kind(n), &vec![1; usize::from(n) * 100]).await.unwrap();
        }
        writer.send(&ping()).await.unwrap();
        writer.send_encoded(encode_message(&ping(), 64).unwrap()).await.unwrap();
        writer.finish().unwrap();
    };
    let got = async {
        for n in 0..200_u16 {
            let frame = reader.next().await.unwrap().unwrap();
            assert_eq!((frame.kind, frame.body.len()), (Kind(n), usize::from(n) * 100));
        }
        assert_eq!(reader.expect::<Ping>().await.unwrap(), ping());
        assert_eq!(reader.expect::<Ping>().await.unwrap(), ping());
        assert_eq!(reader.next().await, Ok(None));
        assert_eq!(reader.expect::<Ping>().await, Err(FramedError::Ended(Ping::KIND)));
    };
    soon("frames", async { tokio::join!(sent, got) }).await;
}

#[tokio::test]
async fn a_lying_length_is_refused_and_stays_refused() {
    let (mut writer, mut reader, _ends) = framed().await;
    writer.stream().write_all(&[1, 0, 0xff, 0xff, 0xff, 0x7f]).await.unwrap();
    let claimed = 0x7fff_ffff;
    let refused = FrameError::TooLarge { claimed, limit: UNAUTHENTICATED_FRAME_BYTES };
    assert_eq!(reader.next().await, Err(FramedError::Frame(refused.clone())));
    assert_eq!(reader.next().await, Err(FramedError::Frame(refused)));
}

#[tokio::test]
async fn limits_rise_with_authority_and_bind_the_sender_too() {
    let (mut writer, mut reader, _ends) = framed().await;
    let body = vec![0; 100_000];
    reader.set_limit(FRAME_BYTES);
    let (sent, got) =
        soon("a large frame", async { tokio::join!(writer.send_raw(Kind(1), &body), reader.next()) }).await;
    sent.unwrap();
    assert_eq!(got.unwrap().unwrap().body.len(), body.len());
    writer.set_limit(10);
    assert!(matches!(
        writer.send_raw(Kind(1), &body).await,
        Err(FramedError::Frame(FrameError::TooLarge { .. }))
    ));
}

#[tokio::test]
async fn half_a_frame_at_the_end_is_an_error() {
    let (mut writer, mut reader, _ends) = framed().await;
    writer.stream().write_all(&[1, 0, 10, 0, 0, 0, 1, 2, 3]).await.unwrap();
    writer.finish().unwrap();
    assert_eq!(reader.next().await, Err(FramedError::Frame(FrameError::Truncated)));
}

#[tokio::test]
async fn the_wrong_message_is_named() {
    let (mut writer, mut reader, _ends) = framed().await;
    writer.send(&ping()).await.unwrap();
    let unexpected = MessageError::Unexpected { expected: Pong::KIND, got: Ping::KIND };
    assert_eq!(reader.expect::<Pong>().await, Err(FramedError::Message(unexpected)));
    writer.send_raw(Ping::KIND, &[0xff; 40]).await.unwrap();
    assert!(matches!(reader.expect::<Ping>().await, Err(FramedError::Message(_))));
}

#[tokio::test]
async fn raw_bytes_follow_a_frame() {
    let (mut writer, mut reader, _ends) = framed().await;
    writer.send_raw(Kind(1), b"head").await.unwrap();
    writer.stream().write_all(b"tail").await.unwrap();
    writer.finish().unwrap();
    assert_eq!(reader.next().await.unwrap().unwrap().body, &b"head"[..]);
    let (mut all, mut rest) = {
        let (early, rest) = reader.into_raw();
        (early.to_vec(), rest)
    };
    while let Some(piece) = rest.read_chunk(64).await.unwrap() {
        all.extend_from_slice(&piece);
    }
    assert_eq!(all, b"tail");
}

#[tokio::test]
async fn a_reader_may_be_cancelled_inside_a_frame() {
    let (mut writer, mut reader, _ends) = framed().await;
    for byte in [1, 0, 3, 0, 0, 0, 7, 8] {
        writer.stream().write_all(&[byte]).await.unwrap();
        tokio::select! {
            biased;
            got = reader.next() => panic!("{got:?} before its last byte"),
            () = tokio::task::yield_now() => {}
        }
    }
    writer.stream().write_all(&[9]).await.unwrap();
    assert_eq!(soon("the frame", reader.next()).await.unwrap().unwrap().body, &[7, 8, 9][..]);
}

#[tokio::test]
async fn a_lost_connection_is_an_error_not_an_end() {
    let (writer, mut reader, (a, _b)) = framed().await;
    a.close(3, "bye");
    match reader.next().await {
        Err(FramedError::Stream(StreamError::Lost(closed))) => assert_eq!(closed.code, Some(3)),
        other => panic!("{other:?}"),
    }
    drop(writer);
}
