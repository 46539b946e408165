//! Server-sent events (WHATWG HTML, section 9.2.6), as far as models use them: the data of each event.
//!
//! Bytes may be split anywhere; lines end in LF, CR or CRLF. Unlike a browser this parser refuses to grow without
//! limit, and hands out the last event also when the blank line after it is missing.

use crate::limits::{SSE_EVENT_BYTES, SSE_LINE_BYTES};

/// The stream has a line or an event above its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooLong;

#[derive(Debug, Default)]
pub(crate) struct Sse {
    line: Vec<u8>,
    data: Option<Vec<u8>>,
    after_cr: bool,
    began: bool,
}

impl Sse {
    /// Takes bytes and appends the data of every event that they complete.
    pub(crate) fn push(&mut self, bytes: &[u8], out: &mut Vec<String>) -> Result<(), TooLong> {
        let mut rest = bytes;
        while !rest.is_empty() {
            if std::mem::take(&mut self.after_cr)
                && let Some(stripped) = rest.strip_prefix(b"\n")
            {
                rest = stripped;
                continue;
            }
            let end = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
            let (part, tail) = rest.split_at(end.unwrap_or(rest.len()));
            if self.line.len() + part.len() > SSE_LINE_BYTES {
                return Err(TooLong);
            }
            self.line.extend_from_slice(part);
            rest = tail;
            if let Some((ending, tail)) = rest.split_first() {
                self.after_cr = *ending == b'\r';
                rest = tail;
                self.end_line(out)?;
            }
        }
        Ok(())
    }

    /// The end of the stream: what was not closed by a blank line.
    pub(crate) fn finish(&mut self, out: &mut Vec<String>) -> Result<(), TooLong> {
        if !self.line.is_empty() {
            self.end_line(out)?;
        }
        self.dispatch(out);
        Ok(())
    }

    fn end_line(&mut self, out: &mut Vec<String>) -> Result<(), TooLong> {
        let line = std::mem::take(&mut self.line);
        let mut line = line.as_slice();
        if !std::mem::replace(&mut self.began, true) {
            line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
        }
        if line.is_empty() {
            self.dispatch(out);
        } else if let Some(value) = line.strip_prefix(b"data:") {
            self.add(value.strip_prefix(b" ").unwrap_or(value))?;
        } else if line == b"data" {
            self.add(b"")?;
        }
        // Comments, `event`, `id` and `retry` mean nothing here.
        Ok(())
    }

    fn add(&mut self, value: &[u8]) -> Result<(), TooLong> {
        let data = match &mut self.data {
            Some(data) => {
                data.push(b'\n');
                data
            }
            empty => empty.insert(Vec::new()),
        };
        if data.len() + value.len() > SSE_EVENT_BYTES {
            return Err(TooLong);
        }
        data.extend_from_slice(value);
        Ok(())
    }

    fn dispatch(&mut self, out: &mut Vec<String>) {
        if let Some(data) = self.data.take() {
            out.push(String::from_utf8_lossy(&data).into_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn events(parts: &[&[u8]]) -> Result<Vec<String>, TooLong> {
        let (mut sse, mut out) = (Sse::default(), Vec::new());
        for part in parts {
            sse.push(part, &mut out)?;
        }
        sse.finish(&mut out)?;
        Ok(out)
    }

    #[test]
    fn the_forms_of_the_specification() {
        let stream = "\u{feff}: comment\r\nevent: x\r\ndata: one\r\ndata: two\r\n\r\ndata:three\n\ndata\n\ndata:  x\r\r";
        assert_eq!(events(&[stream.as_bytes()]).unwrap(), ["one\ntwo", "three", "", " x"]);
        assert_eq!(events(&[b"data: [DONE]"]).unwrap(), ["[DONE]"]);
        assert_eq!(events(&[b"hello\n\nid: 1\n\n"]).unwrap(), [""; 0]);
    }

    #[test]
    fn a_line_without_end_is_refused() {
        let (mut sse, mut out) = (Sse::default(), Vec::new());
        let block = vec![b'x'; 64 * 1024];
        let pushed = (0..100).take_while(|_| sse.push(&block, &mut out).is_ok()).count();
        assert_eq!(pushed, SSE_LINE_BYTES / block.len());
    }

    #[test]
    fn an_event_without_end_is_refused() {
        let (mut sse, mut out) = (Sse::default(), Vec::new());
        let line = format!("data: {}\n", "x".repeat(500 * 1024));
        assert!((0..5).any(|_| sse.push(line.as_bytes(), &mut out).is_err()));
    }

    proptest! {
        #[test]
        fn where_the_bytes_are_split_does_not_matter(
            lines in prop::collection::vec(("[a-z é:]{0,6}", prop::sample::select(vec!["\n", "\r", "\r\n"])), 0..20),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
        ) {
            let stream: String = lines.iter().map(|(text, end)| format!("data:{text}{end}{end}")).collect();
            let bytes = stream.as_bytes();
            let whole = events(&[bytes]);
            let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            at.extend([0, bytes.len()]);
            at.sort_unstable();
            let parts: Vec<&[u8]> = at.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
            prop_assert_eq!(&events(&parts), &whole);
            prop_assert_eq!(whole.map(|events| events.len()), Ok(lines.len()));
        }

        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(events(&[&bytes]).is_ok());
        }
    }
}
