//! The one door: (peer, chains, request, now) -> grant or refusal.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::Ordering};

use clankers_auth::{Args, Command, Denial, Grant, Held, admit};
use clankers_mesh::Connection;
use clankers_protocol::{
    CidDigest, NodeId,
    hello::ChainVerdict,
    limits::CONNECTION_CHAINS,
    refusal::{Refusal, RefusalCode},
};

use crate::{clock, crowd::Place, denials::Counted, hall::Hall};

/// What a connection has shown.
#[derive(Debug, Default)]
struct Shown {
    held: Vec<Held>,
    /// The last chain that was of no use: says more than "no token".
    refused: Option<Denial>,
    /// A place among the connections of one principal; none for the owner.
    place: Option<Place>,
    /// The principal has as many connections as it may.
    crowded: bool,
}

/// One connection at the door.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) hall: Arc<Hall>,
    /// Who TLS proved to be there.
    pub(crate) remote: NodeId,
    /// Where strangers like this one are counted together.
    source: Option<Counted>,
    shown: Arc<Mutex<Shown>>,
}

impl Caller {
    pub(crate) fn new(hall: &Arc<Hall>, connection: &Connection) -> Self {
        let source = Counted::source(connection.remote_addr());
        Self { hall: Arc::clone(hall), remote: connection.remote(), source, shown: Arc::default() }
    }

    fn lock_shown(&self) -> MutexGuard<'_, Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something that must not stay half done, whatever becomes of the connection meanwhile.
    pub(crate) async fn to_the_end<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> T {
        match self.hall.requests.spawn(work).await {
            Ok(done) => done,
            // The runtime ends, or the work panicked: both end this request as well.
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => std::future::pending().await,
        }
    }

    /// Judges chains as they are shown, and keeps the good ones.
    pub(crate) fn show(&self, chains: &[Vec<u8>]) -> Vec<ChainVerdict> {
        chains.iter().map(|chain| self.show_one(chain)).collect()
    }

    fn show_one(&self, chain: &[u8]) -> ChainVerdict {
        if self.too_many_denials() {
            return ChainVerdict::Refused(RefusalCode::RateLimited.number());
        }
        let now = clock::now();
        let epoch = self.hall.settings.authority.epoch();
        let judged = admit(now, self.hall.id, self.remote, epoch, chain, &mut self.hall.verified());
        match judged {
            Ok(held) => {
                let mut shown = self.lock_shown();
                let leaf = held.leaf();
                if shown.place.is_none() && !held.is_owner() {
                    shown.place = self.hall.crowd.enter(held.grantee());
                    shown.crowded = shown.place.is_none();
                }
                shown.held.retain(|known| known.leaf() != leaf);
                if shown.held.len() >= CONNECTION_CHAINS {
                    shown.held.remove(0);
                }
                shown.held.push(held);
                ChainVerdict::Held(leaf)
            }
            Err(denial) => {
                tracing::info!(peer = %self.remote, %denial, "a chain was refused");
                let code = denial.code().number();
                self.lock_shown().refused = Some(denial);
                self.count_denial();
                ChainVerdict::Refused(code)
            }
        }
    }

    /// Whether one valid chain was shown.
    pub(crate) fn is_known(&self) -> bool {
        !self.lock_shown().held.is_empty()
    }

    /// Whether the principal that was shown has too many connections.
    pub(crate) fn is_crowded(&self) -> bool {
        self.lock_shown().crowded
    }

    /// Whether the owner's own chain was shown.
    pub(crate) fn is_owner(&self) -> bool {
        self.lock_shown().held.iter().any(Held::is_owner)
    }

    /// Asks for leave. Every request passes here, and nowhere else.
    pub(crate) fn authorize(
        &self,
        leaf: Option<CidDigest>,
        command: Command,
        args: &Args,
    ) -> Result<Grant, Box<Refusal>> {
        self.judge(leaf, command, args).map_err(|denial| self.refuse_denied(&denial, command, args))
    }

    /// Asks for leave that only the owner has.
    pub(crate) fn authorize_owner(
        &self,
        leaf: Option<CidDigest>,
        command: Command,
    ) -> Result<Grant, Box<Refusal>> {
        let args = Args::default();
        match self.judge(leaf, command, &args) {
            Ok(grant) if grant.owner => Ok(grant),
            _ => Err(self.refuse_denied(&Denial::OwnerOnly, command, &args)),
        }
    }

    fn judge(&self, leaf: Option<CidDigest>, command: Command, args: &Args) -> Result<Grant, Denial> {
        let now = clock::now();
        let shown = self.lock_shown();
        let mut denial = shown.refused.clone().unwrap_or(Denial::NoProof);
        let mut found = false;
        for held in shown.held.iter().rev().filter(|held| leaf.is_none_or(|leaf| held.leaf() == leaf)) {
            found = true;
            match held.authorize(now, command, args) {
                Ok(grant) => return Ok(grant),
                Err(why) => denial = why,
            }
        }
        Err(if leaf.is_some() && !found { Denial::UnknownLeaf } else { denial })
    }

