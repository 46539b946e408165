//! What a session finds in its directory and in the node's home: instructions, skills, the agent that was asked for.

use std::{path::PathBuf, sync::Arc};

use clankers_auth::{Args, Command, Held};
use clankers_context::{AgentScope, Context, ContextError, Origin, Places, Standing, TrustBook, gather};
use clankers_protocol::{
    limits::SELECTOR_BYTES,
    message::Ext,
    refusal::RefusalCode,
    request::prompt::{EXT_AGENT, EXT_AGENT_SCOPE},
};

use crate::{door::Caller, service::Answer};

/// What was found.
#[derive(Debug, Clone, Default)]
pub(crate) struct Found {
    pub(crate) context: Arc<Context>,
    /// What was not used, for the owner: it names this machine's files.
    pub(crate) notes: Vec<String>,
}

/// Which agent a prompt asks for.
struct Wanted {
    agent: Option<String>,
    scope: AgentScope,
}

impl Wanted {
    fn read(caller: &Caller, ext: &Ext) -> Answer<Self> {
        let word = |number: u16| match ext.get(number) {
            None => Ok(None),
            Some(bytes) => match std::str::from_utf8(bytes) {
                Ok(word) if bytes.len() <= SELECTOR_BYTES => Ok(Some(word.to_owned())),
                _ => Err(Box::new(caller.refuse(RefusalCode::Malformed, "the agent's name is no text"))),
            },
        };
        let scope = match word(EXT_AGENT_SCOPE)? {
            None => AgentScope::default(),
            Some(scope) => {
                scope.parse().map_err(|why: String| Box::new(caller.refuse(RefusalCode::Invalid, &why)))?
            }
        };
        Ok(Self { agent: word(EXT_AGENT)?, scope })
    }
}

/// What lies in a session's directory is told to those who may read it there anyway, whole: a token for some paths, or
/// without a tool that reads, is told nothing.
fn may_read(caller: &Caller, held: &Held, args: &Args) -> bool {
    ["read", "grep"].into_iter().any(|tool| {
        let asked = Args { tool: Some(tool.into()), path: Some(".".into()), ..args.clone() };
        caller.authority().authorize_running(held, Command::ToolUse, &asked).is_ok()
    })
}

/// Looks around a session's directory. A peer's session is told nothing from above it, and nothing of the node's home:
/// what its owner told the agent there is the owner's.
pub(crate) async fn find(caller: &Caller, held: &Held, cwd: &str, args: &Args, ext: &Ext) -> Answer<Found> {
    let mut wanted = Wanted::read(caller, ext)?;
    if !held.is_owner() {
        if !may_read(caller, held, args) {
            if wanted.agent.is_some() {
                let words = "agents of this project are for those who may read all of it";
                return Err(Box::new(caller.refuse(RefusalCode::Unauthorized, words)));
            }
            return Ok(Found::default());
        }
        wanted.scope = AgentScope::Project;
    }
    let (home, cwd) = (caller.hall.context.home.root().to_owned(), PathBuf::from(cwd));
    let owner = held.is_owner();
    let look = move || {
        let Ok(mut places) = Places::find(&home, &cwd) else {
            // The directory is gone, which the tools say better.
            return Ok(Found::default());
        };
        if !owner {
            places.repo_root = None;
            places.foreign = None;
        }
        let book = TrustBook::at(&home);
        let (standing, trouble) = match book.standing(places.project()) {
            Ok(standing) => (standing, None),
            Err(error) => (Standing::Untrusted, Some(error.to_string())),
        };
        let mut context = gather(&places, standing, wanted.scope, wanted.agent.as_deref())?;
        if !owner {
            context.instructions.retain(|one| one.origin == Origin::Project);
            context.skills.retain(|one| one.origin == Origin::Project);
        }
        let mut notes: Vec<String> = context.notes.iter().map(ToString::to_string).collect();
        notes.extend(trouble);
        if !owner {
            notes.drain(..).for_each(|note| tracing::info!("{note}"));
        }
        Ok(Found { context: Arc::new(context), notes })
    };
    match tokio::task::spawn_blocking(look).await {
        Ok(found) => found.map_err(|error| Box::new(refused(caller, owner, &error))),
        Err(_) => Err(Box::new(caller.refuse(RefusalCode::NodeTrouble, "the node failed from within"))),
    }
}

fn refused(caller: &Caller, owner: bool, error: &ContextError) -> clankers_protocol::refusal::Refusal {
    match error {
        ContextError::AgentNotFound { .. } => caller.refuse(RefusalCode::NotFound, &error.to_string()),
        ContextError::AgentUntrusted { .. } if owner => {
            caller.refuse(RefusalCode::Invalid, &error.to_string())
        }
        ContextError::AgentUntrusted { name, .. } => {
            let words = format!("the agent {name:?} is of a project that the node's owner does not trust");
            caller.refuse(RefusalCode::NotFound, &words)
        }
    }
}
