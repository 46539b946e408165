//! Every bound of the lab, with its unit. Deadlines are long: they end a test that hangs, they measure nothing.

use std::time::Duration;

/// How long a command may take before it is killed and the test fails (time).
pub const COMMAND: Duration = Duration::from_secs(60);
/// How long a node may take to answer after it was started (time).
pub const READY: Duration = Duration::from_secs(60);
/// How long a node may take to end after it was asked to: it drains for up to 10 s (time).
pub const STOP: Duration = Duration::from_secs(25);
/// How long a killed process may take to be gone (time).
pub const KILLED: Duration = Duration::from_secs(10);
/// How long one step with a peer may take (time).
pub const STEP: Duration = Duration::from_secs(20);
/// Pause between two looks at something that has no notification (time).
pub const POLL: Duration = Duration::from_millis(5);
/// How long what a process printed may take to arrive after its end (time).
pub const DRAIN: Duration = Duration::from_secs(2);

/// What one process may print (bytes); a process that prints more is left to block.
pub const OUTPUT_BYTES: usize = 256 * 1024 * 1024;
/// What is read of a process's output at a time (bytes).
pub const READ_BYTES: usize = 16 * 1024;
/// What is shown of an output when a test fails (lines from the end).
pub const SHOWN_LINES: usize = 80;
/// Requests that the mock model remembers (count).
pub const MODEL_REQUESTS: usize = 10_000;
/// One request to the mock model (bytes).
pub const MODEL_REQUEST_BYTES: usize = 16 * 1024 * 1024;
/// What a baseline's request and answer carry (bytes).
pub const ECHO_BYTES: usize = 64;
/// What a baseline of bulk writes at once (bytes).
pub const BULK_WRITE_BYTES: usize = 1024 * 1024;
