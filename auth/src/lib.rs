//! Who may do what on a clankers node: UCAN chains judged by pure code.
//!
//! Authority on a node begins with its own key: the root of every chain is issued by, and about, the node
//! itself, and the last link is for the key that TLS proved to be on the connection. Nothing on the wire names
//! a trust root, and nothing compares a child with its parent: at use, every link must allow the request.
//!
//! - [`vocab`]: the closed set of commands, and the arguments that policies may speak of
//! - [`standing`]: what a node knows besides a chain: the time, what was revoked, what was used
//! - [`gate`]: the check; [`gate::admit`] once for a chain that is shown, [`gate::Held::authorize`] for each
//!   request, [`gate::Held::authorize_running`] for each effect of what runs already
//! - [`step`]: the steps of the check by name
//! - [`denial`]: why not, and the code that the peer is told
//! - [`preset`]: what an owner means by "reviewer, on src only", as a policy, and back
//! - [`mint`]: writing grants, passing them on, and the link from a node to one run of a command line
//! - [`revoke`]: taking a link back
//! - [`invocation`]: a signed request, for what does not arrive over the asker's own connection
//! - [`receipt`]: what a receiver of files signs
//! - [`team`]: who belongs to a team, and what its members sign
//! - [`words`]: a token as a person reads it
//! - [`verified`]: which signatures were checked before

pub mod denial;
pub mod gate;
pub mod invocation;
pub mod limits;
pub mod mint;
pub mod preset;
pub mod receipt;
pub mod revoke;
pub mod standing;
pub mod step;
pub mod team;
pub mod verified;
pub mod vocab;
pub mod words;

pub use denial::Denial;
pub use gate::{Grant, Held, Metered, Total, admit};
pub use preset::{GrantSpec, Sessions};
pub use standing::{Asks, Counters, Revocations, Standing, Unreadable, Usage};
pub use verified::VerifiedTokens;
pub use vocab::{Arg, Args, Command};
