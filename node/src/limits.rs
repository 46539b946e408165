//! Every bound of the hall, with its unit.

use std::time::Duration;

/// Recent frames kept in memory for each loaded session (bytes).
pub const RING_BYTES: usize = 2 * 1024 * 1024;
/// Frames handed to one subscriber at a time (count).
pub const READ_FRAMES: usize = 256;
/// Durable events read from a log at a time (bytes of their lines).
pub const CATCH_UP_BYTES: usize = 512 * 1024;
/// Durable events read from a log at a time (count).
pub const CATCH_UP_EVENTS: usize = 256;
/// Requests waiting at one session's actor (count).
pub const ACTOR_QUEUE: usize = 64;
/// Events of a model or of tools waiting at one session's actor (count).
pub const EFFECT_QUEUE: usize = 256;
/// A prompt's text kept as the session's title (characters).
pub const TITLE_CHARS: usize = 60;
/// Tool calls of one session that run at a time (count).
pub const PARALLEL_TOOLS: usize = 8;
/// Notices of one call of a model that wait to be told (count).
pub const NOTICE_QUEUE: usize = 16;
/// Different notes on a directory's files that are said in one session (count).
pub const NOTES_TOLD: usize = 64;
/// How long a tool call waits for somebody to allow it (time).
pub const ASK_WAIT: Duration = Duration::from_secs(600);
/// How long a question stays open when nobody is attached any more who may answer: their way may come back (time).
pub const DESERTED_WAIT: Duration = Duration::from_secs(30);
/// A call's arguments in a request for approval (bytes).
pub const ASK_WHAT_BYTES: usize = 500;
/// How long a first frame may take to arrive on a stream (time).
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// Refusals for want of authority per minute and peer, before requests are refused unread (count).
pub const DENIALS_PER_MINUTE: u32 = 60;
/// The same for all strangers from one address (count).
pub const SOURCE_DENIALS_PER_MINUTE: u32 = 600;
/// Peers and sources whose refusals are counted at a time (count).
pub const DENIAL_WINDOWS: usize = 8192;
/// Connections served at a time (count).
pub const CONNECTIONS: usize = 1024;
/// How long `daemon stop` lets running turns end (time).
pub const DRAIN: Duration = Duration::from_secs(10);
/// How long closing the endpoint may take (time).
pub const CLOSE: Duration = Duration::from_secs(2);
/// A run link: the delegation to one run of a command line (time).
pub const RUN_LINK: Duration = Duration::from_secs(600);
/// How long `PeerResolve` may wait for a peer to be found (time).
pub const RESOLVE_WAIT: Duration = Duration::from_secs(10);
/// How long a command waits for a store that another command holds (time).
pub const STORE_WAIT: Duration = Duration::from_secs(5);
/// An idle session without a subscriber is unloaded after this (time).
pub const SESSION_IDLE: Duration = Duration::from_secs(60);
/// The ring of an idle session to which nobody listens is emptied after this (time).
pub const RING_IDLE: Duration = Duration::from_secs(5);
/// Prompts that one peer may have running or waiting at a time, with all that it delegated to (count).
pub const PROMPTS_PER_PEER: usize = 64;
/// Connections that one peer may have at a time, whatever keys its runs use (count).
pub const CONNECTIONS_PER_PEER: usize = 64;
/// Connections from this machine beyond the limit, so that its owner gets in when others fill the node (count).
pub const LOOPBACK_RESERVE: usize = 16;
/// The longest that a prompt may take, whatever the settings say (time).
pub const PROMPT_TIME_MAX: Duration = Duration::from_secs(400 * 24 * 3600);
/// How long interrupted turns have to write their end (time).
pub const HALT: Duration = Duration::from_secs(3);
/// How long listeners have to receive the last events before the goodbye (time).
pub const GOODBYE: Duration = Duration::from_secs(1);
/// The nearest name is offered when it differs in at most this many letters (count).
pub const TYPO_LETTERS: usize = 2;
/// Locks that prompts with the same id share (count).
pub const PROMPT_LOCKS: usize = 64;
/// How often a prompt is submitted to a session that was unloaded under it (count).
pub const SUBMIT_TRIES: u32 = 5;
/// How often what runs under a token is looked at again when nothing says so (time): the clock may be set.
pub const AUTHORITY_LOOK: Duration = Duration::from_secs(10);
/// The shortest time between two such looks (time).
pub const AUTHORITY_PAUSE: Duration = Duration::from_millis(100);
/// What a call is reserved at when its model's price is not known (nano-dollars): more than any budget.
pub const UNKNOWN_COST: clankers_protocol::NanoUsd = clankers_protocol::NanoUsd(1 << 52);
/// Text of one unfinished item that is kept for late comers, from its end (bytes); twice this for a moment.
pub const OPEN_ITEM_BYTES: usize = 128 * 1024;
/// Peers attached to one session at a time (count).
pub const VIEWERS: usize = 256;
/// Answers to one viewer's inputs that wait to be sent (count); beyond that its inputs wait.
pub const VIEWER_REPLIES: usize = 16;
/// Tokens in one page of a listing, and tokens for one node that are considered (count).
pub const TOKENS_PAGE: usize = 200;
/// Revocations in one answer (bytes).
pub const SYNC_BYTES: usize = 512 * 1024;
/// How long a prompt whose token ended has to say its end, before its listener is refused (time).
pub const LAST_WORDS: Duration = Duration::from_millis(500);
/// Text for one token of a model at the least, for counting what a call wrote that was cut off (bytes).
pub const BYTES_PER_TOKEN_LEAST: u64 = 2;
/// What such a call may have written beyond what was heard (tokens).
pub const CUT_TOKENS: u64 = 256;
/// Attachments that one peer may have at a time, with all that it delegated to (count).
pub const VIEWERS_PER_PEER: usize = 64;
/// Places in a session beyond the limit that are kept for the owner (count).
pub const OWNER_SEATS: usize = 8;
/// How long it is left at that when the audit log cannot be opened, before it is tried again (time).
pub const AUDIT_RETRY: Duration = Duration::from_secs(30);
/// Links to other nodes that are kept at a time (count).
pub const LINKS: usize = 256;
/// A link that nobody used for so long is closed (time).
pub const LINK_IDLE: Duration = Duration::from_secs(300);
/// How often what was found out about others (who was seen where) is made durable, if there is any (time).
pub const STORE_FLUSH: Duration = Duration::from_secs(10);
/// How often idle links are looked for (time).
pub const LINK_SWEEP: Duration = Duration::from_secs(30);
/// Words that wait for a team's task (count); beyond that who tells it something is not heard.
pub const TEAM_COMMANDS: usize = 64;
/// How long a team's task may take to say what it knows (time).
pub const TEAM_VIEW: Duration = Duration::from_secs(2);
/// How long it may take to say goodbye to a team (time).
pub const TEAM_GOODBYE: Duration = Duration::from_secs(1);
/// Between a goodbye and the end (time): a neighbour to which gossip only announces payloads has to ask for it.
pub const TEAM_FAREWELL: Duration = Duration::from_millis(300);
/// How long who joins a team again waits for what is left of the last time (time).
pub const TEAM_LEFT: Duration = Duration::from_secs(3);
/// Pieces of work of one team under way at a time: dials, comparisons, fetches (count).
pub const TEAM_JOBS: usize = 16;
/// Those of them that one member can hold up: questions to it, and what it is told (count).
pub const TEAM_JOBS_PEER: usize = 2;
/// Pieces of work of one team that wait (count); of the member for which most waits the oldest makes room.
pub const TEAM_JOBS_WAITING: usize = 256;
/// What may follow from one thing that happened in a team (count of steps).
pub const TEAM_STEPS: usize = 100_000;
/// How often a node looks at what it says of itself to a team, and remembers what members say (time).
pub const TEAM_LOOK: Duration = Duration::from_secs(2);
/// How often teams that do not run are begun again (time): a membership may hold by then.
pub const TEAM_AGAIN: Duration = Duration::from_secs(10);
/// How often everybody's membership is judged anew when nothing was revoked: it may have ended (time).
pub const TEAM_RECHECK: Duration = Duration::from_secs(300);
/// How long a team waits between two such judgements, however much is revoked (time).
pub const TEAM_RECHECK_PAUSE: Duration = Duration::from_millis(200);
/// Between two questions for another membership at least (time); else a sixteenth of what is left of the present one.
pub const TEAM_RENEW_MIN: Duration = Duration::from_secs(5);
/// Between two such questions at most (time).
pub const TEAM_RENEW_MAX: Duration = Duration::from_secs(3600);
/// Memberships of removed members that wait to be taken back (count); one that finds no room comes up again.
pub const TEAM_RETURNED: usize = 16;
/// Pages of presence that are asked of one member in a row (count): a whole team.
pub const TEAM_PAGES: u32 = 32;
/// How long a member may take to be met (time).
pub const TEAM_MEET: Duration = Duration::from_secs(8);
/// How long a member may take to show its membership (time).
pub const TEAM_ANSWER: Duration = Duration::from_secs(5);
/// Rounds of comparing revocations with one member (count).
pub const TEAM_EXCHANGES: usize = 8;
/// Peers that were asked lately what they give to members (count).
pub const CLAIMS_TRIED: usize = 1_024;
/// Questions about presence that one member may ask in a row (count).
pub const MEMBER_ASKS: u32 = 64;
/// After that it may ask one each (milliseconds).
pub const MEMBER_ASK_EACH_MS: u64 = 250;
/// How long a peer is not asked again what it gives to members, unless it says that this has changed (time).
pub const CLAIM_PAUSE: Duration = Duration::from_secs(10);
/// How long a peer that had nothing to give, or was not reached, is not asked again (time).
pub const CLAIM_RETRY: Duration = Duration::from_secs(1);
/// How long a command waits for a token by another node's template (time).
pub const CLAIM_WAIT: Duration = Duration::from_secs(3);
/// The same when there is one already, which may do (time).
pub const CLAIM_AGAIN_WAIT: Duration = Duration::from_millis(500);
/// A link that was there before, and on which nothing is answered for this long (time, or eight round trips if that is
/// longer), is dialed anew: its peer may have moved.
pub const LINK_STALE: Duration = Duration::from_millis(750);
/// When neighbours are called after this node has moved (time since then): each time some more of them may have let go of the
/// last connection to where it was. One that is silent is closed, or given up and has lingered, after 3 s, missed after 15 s by
/// gossip and after 30 s by whatever else there is.
pub const MOVED_CALLS: &[Duration] = &[
    Duration::from_secs(3),
    Duration::from_secs(5),
    Duration::from_secs(8),
    Duration::from_secs(18),
    Duration::from_secs(34),
];
/// How long joining a team waits until a member is reached (time).
pub const JOIN_WAIT: Duration = Duration::from_secs(3);
/// Members that are asked for their sessions at a time, for a view of the mesh (count).
pub const MESH_ASKS: usize = 16;
/// Transfers of files that one peer may have running or waiting at a time, with all that it delegated to (count).
pub const TRANSFERS_PER_PEER: usize = 16;
/// Offers that wait for the owner (count).
pub const OFFERS: usize = 256;
/// The same of one peer (count).
pub const OFFERS_PER_PEER: usize = 16;
/// Transfers of others that the owner cancelled, and that are remembered (count); the oldest make room.
pub const CANCELLED: usize = 256;
/// Transfers that others fetched and whose ends are remembered until the node stops (count).
pub const GIVEN_REMEMBERED: usize = 64;
/// Transfers that came in and are whole, as they are listed, the latest (count).
pub const LANDED_LISTED: usize = 200;
/// An offer as it is kept (bytes).
pub const OFFER_FILE_BYTES: u64 = 1024 * 1024;
/// The list of all that is in an offer, as it is kept (bytes); of a longer one the beginning.
pub const OFFER_LIST_BYTES: u64 = 4 * 1024 * 1024;
/// Between two tries to send what a node sends by itself, at first (time); then each pause is twice the last.
pub const RESEND_PAUSE: Duration = Duration::from_secs(1);
/// The longest such pause (time).
pub const RESEND_PAUSE_MAX: Duration = Duration::from_secs(300);
/// How long the peer may take to be reached by one try (time).
pub const RESEND_DIAL: Duration = Duration::from_secs(15);
/// Transfers that a node sends by itself at a time (count); others wait.
pub const DETACHED_AT_A_TIME: usize = 4;
/// The same of those that are small or slow by their owner's wish, which have places of their own (count): they take little,
/// and keep nobody waiting.
pub const DETACHED_LIGHT_AT_A_TIME: usize = 16;
/// The largest file that is small in this (bytes).
pub const DETACHED_LIGHT_BYTES: u64 = 4 * 1024 * 1024;
/// How often parts of transfers that broke off are looked at, and the old ones removed (time).
pub const PARTS_SWEEP: Duration = Duration::from_secs(3600);
/// How long somebody who was removed may take to hear it (time).
pub const TEAM_REMOVE_TOLD: Duration = Duration::from_secs(2);
/// The longest that members are asked for their sessions (time).
pub const MESH_ASK_MAX: Duration = Duration::from_secs(10);
/// The longest that a probed peer is waited for (time).
pub const PROBE_MAX: Duration = Duration::from_secs(25);
/// Files and directories of all manifests that are received at a time (count): about 200 bytes each.
pub const ENTRIES_AT_A_TIME: u64 = 3_000_000;
/// The same for one peer (count): no peer can take what is there for all.
pub const ENTRIES_PER_PEER: u64 = 1_000_000;
/// Files and directories of an offer that waits for the owner with its connection open (count): a larger one is looked at,
/// let go, and comes again when it is accepted. A peer may have [`OFFERS_PER_PEER`] of them.
pub const ENTRIES_WAITING: u32 = 50_000;
/// Exports that are listed for peers at a time (count); others wait.
pub const WALKS_AT_A_TIME: usize = 2;
/// How much longer than its offer a conversation about it stands (milliseconds), so that its sender is told why it ends.
pub const OFFER_GRACE_MS: u64 = 2_000;
