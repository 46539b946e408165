//! Every limit of this crate, with its unit.

/// Largest encoded token in the strict profile, bytes.
pub const STRICT_TOKEN_BYTES: usize = 4 * 1024;

/// Largest encoded token in the spec profile, bytes.
pub const SPEC_TOKEN_BYTES: usize = 64 * 1024;

/// Deepest nesting of lists and maps in a token in the strict profile, levels.
pub const STRICT_DEPTH: usize = 32;

/// Deepest nesting of lists and maps in a token in the spec profile, levels.
pub const SPEC_DEPTH: usize = 64;

/// Most data items (scalars, lists, maps, keys) in a token in the strict profile.
pub const STRICT_ITEMS: usize = 1024;

/// Most data items (scalars, lists, maps, keys) in a token in the spec profile.
pub const SPEC_ITEMS: usize = 8 * 1024;

/// Largest magnitude of a timestamp, and of any integer in the strict profile: 2^53 - 1.
/// It is the largest integer that every JSON implementation keeps exactly (UCAN 1.0, "53 bits").
pub const MAX_SAFE_INTEGER: u64 = (1 << 53) - 1;

/// Shortest nonce in the strict profile, bytes (96 bits: collisions stay out of reach).
pub const STRICT_NONCE_MIN_BYTES: usize = 12;

/// Longest nonce in the strict profile, bytes.
pub const STRICT_NONCE_MAX_BYTES: usize = 64;

/// Longest command path, bytes.
pub const COMMAND_BYTES: usize = 256;

/// Most segments of a command path.
pub const COMMAND_SEGMENTS: usize = 16;

/// Most statements in one policy in the strict profile, nested ones included.
pub const STRICT_POLICY_NODES: usize = 64;

/// Most statements in one policy in the spec profile, nested ones included.
pub const SPEC_POLICY_NODES: usize = 2 * 1024;

/// Deepest nesting of statements in a policy in the strict profile, levels (a top-level
/// statement is level 1).
pub const STRICT_POLICY_DEPTH: usize = 6;

/// Deepest nesting of statements in a policy in the spec profile, levels.
pub const SPEC_POLICY_DEPTH: usize = 32;

/// Longest selector, bytes.
pub const SELECTOR_BYTES: usize = 512;

/// Most segments in a selector.
pub const SELECTOR_SEGMENTS: usize = 16;

/// Longest chain of delegations, links.
pub const CHAIN_LINKS: usize = 8;

/// Largest container, bytes before base64.
pub const CONTAINER_BYTES: usize = 16 * 1024;

/// Most tokens in a container.
pub const CONTAINER_TOKENS: usize = 8;

/// Most tokens in a container that carries an invocation or revocation and its proofs.
pub const CONTAINER_TOKENS_WITH_INVOCATION: usize = CONTAINER_TOKENS + 1;
