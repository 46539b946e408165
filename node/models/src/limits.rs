//! Every bound of this crate, with its unit. Servers are not trusted: each of these is also a defence.

use std::time::Duration;

/// Time to connect, TLS included.
pub const CONNECT: Duration = Duration::from_secs(10);
/// Time from the request to the response's headers: long, because some servers answer only when they begin to speak.
pub const FIRST_BYTE: Duration = Duration::from_secs(180);
/// Silence in the middle of a response.
pub const IDLE: Duration = Duration::from_secs(120);
/// Silence after the model said why it stopped: what is missing then is only the usage.
pub const AFTER_STOP: Duration = Duration::from_secs(5);
/// Tries of one model call, the first included (count).
pub const TRIES: u32 = 4;
/// The first pause between tries; it doubles.
pub const BACKOFF: Duration = Duration::from_millis(500);
/// The longest pause of our own making.
pub const BACKOFF_MAX: Duration = Duration::from_secs(8);
/// The longest pause that a server's Retry-After can impose.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(30);
/// One line of a server-sent event stream (bytes).
pub const SSE_LINE_BYTES: usize = 1024 * 1024;
/// One event of it, several data lines joined (bytes).
pub const SSE_EVENT_BYTES: usize = 2 * 1024 * 1024;
/// A whole response body (bytes).
pub const RESPONSE_BYTES: usize = 32 * 1024 * 1024;
/// What is read of the body of a refusal (bytes).
pub const ERROR_BODY_BYTES: usize = 64 * 1024;
/// A server's words in an error (characters).
pub const ERROR_CHARS: usize = 600;
/// A request id in an error (characters).
pub const REQUEST_ID_CHARS: usize = 128;
/// Text of one answer, thinking apart (bytes): with the arguments it must fit in one durable event.
pub const TEXT_BYTES: usize = 448 * 1024;
/// Thinking of one answer (bytes).
pub const THINKING_BYTES: usize = 448 * 1024;
/// Tool calls in one answer (count).
pub const CALLS: usize = 128;
/// Arguments of one call (bytes).
pub const ARGUMENTS_BYTES: usize = 512 * 1024;
/// Arguments of all calls of one answer (bytes).
pub const ALL_ARGUMENTS_BYTES: usize = 4 * 1024 * 1024;
/// A tool's name or a call's id as a model gives it (bytes).
pub const NAME_BYTES: usize = 256;
/// A model's name (bytes); the same as a selector on the wire.
pub const MODEL_NAME_BYTES: usize = 256;
/// A script of the scripted model (bytes).
pub const SCRIPT_BYTES: u64 = 4 * 1024 * 1024;
/// Turns in a script (count).
pub const SCRIPT_TURNS: usize = 10_000;
/// A pause that a script may ask for (milliseconds).
pub const SCRIPT_DELAY_MS: u64 = 600_000;
/// Characters in one piece of a scripted answer, unless the script says otherwise (count).
pub const SCRIPT_PIECE_CHARS: usize = 16;
/// What the offline model repeats of one tool's result (bytes).
pub const OFFLINE_RESULT_BYTES: usize = 128 * 1024;
/// Tokens of one answer, thinking included, unless the settings or the model say less or more (count): what a budget
/// has to set aside for it.
pub const OUTPUT_TOKENS: u64 = 32_000;
/// The same for a model that the catalogue does not have: what the smallest of the providers' models can do.
pub const OUTPUT_TOKENS_UNKNOWN: u64 = 8_192;
/// Bytes of a request that are taken for one token when it is estimated (count).
pub const BYTES_PER_TOKEN: u64 = 3;
/// To connect to a server on this machine that may not be there.
pub const LOCAL_CONNECT: Duration = Duration::from_millis(150);
/// To hear from it which models it has.
pub const LOCAL_ANSWER: Duration = Duration::from_millis(500);
/// What is read of that answer (bytes).
pub const LOCAL_LIST_BYTES: usize = 4 * 1024 * 1024;
/// Models of one local server that are listed (count).
pub const LOCAL_MODELS: usize = 256;
/// A call's id, as the strictest server takes it (bytes).
pub const WIRE_ID_BYTES: usize = 40;
/// A tool's name, as the strictest server takes it (bytes).
pub const WIRE_NAME_BYTES: usize = 64;
/// Signatures and redacted thinking of one answer (bytes): the agent keeps no more.
pub const SIGNATURE_BYTES: usize = 64 * 1024;
/// Blocks of one Anthropic answer (count).
pub const BLOCKS: usize = 1024;
