//! Attaching: one stream out, the viewer's words in, both under the viewer's chain as it is at that moment.

use std::sync::Arc;

use bytes::Bytes;
use clankers_auth::{Args, Command, Grant};
use clankers_mesh::{FrameReader, FrameWriter, encode_message};
use clankers_protocol::{
    CidDigest, Message, PromptId, SessionId,
    attach::FromViewer,
    frame::Frame,
    limits::FRAME_BYTES,
    message::Ext,
    refusal::{CloseCode, Refusal, RefusalCode},
    request::{
        attach::{
            Answer as Reply, Attach, AttachCancel, Attached, Detached, Input, InputDone, InputRefused,
            InputTaken, Role,
        },
        prompt::{Prompt, PromptLimits, SessionChoice, When},
    },
};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
};

use super::{Answer, prompt};
use crate::{
    crowd::Place,
    door::Caller,
    limits::{GOODBYE, SUBMIT_TRIES, VIEWER_REPLIES, VIEWERS, VIEWERS_PER_PEER},
    select,
    session::{
        Session, Which,
        roster::Seat,
        viewer::{Begins, Viewer},
    },
    trouble,
};

/// One who is attached, as the node judges them.
struct Room {
    session: Arc<Session>,
    /// The chain that was named, if one was.
    named: Option<CidDigest>,
    /// What they were let in with.
    grant: Grant,
    role: Role,
    /// Their place in the roster: given back when they go.
    seat: Seat,
    /// Their place among those of their peer; none for the owner.
    _share: Option<Place>,
}

/// What is written beside the session's own frames.
enum Word {
    /// The answer to an input.
    Say(Bytes),
    /// The last word.
    Last(Bytes),
}

pub(super) async fn run(caller: &Caller, attach: Attach, reader: FrameReader, writer: &mut FrameWriter) {
    let (room, viewer, begins) = match enter(caller, &attach).await {
        Ok(entered) => entered,
        Err(refusal) => return super::refuse(writer, &refusal).await,
    };
    if writer.send(&room.attached(&viewer, begins)).await.is_err() {
        return;
    }
    let room = Arc::new(room);
    let (tell, words) = mpsc::channel(VIEWER_REPLIES);
    let (end, ending) = oneshot::channel();
    let over = async {
        let refusal = caller.ended(&room.grant.held, Command::Observe).await;
        // A viewer that reads is told why; one that does not is cut off.
        let _gone = end.send(refusal);
        tokio::time::sleep(GOODBYE).await;
    };
    let cut_off = tokio::select! {
        () = deliver(caller, viewer, words, ending, writer) => false,
        () = listen(caller, &room, reader, tell) => false,
        () = over => true,
    };
    if cut_off {
        writer.stream().reset(u32::from(CloseCode::AuthorityEnded.number()));
    }
}

/// Lets a viewer in.
async fn enter(caller: &Caller, attach: &Attach) -> Answer<(Room, Viewer, Begins)> {
    let selector = attach.session.as_deref().unwrap_or("last");
    let (grant, id) = select::session_under(caller, attach.leaf, Command::Observe, selector).await?;
    let may = |command| caller.authority().authorize(&grant.held, command, &about(id)).is_ok();
    let owner = grant.owner;
    let share = if owner { None } else { Some(share(caller, &grant)?) };
    let types = attach.role == Role::Type && may(Command::Drive);
    let (role, approves) = (if types { Role::Type } else { Role::View }, types && may(Command::Approve));
    let mut tries = 0;
    loop {
        let opened = caller.hall.sessions.open(id).await;
        let session = opened.map_err(|error| trouble::session(caller, &error))?;
        let seat = session.sit(grant.principal, owner, role, approves).ok_or_else(|| {
            let words = format!("{VIEWERS} are attached to this session already");
            Box::new(caller.refuse(RefusalCode::Busy, &words).hint("wait until one leaves"))
        })?;
        let (viewer, begins) = session.view(attach.from);
        tries += 1;
        // An idle session may have ended just now: it is loaded anew.
        if !session.is_over() || tries >= SUBMIT_TRIES {
            let room = Room { session, named: attach.leaf, grant, role, seat, _share: share };
            return Ok((room, viewer, begins));
        }
    }
}

/// A place among the attachments of the caller's peer, whatever keys its runs use: each keeps a session loaded.
fn share(caller: &Caller, grant: &Grant) -> Answer<Place> {
    caller.hall.viewers.enter(grant.held.grantee()).ok_or_else(|| {
        let words = format!("you are attached {VIEWERS_PER_PEER} times here already");
        Box::new(caller.refuse(RefusalCode::Busy, &words).hint("leave one of them"))
    })
}

