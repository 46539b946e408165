//! Services: one file for each family of requests. A request comes here with its caller, passes the door, and is
//! answered on its own stream. No service calls another one's insides.

mod admin;
mod attach;
mod history;
mod inspect;
mod mesh;
mod node;
mod peers;
mod prompt;
mod revocation;
mod session;
mod team;
mod tokens;
pub(crate) mod transfer;

use clankers_mesh::{Connection, FrameReader, FrameWriter, FramedError};
use clankers_protocol::{
    Message,
    frame::Frame,
    hello::{Present, Presented},
    kind::Kind,
    limits::PAGE_ENTRIES,
    message::{Ext, MessageError},
    refusal::{CloseCode, Refusal, RefusalCode},
    request::{
        admin::Admin,
        attach::Attach,
        history::History,
        inspect::{TokenInspect, TokenWhy},
        node::{Info, Ping},
        peers::{PeerEdit, PeerList, PeerResolve},
        presence::{MeshView, PeerProbe, PresenceSync},
        prompt::{Prompt, PromptCancel},
        revocation::{RevocationOffer, RevocationSync, TokenForget, TokenOffer, TokenRenew, TokenRevoke},
        session::{SessionCreate, SessionKill, SessionList},
        team::{
            TeamClaim, TeamCreate, TeamGrant, TeamInvite, TeamJoin, TeamLeave, TeamList, TeamMembers,
            TeamRemove, TeamShow,
        },
        tokens::{TokenCreate, TokenDelegate, TokenImport, TokenList},
        transfer::{
            FileData, FileFetch, FileOffer,
            keeping::{FileSend, InboxAnswer, InboxList, TransferEdit, TransferList},
        },
    },
};

use crate::door::Caller;

/// What a service answers.
pub(crate) type Answer<T> = Result<T, Box<Refusal>>;

