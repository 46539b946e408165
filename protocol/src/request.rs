//! What can be asked of a node: one module for each family, one bi stream for each request.
//!
//! Every request that needs authority names the `leaf` of the chain it relies on; without one the node looks
//! among the chains that the connection has shown.

pub mod admin;
pub mod attach;
pub mod history;
pub mod inspect;
pub mod invite;
pub mod node;
pub mod peers;
pub mod presence;
pub mod prompt;
pub mod revocation;
pub mod session;
pub mod team;
pub mod tokens;
pub mod transfer;

macro_rules! plain_messages {
    ($($name:ident = $kind:ident;)*) => {
        $(impl $crate::message::Message for $name {
            const KIND: $crate::kind::Kind = $crate::kind::Kind::$kind;

            fn check(&self) -> Result<(), $crate::message::MessageError> {
                self.ext.check()
            }
        })*
    };
}
pub(crate) use plain_messages;
