//! An attached session, seen over connections that come and go.
//!
//! [`AttachStream`] is the shell around [`Follower`]: it dials when the machine says so, and everything that it shows
//! was judged by the machine: each durable event once and in order. Nothing runs unless [`AttachStream::next`] is
//! awaited, but for what the node sends meanwhile, which waits in a bounded queue and then at the node.

use std::{
    collections::{BTreeMap, VecDeque},
    future::Future,
    sync::Arc,
    time::Duration,
};

use clankers_mesh::{FrameReader, FrameWriter};
use clankers_protocol::{
    Timestamp,
    attach::{Cursor, End, Follower, FromNode, FromViewer, Output, Shown, Step},
    message::Ext,
    refusal::Refusal,
    request::attach::{Attach, From, Role},
};
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{Instant, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    client::Client,
    error::ClientError,
    limits::{ATTACH_FRAMES, CLOSE_TIMEOUT, RENEW_EVERY, UNKNOWN_EVENTS, VIEWER_WORDS},
};

/// How the node is reached: again and again.
pub trait Way: Send + Sync + 'static {
    /// What has to live while a connection is used.
    type Keep: Send + Sync + 'static;
    /// Why the node was not reached.
    type Error: Send + 'static;

    /// Reaches the node and says Hello.
    fn reach(&self) -> impl Future<Output = Result<(Client, Self::Keep), Self::Error>> + Send;

    /// Shows fresh chains on a connection that has been open for long.
    fn renew(&self, client: &Client, keep: &Self::Keep) -> impl Future<Output = ()> + Send;

    /// Returns when this machine is reached at another address than before, so that packets from the old one are
    /// likely lost. Cancel-safe; asked again and again. Never, for a way that cannot tell.
    fn moved(&self) -> impl Future<Output = ()> + Send {
        std::future::pending()
    }

    /// Says goodbye on a connection that is used no more.
    fn part(&self, keep: Self::Keep) -> impl Future<Output = ()> + Send;
}

/// What a viewer wants.
#[derive(Debug, Clone)]
pub struct Wish {
    /// An id, a unique prefix, or `last`, which is what none means.
    pub session: Option<String>,
    /// To watch, or to type as well.
    pub role: Role,
    /// Where the events begin.
    pub from: From,
}

/// Why a try came to nothing.
#[derive(Debug)]
pub enum Failure<E> {
    /// The node was not reached.
    Reach(E),
    /// It was, and then something broke.
    Broke(ClientError),
}

/// Why an attached session is over.
#[derive(Debug)]
pub enum Ended<E> {
    /// The viewer left.
    Detached,
    /// The node refused, or ended it: revoked, expired, killed.
    Refused(Box<Refusal>),
    /// The node cannot be reached: what the last try said, if anything.
    Unreachable(Option<Failure<E>>),
}

enum Heard<E> {
    Frame(FromNode),
    Lost(Option<Failure<E>>),
}

/// One try, and the stream that comes of it.
struct Line {
    words: mpsc::Sender<FromViewer>,
    stop: CancellationToken,
}

/// See the module.
pub struct AttachStream<W: Way> {
    way: Arc<W>,
    wish: Wish,
    machine: Follower,
    lines: BTreeMap<u64, Line>,
    tasks: JoinSet<()>,
    tell: mpsc::Sender<(u64, Heard<W::Error>)>,
    heard: mpsc::Receiver<(u64, Heard<W::Error>)>,
    shown: VecDeque<Shown>,
    began: Instant,
    wake: Option<Instant>,
    failure: Option<Failure<W::Error>>,
    end: Option<End>,
}

impl<W: Way> AttachStream<W> {
    /// Begins: the first thing that [`AttachStream::next`] shows is `Attached`, or why not.
    pub fn open(way: W, wish: Wish) -> Self {
        let (tell, heard) = mpsc::channel(ATTACH_FRAMES);
        let mut stream = Self {
            machine: Follower::new(wish.from),
            way: Arc::new(way),
            wish,
            lines: BTreeMap::new(),
            tasks: JoinSet::new(),
            tell,
            heard,
            shown: VecDeque::new(),
            began: Instant::now(),
            wake: None,
            failure: None,
            end: None,
        };
        stream.step(Step::Start);
        stream
    }

    /// How the node is reached.
    pub fn way(&self) -> &W {
        &self.way
    }

    /// What was seen.
    #[must_use]
    pub fn cursor(&self) -> &Cursor {
        self.machine.cursor()
    }

    /// Whether a stream is open now.
    #[must_use]
    pub fn is_attached(&self) -> bool {
        self.machine.is_attached()
    }

