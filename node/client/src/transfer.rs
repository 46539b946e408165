//! Files sent and got: the shell around the machines of [`clankers_protocol::transfer`].
//!
//! - [`Looked`]: what is to be sent, as the wire lists it
//! - [`Sending`] and [`Receiving`]: the two sides of one conversation, on a stream that is open
//! - [`Door`]: where its data streams begin and end
//! - [`Job`]: a whole transfer as a person means it, with its [`Record`]; resumed until it is whole

mod beside;
mod door;
mod error;
mod exports;
mod get;
pub mod job;
mod lane;
mod limit;
mod lock;
mod looked;
mod pace;
mod pool;
mod progress;
mod rate;
mod receive;
pub mod record;
mod send;
mod talk;

pub use clankers_files::{Selection, SkipReason, Skipped, Skips};
use clankers_protocol::{
    NodeId,
    refusal::Refusal,
    transfer::{manifest::ManifestError, talk::End},
};

pub use self::{
    beside::beside,
    door::Door,
    error::TransferError,
    exports::{Exported, exports},
    get::forget_parts,
    job::{BadPath, Finished, GetWish, Job, SendWish, Us, look},
    looked::Looked,
    progress::{Phase, Progress},
    receive::{Judge, Meter, Received, Receiving, Taken, Verdict, declined},
    record::{Direction, Hold, KeptReceipt, Record, RecordError, Records, State},
    send::{Sending, Sent},
};

use self::{progress::progress, rate::Telling};

/// What the other side is told when the conversation ends by its fault.
fn parting(end: &End, peer: NodeId) -> Option<Refusal> {
    let words = match end {
        End::Broken(why) => why.clone(),
        End::Unsound(error) => error.to_string(),
        _ => "nothing moved for too long".to_owned(),
    };
    let refusal = end.code().map(|code| Refusal::new(code, &words, peer))?;
    Some(match end {
        End::Unsound(ManifestError::TooDeep { .. }) => refusal
            .hint("send it as an archive, or what is deep in it by itself")
            .hint("or ask the receiver's owner to take deeper ones: 'files.max_depth' in the settings there"),
        End::Unsound(ManifestError::TooMany { .. } | ManifestError::TooLarge { .. }) => {
            refusal.hint("send it in parts, or as an archive")
        }
        _ => refusal,
    })
}
