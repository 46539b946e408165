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
/// Arguments of all calls in one message (bytes).
pub const CALLS_BYTES: usize = 2 * 1024 * 1024;
/// Steering words that wait to be heard (bytes, all together).
pub const STEERS_BYTES: usize = 1024 * 1024;
/// Times in a row that a provider may pause one answer (count).
pub const PAUSES: u32 = 8;
/// Context that is left free for the answer (tokens); a quarter of a small window.
pub const RESERVE_TOKENS: u64 = 16_384;
/// The latest of a conversation that a compaction leaves as it is (tokens); less in a small window.
pub const KEEP_TOKENS: u64 = 20_000;
/// What a compaction gives the model to summarise (tokens).
pub const SUMMARY_INPUT_TOKENS: u64 = 256_000;
/// A summary (bytes); less in a small window.
pub const SUMMARY_BYTES: usize = 64 * 1024;
/// A summary in the smallest window (bytes).
pub const SUMMARY_LEAST_BYTES: usize = 1024;
/// What a compaction must be about to be worth a model call: one part in so many of the context (count).
pub const COMPACTION_WORTH: u64 = 8;
/// What a model may say beside the summary that it was asked for (bytes).
pub const SUMMARY_NOISE_BYTES: usize = 1024 * 1024;
/// A user's words in what is to be summarised, and the latest request beside the summary (bytes).
pub const TOLD_REQUEST_BYTES: usize = 8 * 1024;
/// A model's words in what is to be summarised (bytes).
pub const TOLD_TEXT_BYTES: usize = 4 * 1024;
/// A tool's result in what is to be summarised (bytes).
pub const TOLD_RESULT_BYTES: usize = 2 * 1024;
/// A call's arguments in what is to be summarised (bytes).
pub const TOLD_ARGUMENTS_BYTES: usize = 1024;
/// Text that is reckoned as one token (bytes): less than English has, so that estimates err upwards.
pub const BYTES_PER_TOKEN: usize = 3;
/// What is reckoned for each entry of a transcript beside its text (tokens).
pub const MESSAGE_TOKENS: u64 = 8;