    /// What was said and is not answered yet (count).
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.machine.waiting()
    }

    /// Says something: at once, or when the node is reached again.
    pub fn say(&mut self, word: FromViewer) {
        self.step(Step::Say(word));
    }

    /// The next thing to show. Cancel-safe.
    ///
    /// # Errors
    /// [`Ended`] when it is over.
    pub async fn next(&mut self) -> Result<Shown, Ended<W::Error>> {
        loop {
            if let Some(shown) = self.shown.pop_front() {
                return Ok(shown);
            }
            if let Some(end) = self.end.take() {
                return Err(match end {
                    End::Detached => Ended::Detached,
                    End::Refused(refusal) => Ended::Refused(refusal),
                    End::Unreachable => Ended::Unreachable(self.failure.take()),
                });
            }
            let wake = self.wake;
            let step = tokio::select! {
                biased;
                heard = self.heard.recv() => match heard {
                    Some((which, Heard::Frame(frame))) => Step::Frame(which, frame),
                    Some((which, Heard::Lost(failure))) => {
                        self.failure = failure.or(self.failure.take());
                        self.lines.remove(&which);
                        Step::Lost(which)
                    }
                    // This end holds a sender itself.
                    None => Step::Tick,
                },
                () = self.way.moved() => Step::Moved,
                () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => {
                    self.wake = None;
                    Step::Tick
                }
            };
            while self.tasks.try_join_next().is_some() {}
            self.step(step);
        }
    }

    /// Says goodbye on every connection; what was not answered is not waited for.
    pub async fn close(mut self) {
        for line in self.lines.values() {
            line.stop.cancel();
        }
        let all = async { while self.tasks.join_next().await.is_some() {} };
        let _late = timeout(CLOSE_TIMEOUT, all).await;
    }

    fn now(&self) -> Timestamp {
        Timestamp(u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    fn step(&mut self, step: Step) {
        let now = self.now();
        let mut out = Vec::new();
        self.machine.handle(now, step, &mut out);
        for output in out {
            match output {
                Output::Dial(which, from) => self.dial(which, from),
                Output::Drop(which) => {
                    if let Some(line) = self.lines.remove(&which) {
                        line.stop.cancel();
                    }
                }
                Output::Send(which, word) => {
                    let line = self.lines.get(&which);
                    // A full line is one that the node does not read: as good as lost.
                    if line.is_some_and(|line| line.words.try_send(word).is_err()) {
                        self.step(Step::Lost(which));
                    }
                }
                Output::Show(shown) => {
                    if let Shown::Attached(attached, _) = &*shown {
                        // The same one from now on, whatever its name means later.
                        self.wish.session = Some(attached.session.to_string());
                        self.failure = None;
                    }
                    self.shown.push_back(*shown);
                }
                Output::WakeAt(at) => {
                    self.wake = Some(Instant::now() + Duration::from_millis(at.since(now)));
                }
                Output::Over(end) => self.end = Some(end),
            }
        }
    }

    fn dial(&mut self, which: u64, from: From) {
        let (words, said) = mpsc::channel(VIEWER_WORDS);
        let stop = CancellationToken::new();
        self.lines.insert(which, Line { words, stop: stop.clone() });
        let attach = Attach {
            leaf: None,
            session: self.wish.session.clone(),
            role: self.wish.role,
            from,
            ext: Ext::default(),
        };
        let (way, tell) = (Arc::clone(&self.way), self.tell.clone());
        self.tasks.spawn(async move {
            let lost = tokio::select! {
                reached = way.reach() => match reached {
                    Ok((client, keep)) => {
                        let failure = tokio::select! {
                            failure = talk(&*way, which, &client, &keep, attach, said, &tell) => failure,
                            () = stop.cancelled() => None,
                        };
                        let told = tell.try_send((which, Heard::Lost(failure)));
                        client.close();
                        way.part(keep).await;
                        told.err().map(mpsc::error::TrySendError::into_inner)
                    }
                    Err(error) => Some((which, Heard::Lost(Some(Failure::Reach(error))))),
                },
                () = stop.cancelled() => None,
            };
            if let Some(lost) = lost {
                // Whoever stopped this line wants to hear no more of it.
                tokio::select! {
                    _gone = tell.send(lost) => {}
                    () = stop.cancelled() => {}
                }
            }
        });
    }
}

/// Attaches on one connection and passes on what comes, until it breaks.
async fn talk<W: Way>(
    way: &W,
    which: u64,
    client: &Client,
    keep: &W::Keep,
    attach: Attach,
    said: mpsc::Receiver<FromViewer>,
    tell: &mpsc::Sender<(u64, Heard<W::Error>)>,
) -> Option<Failure<W::Error>> {
    let (writer, reader) = match client.send(&attach).await {
        Ok(stream) => stream,
        Err(error) => return Some(Failure::Broke(error)),
    };
    let renewing = async {
        loop {
            tokio::time::sleep(RENEW_EVERY).await;
            way.renew(client, keep).await;
        }
    };
    // Side by side: a node that does not read what is said is heard all the same.
    let done = tokio::select! {
        done = read(client, reader, which, tell) => done,
        done = write(writer, said) => done,
        () = renewing => Ok(()),
    };
    done.err().map(Failure::Broke)
}

async fn read<E>(
    client: &Client,
    mut reader: FrameReader,
    which: u64,
    tell: &mpsc::Sender<(u64, Heard<E>)>,
) -> Result<(), ClientError> {
    let mut unknown = 0;
    while let Some((kind, body)) = client.next(&mut reader).await? {
        match FromNode::decode(kind, &body)? {
            Some(frame) => {
                if tell.send((which, Heard::Frame(frame))).await.is_err() {
                    return Ok(());
                }
            }
            None => {
                unknown += 1;
                if unknown > UNKNOWN_EVENTS {
                    return Err(ClientError::Unexpected(kind));
                }
            }
        }
    }
    Err(ClientError::NoAnswer)
}

async fn write(mut writer: FrameWriter, mut said: mpsc::Receiver<FromViewer>) -> Result<(), ClientError> {
    while let Some(word) = said.recv().await {
        let (kind, body) = word.encode();
        writer.send_raw(kind, &body).await.map_err(ClientError::Stream)?;
    }
    // The other end of the channel went with its line, which is stopped.
    std::future::pending().await
}