    /// The leaf of the chain to prompt under when the prompter named none: of those that allow prompting, the one
    /// that allows most of these tools; the one shown last when several do.
    pub(crate) fn leaf_for_prompt(&self, tools: &[&str]) -> Option<CidDigest> {
        let now = clock::now();
        let shown = self.lock_shown();
        let allows = |held: &Held, tool: &str| {
            let shell = tool == clankers_auth::vocab::SHELL_TOOL;
            let args = Args {
                tool: Some(tool.to_owned()),
                path: (!shell).then(|| ".".to_owned()),
                argv0: shell.then(|| tool.to_owned()),
                ..Args::default()
            };
            held.authorize(now, Command::for_tool(tool), &args).is_ok()
        };
        let prompting = shown
            .held
            .iter()
            .filter(|held| held.authorize(now, Command::PromptSend, &Args::default()).is_ok());
        prompting.max_by_key(|held| tools.iter().filter(|tool| allows(held, tool)).count()).map(Held::leaf)
    }

    /// Who is counted when this caller is refused: the principal once one is known, else its key and where it
    /// comes from.
    fn counted(&self) -> Vec<Counted> {
        match self.lock_shown().held.last().map(Held::principal) {
            Some(principal) => vec![Counted::Peer(principal)],
            None => self.source.into_iter().chain([Counted::Peer(self.remote)]).collect(),
        }
    }

    /// Whether this peer was refused too often lately to be read at all. The owner always is.
    pub(crate) fn too_many_denials(&self) -> bool {
        if self.is_owner() {
            return false;
        }
        let (now, counted) = (clock::now(), self.counted());
        let denials = self.hall.denials.lock().unwrap_or_else(PoisonError::into_inner);
        counted.into_iter().any(|who| !denials.allows(now, who))
    }

    fn count_denial(&self) {
        let (now, counted) = (clock::now(), self.counted());
        let mut denials = self.hall.denials.lock().unwrap_or_else(PoisonError::into_inner);
        counted.into_iter().for_each(|who| denials.denied(now, who));
    }

    fn refuse_denied(&self, denial: &Denial, command: Command, args: &Args) -> Box<Refusal> {
        self.count_denial();
        let code = denial.code();
        tracing::info!(peer = %self.remote, command = command.path(), ?args, %denial, "refused");
        let message = match denial {
            Denial::OwnerOnly => format!("only the node's owner may {}", command.words()),
            _ if code == RefusalCode::Unauthorized => {
                format!("not allowed to {} (needs {})", command.words(), command.path())
            }
            _ => format!("not allowed to {}: {}", command.words(), lower(code.meaning())),
        };
        let refusal = self.refuse(code, &message);
        let owner_runs = |flags: &str| {
            format!("the node's owner can allow it: clankers token create --for {} {flags}", self.remote)
        };
        Box::new(match (code, grant_flags(command, args)) {
            (RefusalCode::WrongAudience, _) => {
                refusal.hint("a token works only from the node that it was made for")
            }
            (RefusalCode::NotYetValid, _) => {
                refusal.hint("compare the clocks of the two machines: they differ by more than a minute")
            }
            (_, Some(flags)) if !matches!(denial, Denial::OwnerOnly) => refusal.hint(&owner_runs(&flags)),
            _ => refusal,
        })
    }

    /// A refusal for another reason than authority.
    pub(crate) fn refuse(&self, code: RefusalCode, message: &str) -> Refusal {
        self.hall.counters.refusals.fetch_add(1, Ordering::Relaxed);
        Refusal::new(code, message, self.remote)
    }
}

fn lower(sentence: &str) -> String {
    let mut chars = sentence.trim_end_matches('.').chars();
    chars.next().map(|first| first.to_lowercase().chain(chars).collect()).unwrap_or_default()
}

/// The flags of the smallest grant that would do.
fn grant_flags(command: Command, args: &Args) -> Option<String> {
    let flags = match command {
        Command::NodeInfo
        | Command::SessionList
        | Command::Observe
        | Command::FileList
        | Command::FileRead => "--read-only",
        Command::PromptSend | Command::PromptCancel => "--reviewer",
        Command::ToolUse => return args.tool.as_ref().map(|tool| format!("--tools {tool}")),
        Command::ShellExec => "--tools bash",
        Command::AdminGrant | Command::AdminRevoke | Command::AdminConfig | Command::AdminStop => "--root",
        _ => "--operator",
    };
    Some(flags.to_owned())
}
