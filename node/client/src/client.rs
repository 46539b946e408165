//! A connection that said Hello, and requests on it.

use std::{sync::Arc, time::Duration};

use clankers_mesh::{Connection, FrameReader, FrameWriter, FramedError};
use clankers_protocol::{
    Message, Timestamp, VERSION,
    hello::{Hello, PeerKind, Present, Presented, Welcome},
    kind::Kind,
    limits::FRAME_BYTES,
    message::Ext,
    refusal::{CloseCode, Refusal},
    request::node::{Ping, Pong},
};
use tokio::{sync::watch, time::timeout};

use crate::{
    error::ClientError,
    limits::{HELLO_CHAIN_BYTES, REPLY_TIMEOUT, WELCOME_TIMEOUT},
};

/// What a peer says of itself in Hello.
#[derive(Debug, Clone)]
pub struct Introduction {
    /// Name and version of the software.
    pub software: String,
    /// A node, or one run of a command line.
    pub kind: PeerKind,
    /// What it calls itself.
    pub label: Option<String>,
    /// Random at each start.
    pub boot_id: u64,
    /// Its clock.
    pub now: Timestamp,
    /// Proof chains: UCAN containers.
    pub chains: Vec<Vec<u8>>,
}

/// What has become of Hello.
#[derive(Debug, Clone)]
enum Greeting {
    Waiting,
    Welcome(Arc<Welcome>),
    Refused(Box<Refusal>),
    Broken,
}

/// A peer that was dialed. Clones share the connection.
#[derive(Debug, Clone)]
pub struct Client {
    connection: Connection,
    greeting: watch::Receiver<Greeting>,
}

impl Client {
    /// Says Hello on a fresh connection, and does not wait for the answer: requests may follow at once.
    ///
    /// # Errors
    /// [`ClientError::Closed`] when the connection has ended already.
    pub async fn greet(connection: Connection, who: Introduction) -> Result<Self, ClientError> {
        let (send, recv) = connection.open().await?;
        let (chains, rest) = first_chains(who.chains);
        let hello = Hello {
            versions: vec![VERSION],
            software: who.software,
            kind: who.kind,
            label: who.label,
            features: Vec::new(),
            boot_id: who.boot_id,
            now: who.now,
            chains,
            ext: Ext::default(),
        };
        send.stand_aside();
        let mut writer = FrameWriter::new(send);
        if let Err(error) = writer.send(&hello).await {
            return Err(stream_error(&connection, error));
        }
        let (tell, greeting) = watch::channel(Greeting::Waiting);
        tokio::spawn(async move {
            let answer = timeout(WELCOME_TIMEOUT, read_greeting(FrameReader::new(recv))).await;
            tell.send_replace(answer.unwrap_or(Greeting::Broken));
            drop(writer);
        });
        let client = Self { connection, greeting };
        if !rest.is_empty() {
            client.present(rest).await?;
        }
        Ok(client)
    }

    /// The peer's answer to Hello.
    ///
    /// # Errors
    /// What kept it from answering.
    pub async fn welcome(&self) -> Result<Arc<Welcome>, ClientError> {
        let mut greeting = self.greeting.clone();
        let settled = greeting.wait_for(|g| !matches!(g, Greeting::Waiting)).await.map(|g| g.clone());
        match settled {
            Ok(Greeting::Welcome(welcome)) => Ok(welcome),
            Ok(Greeting::Refused(refusal)) => Err(ClientError::Refused(refusal)),
            _ => Err(self.why_broken(ClientError::Timeout(WELCOME_TIMEOUT.as_secs()))),
        }
    }

    /// The connection.
    #[must_use]
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Sends a request and waits for its one answer.
    ///
    /// # Errors
    /// [`ClientError`] that says who failed and how.
    pub async fn ask<Q: Message, A: Message>(&self, request: &Q) -> Result<A, ClientError> {
        self.ask_within(request, REPLY_TIMEOUT).await
    }