fn about(session: SessionId) -> Args {
    Args { session: Some(session.to_string()), ..Args::default() }
}

impl Room {
    fn attached(&self, viewer: &Viewer, begins: Begins) -> Attached {
        Attached {
            attach_id: self.seat.who.attach_id,
            session: self.session.id,
            epoch: begins.epoch,
            oldest_seq: 1,
            head_seq: begins.head_seq,
            first_seq: begins.first_seq,
            role_granted: self.role,
            cwd: self.session.cwd.clone(),
            state: self.session.state(viewer.open()),
            ext: Ext::default(),
        }
    }

    /// Leave for one command in this session, now: by the chain that was named, or by any that the same principal
    /// has shown since. A run's link ends before a long attachment does, and is shown anew.
    fn leave(&self, caller: &Caller, command: Command) -> Answer<Grant> {
        let args = about(self.session.id);
        let shown = caller.held(self.named);
        let good = shown
            .iter()
            .filter(|held| held.principal() == self.grant.principal)
            .find(|held| caller.authority().authorize(held, command, &args).is_ok());
        let leaf = good.map_or_else(|| self.grant.held.leaf(), |held| held.leaf());
        caller.authorize(Some(leaf), command, &args)
    }

    /// The same for whoever wants to do more than watch.
    fn drive(&self, caller: &Caller) -> Answer<Grant> {
        if self.role == Role::View {
            let refusal = caller.refuse(RefusalCode::Unauthorized, "you are attached to watch, not to type");
            let owner = format!(
                "the node's owner can allow it: clankers token create --for {} --operator",
                self.grant.principal
            );
            let asked = "one that was attached with --read-only is attached again without it";
            return Err(Box::new(refusal.hint(asked).hint(&owner)));
        }
        if caller.too_many_denials() {
            let refusal = caller.refuse(RefusalCode::RateLimited, "too many refused requests lately");
            return Err(Box::new(refusal.hint("wait a minute")));
        }
        self.leave(caller, Command::Drive)
    }

    /// Takes what the viewer typed; `sent` is told when it is in the session's hands, where one comes after the other.
    async fn input(
        &self,
        caller: &Caller,
        input: Input,
        sent: Option<oneshot::Sender<()>>,
    ) -> Answer<InputTaken> {
        let grant = self.drive(caller)?;
        let Input { input_id, text, when, model, ext: _ } = input;
        let prompt = Prompt {
            leaf: Some(grant.held.leaf()),
            prompt_id: input_id.clone(),
            session: SessionChoice::Existing(self.session.id.to_string()),
            text,
            model,
            when,
            limits: PromptLimits::default(),
            cancel_on_close: false,
            ext: Ext::default(),
        };
        let own = caller.clone();
        let taken = caller.to_the_end(async move { prompt::take_input(&own, prompt, sent).await }).await?;
        Ok(InputTaken { input_id, prompt_seq: taken.0, duplicate: taken.1, ext: Ext::default() })
    }

    async fn cancel(&self, caller: &Caller, cancel: AttachCancel) -> Answer<InputDone> {
        self.drive(caller)?;
        let grant = self.leave(caller, Command::PromptCancel)?;
        let principal = (!grant.owner).then_some(grant.principal);
        let changed = self.session.cancel(Which { principal, prompt_id: cancel.prompt_id }).await;
        Ok(InputDone { input_id: cancel.input_id, changed, ext: Ext::default() })
    }

    fn answer(&self, caller: &Caller, answer: Reply) -> Answer<InputDone> {
        self.drive(caller)?;
        let grant = self.leave(caller, Command::Approve)?;
        let gone = |words: &str| Box::new(caller.refuse(RefusalCode::NotFound, words));
        let Some((pending, args)) = self.session.approvals.get(&answer.request) else {
            return Err(gone(
                "nothing of this name waits for an answer: it was answered, or its time was up",
            ));
        };
        // Nobody allows what they may not do themselves.
        caller.authorize(Some(grant.held.leaf()), Command::for_tool(&pending.tool), &args)?;
        let answered = self.session.answer(&answer.request, answer.allow, grant.principal);
        answered.map_err(|error| gone(&error.to_string()))?;
        Ok(InputDone { input_id: answer.input_id, changed: true, ext: Ext::default() })
    }
}

