//! How much of the specification is accepted.

use crate::codec::Bounds;
use crate::limits;

/// Which rules of encoding, time and policy apply.
///
/// | | [`Spec`](Profile::Spec) | [`Strict`](Profile::Strict) |
/// |---|---|---|
/// | encoding | canonical DAG-CBOR, exact keys | the same |
/// | token size, depth, items | 64 KiB, 64, 8192 | 4 KiB, 32, 1024 |
/// | links of a chain, proofs of an invocation | 8 | 8 |
/// | floating-point numbers | allowed | refused anywhere in a token |
/// | integers | those of CBOR, timestamps 53 bits | all within ±(2^53 - 1) |
/// | command characters | lower case | `a-z 0-9 - _` |
/// | nonce | any length | 12 to 64 bytes |
/// | `exp` | may be null | required (but null in a revocation, which never ends) |
/// | `nbf` of a delegation | optional | required |
/// | `sub` of a delegation | may be null below the root (powerline) | required |
/// | policy operators | all | no `not`, no `!=`, no empty `or` |
/// | selectors | all | no optional (`?`) |
/// | policy size | 2048 statements, depth 32 | 64 statements, depth 6 |
/// | selector without a value, comparison of different kinds | the statement is false | the whole evaluation is denied |
///
/// The strict rules exist because the specification's language fails open in places: `["!=",
/// ".tool", "shell"]` and `["not", ...]` are true when the argument is absent or of another kind,
/// `["or", []]` is true, a missing key or an optional selector is null.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Profile {
    /// All that the specification allows.
    Spec,
    /// For deciding about authority.
    Strict,
}

impl Profile {
    /// Largest encoded token, bytes.
    pub const fn max_token_bytes(self) -> usize {
        match self {
            Self::Spec => limits::SPEC_TOKEN_BYTES,
            Self::Strict => limits::STRICT_TOKEN_BYTES,
        }
    }

    pub(crate) const fn is_strict(self) -> bool {
        matches!(self, Self::Strict)
    }

    pub(crate) const fn bounds(self) -> Bounds {
        match self {
            Self::Spec => Bounds {
                bytes: limits::SPEC_TOKEN_BYTES,
                depth: limits::SPEC_DEPTH,
                items: limits::SPEC_ITEMS,
                floats: true,
                safe_integers: false,
            },
            Self::Strict => Bounds {
                bytes: limits::STRICT_TOKEN_BYTES,
                depth: limits::STRICT_DEPTH,
                items: limits::STRICT_ITEMS,
                floats: false,
                safe_integers: true,
            },
        }
    }

    pub(crate) const fn policy_nodes(self) -> usize {
        match self {
            Self::Spec => limits::SPEC_POLICY_NODES,
            Self::Strict => limits::STRICT_POLICY_NODES,
        }
    }

    pub(crate) const fn policy_depth(self) -> usize {
        match self {
            Self::Spec => limits::SPEC_POLICY_DEPTH,
            Self::Strict => limits::STRICT_POLICY_DEPTH,
        }
    }
}
