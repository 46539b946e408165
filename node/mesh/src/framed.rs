//! Frames on a stream: whole messages in and out.

use bytes::Bytes;
use clankers_protocol::{
    frame::{Decoder, Frame, FrameError, encode},
    kind::Kind,
    limits::{FRAME_BYTES, UNAUTHENTICATED_FRAME_BYTES},
    message::{Message, MessageError},
};

use crate::{
    limits::READ_CHUNK_BYTES,
    stream::{RecvStream, SendStream, StreamError},
};

/// Why a frame did not come or go.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FramedError {
    /// The stream failed.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// The bytes are no frame, or a frame is over the limit.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The frame is not the message that its kind promises, or not the one expected here.
    #[error(transparent)]
    Message(#[from] MessageError),
    /// The stream ended where a message had to follow.
    #[error("the peer ended the stream where a message of kind {0} was expected")]
    Ended(Kind),
}

/// Writes frames; each goes out as one piece.
#[derive(Debug)]
pub struct FrameWriter {
    stream: SendStream,
    limit: u32,
}

impl FrameWriter {
    /// Frames on this stream, with bodies of at most 1 MiB.
    #[must_use]
    pub fn new(stream: SendStream) -> Self {
        Self { stream, limit: FRAME_BYTES }
    }

    /// Refuses to send bodies over `limit` bytes from now on: what the peer would not read.
    pub fn set_limit(&mut self, limit: u32) {
        self.limit = limit;
    }

    /// Sends a message. Not cancel-safe.
    ///
    /// # Errors
    /// [`FramedError`] when it is over the limit or the stream fails.
    pub async fn send<M: Message>(&mut self, message: &M) -> Result<(), FramedError> {
        self.send_raw(M::KIND, &message.encode()).await
    }

    /// Sends a frame with this body. Not cancel-safe.
    ///
    /// # Errors
    /// The same as [`FrameWriter::send`].
    pub async fn send_raw(&mut self, kind: Kind, body: &[u8]) -> Result<(), FramedError> {
        let frame = encode(kind, body, self.limit)?;
        Ok(self.stream.write_chunk(frame).await?)
    }

    /// Sends frames that are already encoded, such as an event that many peers receive.
    ///
    /// # Errors
    /// [`FramedError::Stream`] when the stream fails.
    pub async fn send_encoded(&mut self, frames: Bytes) -> Result<(), FramedError> {
        Ok(self.stream.write_chunk(frames).await?)
    }

    /// Ends the stream after what was sent.
    ///
    /// # Errors
    /// [`FramedError::Stream`] when it was ended before.
    pub fn finish(&mut self) -> Result<(), FramedError> {
        Ok(self.stream.finish()?)
    }

    /// The stream itself: raw bytes, priority, reset.
    pub fn stream(&mut self) -> &mut SendStream {
        &mut self.stream
    }

    /// Gives the stream back.
    #[must_use]
    pub fn into_stream(self) -> SendStream {
        self.stream
    }
}

/// Reads frames.
#[derive(Debug)]
pub struct FrameReader {
    stream: RecvStream,
    decoder: Decoder,
    /// Set once the stream has shown that it is of no more use.
    failed: Option<FrameError>,
}

impl FrameReader {
    /// Frames on this stream, with bodies of at most 64 KiB until [`FrameReader::set_limit`] allows more.
    #[must_use]
    pub fn new(stream: RecvStream) -> Self {
        Self { stream, decoder: Decoder::new(UNAUTHENTICATED_FRAME_BYTES), failed: None }
    }

    /// Allows bodies of up to `limit` bytes from now on.
    pub fn set_limit(&mut self, limit: u32) {
        self.decoder.set_limit(limit);
    }

    /// The next frame; `None` when the stream has ended between two frames. Cancel-safe: what has arrived stays.
    ///
    /// # Errors
    /// [`FramedError::Frame`] when the peer announces too large a frame or ends inside one, and again on each
    /// further call; [`FramedError::Stream`] when the stream fails.
    pub async fn next(&mut self) -> Result<Option<Frame>, FramedError> {
        if let Some(e) = &self.failed {
            return Err(e.clone().into());
        }
        loop {
            match self.decoder.next_frame() {
                Ok(Some(frame)) => return Ok(Some(frame)),
                Ok(None) => {}
                Err(e) => return Err(self.fail(e)),
            }
            match self.stream.read_chunk(READ_CHUNK_BYTES).await? {
                Some(piece) => self.decoder.push(&piece),
                None => match self.decoder.finish() {
                    Ok(()) => return Ok(None),
                    Err(e) => return Err(self.fail(e)),
                },
            }
        }
    }

    fn fail(&mut self, e: FrameError) -> FramedError {
        self.failed = Some(e.clone());
        e.into()
    }

    /// The next frame as a message of this kind, skipping nothing. Cancel-safe.
    ///
    /// # Errors
    /// [`FramedError::Message`] when another kind comes or the body is malformed, [`FramedError::Ended`] at the
    /// stream's end, and those of [`FrameReader::next`].
    pub async fn expect<M: Message>(&mut self) -> Result<M, FramedError> {
        let frame = self.next().await?.ok_or(FramedError::Ended(M::KIND))?;
        if frame.kind != M::KIND {
            return Err(MessageError::Unexpected { expected: M::KIND, got: frame.kind }.into());
        }
        Ok(M::decode(&frame.body)?)
    }

    /// The stream after its last frame, and what was already read of the raw bytes that follow.
    #[must_use]
    pub fn into_raw(mut self) -> (Bytes, RecvStream) {
        (self.decoder.take_rest(), self.stream)
    }

    /// Wants no more of this stream.
    pub fn stop(&mut self, code: u32) {
        self.stream.stop(code);
    }
}

/// A message as the bytes of its frame, for [`FrameWriter::send_encoded`].
///
/// # Errors
/// [`FrameError::TooLarge`] when the body is over `limit` bytes.
pub fn encode_message<M: Message>(message: &M, limit: u32) -> Result<Bytes, FrameError> {
    encode(M::KIND, &message.encode(), limit)
}
