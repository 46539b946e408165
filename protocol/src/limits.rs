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
/// Teams that one node belongs to (count).
pub const TEAMS: usize = 32;
/// An invite to a team, as text (bytes): a chain, a name and addresses in base64url.
pub const INVITE_BYTES: usize = 32 * 1024;
/// Members whose addresses an invite carries (count).
pub const BOOTSTRAPS: usize = 4;
/// Members of one team named in one message (count).
pub const TEAM_DIGESTS: usize = 10_000;
/// Presence records, or memberships, told in one message (count).
pub const PRESENCE_PAGE: usize = 128;
/// One signed presence record (bytes).
pub const PRESENCE_RECORD_BYTES: usize = 3_500;
/// Sessions of one node in a view of the mesh (count).
pub const MESH_SESSIONS: usize = 8;
/// One block of a file that is sent (bytes).
pub const TRANSFER_BLOCK_BYTES: usize = 1024 * 1024;
/// All files of one transfer, and so each (bytes): 16 TiB.
pub const TRANSFER_BYTES: u64 = 16 * 1024 * 1024 * 1024 * 1024;
/// Files and directories in one transfer (count). Each takes 48 bytes and its own name, while it is checked 40 more.
pub const TRANSFER_ENTRIES: u32 = 1_000_000;
/// The names of all entries of one transfer, each without its directory's (bytes).
pub const TRANSFER_NAMES_BYTES: usize = 64 * 1024 * 1024;
/// Parts of one path in a transfer (count).
pub const TRANSFER_DEPTH: usize = 128;
/// One part of a path in a transfer (bytes of UTF-8): what file systems hold.
pub const TRANSFER_PART_BYTES: usize = 255;
/// One page of a manifest (bytes), its last entry not counted.
pub const TRANSFER_PAGE_BYTES: usize = 32 * 1024;
/// Entries, files or ranges named in one frame of a transfer (count).
pub const TRANSFER_PAGE_ENTRIES: usize = 4_096;
/// Files of one transfer that are begun and not ended (count).
pub const TRANSFER_OPEN_FILES: usize = 65_536;
/// Data streams of one transfer (count).
pub const TRANSFER_LANES: u8 = 8;
/// Each side of a transfer says how far it is after so long at the latest (milliseconds).
pub const TRANSFER_BEAT_MS: u64 = 1_000;
/// The receiver says how far it is after so much at the latest (bytes).
pub const TRANSFER_ACK_BYTES: u64 = 16 * 1024 * 1024;
/// A side of a transfer that says nothing for so long is gone (milliseconds).
pub const TRANSFER_SILENCE_MS: u64 = 30_000;
/// A transfer in which nothing moves for so long is given up (milliseconds); its part is kept.
pub const TRANSFER_STALL_MS: u64 = 60_000;
/// A receiver's owner is waited for so long at the most, whatever the receiver says (milliseconds): 7 days.
pub const TRANSFER_WAIT_MS: u64 = 7 * 24 * 3600 * 1000;
/// A signature of a receipt (bytes).
pub const SIGNATURE_BYTES: usize = 64;
/// One payload on a team's gossip (bytes): iroh-gossip mutes for good whoever broadcasts more than it can send (its
/// issue 131), which is a little above 4,000.
pub const GOSSIP_BYTES: usize = 3_500;
/// Socket addresses in one presence record (count).
pub const PRESENCE_ADDRESSES: usize = 16;
/// Members of a team that a node keeps an eye on (count).
pub const PRESENCE_MEMBERS: usize = 4_096;
/// The shortest time between two beats that say nothing new (milliseconds).
pub const PRESENCE_BEAT_MS: u64 = 5_000;
/// What each live member adds to that time once they are many (milliseconds): a member hears at most 2 beats a second,
/// however many there are.
pub const PRESENCE_BEAT_MS_PER_MEMBER: u64 = 500;
/// The shortest time between any two beats but a goodbye (milliseconds).
pub const PRESENCE_CHANGE_MS: u64 = 1_000;
/// A change of load alone waits for this part of a beat (divisor): it is the change that comes most often.
pub const PRESENCE_LOAD_SHARE: u64 = 4;
/// How many beats may be missed before a member counts as silent (count).
pub const PRESENCE_LEASE_BEATS: u64 = 3;
/// How long a member that somebody lost has to say that it lives (milliseconds).
pub const PRESENCE_REFUTE_MS: u64 = 10_000;
/// How often a neighbour is asked about a member that has gone silent (count), after [`PRESENCE_REFUTE_MS`] and then twice as
/// long each time: what it said may not have come here.
pub const PRESENCE_DOUBTS: u32 = 5;
/// How often in a row a node says that it lives (count); then once in [`PRESENCE_BEAT_MS`].
pub const PRESENCE_REFUTATIONS: u32 = 5;
/// A member's loss is said within this time, at random (milliseconds), unless another said it first.
pub const PRESENCE_LOST_WITHIN_MS: u64 = 1_000;
/// Losses waiting to be said (count), and said in a row; then one in [`PRESENCE_CHANGE_MS`].
pub const PRESENCE_LOST_WAITING: usize = 16;
/// Gossip neighbours that are kept in mind (count).
pub const PRESENCE_NEIGHBORS: usize = 64;
/// Presence is exchanged with the same neighbour no sooner than this (milliseconds).
pub const PRESENCE_SYNC_MS: u64 = 60_000;
/// Members that a node has not heard of yet, and is told of within this time since its start, are no news to its neighbours
/// (milliseconds).
pub const PRESENCE_SETTLED_MS: u64 = 10_000;
/// After it was told of members that it missed a node compares with its neighbours within this time and twice this time, at
/// random (milliseconds).
pub const PRESENCE_RIPPLE_MS: u64 = 500;
/// How often it does so in a row (count); then once in [`PRESENCE_RIPPLE_REST_MS`].
pub const PRESENCE_RIPPLES: u32 = 3;
/// See [`PRESENCE_RIPPLES`] (milliseconds).
pub const PRESENCE_RIPPLE_REST_MS: u64 = 30_000;
/// Unknown authors after which a node asks in a row (count); then one a second.
pub const PRESENCE_ASKS: u32 = 32;
/// Remembered members that the healer looks after (count).
pub const HEALER_MEMBERS: usize = 512;
/// The shortest pause between two tries of the healer (milliseconds), and what each live member adds to it.
pub const HEALER_PAUSE_MS: u64 = 10_000;
/// The longest pause (milliseconds).
pub const HEALER_PAUSE_MAX_MS: u64 = 120_000;
/// Members dialed together: on joining, after a loss, on a change of network, and alone (count).
pub const HEALER_TOGETHER: usize = 3;
/// Between two of these at-once tries (milliseconds).
pub const HEALER_AT_ONCE_MS: u64 = 1_000;
/// Members with whom membership is shown at a time, for gossip (count).
pub const PEERING_SHOWN: usize = 64;
/// Dials for a team under way at a time (count).
pub const PEERING_DIALS: usize = 8;
/// Dials of a team that wait for their turn (count).
pub const PEERING_WAITING: usize = 64;
/// How long a dial, with showing membership, may take (milliseconds).
pub const PEERING_DIAL_MS: u64 = 10_000;
/// How long gossip waits to learn whether somebody unknown is a member (milliseconds).
pub const PEERING_UNKNOWN_MS: u64 = 2_000;
/// Unknown ids that are asked after at a time (count).
pub const PEERING_UNKNOWN: usize = 16;
/// Rest after a dial that came to nothing, at first (milliseconds); it doubles.
pub const PEERING_REST_MS: u64 = 1_000;
/// The longest such rest (milliseconds).
pub const PEERING_REST_MAX_MS: u64 = 60_000;
/// How long a member stays shown that is no neighbour (milliseconds).
pub const PEERING_IDLE_MS: u64 = 300_000;
/// Revoked links in one notice (count).
pub const NOTICE_LINKS: usize = 32;
/// Revocations that are known to be stored, kept in mind (count).
pub const SPREAD_KNOWN: usize = 10_000;
/// Revocations that are being fetched (count).
pub const SPREAD_WANTED: usize = 256;
/// Of one author's notices in a row, when none of them can be shown (count): one whole notice.
pub const SPREAD_CREDIT: u32 = 32;
/// After that, one in so long (milliseconds).
pub const SPREAD_CREDIT_MS: u64 = 10_000;
/// What one that nobody can show costs its author of these besides (count).
pub const SPREAD_UNSHOWN: u32 = 8;
/// Fetches under way at a time (count).
pub const SPREAD_PULLS: usize = 16;
/// Members who are known to have the same revocation (count).
pub const SPREAD_SOURCES: usize = 4;
/// Tries to fetch one revocation (count); what is missed then comes with the next exchange.
pub const SPREAD_TRIES: u32 = 16;
/// After so many tries its author is asked as well (count): all would else go to the same node.
pub const SPREAD_TRIES_NEAR: u32 = 6;
/// Rest before the second try (milliseconds); it doubles: the notice outruns what it announces by about a round trip for
/// each hop.
pub const SPREAD_RETRY_MS: u64 = 50;
/// The longest such rest (milliseconds).
pub const SPREAD_RETRY_MAX_MS: u64 = 200;
/// How long a fetch may take (milliseconds).
pub const SPREAD_PULL_MS: u64 = 5_000;
/// Own notices in a row (count); then one in [`SPREAD_NOTICE_MS`].
pub const SPREAD_NOTICES: u32 = 4;
/// Between two notices after that (milliseconds).
pub const SPREAD_NOTICE_MS: u64 = 1_000;
/// Revocations that wait to be announced (count).
pub const SPREAD_ANNOUNCED: usize = 1_024;
/// How long after a link's end its revocation is of no more interest (milliseconds): as long as it is kept.
pub const SPREAD_KEPT_MS: u64 = 3_600_000;
/// Paths named of what the sender of a directory leaves out (count).
pub const LEFT_OUT_NAMED: usize = 8;
/// Each of them, and each reason (bytes).
pub const LEFT_OUT_TEXT_BYTES: usize = 240;
/// Paths shown of one offer that waits (count).
pub const OFFER_SAMPLE: usize = 16;
/// How long a manifest may take to come, and a receiver to look at what it has (milliseconds).
pub const TRANSFER_JUDGE_MS: u64 = 600_000;
/// Names in one page of what there is to be got (count).
pub const LISTED_ENTRIES: usize = 1_000;