/// Answers the request in `frame`. When the stream breaks there is nobody to tell.
pub(crate) async fn answer(
    caller: &Caller,
    connection: &Connection,
    frame: Frame,
    reader: FrameReader,
    writer: &mut FrameWriter,
) {
    if frame.kind != Kind::PING && caller.too_many_denials() {
        let refusal = caller
            .refuse(RefusalCode::RateLimited, "too many refused requests lately")
            .hint("wait a minute, and ask the node's owner for a token");
        let _sent = writer.send(&refusal).await;
        let _finished = writer.finish();
        return;
    }
    match frame.kind {
        Kind::PING => reply(caller, &frame, writer, |ping: Ping| async { node::ping(ping) }).await,
        Kind::PRESENT => {
            reply(caller, &frame, writer, |present: Present| async move {
                present_chains(caller, connection, &present)
            })
            .await;
        }
        Kind::INFO => reply(caller, &frame, writer, |info: Info| node::info(caller, info)).await,
        Kind::SESSION_LIST => {
            reply(caller, &frame, writer, |list: SessionList| session::list(caller, list)).await;
        }
        Kind::SESSION_CREATE => {
            reply(caller, &frame, writer, |create: SessionCreate| session::create(caller, create)).await;
        }
        Kind::SESSION_KILL => {
            reply(caller, &frame, writer, |kill: SessionKill| session::kill(caller, kill)).await;
        }
        Kind::PROMPT_CANCEL => {
            reply(caller, &frame, writer, |cancel: PromptCancel| prompt::cancel(caller, cancel)).await;
        }
        Kind::PEER_LIST => {
            reply(caller, &frame, writer, |list: PeerList| peers::list(caller, list)).await;
        }
        Kind::PEER_RESOLVE => {
            reply(caller, &frame, writer, |resolve: PeerResolve| peers::resolve(caller, resolve)).await;
        }
        Kind::PEER_EDIT => {
            reply(caller, &frame, writer, |edit: PeerEdit| peers::edit(caller, edit)).await;
        }
        Kind::TOKEN_CREATE => {
            reply(caller, &frame, writer, |create: TokenCreate| tokens::create(caller, create)).await;
        }
        Kind::TOKEN_IMPORT => {
            reply(caller, &frame, writer, |import: TokenImport| tokens::import(caller, import)).await;
        }
        Kind::TOKEN_LIST => {
            reply(caller, &frame, writer, |list: TokenList| tokens::list(caller, list)).await;
        }
        Kind::TOKEN_DELEGATE => {
            reply(caller, &frame, writer, |ask: TokenDelegate| tokens::delegate(caller, ask)).await;
        }
        Kind::TOKEN_INSPECT => {
            reply(caller, &frame, writer, |ask: TokenInspect| inspect::inspect(caller, ask)).await;
        }
        Kind::TOKEN_WHY => reply(caller, &frame, writer, |ask: TokenWhy| inspect::why(caller, ask)).await,
        Kind::TOKEN_REVOKE => {
            reply(caller, &frame, writer, |ask: TokenRevoke| revocation::revoke(caller, ask)).await;
        }
        Kind::REVOCATION_OFFER => {
            reply(caller, &frame, writer, |ask: RevocationOffer| revocation::offer(caller, ask)).await;
        }
        Kind::REVOCATION_SYNC => {
            reply(caller, &frame, writer, |ask: RevocationSync| revocation::sync(caller, ask)).await;
        }
        Kind::TOKEN_OFFER => {
            reply(caller, &frame, writer, |ask: TokenOffer| revocation::token_offer(caller, ask)).await;
        }
        Kind::TOKEN_FORGET => {
            reply(caller, &frame, writer, |ask: TokenForget| revocation::forget(caller, ask)).await;
        }
        Kind::TOKEN_RENEW => {
            reply(caller, &frame, writer, |ask: TokenRenew| revocation::renew(caller, ask)).await;
        }
        Kind::ADMIN => reply(caller, &frame, writer, |admin: Admin| admin::run(caller, admin)).await,
        Kind::PROMPT => match decode::<Prompt>(caller, &frame) {
            Ok(asked) => prompt::run(caller, asked, reader, writer).await,
            Err(refusal) => refuse(writer, &refusal).await,
        },
        Kind::ATTACH => match decode::<Attach>(caller, &frame) {
            Ok(asked) => attach::run(caller, asked, reader, writer).await,
            Err(refusal) => refuse(writer, &refusal).await,
        },
        Kind::HISTORY => match decode::<History>(caller, &frame) {
            Ok(asked) => history::run(caller, asked, writer).await,
            Err(refusal) => refuse(writer, &refusal).await,
        },
        kind if team_kind(kind) => in_team(caller, connection, &frame, writer).await,
        Kind::FILE_OFFER => match decode::<FileOffer>(caller, &frame) {
            Ok(asked) => transfer::offer(caller, connection, asked, reader, writer).await,
            Err(refusal) => refuse(writer, &refusal).await,
        },
        Kind::FILE_DATA => match decode::<FileData>(caller, &frame) {
            Ok(asked) => transfer::data(caller, connection, asked, reader, writer).await,
            Err(refusal) => refuse(writer, &refusal).await,
        },
        Kind::FILE_FETCH => match decode::<FileFetch>(caller, &frame) {
            Ok(asked) => transfer::fetch(caller, connection, asked, reader, writer).await,
            Err(refusal) => refuse(writer, &refusal).await,
        },
        Kind::FILE_SEND => {
            reply(caller, &frame, writer, |ask: FileSend| transfer::keeping::send(caller, ask)).await;
        }
        Kind::INBOX_LIST => {
            reply(caller, &frame, writer, |ask: InboxList| transfer::keeping::inbox(caller, ask)).await;
        }
        Kind::INBOX_ANSWER => {
            reply(caller, &frame, writer, |ask: InboxAnswer| transfer::keeping::answer(caller, ask)).await;
        }
        Kind::TRANSFER_LIST => {
            reply(caller, &frame, writer, |ask: TransferList| transfer::keeping::list(caller, ask)).await;
        }
        Kind::TRANSFER_EDIT => {
            reply(caller, &frame, writer, |ask: TransferEdit| transfer::keeping::edit(caller, ask)).await;
        }
        kind => {
            let words = format!("this node does not know requests of kind {kind}");
            refuse(writer, &caller.refuse(RefusalCode::Unsupported, &words)).await;
        }
    }
}

/// Whether a request is about teams, or the mesh.
fn team_kind(kind: Kind) -> bool {
    (Kind::TEAM_CREATE..=Kind::PEER_PROBED).contains(&kind)
}

