//! What goes wrong inside, as a caller is told. The whole of it is in the node's log; a peer hears no paths.

use clankers_protocol::refusal::{Refusal, RefusalCode};
use clankers_store::{LogError, PeerError, StoreError};

use crate::{door::Caller, session::SubmitError, sessions::SessionError};

/// For the owner the error itself, for others that there is one.
fn inside(caller: &Caller, error: &dyn std::error::Error) -> Box<Refusal> {
    tracing::error!(peer = %caller.remote, %error, "a request failed");
    let owner = caller.is_owner();
    let words = if owner { error.to_string() } else { "the node's disk or store failed".to_owned() };
    let refusal = caller.refuse(RefusalCode::NodeTrouble, &words);
    Box::new(if owner { refusal } else { refusal.hint("its owner finds the reason in the node's log") })
}

pub(crate) fn store(caller: &Caller, error: &StoreError) -> Box<Refusal> {
    inside(caller, error)
}

pub(crate) fn log(caller: &Caller, error: &LogError) -> Box<Refusal> {
    inside(caller, error)
}

pub(crate) fn session(caller: &Caller, error: &SessionError) -> Box<Refusal> {
    let code = match error {
        SessionError::NotFound(_) => RefusalCode::NotFound,
        SessionError::TooMany(_) => RefusalCode::Busy,
        // A lock on this machine, not a limit.
        SessionError::Elsewhere(_) => RefusalCode::NodeTrouble,
        SessionError::Stopping => RefusalCode::Stopping,
        SessionError::Log(error) => return log(caller, error),
        SessionError::Store(_) | SessionError::Failed => return inside(caller, error),
    };
    Box::new(caller.refuse(code, &error.to_string()))
}

pub(crate) fn submit(caller: &Caller, error: &SubmitError) -> Box<Refusal> {
    let code = match error {
        SubmitError::Full(_) | SubmitError::Unloaded => RefusalCode::Busy,
        SubmitError::Stopping => RefusalCode::Stopping,
        SubmitError::Killed => RefusalCode::NotFound,
        SubmitError::Log(error) => return log(caller, error),
    };
    Box::new(caller.refuse(code, &error.to_string()))
}

pub(crate) fn peer(caller: &Caller, error: &PeerError) -> Box<Refusal> {
    let code = match error {
        PeerError::NotFound(_) => RefusalCode::NotFound,
        PeerError::Ambiguous { .. } => RefusalCode::Ambiguous,
        PeerError::Store(error) => return store(caller, error),
        _ => RefusalCode::Invalid,
    };
    let refusal = caller.refuse(code, &error.to_string());
    Box::new(refusal.hint(match code {
        RefusalCode::NotFound => {
            "'clankers rpc peers list' shows who is known; a ticket always works: 'clankers rpc peers add TICKET --label NAME'"
        }
        RefusalCode::Ambiguous => "'clankers rpc peers list --json' shows whole ids",
        _ => "'clankers rpc peers list' shows who is known, and by what label",
    }))
}
