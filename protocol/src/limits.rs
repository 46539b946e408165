//! Every bound of the wire, with its unit.

/// A frame's body until the connection has shown one valid chain (bytes).
pub const UNAUTHENTICATED_FRAME_BYTES: u32 = 64 * 1024;
/// A frame's body after that (bytes).
pub const FRAME_BYTES: u32 = 1024 * 1024;
/// Streams that a connection may open before its Hello is judged (count).
pub const UNAUTHENTICATED_PARKED_STREAMS: usize = 8;
/// How long a connection may live without a Hello (milliseconds).
pub const UNAUTHENTICATED_HELLO_MS: u64 = 5_000;
/// How long an admitted connection may rest without a valid chain (milliseconds).
pub const UNAUTHENTICATED_IDLE_MS: u64 = 10_000;
/// How long an admitted connection may live without one, whatever it asks (milliseconds).
pub const UNAUTHENTICATED_LIFE_MS: u64 = 120_000;
/// Proof chains in one Hello or Present (count).
pub const CHAINS: usize = 8;
/// One proof chain (bytes).
pub const CHAIN_BYTES: usize = 16 * 1024;
/// Chains that one connection may hold at a time (count).
pub const CONNECTION_CHAINS: usize = 16;
/// Streams that one connection may have open at a time (count).
pub const CONNECTION_STREAMS: u32 = 256;
/// A label that a peer gives itself (bytes of UTF-8).
pub const LABEL_BYTES: usize = 64;
/// The name and version of a peer's software (bytes).
pub const SOFTWARE_BYTES: usize = 64;
/// Entries in an `ext` list (count).
pub const EXT_ENTRIES: usize = 16;
/// Bytes in one `ext` entry.
pub const EXT_BYTES: usize = 4096;
/// The text of one prompt (bytes of UTF-8).
pub const PROMPT_BYTES: usize = 512 * 1024;
/// A prompt id chosen by a client (bytes).
pub const PROMPT_ID_BYTES: usize = 128;
/// Any selector: session, peer, tool, model (bytes).
pub const SELECTOR_BYTES: usize = 256;
/// A path named in a request (bytes).
pub const PATH_BYTES: usize = 4096;
/// Tools named in a request (count).
pub const TOOLS: usize = 64;
/// Text of one live delta (bytes); longer pieces are split.
pub const DELTA_BYTES: usize = 32 * 1024;
/// A refusal's message or hint (bytes).
pub const REFUSAL_TEXT_BYTES: usize = 2048;
/// Hints in a refusal (count).
pub const REFUSAL_HINTS: usize = 8;
/// Durable events in one page of a session's history (count).
pub const HISTORY_EVENTS: usize = 1_000;
/// Sessions or peers in one page of a listing (count).
pub const PAGE_ENTRIES: usize = 200;
/// Socket addresses in one record of a peer (count).
pub const ADDRESSES: usize = 32;
/// Paths, sessions or models that one grant names (count).
pub const RIGHTS_ENTRIES: usize = 16;
/// Revocations in one message (count); the frame's own limit holds besides.
pub const REVOCATIONS: usize = 32;
/// Digests of revoked tokens in one message (count).
pub const REVOCATION_DIGESTS: usize = 10_000;
/// Attached peers named in one frame (count).
pub const ROSTER: usize = 64;
/// Approvals that wait in one session at a time (count).
pub const PENDING: usize = 32;
/// What a pending approval is about to do (bytes of UTF-8).
pub const PENDING_WHAT_BYTES: usize = 4096;
/// Unfinished items of one session whose text so far is kept for late comers (count).
pub const OPEN_ITEMS: usize = 64;
/// A node that says nothing for so long is stale (milliseconds).
pub const STALE_MS: u64 = 3_000;
/// A node that says nothing for so long is dialed anew, beside the connection that there is (milliseconds): half more
/// than [`BEAT_MS`].
pub const QUIET_MS: u64 = 1_500;
/// A node says that it is there when the stream was silent for so long (milliseconds).
pub const BEAT_MS: u64 = 1_000;
/// Between two tries to reach a lost node, at first (milliseconds).
pub const REDIAL_MS: u64 = 150;
/// How long the tries come so fast (milliseconds); then each pause is twice the last.
pub const REDIAL_FAST_MS: u64 = 15_000;
/// The longest pause between two tries (milliseconds).
pub const REDIAL_SLOW_MS: u64 = 10_000;
/// A lost node is given up after this (milliseconds).
pub const REDIAL_LIMIT_MS: u64 = 600_000;
/// Tries to reach a node that are under way at a time (count): beyond that a fresh one takes an old one's place, so that
/// at first each has 1.8 s.
pub const REDIALS: usize = 12;
/// Inputs kept until the node has taken or refused them (count).
pub const INPUTS_WAITING: usize = 64;
/// How long a client that leaves waits for the node's goodbye (milliseconds).
pub const DETACH_MS: u64 = 1_000;