/// The requests of teams, and about the mesh.
async fn in_team(caller: &Caller, connection: &Connection, frame: &Frame, writer: &mut FrameWriter) {
    match frame.kind {
        Kind::TEAM_CREATE => {
            reply(caller, frame, writer, |ask: TeamCreate| team::create(caller, ask)).await;
        }
        Kind::TEAM_INVITE => {
            reply(caller, frame, writer, |ask: TeamInvite| team::invite(caller, ask)).await;
        }
        Kind::TEAM_JOIN => reply(caller, frame, writer, |ask: TeamJoin| team::join(caller, ask)).await,
        Kind::TEAM_LIST => reply(caller, frame, writer, |ask: TeamList| team::list(caller, ask)).await,
        Kind::TEAM_MEMBERS => {
            reply(caller, frame, writer, |ask: TeamMembers| team::members(caller, ask)).await;
        }
        Kind::TEAM_LEAVE => reply(caller, frame, writer, |ask: TeamLeave| team::leave(caller, ask)).await,
        Kind::TEAM_REMOVE => {
            reply(caller, frame, writer, |ask: TeamRemove| team::remove(caller, ask)).await;
        }
        Kind::TEAM_GRANT => {
            reply(caller, frame, writer, |ask: TeamGrant| team::template::grant(caller, ask)).await;
        }
        Kind::TEAM_SHOW => {
            let shown = |ask: TeamShow| team::members::show(caller, connection, ask);
            reply(caller, frame, writer, shown).await;
        }
        Kind::TEAM_CLAIM => {
            reply(caller, frame, writer, |ask: TeamClaim| team::template::claim(caller, ask)).await;
        }
        Kind::PRESENCE_SYNC => {
            reply(caller, frame, writer, |ask: PresenceSync| team::members::sync(caller, ask)).await;
        }
        Kind::MESH_VIEW => reply(caller, frame, writer, |ask: MeshView| mesh::view(caller, ask)).await,
        Kind::PEER_PROBE => reply(caller, frame, writer, |ask: PeerProbe| mesh::probe(caller, ask)).await,
        kind => {
            let words = format!("{kind} is no request");
            refuse(writer, &caller.refuse(RefusalCode::Unsupported, &words)).await;
        }
    }
}

/// Decodes, asks the service, sends its answer.
async fn reply<Q: Message, A: Message, F: Future<Output = Answer<A>>>(
    caller: &Caller,
    frame: &Frame,
    writer: &mut FrameWriter,
    service: impl FnOnce(Q) -> F,
) {
    let answer = match decode::<Q>(caller, frame) {
        Ok(request) => service(request).await,
        Err(refusal) => Err(refusal),
    };
    match answer {
        Ok(answer) => {
            if let Err(FramedError::Frame(error)) = writer.send(&answer).await {
                let refusal =
                    caller.refuse(RefusalCode::TooLarge, &format!("the answer is too large: {error}"));
                let _sent = writer.send(&refusal).await;
            }
            let _finished = writer.finish();
        }
        Err(refusal) => refuse(writer, &refusal).await,
    }
}

pub(crate) async fn refuse(writer: &mut FrameWriter, refusal: &Refusal) {
    let _sent = writer.send(refusal).await;
    let _finished = writer.finish();
}

fn decode<Q: Message>(caller: &Caller, frame: &Frame) -> Answer<Q> {
    Q::decode(&frame.body).map_err(|error| {
        Box::new(match error {
            MessageError::Limit { .. } => caller
                .refuse(RefusalCode::TooLarge, &error.to_string())
                .hint("make it shorter, or give fewer of them; docs/limits.md says what fits"),
            _ => caller.refuse(RefusalCode::Malformed, &error.to_string()),
        })
    })
}

fn present_chains(caller: &Caller, connection: &Connection, present: &Present) -> Answer<Presented> {
    let chains = caller.show(&present.chains);
    if caller.is_known() {
        connection.admit();
    }
    if caller.is_crowded() {
        let code = CloseCode::RateLimited;
        connection.close(u32::from(code.number()), code.meaning());
    }
    Ok(Presented { chains, ext: Ext::default() })
}

/// One page of a listing, and how many come after it.
fn page<T>(all: Vec<T>, skip: u64) -> (Vec<T>, u64) {
    let skip = usize::try_from(skip).unwrap_or(usize::MAX);
    let more = all.len().saturating_sub(skip.saturating_add(PAGE_ENTRIES)) as u64;
    (all.into_iter().skip(skip).take(PAGE_ENTRIES).collect(), more)
}
