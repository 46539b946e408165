//! The one door: (peer, chains, request, now) -> grant or refusal.

use std::sync::{Arc, Mutex, PoisonError, atomic::Ordering};

use clankers_auth::{Args, Command, Denial, Grant, Held, admit};
use clankers_protocol::{
    CidDigest, NodeId, Timestamp,
    hello::ChainVerdict,
    limits::CONNECTION_CHAINS,
    refusal::{Refusal, RefusalCode},
};

use crate::{clock, hall::Hall};

/// What a connection has shown.
#[derive(Debug, Default)]
struct Shown {
    held: Vec<Held>,
    /// The last chain that was of no use: says more than "no token".
    refused: Option<Denial>,
}

/// One connection at the door.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) hall: Arc<Hall>,
    /// Who TLS proved to be there.
    pub(crate) remote: NodeId,
    shown: Arc<Mutex<Shown>>,
}

impl Caller {
    pub(crate) fn new(hall: &Arc<Hall>, remote: NodeId) -> Self {
        Self { hall: Arc::clone(hall), remote, shown: Arc::default() }
    }

    /// Judges chains as they are shown, and keeps the good ones.
    pub(crate) fn show(&self, chains: &[Vec<u8>]) -> Vec<ChainVerdict> {
        chains.iter().map(|chain| self.show_one(chain)).collect()
    }

    fn show_one(&self, chain: &[u8]) -> ChainVerdict {
        let now = clock::now();
        let epoch = Timestamp(0);
        let judged = admit(now, self.hall.id, self.remote, epoch, chain, &mut self.hall.verified());
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        match judged {
            Ok(held) => {
                let leaf = held.leaf();
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
                shown.refused = Some(denial);
                self.count_denial();
                ChainVerdict::Refused(code)
            }
        }
    }

    /// Whether one valid chain was shown.
    pub(crate) fn is_known(&self) -> bool {
        !self.shown.lock().unwrap_or_else(PoisonError::into_inner).held.is_empty()
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
        let grant = self.authorize(leaf, command, &args)?;
        if grant.owner { Ok(grant) } else { Err(self.refuse_denied(&Denial::OwnerOnly, command, &args)) }
    }

    fn judge(&self, leaf: Option<CidDigest>, command: Command, args: &Args) -> Result<Grant, Denial> {
        let now = clock::now();
        let shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
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
    pub(crate) fn leaf_for_prompt<'a>(
        &self,
        tools: impl Iterator<Item = &'a str> + Clone,
    ) -> Option<CidDigest> {
        let now = clock::now();
        let shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
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
        prompting
            .max_by_key(|held| tools.clone().filter(|tool| allows(held, tool)).count())
            .map(Held::leaf)
    }

    /// Whether this peer was refused too often lately to be read at all.
    pub(crate) fn too_many_denials(&self) -> bool {
        let mut denials = self.hall.denials.lock().unwrap_or_else(PoisonError::into_inner);
        !denials.allows(clock::now(), self.remote)
    }

    fn count_denial(&self) {
        let mut denials = self.hall.denials.lock().unwrap_or_else(PoisonError::into_inner);
        denials.denied(clock::now(), self.remote);
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
