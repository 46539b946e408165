//! A peer over real QUIC that says whatever it likes: any bytes, on any stream, in any order, with any chains.

use clankers_mesh::{
    Closed, Connection, DialError, FrameReader, FramedError, Mesh, MeshConfig, PeerAddress, SendStream,
    StreamError,
};
use clankers_protocol::{
    ALPN, Message, NodeId, VERSION,
    frame::{Frame, HEADER_BYTES},
    hello::{Hello, PeerKind, Welcome},
    kind::Kind,
    limits::FRAME_BYTES,
    message::Ext,
    refusal::{CloseCode, Refusal, RefusalCode},
};

use crate::{forge, limits::STEP, wait};

/// An endpoint with a key of its own, and no manners.
#[derive(Debug)]
pub struct Hostile {
    mesh: Mesh,
    seed: [u8; 32],
}

impl Hostile {
    /// One with a fresh key.
    ///
    /// # Panics
    /// When no endpoint can be made.
    pub async fn start() -> Self {
        Self::with_seed(forge::random()).await
    }

    /// One with a fresh key that dials from this address of the machine.
    ///
    /// # Panics
    /// When no endpoint can be made.
    pub async fn start_at(ip: std::net::Ipv4Addr) -> Self {
        let seed: [u8; 32] = forge::random();
        let bind = clankers_mesh::Bind::Exact(vec![(ip, 0).into()]);
        let config = MeshConfig { bind, ..MeshConfig::dial_only(seed.into()) };
        Self { mesh: Mesh::start(config).await.expect("an endpoint on loopback"), seed }
    }

    /// One with this key: a node's own, for instance, when somebody stole it.
    ///
    /// # Panics
    /// When no endpoint can be made.
    pub async fn with_seed(seed: [u8; 32]) -> Self {
        let mesh = Mesh::start(MeshConfig::dial_only(seed.into())).await.expect("an endpoint on loopback");
        Self { mesh, seed }
    }

    /// Who it is: what TLS proves.
    #[must_use]
    pub fn id(&self) -> NodeId {
        self.mesh.id()
    }

    /// Its key, to sign chains with.
    #[must_use]
    pub fn seed(&self) -> [u8; 32] {
        self.seed
    }

    /// Connects, and says nothing.
    ///
    /// # Panics
    /// When the node cannot be reached.
    pub async fn connect(&self, to: &PeerAddress) -> Guest {
        self.try_connect(to, ALPN).await.unwrap_or_else(|error| panic!("connecting: {error}"))
    }

    /// Connects under any ALPN.
    ///
    /// # Errors
    /// What kept it from connecting.
    pub async fn try_connect(&self, to: &PeerAddress, alpn: &[u8]) -> Result<Guest, DialError> {
        self.mesh.dial(to, alpn, STEP).await.map(|connection| Guest { connection })
    }

    /// Connects and is welcomed with these chains.
    ///
    /// # Panics
    /// When it is not.
    pub async fn welcomed(&self, to: &PeerAddress, chains: Vec<Vec<u8>>) -> (Guest, Welcome) {
        let guest = self.connect(to).await;
        let welcome = guest.greet(chains).await.message();
        (guest, welcome)
    }

    /// Closes its endpoint.
    pub async fn close(self) {
        self.mesh.close().await;
    }
}

/// One connection of a [`Hostile`].
#[derive(Debug, Clone)]
pub struct Guest {
    connection: Connection,
}

impl Guest {
    /// The connection itself: its streams take any bytes.
    #[must_use]
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Opens a stream and writes these bytes, whatever they are. The first stream of a connection is where Hello
    /// belongs.
    ///
    /// # Panics
    /// When no stream can be opened or the bytes are not taken within [`STEP`].
    pub async fn bytes(&self, bytes: &[u8]) -> Talk {
        self.try_bytes(bytes).await.unwrap_or_else(|answer| panic!("sending: {answer:?}"))
    }

    /// [`Guest::bytes`] for a node that may refuse to listen.
    ///
    /// # Errors
    /// How the node showed that.
    pub async fn try_bytes(&self, bytes: &[u8]) -> Result<Talk, Answer> {
        let work = async {
            let (mut writer, reader) = self.connection.open().await.map_err(Answer::Closed)?;
            let mut reader = FrameReader::new(reader);
            reader.set_limit(FRAME_BYTES);
            writer.write_all(bytes).await.map_err(|error| Answer::of_stream(&self.connection, error))?;
            Ok(Talk { writer, reader, connection: self.connection.clone() })
        };
        tokio::time::timeout(STEP, work).await.unwrap_or(Err(Answer::Silence))
    }

    /// Opens a stream and sends one frame, with any kind and body.
    ///
    /// # Panics
    /// As [`Guest::bytes`].
    pub async fn frame(&self, kind: Kind, body: &[u8]) -> Talk {
        self.bytes(&frame(kind, body)).await
    }

    /// Opens a stream and sends a message.
    ///
    /// # Panics
    /// As [`Guest::bytes`].
    pub async fn say<M: Message>(&self, message: &M) -> Talk {
        self.frame(M::KIND, &message.encode()).await
    }

    /// Asks on a stream of its own and takes the first answer.
    ///
    /// # Panics
    /// As [`Guest::bytes`].
    pub async fn ask<M: Message>(&self, message: &M) -> Answer {
        let mut talk = self.say(message).await;
        talk.finish();
        talk.answer().await
    }

