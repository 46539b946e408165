//! What a node keeps: its key, its sessions, its peers, its tokens; crash-safe.
//!
//! Everything blocks: the hall calls it from threads where that is allowed. In the order in which a node meets it:
//!
//! - [`Home`]: the directory, and the names of everything in it
//! - [`identity`]: the secret key, made once, never replaced
//! - [`NodeLock`]: one running node for each home; [`RunInfo`]: how the command line finds it
//! - [`SessionLog`]: a session's events, synced before they are announced; [`LogReader`] beside it
//! - [`Store`]: the database, with [`PeerBook`] and authority's memory: [`TokenStore`], [`Revocations`], [`Ledger`], [`Replay`]
//! - [`TeamBook`]: teams, whom it remembers there, what members are given; [`TeamKeys`] of teams made here
//! - [`audit`]: decisions, one line each
//! - [`Sessions`]: all sessions of the home, and where a prompt was accepted
//! - [`Credentials`]: keys for model providers
//! - [`limits`]: every bound, with its unit
//!
//! What is promised: a call that returned `Ok` for something durable has it on the disk; a call that failed has left nothing
//! half-done; a file that is damaged or was written by a later version is refused and said, never replaced.

pub mod audit;
mod credentials;
mod error;
mod home;
pub mod identity;
mod ledger;
pub mod limits;
mod line;
mod lock;
mod log;
mod os;
mod peers;
mod replay;
mod revocations;
mod run;
mod sessions;
mod store;
mod teams;
mod tokens;

pub use credentials::{Credentials, CredentialsError, Masked, SecretText};
pub use error::{DiskError, DiskKind};
pub use home::{Home, HomeError};
pub use identity::{IdentityError, Secret32};
pub use ledger::{Amount, Arrival, Ledger, LedgerUsage, Reservation, Running};
pub use lock::{Holder, LockError, NodeLock, holder};
pub use log::{
    Damage, Digest, DroppedTail, LOG_VERSION, LogEnd, LogError, LogHeader, LogReader, NewSession, Page,
    PromptMark, SessionLog,
};
pub use peers::{Heard, PeerBook, PeerError};
pub use replay::Replay;
pub use revocations::{Put, RevocationRow, Revocations};
pub use run::{RunInfo, remember_port, remembered_port};
pub use sessions::{Condition, Found, PromptPlace, SessionEntry, Sessions, SessionsError};
pub use store::{Authority, Opened, Store, StoreError};
pub use teams::{KeptMember, KeptRemoval, KeptTeam, Parting, TAKEN_BACK, TeamBook, TeamKeys, Template};
pub use tokens::{Delivered, FoundToken, KeptToken, TokenNote, TokenStore};