    /// [`Client::ask`] with a time limit of the caller's.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub async fn ask_within<Q: Message, A: Message>(
        &self,
        request: &Q,
        limit: Duration,
    ) -> Result<A, ClientError> {
        let answer = async {
            let (mut writer, mut reader) = self.send(request).await?;
            // Leaves with the request. When it fails the connection has ended, which the read below tells.
            let _finished = writer.finish();
            let frame = self.next(&mut reader).await?.ok_or(ClientError::NoAnswer)?;
            expect(frame.0, &frame.1)
        };
        timeout(limit, answer).await.unwrap_or(Err(ClientError::Timeout(limit.as_secs())))
    }

    /// One ping: the time from the first byte out to the last byte in.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub async fn ping(&self, nonce: u64, limit: Duration) -> Result<Duration, ClientError> {
        let start = std::time::Instant::now();
        let pong: Pong = self.ask_within(&Ping { nonce, ext: Ext::default() }, limit).await?;
        if pong.nonce != nonce {
            return Err(ClientError::Unexpected(Kind::PONG));
        }
        Ok(start.elapsed())
    }

    /// Shows further chains.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub async fn present(&self, chains: Vec<Vec<u8>>) -> Result<Presented, ClientError> {
        self.ask(&Present { chains, ext: Ext::default() }).await
    }

    /// Says goodbye; what is still under way is lost.
    pub fn close(&self) {
        self.connection.close(u32::from(CloseCode::Done.number()), "");
    }

    /// Opens a stream and sends a request on it.
    pub(crate) async fn send<Q: Message>(
        &self,
        request: &Q,
    ) -> Result<(FrameWriter, FrameReader), ClientError> {
        let (send, recv) = self.connection.open().await?;
        let mut writer = FrameWriter::new(send);
        writer.set_limit(FRAME_BYTES);
        writer.send(request).await.map_err(|e| stream_error(&self.connection, e))?;
        let mut reader = FrameReader::new(recv);
        reader.set_limit(FRAME_BYTES);
        Ok((writer, reader))
    }

    /// The next frame of an answer.
    pub(crate) async fn next(
        &self,
        reader: &mut FrameReader,
    ) -> Result<Option<(Kind, bytes::Bytes)>, ClientError> {
        match reader.next().await {
            Ok(frame) => Ok(frame.map(|f| (f.kind, f.body))),
            Err(error) => Err(self.why_broken(stream_error(&self.connection, error))),
        }
    }

    /// The connection's end explains more than what it broke, when it has ended.
    fn why_broken(&self, otherwise: ClientError) -> ClientError {
        self.connection.close_reason().map_or(otherwise, ClientError::Closed)
    }
}

/// The chains that fit into a stranger's Hello, and those that are presented after it.
fn first_chains(chains: Vec<Vec<u8>>) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let mut bytes = 0;
    chains.into_iter().partition(|chain| {
        bytes += chain.len();
        bytes <= HELLO_CHAIN_BYTES
    })
}

/// The message in a frame that answers a request.
pub(crate) fn expect<A: Message>(kind: Kind, body: &[u8]) -> Result<A, ClientError> {
    if kind == A::KIND {
        return Ok(A::decode(body)?);
    }
    if kind == Kind::REFUSAL {
        return Err(ClientError::Refused(Box::new(Refusal::decode(body)?)));
    }
    Err(ClientError::Unexpected(kind))
}

fn stream_error(connection: &Connection, error: FramedError) -> ClientError {
    connection.close_reason().map_or(ClientError::Stream(error), ClientError::Closed)
}

async fn read_greeting(mut reader: FrameReader) -> Greeting {
    reader.set_limit(FRAME_BYTES);
    match reader.next().await {
        Ok(Some(frame)) => match expect::<Welcome>(frame.kind, &frame.body) {
            Ok(welcome) => Greeting::Welcome(Arc::new(welcome)),
            Err(ClientError::Refused(refusal)) => Greeting::Refused(refusal),
            Err(_) => Greeting::Broken,
        },
        _ => Greeting::Broken,
    }
}