    /// Says a well-formed Hello with these chains, and takes the answer: a Welcome, when all is well.
    ///
    /// # Panics
    /// As [`Guest::bytes`].
    pub async fn greet(&self, chains: Vec<Vec<u8>>) -> Answer {
        self.say(&hello(chains)).await.answer().await
    }

    /// Waits until the node closes the connection.
    ///
    /// # Panics
    /// When it does not within [`STEP`].
    pub async fn closed(&self) -> Closed {
        wait::within("the connection's end", STEP, self.connection.closed()).await
    }

    /// The code with which the node closes the connection.
    ///
    /// # Panics
    /// When it does not close it within [`STEP`], or without a code.
    pub async fn close_code(&self) -> CloseCode {
        let closed = self.closed().await;
        match closed.code {
            Some(code) if closed.by_peer => {
                CloseCode::from_number(u16::try_from(code).expect("a small code"))
            }
            _ => panic!("the connection was lost, not closed: {closed}"),
        }
    }
}

/// A well-formed Hello of a command line, with these chains; bend it before it is sent.
#[must_use]
pub fn hello(chains: Vec<Vec<u8>>) -> Hello {
    Hello {
        versions: vec![VERSION],
        software: "lab/0".into(),
        kind: PeerKind::Cli,
        label: None,
        features: Vec::new(),
        boot_id: u64::from_le_bytes(forge::random()),
        now: forge::now(),
        chains,
        ext: Ext::default(),
    }
}

/// A frame with any kind and body, over any limit.
#[must_use]
pub fn frame(kind: Kind, body: &[u8]) -> Vec<u8> {
    frame_claiming(kind, u32::try_from(body.len()).unwrap_or(u32::MAX), body)
}

/// A frame whose header claims any length.
#[must_use]
pub fn frame_claiming(kind: Kind, length: u32, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEADER_BYTES + body.len());
    out.extend_from_slice(&kind.0.to_le_bytes());
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(body);
    out
}

/// A stream of a [`Guest`], both ways.
#[derive(Debug)]
pub struct Talk {
    writer: SendStream,
    reader: FrameReader,
    connection: Connection,
}

impl Talk {
    /// Writes more bytes on the same stream.
    ///
    /// # Errors
    /// How the node showed that it does not listen.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), Answer> {
        match tokio::time::timeout(STEP, self.writer.write_all(bytes)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Answer::of_stream(&self.connection, error)),
            Err(_) => Err(Answer::Silence),
        }
    }

    /// Ends the stream's own direction.
    pub fn finish(&mut self) {
        let _already = self.writer.finish();
    }

    /// Breaks the stream's own direction off.
    pub fn reset(&mut self, code: u32) {
        self.writer.reset(code);
    }

    /// The next thing that the node says on this stream, or how it ends.
    pub async fn answer(&mut self) -> Answer {
        match tokio::time::timeout(STEP, self.reader.next()).await {
            Err(_) => Answer::Silence,
            Ok(Ok(None)) => Answer::Ended,
            Ok(Ok(Some(frame))) if frame.kind == Kind::REFUSAL => match Refusal::decode(&frame.body) {
                Ok(refusal) => Answer::Refused(Box::new(refusal)),
                Err(error) => Answer::Nonsense(error.to_string()),
            },
            Ok(Ok(Some(frame))) => Answer::Frame(frame),
            Ok(Err(FramedError::Stream(error))) => Answer::of_stream(&self.connection, error),
            Ok(Err(error)) => Answer::Nonsense(error.to_string()),
        }
    }

    /// Everything the node says until the stream ends; the last entry says how.
    pub async fn answers(&mut self) -> Vec<Answer> {
        let mut out = Vec::new();
        loop {
            let answer = self.answer().await;
            let goes_on = matches!(answer, Answer::Frame(_) | Answer::Refused(_));
            out.push(answer);
            if !goes_on {
                return out;
            }
        }
    }
}

/// What a node may do with what it was told.
#[derive(Debug, Clone)]
pub enum Answer {
    /// A frame, other than a refusal.
    Frame(Frame),
    /// It refuses the request.
    Refused(Box<Refusal>),
    /// It ended the stream.
    Ended,
    /// It broke the stream off, or does not want to read it, with this code.
    Reset(u32),
    /// The connection ended.
    Closed(Closed),
    /// It sent something that is no frame.
    Nonsense(String),
    /// Nothing within [`STEP`].
    Silence,
}

impl Answer {
    fn of_stream(connection: &Connection, error: StreamError) -> Self {
        if let Some(closed) = connection.close_reason() {
            return Self::Closed(closed);
        }
        match error {
            StreamError::Lost(closed) => Self::Closed(closed),
            StreamError::Stopped(code) | StreamError::Reset(code) => Self::Reset(code),
            other => Self::Nonsense(other.to_string()),
        }
    }

    /// The message that must be in it.
    ///
    /// # Panics
    /// When something else came.
    #[must_use]
    pub fn message<M: Message>(&self) -> M {
        match self {
            Self::Frame(frame) if frame.kind == M::KIND => {
                M::decode(&frame.body).expect("a well-formed answer")
            }
            other => panic!("expected {}, got {other:?}", M::KIND),
        }
    }

    /// The refusal that it must be.
    ///
    /// # Panics
    /// When something else came.
    #[must_use]
    pub fn refused(&self) -> RefusalCode {
        match self {
            Self::Refused(refusal) => refusal.code(),
            other => panic!("expected a refusal, got {other:?}"),
        }
    }
}

#[cfg(test)]
mod tests;
