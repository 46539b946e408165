//! A model that speaks at a pace, and says when it said what: OpenAI's dialect on loopback.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use crate::{limits::MODEL_REQUEST_BYTES, model::MODEL};

/// Time between two pieces: 1,000 a second.
const PAUSE: Duration = Duration::from_millis(1);

/// What it says to every request.
#[derive(Debug, Clone, Copy)]
pub struct Speech {
    /// Pieces of text, one a millisecond (count).
    pub pieces: usize,
    /// Every so many pieces one is the time as nanoseconds since [`Pacer::began`] and a space; the others are a letter.
    /// 1: all are times.
    pub stamp_every: usize,
    /// After the pieces it calls `ls`, so many times before an answer is the last one of its prompt (count).
    pub calls: u64,
}

impl Speech {
    /// So many pieces, all of them times, and no calls.
    #[must_use]
    pub fn stamped(pieces: usize) -> Self {
        Self { pieces, stamp_every: 1, calls: 0 }
    }
}

/// What was said so far (counts).
#[derive(Debug, Default)]
struct Said {
    answers: AtomicU64,
    pieces: AtomicU64,
    micros: AtomicU64,
}

/// See the module. Its thread ends with the process.
#[derive(Debug)]
pub struct Pacer {
    addr: SocketAddr,
    began: Instant,
    said: Arc<Said>,
}

impl Pacer {
    /// One that says this to every request.
    ///
    /// # Panics
    /// When there is no port on loopback.
    #[must_use]
    pub fn start(speech: Speech) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port on loopback");
        let addr = listener.local_addr().expect("an address");
        let (began, said) = (Instant::now(), Arc::<Said>::default());
        let counts = Arc::clone(&said);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let counts = Arc::clone(&counts);
                // The other side may leave at any time.
                thread::spawn(move || serve(&stream, began, speech, &counts).ok());
            }
        });
        Self { addr, began, said }
    }

    /// What `OPENAI_BASE_URL` is to say.
    #[must_use]
    pub fn base(&self) -> String {
        format!("http://{}/v1", self.addr)
    }

    /// From when the times count.
    #[must_use]
    pub fn began(&self) -> Instant {
        self.began
    }

    /// Pieces in a second, as it was.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn pace(&self) -> f64 {
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed) as f64;
        count(&self.said.pieces) * 1e6 / count(&self.said.micros)
    }
}

fn serve(mut stream: &TcpStream, began: Instant, speech: Speech, said: &Said) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream);
    let (mut first, mut length) = (String::new(), 0);
    reader.read_line(&mut first)?;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let line = line.trim().to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
        if line.is_empty() {
            break;
        }
    }
    reader.read_exact(&mut vec![0; length.min(MODEL_REQUEST_BYTES)])?;
    if first.starts_with("GET ") {
        let list = format!("{{\"object\":\"list\",\"data\":[{{\"id\":\"{MODEL}\",\"object\":\"model\"}}]}}");
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", list.len());
        return stream.write_all((head + &list).as_bytes());
    }
    let answer = said.answers.fetch_add(1, Ordering::Relaxed);
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")?;
    let start = Instant::now();
    for number in 0..speech.pieces {
        // At its time, however late the one before was.
        let due = PAUSE * u32::try_from(number).unwrap_or(u32::MAX);
        thread::sleep(due.saturating_sub(start.elapsed()));
        let text = if number % speech.stamp_every == 0 {
            format!("{} ", began.elapsed().as_nanos())
        } else if (number + 1) % speech.stamp_every == 0 {
            "x ".to_owned()
        } else {
            "x".to_owned()
        };
        let piece =
            format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n");
        stream.write_all(piece.as_bytes())?;
    }
    said.pieces.fetch_add(speech.pieces as u64, Ordering::Relaxed);
    let micros = u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX);
    said.micros.fetch_add(micros, Ordering::Relaxed);
    let call = if answer % (speech.calls + 1) == speech.calls { String::new() } else { calls(answer) };
    let why = if call.is_empty() { "stop" } else { "tool_calls" };
    let stop =
        format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{}},\"finish_reason\":\"{why}\"}}]}}\n\n");
    let usage = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":2}}\n\n";
    stream.write_all(format!("{call}{stop}{usage}data: [DONE]\n\n").as_bytes())
}

/// A call of `ls`, whole.
fn calls(answer: u64) -> String {
    let call = serde_json::json!([{"index": 0, "id": format!("call_{answer}"), "type": "function",
        "function": {"name": "ls", "arguments": "{}"}}]);
    let delta = serde_json::json!({"choices": [{"index": 0, "delta": {"tool_calls": call}}]});
    format!("data: {delta}\n\n")
}
