//! How much is measured, and how long is waited, with units.

use std::time::Duration;

/// Rounds when nobody says (count).
pub(crate) const ROUNDS: usize = 9;
/// Fewest rounds (count): a median of fewer says little.
pub(crate) const ROUNDS_MIN: usize = 7;
/// Most rounds (count).
pub(crate) const ROUNDS_MAX: usize = 1000;
/// The load average above which nothing is measured (runnable processes).
pub(crate) const LOAD_MAX: f64 = 1.0;
/// How long to wait for a quiet machine (time).
pub(crate) const QUIET_WAIT: Duration = Duration::from_secs(300);
/// How often to look (time).
pub(crate) const QUIET_LOOK: Duration = Duration::from_secs(2);
/// Pings on one connection in one round (count).
pub(crate) const PINGS: u32 = 500;
/// The first pings of a connection, which are not counted: caches and congestion window warm up (count).
pub(crate) const WARM_UP: usize = 20;
/// Processes of a kind in one round (count).
pub(crate) const PROCESSES: usize = 10;
/// Prompts in one round (count).
pub(crate) const PROMPTS: usize = 40;
/// How long the mock model thinks before its first words (time); it is taken off.
pub(crate) const THINKING: Duration = Duration::from_millis(5);
/// Chains judged in one round (count).
pub(crate) const CHAINS: usize = 100;
/// What a node does nothing for before its memory is looked at (time).
pub(crate) const IDLE: Duration = Duration::from_secs(1);
/// How often a short process's memory is looked at (time).
pub(crate) const MEMORY_LOOK: Duration = Duration::from_micros(100);
/// How long any process of a bench may take (time).
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// Pieces of one paced answer (count), 1,000 a second.
pub(crate) const ATTACH_PIECES: usize = 1_000;
/// Viewers of one session, the frozen one among them (count).
pub(crate) const ATTACH_VIEWERS: usize = 16;
/// Events of a history that a late comer wants (count).
pub(crate) const LATE_EVENTS: u64 = 10_000;
/// Cuts of one viewer (count).
pub(crate) const CUTS: u64 = 1_000;
/// What a viewer gets before it is cut, at most (count).
pub(crate) const CUT_FRAMES: u64 = 24;
/// The time before a cut, at most (microseconds).
pub(crate) const CUT_MICROS: u64 = 10_000;
/// Turns of a long session (count).
pub(crate) const TURNS: u64 = 2_000;
/// Turns that are written and synced at once while it is made (count).
pub(crate) const TURNS_BATCH: usize = 20;
/// What a tool said in each of them, at least (bytes).
pub(crate) const RESULT_BYTES: usize = 4_096;
/// How often a long session is opened in one round (count).
pub(crate) const OPENINGS: usize = 3;
/// Directories of the tree that is searched (count).
pub(crate) const TREE_DIRS: usize = 200;
/// Files in each (count).
pub(crate) const TREE_FILES: usize = 50;
/// Bytes of each file, at least (bytes).
pub(crate) const TREE_FILE_BYTES: usize = 10_000;
/// Whole processes of an agent in one round (count).
pub(crate) const AGENT_RUNS: usize = 5;
/// The one large file (MiB), when nobody says.
pub(crate) const TRANSFER_MIB: u64 = 1024;
/// The file whose sender's and receiver's memory is watched (MiB), when nobody says.
pub(crate) const TRANSFER_MEMORY_MIB: u64 = 2048;
/// The file whose first bytes are waited for (MiB).
pub(crate) const TRANSFER_FIRST_MIB: u64 = 4096;
/// The file over a long link (MiB).
pub(crate) const TRANSFER_FAR_MIB: u64 = 256;
/// The file beside an echo (MiB).
pub(crate) const TRANSFER_BESIDE_MIB: u64 = 96;
/// Small files (count).
pub(crate) const TRANSFER_FILES: usize = 10_000;
/// Each of them (bytes).
pub(crate) const TRANSFER_FILE_BYTES: usize = 4_096;
/// Directories that they lie in (count).
pub(crate) const TRANSFER_DIRS: usize = 100;
/// How often a sign of a transfer is looked for (time).
pub(crate) const TRANSFER_LOOK: Duration = Duration::from_micros(200);
/// Transfers with echoes beside them (count).
pub(crate) const TRANSFER_BESIDE_ROUNDS: usize = 5;
/// How long one transfer may take (time).
pub(crate) const TRANSFER_PATIENCE: Duration = Duration::from_secs(600);
/// Pings before the transfer begins that they are beside (count).
pub(crate) const TRANSFER_IDLE_PINGS: usize = 100;
/// Looks for a node on the LAN in a round (count).
pub(crate) const LOOKS: usize = 10;
/// Fake answers a second, in a storm (count).
pub(crate) const STORM_PER_S: u32 = 1_000;
/// How long a storm lasts (time), after one that is not counted: the first packets and pages are paid once.
pub(crate) const STORM: Duration = Duration::from_secs(10);
pub(crate) const STORM_WARM_UP: Duration = Duration::from_millis(200);
/// How often memory is looked at in it (time).
pub(crate) const STORM_LOOK: Duration = Duration::from_millis(100);
/// Storms at most (count).
pub(crate) const STORM_ROUNDS: usize = 3;
/// Members that gossip beside one that spams (count).
pub(crate) const GOSSIPERS: usize = 5;
/// What each of them says in a round (count), and how often (time): as often as one may.
pub(crate) const GOSSIP_WORDS: u64 = 20;
pub(crate) const GOSSIP_PACE: Duration = Duration::from_millis(250);
/// How long the last of it may be under way (time).
pub(crate) const GOSSIP_DRAIN: Duration = Duration::from_secs(2);
/// What the other one says a second (count).
pub(crate) const SPAM_PER_S: u64 = 10_000;
/// Members that a node hears of (count), and of how many at once.
pub(crate) const PRESENT: usize = 100;
pub(crate) const PRESENT_TOLD: usize = 10;
/// Nodes of a team in which somebody is removed (count).
pub(crate) const SPREAD_NODES: usize = 8;
/// Removals at most (count): what a node knows of them must fit into one answer.
pub(crate) const REMOVALS: usize = 30;
/// Between two questions whether a removal is known (time).
pub(crate) const SPREAD_LOOK: Duration = Duration::from_millis(2);
