//! A server of a few lines that answers what a test tells it to, well or badly.

use std::sync::{Arc, Mutex};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Notify,
    task::JoinHandle,
};

/// What is done with one connection.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// Send these bytes.
    Send(Vec<u8>),
    /// Send this block until nobody reads any more.
    Flood(Vec<u8>),
    /// Keep the connection open until the other side closes it.
    Hang,
}

pub(crate) type Reply = Vec<Step>;

/// A response with its status, further headers and body.
pub(crate) fn http(status: u16, headers: &str, body: &str) -> Reply {
    let length = body.len();
    let head =
        format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\nconnection: close\r\n{headers}\r\n");
    vec![Step::Send((head + body).into_bytes())]
}

/// The beginning of an event stream; the connection's end ends it.
pub(crate) fn stream(body: &str) -> Reply {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
    vec![Step::Send(format!("{head}{body}").into_bytes())]
}

/// An event with this JSON.
pub(crate) fn event(json: &serde_json::Value) -> String {
    format!("data: {json}\n\n")
}

#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) base: String,
    requests: Arc<Mutex<Vec<(String, String)>>>,
    /// The other side closed a connection that was left hanging.
    pub(crate) hung_up: Arc<Notify>,
    task: JoinHandle<()>,
}

impl Server {
    /// Answers the n-th connection with the n-th reply.
    pub(crate) async fn start(replies: Vec<Reply>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let base = format!("http://{}/v1", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let hung_up = Arc::new(Notify::new());
        let (log, bell) = (Arc::clone(&requests), Arc::clone(&hung_up));
        let task = tokio::spawn(async move {
            for reply in replies {
                let Ok((socket, _)) = listener.accept().await else { return };
                serve(socket, reply, &log, &bell).await;
            }
        });
        Self { base, requests, hung_up, task }
    }

    /// The requests so far: head and body.
    pub(crate) fn requests(&self) -> Vec<(String, String)> {
        self.requests.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut socket: TcpStream, reply: Reply, log: &Mutex<Vec<(String, String)>>, bell: &Notify) {
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        if socket.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
            return;
        }
    };
    let head = String::from_utf8_lossy(&bytes[..head_end]).to_lowercase();
    let length =
        head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
    while bytes.len() < head_end + length {
        if socket.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
            return;
        }
    }
    log.lock().unwrap().push((head, String::from_utf8_lossy(&bytes[head_end..]).into_owned()));
    for step in reply {
        match step {
            Step::Send(bytes) => {
                if socket.write_all(&bytes).await.is_err() {
                    return;
                }
            }
            Step::Flood(block) => while socket.write_all(&block).await.is_ok() {},
            Step::Hang => {
                let _ = socket.read(&mut [0; 64]).await;
                bell.notify_one();
                return;
            }
        }
    }
    let _ = socket.shutdown().await;
}
