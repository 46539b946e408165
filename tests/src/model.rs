//! A model server on loopback that speaks both dialects, answers well or badly and remembers what it was asked.

mod dialect;

use std::{
    collections::VecDeque,
    io::{self, BufRead, BufReader, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use self::dialect::Dialect;
use crate::limits::{MODEL_REQUEST_BYTES, MODEL_REQUESTS};

/// How one call is answered.
#[derive(Debug, Clone)]
pub enum Reply {
    /// Streams these pieces of text at once, then stops.
    Says(Vec<String>),
    /// Streams these pieces with a pause before each.
    Slowly(Vec<String>, Duration),
    /// Calls a tool with these arguments (JSON as text).
    Calls(String, String),
    /// Answers with this status, further headers (each line with its `\r\n`) and body.
    Status(u16, String, String),
    /// Streams these pieces, then breaks the connection off.
    Cut(Vec<String>),
    /// Streams these pieces, then says nothing more.
    Hangs(Vec<String>),
    /// Sends these bytes, whatever they are, and closes.
    Raw(Vec<u8>),
}

/// What was asked.
#[derive(Debug, Clone)]
pub struct Asked {
    /// When its last byte had come.
    pub at: Instant,
    /// Just before the first byte of the first piece of the answer was sent, if it was.
    pub answered: Option<Instant>,
    /// The first line: method, path, version.
    pub line: String,
    /// The headers, as they came.
    pub headers: Vec<String>,
    /// The body.
    pub body: Value,
}

#[derive(Debug)]
struct State {
    replies: VecDeque<Reply>,
    asked: Vec<Asked>,
    open: Vec<TcpStream>,
    over: bool,
}

/// The one model that the server lists, to whoever asks which there are.
pub const MODEL: &str = "mock";

/// The server. Dropping it closes all its connections.
#[derive(Debug)]
pub struct MockModel {
    addr: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl MockModel {
    /// A server that gives these replies in order, the last one again and again.
    ///
    /// # Panics
    /// When it has nothing to say, or there is no port.
    #[must_use]
    pub fn start(replies: impl IntoIterator<Item = Reply>) -> Self {
        let replies: VecDeque<_> = replies.into_iter().collect();
        assert!(!replies.is_empty(), "a model needs at least one reply");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port on loopback");
        let addr = listener.local_addr().expect("an address");
        let state = State { replies, asked: Vec::new(), open: Vec::new(), over: false };
        let state = Arc::new(Mutex::new(state));
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { continue };
                let mut state = lock(&shared);
                if state.over {
                    return;
                }
                if let Ok(copy) = stream.try_clone() {
                    state.open.retain(|open| open.peer_addr().is_ok());
                    state.open.push(copy);
                }
                drop(state);
                let shared = Arc::clone(&shared);
                // The other side may leave at any time.
                thread::spawn(move || drop(serve(&stream, &shared)));
            }
        });
        Self { addr, state }
    }

    /// What `OPENAI_BASE_URL` is to say.
    #[must_use]
    pub fn base(&self) -> String {
        format!("http://{}/v1", self.addr)
    }

    /// What `ANTHROPIC_BASE_URL` is to say.
    #[must_use]
    pub fn anthropic_base(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// What it was asked to complete so far.
    #[must_use]
    pub fn asked(&self) -> Vec<Asked> {
        lock(&self.state).asked.clone()
    }
}

impl Drop for MockModel {
    fn drop(&mut self) {
        let mut state = lock(&self.state);
        state.over = true;
        for stream in state.open.drain(..) {
            let _gone = stream.shutdown(Shutdown::Both);
        }
        drop(state);
        // Wakes the listener, which sees that it is over.
        let _woken = TcpStream::connect(self.addr);
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn serve(stream: &TcpStream, state: &Mutex<State>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?.take(MODEL_REQUEST_BYTES as u64));
    let Some(asked) = request(&mut reader)? else { return Ok(()) };
    if asked.line.starts_with("GET ") {
        let list = json!({"object": "list", "data": [{"id": MODEL, "object": "model"}]}).to_string();
        answer(
            stream,
            Dialect::OpenAi,
            Reply::Status(200, "content-type: application/json\r\n".into(), list),
            || {},
        )?;
        return stream.shutdown(Shutdown::Write);
    }
    let dialect = Dialect::of(&asked.line);
    let (number, reply) = {
        let mut state = lock(state);
        let number = state.asked.len();
        if number < MODEL_REQUESTS {
            state.asked.push(asked);
        }
        let first = state.replies.pop_front().expect("never empty");
        if state.replies.is_empty() {
            state.replies.push_back(first.clone());
        }
        (number, first)
    };
    let begins = || {
        if let Some(asked) = lock(state).asked.get_mut(number) {
            asked.answered = Some(Instant::now());
        }
    };
    answer(stream, dialect, reply, begins)?;
    stream.shutdown(Shutdown::Write)
}

fn request(reader: &mut impl BufRead) -> io::Result<Option<Asked>> {
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let line = line.trim_end().to_owned();
        if line.is_empty() {
            break;
        }
        head.push(line);
    }
    let length = head.iter().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
    });
    let mut body = vec![0; length.unwrap_or(0).min(MODEL_REQUEST_BYTES)];
    reader.read_exact(&mut body)?;
    let mut head = head.into_iter();
    Ok(Some(Asked {
        at: Instant::now(),
        answered: None,
        line: head.next().unwrap_or_default(),
        headers: head.collect(),
        body: serde_json::from_slice(&body).unwrap_or(Value::Null),
    }))
}

