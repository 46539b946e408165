//! Every bound of this crate, with its unit. Models are not trusted, whoever provides them.

/// Text of one message (bytes): with the thinking it must fit in one durable event on the wire.
pub const TEXT_BYTES: usize = 448 * 1024;
/// Thinking of one message (bytes).
pub const THINKING_BYTES: usize = 448 * 1024;
/// Signatures of one message's thinking (bytes).
pub const SIGNATURE_BYTES: usize = 64 * 1024;
/// Thinking blocks of one message (count).
pub const THINKING_BLOCKS: usize = 256;
/// Tool calls in one message (count).
pub const CALLS: usize = 128;
/// Arguments of one call (bytes).
pub const ARGUMENTS_BYTES: usize = 512 * 1024;
/// A tool's name as a model says it (bytes).
pub const NAME_BYTES: usize = 256;
/// A call's id that is kept as the model gave it (bytes).
pub const CALL_ID_BYTES: usize = 128;
/// What one tool result may tell the model (bytes); tools cut far earlier.
pub const RESULT_BYTES: usize = 512 * 1024;
/// Read-only calls that run at a time (count).
pub const PARALLEL: usize = 8;
/// Words of a user that wait to be heard (count).
pub const STEERS: usize = 32;
/// Model calls in one turn, unless the prompter says otherwise (count).
pub const MODEL_CALLS: u32 = 200;
