//! Steering a running lab from another process: a socket that takes one command a line.

use std::{
    fs,
    io::{self, BufRead, BufReader, Read, Write},
    net::Shutdown,
    os::unix::net::{UnixListener, UnixStream},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use crate::{
    lab::Control,
    limits::{CONTROLS, LINE_BYTES},
    space::{RUN, run_path},
};

/// The socket of a lab. Dropping it removes the file; the threads end with the process.
#[derive(Debug)]
pub struct Socket {
    path: PathBuf,
}

impl Drop for Socket {
    fn drop(&mut self) {
        let _gone = fs::remove_file(&self.path);
    }
}

fn path(lab: &str) -> PathBuf {
    Path::new(RUN).join(lab)
}

/// Listens for commands to this lab; `quit` is called when somebody asks for the end.
///
/// # Errors
/// When the socket cannot be made.
pub fn serve(lab: &str, control: Control, quit: impl Fn() + Send + Sync + 'static) -> io::Result<Socket> {
    let path = run_path(lab)?;
    let listener = UnixListener::bind(&path)?;
    let (quit, busy) = (Arc::new(quit), Arc::new(AtomicUsize::new(0)));
    thread::Builder::new().name("lab control".into()).spawn(move || {
        for stream in listener.incoming().flatten() {
            let (control, quit, busy) = (control.clone(), Arc::clone(&quit), Arc::clone(&busy));
            if busy.fetch_add(1, Ordering::AcqRel) >= CONTROLS {
                busy.fetch_sub(1, Ordering::AcqRel);
                let _gone = writeln!(&stream, "error: {CONTROLS} others are connected; try again later");
                continue;
            }
            thread::spawn(move || {
                let _gone = answer(&stream, &control, &*quit);
                busy.fetch_sub(1, Ordering::AcqRel);
            });
        }
    })?;
    Ok(Socket { path })
}

fn answer(stream: &UnixStream, control: &Control, quit: &dyn Fn()) -> io::Result<()> {
    lines(BufReader::new(stream), |line| {
        let words = match control.run(line) {
            Ok(words) => words,
            Err(error) => format!("error: {error}\n"),
        };
        let mut stream = stream;
        stream.write_all(words.as_bytes())?;
        if line.trim() == "quit" {
            quit();
        }
        Ok(())
    })
}

/// Calls for each line of bounded length.
///
/// # Errors
/// When reading or the callee fails, or a line is too long.
pub fn lines(mut from: impl BufRead, mut each: impl FnMut(&str) -> io::Result<()>) -> io::Result<()> {
    let mut line = String::new();
    loop {
        line.clear();
        let read = from.by_ref().take(LINE_BYTES).read_line(&mut line)?;
        if read == 0 {
            return Ok(());
        }
        if read as u64 == LINE_BYTES && !line.ends_with('\n') {
            return Err(io::Error::other(format!("a line of over {LINE_BYTES} bytes")));
        }
        each(&line)?;
    }
}

/// Sends one line to a lab, and returns its answer.
///
/// # Errors
/// When there is no such lab, or it refuses.
pub fn ask(lab: &str, line: &str) -> io::Result<String> {
    let path = path(lab);
    let say = |error| io::Error::other(format!("no lab listens at {}: {error}", path.display()));
    let mut stream = UnixStream::connect(&path).map_err(say)?;
    writeln!(stream, "{line}")?;
    stream.shutdown(Shutdown::Write)?;
    let mut words = String::new();
    stream.read_to_string(&mut words)?;
    match words.strip_prefix("error: ") {
        Some(error) => Err(io::Error::other(error.trim_end().to_owned())),
        None => Ok(words),
    }
}
