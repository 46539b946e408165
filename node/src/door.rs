//! The one door: (peer, chains, request, now) -> grant or refusal.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::Ordering};

use clankers_auth::{Args, Command, Denial, Grant, Held, revoke::Judged};
use clankers_mesh::Connection;
use clankers_protocol::{
    CidDigest, NodeId, TeamId,
    hello::ChainVerdict,
    limits::{CONNECTION_CHAINS, TEAMS},
    refusal::{Refusal, RefusalCode},
    request::revocation::RevokedLink,
};

use crate::{
    authority::{Authority, audit},
    clock,
    crowd::Place,
    denials::Counted,
    hall::Hall,
    teams::Team,
};

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
    /// Teams of which the peer has shown to be a member, on this connection.
    teams: Vec<TeamId>,
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
        match self.authority().admit(self.remote, chain) {
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
                let about = audit::About { command: SHOWN, ..audit::About::default() };
                self.authority().audit.note(self.remote, about, Some(&denial));
                let code = denial.code().number();
                self.lock_shown().refused = Some(denial);
                self.count_denial();
                ChainVerdict::Refused(code)
            }
        }
    }

    /// Whether one valid chain was shown, or a membership that this node shares.
    pub(crate) fn is_known(&self) -> bool {
        let shown = self.lock_shown();
        !shown.held.is_empty() || !shown.teams.is_empty()
    }

    /// The peer has shown to be a member of a team that this node belongs to.
    pub(crate) fn belongs_to(&self, team: TeamId) {
        let mut shown = self.lock_shown();
        if shown.place.is_none() && !shown.held.iter().any(Held::is_owner) {
            shown.place = self.hall.crowd.enter(self.remote);
            shown.crowded = shown.place.is_none();
        }
        if !shown.teams.contains(&team) && shown.teams.len() < TEAMS {
            shown.teams.push(team);
        }
    }

    /// The team, if the peer has shown to be a member of it, and still is one.
    pub(crate) fn in_team(&self, team: TeamId) -> Option<Arc<Team>> {
        if !self.lock_shown().teams.contains(&team) {
            return None;
        }
        self.hall.teams.get(team).filter(|team| team.roll.is_member(self.remote))
    }

    /// Whether a member was here that is none any more, and has no token that holds either.
    pub(crate) fn is_over(&self) -> bool {
        let (teams, held) = {
            let shown = self.lock_shown();
            (shown.teams.clone(), shown.held.clone())
        };
        !teams.is_empty()
            && !teams.into_iter().any(|team| self.in_team(team).is_some())
            && held.iter().all(|held| self.authority().check_running(held).is_err())
    }

    /// Whether the principal that was shown has too many connections.
    pub(crate) fn is_crowded(&self) -> bool {
        self.lock_shown().crowded
    }

    /// Whether the owner's own chain was shown.
    pub(crate) fn is_owner(&self) -> bool {
        self.lock_shown().held.iter().any(Held::is_owner)
    }

    /// The chains that were shown, the last one first: all, or the one with this leaf.
    pub(crate) fn held(&self, leaf: Option<CidDigest>) -> Vec<Held> {
        let shown = self.lock_shown();
        shown.held.iter().rev().filter(|held| leaf.is_none_or(|leaf| held.leaf() == leaf)).cloned().collect()
    }

    pub(crate) fn authority(&self) -> &Arc<Authority> {
        &self.hall.context.authority
    }

    /// On whose authority this connection speaks, as far as it has shown.
    pub(crate) fn principal(&self) -> NodeId {
        self.lock_shown().held.last().map_or(self.remote, Held::principal)
    }

    /// Notes that links were revoked by this caller's hand.
    pub(crate) fn note_token(&self, verb: &str, links: &[RevokedLink]) {
        let cids: Vec<_> = links.iter().map(|link| serde_json::Value::from(link.cid.clone())).collect();
        let args = serde_json::Map::from_iter([("tokens".to_owned(), cids.into())]);
        let command = format!("token {verb}");
        let about = audit::About { command: &command, args, ..audit::About::default() };
        self.authority().audit.note(self.principal(), about, None);
    }

    /// Notes a revocation that somebody brought.
    pub(crate) fn note_revoked(&self, judged: &Judged) {
        let texts =
            [("token", clankers_auth::words::cid_text(&judged.cid)), ("revoker", judged.revoker.to_string())];
        let args = texts.into_iter().map(|(name, text)| (name.to_owned(), text.into())).collect();
        let about = audit::About { command: "/ucan/revoke", args, ..audit::About::default() };
        self.authority().audit.note(self.principal(), about, None);
    }

    /// Asks for leave. Every request passes here, and nowhere else.
    pub(crate) fn authorize(
        &self,
        leaf: Option<CidDigest>,
        command: Command,
        args: &Args,
    ) -> Result<Grant, Box<Refusal>> {
        match self.judge(leaf, command, args) {
            Ok(grant) => {
                self.note(Some(&grant.held), command, args, None);
                Ok(grant)
            }
            Err((held, denial)) => {
                self.note(held.as_ref(), command, args, Some(&denial));
                Err(self.refuse_denied(&denial, command, args))
            }
        }
    }

    /// Asks for leave that only the owner has.
    pub(crate) fn authorize_owner(
        &self,
        leaf: Option<CidDigest>,
        command: Command,
    ) -> Result<Grant, Box<Refusal>> {
        let args = Args::default();
        let held = match self.judge(leaf, command, &args) {
            Ok(grant) if grant.owner => return Ok(grant),
            Ok(grant) => Some(grant.held),
            Err((held, _)) => held,
        };
        self.note(held.as_ref(), command, &args, Some(&Denial::OwnerOnly));
        Err(self.refuse_denied(&Denial::OwnerOnly, command, &args))
    }

    /// What the owner does every day is no decision; what others ask is.
    pub(crate) fn note(&self, held: Option<&Held>, command: Command, args: &Args, denial: Option<&Denial>) {
        if denial.is_some() || !held.is_some_and(Held::is_owner) {
            self.authority().audit.note(self.remote, audit::about(held, command, args), denial);
        }
    }

    fn judge(
        &self,
        leaf: Option<CidDigest>,
        command: Command,
        args: &Args,
    ) -> Result<Grant, (Option<Held>, Denial)> {
        let candidates = self.held(leaf);
        let mut why = None;
        for held in candidates {
            match self.authority().authorize(&held, command, args) {
                Ok(grant) => return Ok(grant),
                // What the chain that was shown last says is what its holder asks about.
                Err(denial) => why = why.or(Some((Some(held), denial))),
            }
        }
        Err(why.unwrap_or_else(|| {
            let denial = match leaf {
                Some(_) => Denial::UnknownLeaf,
                None => self.lock_shown().refused.clone().unwrap_or(Denial::NoProof),
            };
            (None, denial)
        }))
    }

    /// The chains to prompt under when the prompter named none: the one that allows most of these tools first; the
    /// one shown last when several do.
    pub(crate) fn held_for_prompt(&self, tools: &[&str], args: &Args) -> Vec<Held> {
        let mut candidates = self.held(None);
        let authority = self.authority();
        candidates.sort_by_cached_key(|held| {
            let offers = |tool: &&&str| authority.standing(|standing| held.offers_tool(standing, tool, args));
            std::cmp::Reverse(tools.iter().filter(offers).count())
        });
        candidates
    }

    /// Waits until the authority of a chain ends, and refuses what still runs under it.
    pub(crate) async fn ended(&self, held: &Held, command: Command) -> Box<Refusal> {
        self.ended_of(held, command, None).await
    }

    /// The same for one who waits for a prompt: its session, and seq of its event.
    pub(crate) async fn ended_of(
        &self,
        held: &Held,
        command: Command,
        prompt: Option<(clankers_protocol::SessionId, u64)>,
    ) -> Box<Refusal> {
        let denial = self.authority().ended(held, prompt).await;
        self.note(Some(held), command, &Args::default(), Some(&denial));
        self.refuse_denied(&denial, command, &Args::default())
    }

    /// Who is counted when this caller is refused: the principal once one is known, else its key and where it
    /// comes from.
    fn counted(&self) -> Vec<Counted> {
        // Fresh principals below a grant are free to make; the node's own grants are not.
        match self.lock_shown().held.last().map(Held::grantee) {
            Some(grantee) => vec![Counted::Peer(grantee)],
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

    pub(crate) fn count_denial(&self) {
        let (now, counted) = (clock::now(), self.counted());
        let mut denials = self.hall.denials.lock().unwrap_or_else(PoisonError::into_inner);
        counted.into_iter().for_each(|who| denials.denied(now, who));
    }

    /// Refuses what the check denied: the caller hears one code and what follows from its own request.
    pub(crate) fn refuse_denied(&self, denial: &Denial, command: Command, args: &Args) -> Box<Refusal> {
        self.count_denial();
        let code = denial.code();
        tracing::info!(peer = %self.remote, command = command.path(), ?args, %denial, "refused");
        let message = match denial {
            Denial::OwnerOnly => format!("only the node's owner may {}", command.words()),
            Denial::ShellUnderPathScope => {
                "a token for some paths never runs a shell: a shell reaches all".into()
            }
            Denial::Depth => "this token was passed on more often than it may be".into(),
            Denial::Budget(_) | Denial::Rate(_) => {
                format!("not allowed to {} now: {denial}", command.words())
            }
            _ if code == RefusalCode::Unauthorized => {
                format!("not allowed to {} (needs {})", command.words(), command.path())
            }
            _ => format!("not allowed to {}: {}", command.words(), lower(code.meaning())),
        };
        let refusal = self.refuse(code, &message);
        let owner_runs = |flags: &str| {
            format!("the node's owner can allow it: clankers token create --for {} {flags}", self.principal())
        };
        Box::new(match (code, grant_flags(command, args)) {
            (RefusalCode::WrongAudience, _) => {
                refusal.hint("a token works only from the node that it was made for")
            }
            (RefusalCode::NotYetValid, _) => {
                refusal.hint("compare the clocks of the two machines: they differ by more than a minute")
            }
            (RefusalCode::Expired, Some(flags)) if matches!(denial, Denial::Forgotten(..)) => refusal
                .hint(
                    "that node's clock was ahead once; a token that ends later than this one is of use there",
                )
                .hint(&owner_runs(&flags)),
            (RefusalCode::Expired, Some(flags)) if !matches!(denial, Denial::OwnerOnly) => refusal
                .hint("when it should hold still, compare the clocks of the two machines")
                .hint(&owner_runs(&flags)),
            (RefusalCode::RateLimited, _) => refusal.hint("wait a minute"),
            (RefusalCode::NodeTrouble, _) => refusal.hint("its owner finds the reason in the node's log"),
            (_, Some(flags)) if !matches!(denial, Denial::OwnerOnly) => {
                // What all members are given is one command; a token is for this one alone.
                let fellow = flags != "--root" && !self.hall.teams.shared_with(self.principal()).is_empty();
                let words = format!("or give it to every member of the team: clankers team grant {flags}");
                let refusal = refusal.hint(&owner_runs(&flags));
                if fellow { refusal.hint(&words) } else { refusal }
            }
            _ => refusal,
        })
    }

    /// A refusal for another reason than authority.
    pub(crate) fn refuse(&self, code: RefusalCode, message: &str) -> Refusal {
        self.hall.counters.refusals.fetch_add(1, Ordering::Relaxed);
        let mut by_code = self.hall.counters.by_code.lock().unwrap_or_else(PoisonError::into_inner);
        let count = by_code.entry(code.number()).or_default();
        *count = count.saturating_add(1);
        drop(by_code);
        Refusal::new(code, message, self.remote)
    }
}

fn lower(sentence: &str) -> String {
    let mut chars = sentence.trim_end_matches('.').chars();
    chars.next().map(|first| first.to_lowercase().chain(chars).collect()).unwrap_or_default()
}

/// The flags of the smallest grant that would do. A session is named: other people's are reached by name alone.
fn grant_flags(command: Command, args: &Args) -> Option<String> {
    let flags = match command {
        Command::NodeInfo
        | Command::SessionList
        | Command::Observe
        | Command::FileList
        | Command::FileRead => "--read-only".to_owned(),
        Command::PromptSend | Command::PromptCancel => "--reviewer".to_owned(),
        Command::ToolUse => format!("--tools {}", args.tool.as_ref()?),
        Command::ShellExec => "--tools bash".to_owned(),
        Command::FileDrop => "--drop".to_owned(),
        Command::FileOffer => "--offer".to_owned(),
        Command::AdminGrant | Command::AdminRevoke | Command::AdminConfig | Command::AdminStop => {
            "--root".to_owned()
        }
        _ => "--operator".to_owned(),
    };
    // What is exported lies in no workspace: a path of a grant would be another one.
    let path = args.path.as_ref().filter(|path| *path != "." && plain(path) && command != Command::FileRead);
    Some(match path {
        Some(path) => format!("{flags} --path {path}"),
        None => flags,
    })
}

/// Whether a path can stand in a command line as it is.
fn plain(path: &str) -> bool {
    path.chars().all(|c| c.is_ascii_alphanumeric() || "._-/".contains(c))
}

/// What the audit log calls the showing of a chain.
const SHOWN: &str = "hello";
