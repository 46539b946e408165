//! A model that speaks at a pace, and says when it said what.

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

use clankers_tests::{limits::MODEL_REQUEST_BYTES, model::MODEL};

/// Time between two pieces: 1,000 a second.
const PAUSE: Duration = Duration::from_millis(1);

/// See the module. Its thread ends with the process.
pub(super) struct Pacer {
    addr: SocketAddr,
    began: Instant,
    said: Arc<AtomicU64>,
    micros: Arc<AtomicU64>,
}

impl Pacer {
    /// One that says so many pieces to every prompt.
    pub(super) fn start(pieces: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port on loopback");
        let addr = listener.local_addr().expect("an address");
        let began = Instant::now();
        let (said, micros) = (Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default());
        let counts = (Arc::clone(&said), Arc::clone(&micros));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let counts = counts.clone();
                // The other side may leave at any time.
                thread::spawn(move || serve(&stream, began, pieces, &counts).ok());
            }
        });
        Self { addr, began, said, micros }
    }

    /// What `OPENAI_BASE_URL` is to say.
    pub(super) fn base(&self) -> String {
        format!("http://{}/v1", self.addr)
    }

    /// From when the times count.
    pub(super) fn began(&self) -> Instant {
        self.began
    }

    /// Pieces in a second, as it was.
    #[allow(clippy::cast_precision_loss)]
    pub(super) fn pace(&self) -> f64 {
        self.said.load(Ordering::Relaxed) as f64 * 1e6 / self.micros.load(Ordering::Relaxed) as f64
    }
}

fn serve(
    mut stream: &TcpStream,
    began: Instant,
    pieces: usize,
    (said, micros): &(Arc<AtomicU64>, Arc<AtomicU64>),
) -> std::io::Result<()> {
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
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")?;
    let start = Instant::now();
    for number in 0..pieces {
        // At its time, however late the one before was.
        let due = PAUSE * u32::try_from(number).unwrap_or(u32::MAX);
        thread::sleep(due.saturating_sub(start.elapsed()));
        let now = began.elapsed().as_nanos();
        let piece =
            format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{now} \"}}}}]}}\n\n");
        stream.write_all(piece.as_bytes())?;
    }
    said.fetch_add(pieces as u64, Ordering::Relaxed);
    micros.fetch_add(u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    let stop = "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
    let usage = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":2}}\n\n";
    stream.write_all(format!("{stop}{usage}data: [DONE]\n\n").as_bytes())
}
