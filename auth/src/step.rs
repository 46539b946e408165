//! The steps of the check, each of which can be left out to see whether a test notices.
//!
//! Leaving out works only in builds with `--cfg clankers_mutation`, by the variable `CLANKERS_MUTATION`, which names the
//! step. In every other build it is not compiled in, and nothing outside can influence the check.

macro_rules! steps {
    ($($(#[doc = $doc:literal])* $name:ident;)*) => {
        /// One step of the check.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Step {
            $($(#[doc = $doc])* $name,)*
        }

        impl Step {
            /// Every step.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// Its name.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }
        }
    };
}

steps! {
    /// 0: the container's and the tokens' sizes and numbers.
    Sizes;
    /// 1: strict decoding. Left out: the lenient profile.
    Decode;
    /// 2: one path, every token used once. Left out: the tokens as they come.
    Order;
    /// 3: the root is the node's own, the subject never switched.
    Anchor;
    /// 4: each audience is the next issuer, the last is the caller.
    Align;
    /// 5: not before, not after.
    Time;
    /// 5: no link lives too long.
    Lifetime;
    /// 5: no link is older than the node's epoch.
    Epoch;
    /// 6: the command of every link.
    Command;
    /// 6: the policy of every link.
    Policy;
    /// 6: no shell under a path scope.
    ShellScope;
    /// 6: how far a link was passed on. Left out: not at all.
    Depth;
    /// 7: signatures.
    Signatures;
    /// 8: revocations.
    Revocations;
    /// 9: what was used up. Left out: nothing was.
    Counters;
    /// An invocation's own signature.
    InvocationSignature;
    /// An invocation is for this node.
    InvocationExecutor;
    /// An invocation's own time.
    InvocationTime;
    /// An invocation was not seen before.
    Replay;
    /// A revocation's own signature.
    RevocationSignature;
    /// A revoker issued the link, or one above it.
    Revoker;
}

/// Does one step.
pub(crate) fn step<E>(step: Step, check: impl FnOnce() -> Result<(), E>) -> Result<(), E> {
    if left_out(step) { Ok(()) } else { check() }
}

#[cfg(not(clankers_mutation))]
pub(crate) const fn left_out(_: Step) -> bool {
    false
}

#[cfg(clankers_mutation)]
pub(crate) fn left_out(step: Step) -> bool {
    std::env::var("CLANKERS_MUTATION").is_ok_and(|name| name == step.name())
}
