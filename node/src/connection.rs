//! One connection: Hello is judged first, then every stream is one request.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use clankers_mesh::{Connection, FrameReader, FrameWriter, RecvStream, SendStream};
use clankers_protocol::{
    Message, VERSION,
    admission::{Admission, Input, Output},
    frame::{Frame, FrameError},
    hello::{Hello, PeerLimits, Welcome},
    kind::Kind,
    limits::{CONNECTION_STREAMS, FRAME_BYTES},
    message::Ext,
    refusal::{CloseCode, RefusalCode},
};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until, timeout},
};

use crate::{
    clock,
    door::Caller,
    hall::{Hall, SOFTWARE},
    limits::{GOODBYE, REQUEST_TIMEOUT},
    service,
};

const VERSIONS: &[u16] = &[VERSION];

/// A stream of requests, with its first frame not read yet.
type Parked = (SendStream, RecvStream);

struct Served {
    caller: Caller,
    connection: Connection,
    admission: Admission,
    /// The writer of the first stream, until Welcome is said.
    greeting: Option<FrameWriter>,
    parked: BTreeMap<u64, Parked>,
    requests: JoinSet<()>,
    deadline: Option<Instant>,
    /// Something was revoked since it was last looked at what was shown here.
    doubted: bool,
    out: Vec<Output>,
}

/// What ended the serving of a connection.
enum Verdict {
    GoOn,
    Over,
}

/// Serves a connection until it ends. Whatever is still running for it then goes on or ends by its own rules.
pub(crate) async fn serve(hall: &Arc<Hall>, connection: Connection) {
    let mut out = Vec::new();
    let admission = Admission::new(clock::now(), VERSIONS, &mut out);
    let mut served = Served {
        caller: Caller::new(hall, &connection),
        connection,
        admission,
        greeting: None,
        parked: BTreeMap::new(),
        requests: JoinSet::new(),
        deadline: None,
        doubted: false,
        out,
    };
    served.run().await;
    // A prompt goes on without its listener; the listener's own task has nobody to talk to.
    served.requests.abort_all();
    while served.requests.join_next().await.is_some() {}
}

impl Served {
    async fn run(&mut self) {
        if matches!(self.act().await, Verdict::Over) {
            return;
        }
        let mut first: Option<tokio::task::JoinHandle<Greeted>> = None;
        let mut changed = self.caller.authority().watch();
        let mut number: u64 = 0;
        loop {
            let deadline = self.deadline;
            let connection = self.connection.clone();
            let input = tokio::select! {
                stream = connection.accept() => match stream {
                    Err(_) => break,
                    Ok((send, recv)) if number == 0 => {
                        number += 1;
                        first = Some(tokio::spawn(read_hello(send, recv)));
                        continue;
                    }
                    Ok(stream) => {
                        number += 1;
                        self.parked.insert(number, stream);
                        Input::Stream(number)
                    }
                },
                greeted = greeted(&mut first) => match greeted {
                    Greeted::Hello(hello, writer) => {
                        first = None;
                        self.greeting = Some(writer);
                        Input::Hello(hello)
                    }
                    Greeted::NotHello => {
                        first = None;
                        Input::NotHello
                    }
                },
                () = wake(deadline), if deadline.is_some() => {
                    self.deadline = None;
                    Input::Tick
                }
                Some(ended) = self.requests.join_next(), if !self.requests.is_empty() => {
                    if let Err(error) = ended
                        && error.is_panic()
                    {
                        tracing::error!(peer = %self.caller.remote, %error, "a request failed from within");
                    }
                    // A chain may have been presented.
                    self.admit_if_known();
                    if self.is_over() {
                        break;
                    }
                    continue;
                }
                Ok(()) = changed.changed() => {
                    self.doubted = true;
                    if self.is_over() {
                        break;
                    }
                    continue;
                }
            };
            self.admission.handle(clock::now(), input, &mut self.out);
            if matches!(self.act().await, Verdict::Over) {
                break;
            }
        }
        if let Some(first) = first {
            first.abort();
        }
    }

    /// Does what the admission machine says.
    async fn act(&mut self) -> Verdict {
        for output in std::mem::take(&mut self.out) {
            match output {
                Output::WakeAt(at) => {
                    let wait = Duration::from_millis(at.since(clock::now()));
                    self.deadline = Some(Instant::now() + wait);
                }
                Output::Welcome { version, hello } => {
                    self.welcome(version, *hello);
                    if self.caller.is_crowded() {
                        close(&self.connection, CloseCode::RateLimited);
                        return Verdict::Over;
                    }
                }
                Output::Serve(stream) => self.serve_stream(stream),
                Output::Close(code) => {
                    tracing::info!(peer = %self.caller.remote, code = code.name(), "closed a connection");
                    self.connection.close(u32::from(code.number()), code.meaning());
                    return Verdict::Over;
                }
            }
        }
        Verdict::GoOn
    }

