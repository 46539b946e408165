//! The terminal as bars see it: a little narrower than it is. The end of a row stays free, since a terminal may break one
//! that is full; and what it echoes there of a Ctrl-C would break it too: then the bar is not taken away again.

use std::{
    io::{self, Write},
    sync::{Mutex, PoisonError},
};

use indicatif::{ProgressDrawTarget, TermLike};

/// What stays free at the end of a row (columns): for `^C`, and one more.
pub(super) const MARGIN: usize = 3;
/// The width when the terminal does not say (columns).
const COLUMNS: u16 = 80;
/// The height when the terminal does not say (rows).
const ROWS: u16 = 24;
/// Bars are drawn so often (Hz).
const DRAWS: u8 = 10;

/// Where bars are drawn.
pub(super) fn target() -> ProgressDrawTarget {
    ProgressDrawTarget::term_like_with_hz(Box::<Screen>::default(), DRAWS)
}

/// Columns and rows of the terminal that bars are drawn on.
fn size() -> (u16, u16) {
    let told = rustix::termios::tcgetwinsize(io::stderr()).map_or((0, 0), |size| (size.ws_col, size.ws_row));
    let or = |told: u16, usual: u16| if told == 0 { usual } else { told };
    (or(told.0, COLUMNS), or(told.1, ROWS))
}

/// Columns of the terminal that bars are drawn on.
pub(super) fn columns() -> usize {
    size().0.into()
}

/// What is drawn, until it is flushed.
#[derive(Debug, Default)]
struct Screen {
    drawn: Mutex<Vec<u8>>,
}

impl Screen {
    fn put(&self, text: &str) -> io::Result<()> {
        self.drawn.lock().unwrap_or_else(PoisonError::into_inner).write_all(text.as_bytes())
    }

    fn moved(&self, n: usize, way: char) -> io::Result<()> {
        if n == 0 { Ok(()) } else { self.put(&format!("\x1b[{n}{way}")) }
    }
}

impl TermLike for Screen {
    fn width(&self) -> u16 {
        size().0.saturating_sub(u16::try_from(MARGIN).unwrap_or_default()).max(1)
    }

    fn height(&self) -> u16 {
        size().1
    }

    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        self.moved(n, 'A')
    }

    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        self.moved(n, 'B')
    }

    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        self.moved(n, 'C')
    }

    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        self.moved(n, 'D')
    }

    fn write_line(&self, s: &str) -> io::Result<()> {
        self.put(s)?;
        self.put("\n")
    }

    fn write_str(&self, s: &str) -> io::Result<()> {
        self.put(s)
    }

    fn clear_line(&self) -> io::Result<()> {
        self.put("\r\x1b[2K")
    }

    fn flush(&self) -> io::Result<()> {
        let drawn = std::mem::take(&mut *self.drawn.lock().unwrap_or_else(PoisonError::into_inner));
        let mut out = io::stderr().lock();
        out.write_all(&drawn)?;
        out.flush()
    }
}
