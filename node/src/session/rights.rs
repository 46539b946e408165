//! What a prompter's tools may do: judged by its chain, and by those of everybody whose words are in the session.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use clankers_auth::{Args, Command, Denial, Held};
use clankers_protocol::{NodeId, PromptId, SessionId};
use clankers_tools::PathGate;

use crate::authority::{Authority, audit};

/// Whose words are in the live context, besides the prompter's: words launder rights, so all of them must be
/// allowed what a tool does. The owner is allowed everything.
#[derive(Debug, Clone)]
pub(super) enum Author {
    /// The chain under which they last spoke.
    Known(Held),
    /// They spoke before this node last loaded the session: what they may is not known.
    Unknown(NodeId),
}

/// A prompter's chain in one session, and those of everybody whose words are in it.
#[derive(Debug, Clone)]
pub(super) struct Rights {
    pub(super) authority: Arc<Authority>,
    pub(super) held: Held,
    pub(super) authors: Arc<[Author]>,
    pub(super) session: SessionId,
    pub(super) workspace: String,
    pub(super) prompt_id: PromptId,
}

/// Why something is not allowed, and on whose account.
pub(super) struct NotAllowed {
    pub(super) denial: Box<Denial>,
    /// Another author's words stand in the way, not the prompter's rights.
    pub(super) author: Option<NodeId>,
}

/// What the audit log calls a denial that is not the check's own.
pub(super) const UNAUTHORIZED: &str = "unauthorized";

impl Rights {
    pub(super) fn args(&self, tool: &str, path: Option<&str>, argv0: Option<&str>) -> Args {
        Args {
            session: Some(self.session.to_string()),
            workspace: Some(self.workspace.clone()),
            path: path.map(str::to_owned),
            tool: Some(tool.to_owned()),
            argv0: argv0.map(str::to_owned),
            ..Args::default()
        }
    }

    /// The same without the other authors, when somebody who may do it has allowed it all the same.
    pub(super) fn allowed(&self) -> Self {
        Self { authors: Arc::new([]), ..self.clone() }
    }

    /// Judges a use of a tool, of `path` where it names one.
    pub(super) fn judge(
        &self,
        tool: &str,
        path: Option<&str>,
        argv0: Option<&str>,
    ) -> Result<(), NotAllowed> {
        let (command, args) = (Command::for_tool(tool), self.args(tool, path, argv0));
        let ask = |held: &Held| self.authority.authorize_running(held, command, &args);
        ask(&self.held).map_err(|denial| NotAllowed { denial: Box::new(denial), author: None })?;
        self.authors.iter().try_for_each(|author| match author {
            Author::Known(held) => ask(held)
                .map_err(|denial| NotAllowed { denial: Box::new(denial), author: Some(held.principal()) }),
            Author::Unknown(who) => Err(NotAllowed { denial: Box::new(Denial::NoProof), author: Some(*who) }),
        })
    }

    /// Writes down what was decided about a call, once it is decided.
    pub(super) fn note(&self, tool: &str, args: &Args, verdict: Result<(), (&str, &str)>) {
        self.note_answered(tool, args, None, verdict);
    }

    /// The same, with who was asked for leave and answered.
    pub(super) fn note_answered(
        &self,
        tool: &str,
        args: &Args,
        by: Option<NodeId>,
        verdict: Result<(), (&str, &str)>,
    ) {
        if verdict.is_ok() && self.held.is_owner() && by.is_none() {
            return;
        }
        let mut about = audit::About {
            session: Some(self.session),
            prompt_id: Some(self.prompt_id.clone()),
            ..audit::about(Some(&self.held), Command::for_tool(tool), args)
        };
        if let Some(by) = by {
            about.args.insert("answered_by".to_owned(), by.to_string().into());
        }
        self.authority.audit.verdict(self.held.principal(), about, verdict);
    }
}

/// The same question, asked about each path that is really opened.
pub(super) struct Gate {
    pub(super) rights: Rights,
    pub(super) tool: &'static str,
    /// A path was denied and written down: a search may meet thousands.
    pub(super) noted: AtomicBool,
}

impl PathGate for Gate {
    fn allow(&self, path: &str) -> bool {
        let judged = self.rights.judge(self.tool, Some(path), None);
        if let Err(NotAllowed { denial, .. }) = &judged
            && !self.noted.swap(true, Ordering::Relaxed)
        {
            let args = self.rights.args(self.tool, Some(path), None);
            self.rights.note(self.tool, &args, Err((denial.code().name(), &denial.to_string())));
        }
        judged.is_ok()
    }
}

pub(super) fn denied_words(
    tool: &str,
    path: Option<&str>,
    denial: &Denial,
    author: Option<NodeId>,
) -> String {
    let on = path.filter(|path| *path != ".").map(|path| format!(" on {path}")).unwrap_or_default();
    if let Some(author) = author {
        let who = author.short();
        return format!(
            "denied: {tool}{on}: words of {who} are in this session, and they may not do this; use another session"
        );
    }
    let why = match denial {
        Denial::ShellUnderPathScope => "a token for some paths never runs a shell",
        _ => match denial.code() {
            clankers_protocol::refusal::RefusalCode::Unauthorized => "the prompter's token does not allow it",
            code => code.meaning(),
        },
    };
    format!("denied: {tool}{on}: {why}")
}