const STREAM: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";

fn answer(mut out: &TcpStream, dialect: Dialect, reply: Reply, begins: impl FnOnce()) -> io::Result<()> {
    let text = |pieces: &[String]| {
        let pieces: String = pieces.iter().map(|piece| dialect.said(piece)).collect();
        format!("{STREAM}{}{pieces}", dialect.begins())
    };
    if let Reply::Slowly(_, pause) = reply {
        out.write_all(STREAM.as_bytes())?;
        thread::sleep(pause);
    }
    begins();
    match reply {
        Reply::Says(pieces) => {
            out.write_all(format!("{}{}", text(&pieces), dialect.stopped(false)).as_bytes())
        }
        Reply::Slowly(pieces, pause) => {
            out.write_all(dialect.begins().as_bytes())?;
            for (number, piece) in pieces.iter().enumerate() {
                if number > 0 {
                    thread::sleep(pause);
                }
                out.write_all(dialect.said(piece).as_bytes())?;
            }
            out.write_all(dialect.stopped(false).as_bytes())
        }
        Reply::Calls(tool, arguments) => {
            let call = dialect.calls(&tool, &arguments);
            out.write_all(format!("{}{call}{}", text(&[]), dialect.stopped(true)).as_bytes())
        }
        Reply::Status(status, headers, body) => {
            let length = body.len();
            let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\nconnection: close\r\n");
            out.write_all(format!("{head}{headers}\r\n{body}").as_bytes())
        }
        Reply::Cut(pieces) => {
            out.write_all(text(&pieces).as_bytes())?;
            out.shutdown(Shutdown::Both)
        }
        Reply::Hangs(pieces) => {
            out.write_all(text(&pieces).as_bytes())?;
            // Ends when the other side does, or the server is dropped.
            while out.read(&mut [0; 512])? > 0 {}
            Ok(())
        }
        Reply::Raw(bytes) => out.write_all(&bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(model: &MockModel) -> String {
        let mut stream = TcpStream::connect(model.addr).unwrap();
        let body = r#"{"model":"m"}"#;
        let length = body.len();
        let head = format!("POST /v1/chat/completions HTTP/1.1\r\nContent-Length: {length}\r\n\r\n");
        stream.write_all((head + body).as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    #[test]
    fn replies_come_in_order_and_the_last_one_again() {
        let model = MockModel::start([
            Reply::Status(429, "retry-after: 1\r\n".into(), "{}".into()),
            Reply::Says(vec!["hi".into()]),
        ]);
        assert!(ask(&model).starts_with("HTTP/1.1 429"));
        for _ in 0..2 {
            let answer = ask(&model);
            assert!(answer.contains(r#""content":"hi""#) && answer.ends_with("data: [DONE]\n\n"), "{answer}");
        }
        let asked = model.asked();
        assert_eq!((asked.len(), &asked[0].body["model"]), (3, &json!("m")));
        assert!(asked.iter().all(|asked| asked.answered.is_some_and(|answered| answered >= asked.at)));
        assert!(asked[0].line.starts_with("POST /v1/chat/completions"));
    }

    #[test]
    fn a_reply_that_is_cut_has_no_end() {
        let model = MockModel::start([Reply::Cut(vec!["half".into()])]);
        let answer = ask(&model);
        assert!(answer.contains("half") && !answer.contains("DONE"));
    }
}