/// Writes until the session, the viewer or its authority ends.
async fn deliver(
    caller: &Caller,
    mut viewer: Viewer,
    mut words: mpsc::Receiver<Word>,
    mut ending: oneshot::Receiver<Box<Refusal>>,
    writer: &mut FrameWriter,
) {
    let last = loop {
        let frames = tokio::select! {
            biased;
            Ok(refusal) = &mut ending => break said(&*refusal),
            Some(word) = words.recv() => match word {
                Word::Say(frame) => vec![frame],
                Word::Last(frame) => break Some(frame),
            },
            frames = viewer.next() => match frames {
                Ok(Some(frames)) => frames,
                Ok(None) if caller.hall.is_stopping() => {
                    break said(&caller.refuse(RefusalCode::Stopping, "the node is stopping"));
                }
                Ok(None) => {
                    let refusal = caller.refuse(RefusalCode::Busy, "the session was closed at the node");
                    break said(&refusal.hint("attach again"));
                }
                Err(error) => break said(&*trouble::log(caller, &error)),
            },
        };
        for frame in frames {
            // Between two frames: what was sent is whole.
            if let Ok(refusal) = ending.try_recv() {
                let _gone = writer.send(&*refusal).await;
                let _finished = writer.finish();
                return;
            }
            if writer.send_encoded(frame).await.is_err() {
                return;
            }
        }
    };
    if let Some(last) = last {
        let _gone = writer.send_encoded(last).await;
    }
    let _finished = writer.finish();
}

fn said<M: Message>(message: &M) -> Option<Bytes> {
    encode_message(message, FRAME_BYTES).ok()
}

/// Hears what the viewer says, until it has nothing more to say.
async fn listen(caller: &Caller, room: &Arc<Room>, mut reader: FrameReader, tell: mpsc::Sender<Word>) {
    // Words for a running prompt are answered when it has heard them: whoever said them may cancel it meanwhile.
    let mut steering = JoinSet::new();
    while let Ok(Some(frame)) = reader.next().await {
        while steering.try_join_next().is_some() {}
        let word = match heard(caller, &frame) {
            Ok(FromViewer::Input(input)) if input.when == When::Steer && steering.len() < VIEWER_REPLIES => {
                let (sent, taken) = oneshot::channel();
                let (caller, room, tell) = (caller.clone(), Arc::clone(room), tell.clone());
                steering.spawn(async move {
                    if let Some(word) = typed(&caller, &room, input, Some(sent)).await {
                        let _gone = tell.send(word).await;
                    }
                });
                // In the order in which they were said.
                let _refused = taken.await;
                continue;
            }
            Ok(said) => respond(caller, room, said).await,
            Err(refusal) => said(&*refusal).map(Word::Last),
        };
        let Some(word) = word else { continue };
        let last = matches!(word, Word::Last(_));
        if tell.send(word).await.is_err() {
            return;
        }
        if last {
            // Whoever writes has the last word, and ends all of it.
            return std::future::pending().await;
        }
    }
}

fn heard(caller: &Caller, frame: &Frame) -> Answer<FromViewer> {
    match FromViewer::decode(frame.kind, &frame.body) {
        Ok(Some(said)) => Ok(said),
        Ok(None) => {
            let words = format!("this node does not know frames of kind {} from a viewer", frame.kind);
            Err(Box::new(caller.refuse(RefusalCode::Unsupported, &words)))
        }
        Err(error) => Err(Box::new(caller.refuse(RefusalCode::Malformed, &error.to_string()))),
    }
}

/// Does what the viewer says, and answers it alone.
async fn respond(caller: &Caller, room: &Room, word: FromViewer) -> Option<Word> {
    if matches!(word, FromViewer::Unattended(_)) {
        room.seat.answers_no_more();
        return None;
    }
    let Some(input_id) = word.input_id().cloned() else {
        return said(&Detached { ext: Ext::default() }).map(Word::Last);
    };
    let answer = match word {
        FromViewer::Input(input) => return typed(caller, room, input, None).await,
        FromViewer::Cancel(cancel) => room.cancel(caller, cancel).await.map(|done| said(&done)),
        FromViewer::Answer(answer) => room.answer(caller, answer).map(|done| said(&done)),
        FromViewer::Unattended(_) | FromViewer::Detach(_) => return None,
    };
    answer.unwrap_or_else(|refusal| refused(input_id, *refusal)).map(Word::Say)
}

async fn typed(
    caller: &Caller,
    room: &Room,
    input: Input,
    sent: Option<oneshot::Sender<()>>,
) -> Option<Word> {
    let input_id = input.input_id.clone();
    let answer = room.input(caller, input, sent).await.map(|taken| said(&taken));
    answer.unwrap_or_else(|refusal| refused(input_id, *refusal)).map(Word::Say)
}

fn refused(input_id: PromptId, refusal: Refusal) -> Option<Bytes> {
    said(&InputRefused { input_id, refusal, ext: Ext::default() })
}
