//! Frames: kind (u16, little endian), length of the body (u32, little endian), body.
//!
//! The decoder is incremental and holds no more than it was given: a header that claims more than the limit
//! is refused before a byte of its body is kept.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::{kind::Kind, limits};

/// Bytes of a frame's header.
pub const HEADER_BYTES: usize = 6;

/// One frame as it travels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// What the body is.
    pub kind: Kind,
    /// The body: postcard, unless the kind's table entry says otherwise.
    pub body: Bytes,
}

/// Why bytes are not a frame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The header claims a body over the limit.
    #[error("a frame of {claimed} bytes was announced, the limit here is {limit}")]
    TooLarge {
        /// Bytes that the header claims.
        claimed: u32,
        /// The limit in force, in bytes.
        limit: u32,
    },
    /// The stream ended inside a frame.
    #[error("the stream ended inside a frame")]
    Truncated,
}

/// Turns bytes, in pieces of any size, into frames.
#[derive(Debug)]
pub struct Decoder {
    buffer: BytesMut,
    limit: u32,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new(limits::UNAUTHENTICATED_FRAME_BYTES)
    }
}

impl Decoder {
    /// A decoder that refuses bodies over `limit` bytes.
    #[must_use]
    pub fn new(limit: u32) -> Self {
        Self { buffer: BytesMut::new(), limit }
    }

    /// Changes the limit for the frames to come (bytes).
    pub fn set_limit(&mut self, limit: u32) {
        self.limit = limit;
    }

    /// Takes in bytes. Ask [`Decoder::next_frame`] until it answers `None` before pushing more, so that the
    /// buffer never holds more than one frame and one piece.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.put_slice(bytes);
    }

    /// The next whole frame, if its last byte has arrived.
    ///
    /// # Errors
    /// [`FrameError::TooLarge`] as soon as the header is there; the stream is of no more use then.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, FrameError> {
        let Some((mut header, _)) = self.buffer.split_first_chunk::<HEADER_BYTES>().map(|(h, r)| (&h[..], r))
        else {
            return Ok(None);
        };
        let kind = Kind(header.get_u16_le());
        let claimed = header.get_u32_le();
        if claimed > self.limit {
            return Err(FrameError::TooLarge { claimed, limit: self.limit });
        }
        let body = usize::try_from(claimed).unwrap_or(usize::MAX);
        if self.buffer.len() - HEADER_BYTES < body {
            return Ok(None);
        }
        self.buffer.advance(HEADER_BYTES);
        Ok(Some(Frame { kind, body: self.buffer.split_to(body).freeze() }))
    }

    /// Bytes that were pushed and belong to no frame yet: raw bytes may follow a frame.
    pub fn take_rest(&mut self) -> Bytes {
        self.buffer.split().freeze()
    }

    /// Says whether the stream may end here.
    ///
    /// # Errors
    /// [`FrameError::Truncated`] when part of a frame has arrived.
    pub fn finish(&self) -> Result<(), FrameError> {
        if self.buffer.is_empty() { Ok(()) } else { Err(FrameError::Truncated) }
    }
}

/// Header and body in one buffer, ready to send.
///
/// # Errors
/// [`FrameError::TooLarge`] when the body is over `limit` bytes: nobody would read it.
pub fn encode(kind: Kind, body: &[u8], limit: u32) -> Result<Bytes, FrameError> {
    let claimed = u32::try_from(body.len()).unwrap_or(u32::MAX);
    if claimed > limit {
        return Err(FrameError::TooLarge { claimed, limit });
    }
    let mut out = BytesMut::with_capacity(HEADER_BYTES + body.len());
    out.put_u16_le(kind.0);
    out.put_u32_le(claimed);
    out.put_slice(body);
    Ok(out.freeze())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_lying_length_is_refused_before_anything_is_kept() {
        let mut decoder = Decoder::default();
        decoder.push(&[1, 0, 0xff, 0xff, 0xff, 0xff]);
        assert_eq!(
            decoder.next_frame(),
            Err(FrameError::TooLarge { claimed: u32::MAX, limit: limits::UNAUTHENTICATED_FRAME_BYTES })
        );
        assert!(decoder.buffer.capacity() < 1024);
    }

    proptest! {
        #[test]
        fn frames_survive_any_cutting(
            frames in prop::collection::vec((any::<u16>(), prop::collection::vec(any::<u8>(), 0..200)), 0..8),
            cuts in prop::collection::vec(1_usize..50, 1..20),
        ) {
            let mut wire = Vec::new();
            for (kind, body) in &frames {
                wire.extend_from_slice(&encode(Kind(*kind), body, 1000).unwrap());
            }
            let mut decoder = Decoder::new(1000);
            let mut got = Vec::new();
            let mut rest = &wire[..];
            for cut in cuts.iter().cycle() {
                if rest.is_empty() { break; }
                let (piece, after) = rest.split_at((*cut).min(rest.len()));
                decoder.push(piece);
                rest = after;
                while let Some(frame) = decoder.next_frame().unwrap() {
                    got.push((frame.kind.0, frame.body.to_vec()));
                }
            }
            prop_assert_eq!(got, frames);
            prop_assert!(decoder.finish().is_ok());
        }

        #[test]
        fn any_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut decoder = Decoder::new(64);
            decoder.push(&bytes);
            while let Ok(Some(_)) = decoder.next_frame() {}
        }
    }
}
