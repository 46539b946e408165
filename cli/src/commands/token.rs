//! `token`: who may do what.
//!
//! - [`source`]: where a token comes from: a file, standard input, or one that is kept
//! - [`make`]: create, delegate, import; [`list`]; [`inspect`] and why; [`revoke`]

mod inspect;
mod list;
mod make;
mod revoke;
mod source;

use clankers_node::store::Home;
use clankers_protocol::{Message, NodeId};

use crate::{
    args::TokenCommand,
    error::{CliError, Outcome},
    local::Machine,
};

/// Characters of a node's words about a token that are shown in one line.
const WORDS_CHARS: usize = 500;
/// Characters of a CID in a listing: enough to name the token by.
const CID_CHARS: usize = 16;

pub(crate) async fn run(home: Home, command: TokenCommand, json: bool) -> Outcome {
    // What can be wrong with the words is said before anything is opened.
    match command {
        TokenCommand::Create(args) => Box::pin(make::create(&Machine::open(&home)?, args, json)).await,
        TokenCommand::Delegate(args) => {
            let from = source::choice(&args.from)?;
            Box::pin(make::delegate(&Machine::open(&home)?, from, args, json)).await
        }
        TokenCommand::Import { file } => {
            let token = source::read(&file)?;
            make::import(&Machine::open(&home)?, token, json).await
        }
        TokenCommand::List => list::run(&Machine::open(&home)?, json).await,
        TokenCommand::Inspect(args) => {
            let question = args.asked().map_err(CliError::usage)?;
            let token = source::choice(&args.token)?;
            inspect::run(&Machine::open(&home)?, token, args.node, question, json).await
        }
        TokenCommand::Forget { cid } => make::forget(&Machine::open(&home)?, cid, json).await,
        TokenCommand::Why(args) => inspect::why(&Machine::open(&home)?, args, json).await,
        TokenCommand::Revoke(args) => {
            let what = revoke::what(&args)?;
            revoke::run(&Machine::open(&home)?, what, json).await
        }
    }
}

/// Asks this machine's node, or the same hall in this process, one thing.
async fn ask<Q: Message, A: Message>(machine: &Machine, request: &Q) -> Result<A, CliError> {
    let local = machine.node_or_hall().await?;
    let answer = local.client.ask(request).await;
    local.close().await;
    Ok(answer?)
}

/// A peer as the node finds it: a ticket's addresses are of no use to it.
pub(super) fn known_as(peer: &str) -> String {
    clankers_node::mesh::parse_ticket(peer).map_or_else(|_| peer.to_owned(), |ticket| ticket.id.to_string())
}

/// A node's id in words.
fn node(id: NodeId, own: NodeId) -> String {
    if id == own { format!("{} (this node)", id.short()) } else { id.short() }
}

/// A CID's beginning.
fn short(cid: &str) -> String {
    clankers_protocol::text::line(cid, CID_CHARS).trim_end_matches('…').to_owned()
}