    fn welcome(&mut self, version: u16, hello: Hello) {
        let chains = self.caller.show(&hello.chains);
        let label = hello.label.as_deref();
        tracing::debug!(
            peer = %clankers_protocol::hello::describe(self.caller.remote, label),
            software = %clankers_protocol::text::line(&hello.software, 64),
            "welcome"
        );
        self.admit_if_known();
        let hall = &self.caller.hall;
        let welcome = Welcome {
            version,
            software: SOFTWARE.to_owned(),
            label: hall.settings.label.clone(),
            features: Vec::new(),
            boot_id: hall.boot_id,
            now: clock::now(),
            limits: PeerLimits { frame_bytes: FRAME_BYTES, streams: CONNECTION_STREAMS },
            chains,
            ext: Ext::default(),
        };
        if let Some(mut writer) = self.greeting.take() {
            // Beside everything else: a peer that does not read its Welcome holds up nothing.
            self.requests.spawn(async move {
                let _sent = timeout(REQUEST_TIMEOUT, writer.send(&welcome)).await;
                let _finished = writer.finish();
            });
        }
    }

    fn admit_if_known(&mut self) {
        if self.caller.is_known() {
            self.connection.admit();
            self.admission.handle(clock::now(), Input::Known, &mut self.out);
        }
    }

    /// Closes the connection of a removed member, which nobody would use but to be refused. What is still being answered is
    /// answered first.
    fn is_over(&mut self) -> bool {
        if !self.requests.is_empty() || !std::mem::take(&mut self.doubted) || !self.caller.is_over() {
            return false;
        }
        tracing::info!(peer = %self.caller.remote.short(), "a removed member's connection is closed");
        close(&self.connection, CloseCode::AuthorityEnded);
        true
    }

    fn serve_stream(&mut self, stream: u64) {
        let Some((send, recv)) = self.parked.remove(&stream) else { return };
        let caller = self.caller.clone();
        let connection = self.connection.clone();
        self.requests.spawn(async move {
            let mut reader = FrameReader::new(recv);
            if caller.is_known() {
                reader.set_limit(FRAME_BYTES);
            }
            let first = timeout(REQUEST_TIMEOUT, reader.next()).await;
            match first {
                Ok(Ok(Some(Frame { kind: Kind::HELLO, .. }))) => close(&connection, CloseCode::SecondHello),
                Ok(Ok(Some(frame))) => {
                    let mut writer = FrameWriter::new(send);
                    let tracker = caller.hall.requests.clone();
                    let answer = async {
                        service::answer(&caller, &connection, frame, reader, &mut writer).await;
                        if caller.hall.is_stopping() {
                            // The goodbye would overtake the answer.
                            let _acknowledged = timeout(GOODBYE, writer.stream().stopped()).await;
                        }
                    };
                    tracker.track_future(answer).await;
                }
                Ok(Ok(None)) => {}
                Ok(Err(clankers_mesh::FramedError::Frame(error))) => {
                    let mut writer = FrameWriter::new(send);
                    let code = match error {
                        FrameError::TooLarge { .. } => RefusalCode::TooLarge,
                        FrameError::Truncated => RefusalCode::Malformed,
                    };
                    let _sent = writer.send(&caller.refuse(code, &error.to_string())).await;
                    reader.stop(u32::from(CloseCode::TooMuch.number()));
                }
                Ok(Err(_)) => {}
                Err(_) => reader.stop(u32::from(CloseCode::TooMuch.number())),
            }
        });
    }
}

fn close(connection: &Connection, code: CloseCode) {
    connection.close(u32::from(code.number()), code.meaning());
}

/// What the first stream brought.
enum Greeted {
    Hello(Box<Hello>, FrameWriter),
    NotHello,
}

/// Bounded by the admission's deadline, which closes the connection.
async fn read_hello(send: SendStream, recv: RecvStream) -> Greeted {
    send.stand_aside();
    match FrameReader::new(recv).next().await {
        Ok(Some(frame)) if frame.kind == Kind::HELLO => match Hello::decode(&frame.body) {
            Ok(hello) => Greeted::Hello(Box::new(hello), FrameWriter::new(send)),
            Err(_) => Greeted::NotHello,
        },
        _ => Greeted::NotHello,
    }
}

async fn greeted(first: &mut Option<tokio::task::JoinHandle<Greeted>>) -> Greeted {
    match first {
        Some(task) => task.await.unwrap_or(Greeted::NotHello),
        None => std::future::pending().await,
    }
}

async fn wake(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}
