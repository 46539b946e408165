//! What a failure means: which kind, whether to try again, and in how long.

use std::{
    error::Error,
    time::{Duration, SystemTime},
};

use clankers_protocol::text;
use reqwest::header::HeaderMap;
use serde_json::Value;

use super::Names;
use crate::{
    error::{ModelError, ModelErrorKind},
    limits::{BACKOFF_MAX, ERROR_CHARS, REQUEST_ID_CHARS},
    secret::Secret,
};

/// Whether a failed call is worth another try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Again {
    Never,
    /// After a pause of our own.
    Soon,
    /// After what the server asked for.
    After(Duration),
}

/// A failed try.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) error: ModelError,
    pub(crate) again: Again,
}

impl Fault {
    pub(crate) fn new(names: &Names, kind: ModelErrorKind, message: impl Into<String>) -> Self {
        let again = if kind == ModelErrorKind::Cut { Again::Soon } else { Again::Never };
        Self { error: ModelError::new(names.provider, kind, message), again }
    }
}

impl From<ModelError> for Fault {
    fn from(error: ModelError) -> Self {
        Self { error, again: Again::Never }
    }
}

/// What the pieces of a refusal are: the server's words, and its codes for them.
#[derive(Debug, Default)]
struct Words {
    message: String,
    codes: String,
    /// Anthropic repeats it in the body.
    request_id: Option<String>,
}

/// An HTTP response that is no answer.
pub(crate) fn refused(
    names: &Names,
    status: u16,
    headers: &HeaderMap,
    body: &[u8],
    key: Option<&Secret>,
) -> Fault {
    let words = read_words(body, key);
    let mut fault = judge(names, status, &words, key.is_some());
    // Both vendors' own clients obey this header.
    if headers.get("x-should-retry").is_some_and(|value| value == "false") {
        fault.again = Again::Never;
    }
    if fault.again == Again::Soon
        && let Some(pause) = retry_after(headers, SystemTime::now())
    {
        fault.again = Again::After(pause);
    }
    fault.error.request_id = request_id(headers, key).or_else(|| words.request_id.clone());
    fault
}

/// An error object inside a stream that began well.
pub(crate) fn inside_stream(names: &Names, error: &Value, key: Option<&Secret>) -> Fault {
    let words = words_of(error, key);
    let status = error.get("code").and_then(Value::as_u64).or_else(|| error.get("status")?.as_u64());
    let status = status.and_then(|code| u16::try_from(code).ok()).filter(|code| (400..600).contains(code));
    let mut fault = judge(names, status.unwrap_or_else(|| guess(&words.codes)), &words, key.is_some());
    fault.error.status = status;
    fault
}

/// The status that goes with an error's name. Anthropic's are in its API reference under "Errors".
fn guess(codes: &str) -> u16 {
    const BY_NAME: &[(&str, u16)] = &[
        ("rate_limit", 429),
        ("overloaded", 529),
        ("request_too_large", 413),
        ("invalid_request", 400),
        ("authentication", 401),
        ("permission", 403),
        ("billing", 402),
        ("not_found", 404),
        ("timeout", 504),
    ];
    BY_NAME.iter().find(|(name, _)| codes.contains(name)).map_or(500, |(_, status)| *status)
}

fn judge(names: &Names, status: u16, words: &Words, has_key: bool) -> Fault {
    use ModelErrorKind as Kind;
    let has = |needle: &str| words.codes.contains(needle);
    let no_quota = has("insufficient_quota")
        || has("billing")
        || has("insufficient_balance")
        // Anthropic says this with a 400.
        || words.message.contains("credit balance is too low");
    let (never, soon) = (Again::Never, Again::Soon);
    let no_credit = "the account has nothing left: add credit or use another key";
    let (kind, again, hint) = match status {
        _ if no_quota => (Kind::Quota, never, no_credit.to_owned()),
        402 => (Kind::Quota, never, no_credit.to_owned()),
        401 | 403 if names.key_var.is_empty() => {
            (Kind::Credentials, never, "the server wants a key, and this provider has none".to_owned())
        }
        401 | 403 if has_key => {
            (Kind::Credentials, never, format!("the key was refused: check {}", names.key_var))
        }
        401 | 403 => (Kind::Credentials, never, format!("the server wants a key: set {}", names.key_var)),
        404 => {
            let hint =
                format!("name another model (--model {}/NAME) or correct {}", names.provider, names.base_var);
            (Kind::NoSuchModel, never, hint)
        }
        429 => (Kind::RateLimited, soon, "too many requests: wait, or use another model".to_owned()),
        408 | 500..=599 if !is_too_long(words) => {
            (Kind::Server, soon, "the server failed: try again later".to_owned())
        }
        300..=399 => {
            (Kind::Settings, never, format!("the server points elsewhere: correct {}", names.base_var))
        }
        _ if status == 413 || is_too_long(words) => {
            let hint = "the session is too long for this model: compact it, or start a new one";
            (Kind::ContextTooLong, never, hint.to_owned())
        }
        _ => (Kind::Rejected, never, "the server refuses this request".to_owned()),
    };
    let message = if words.message.is_empty() { hint } else { format!("{hint}; it says: {}", words.message) };
    let mut error = ModelError::new(names.provider, kind, message);
    error.status = Some(status);
    Fault { error, again }
}

/// Each server has its own words for a conversation that is longer than the model reads: OpenAI and vLLM
/// "context_length_exceeded" and "maximum context length", Anthropic "prompt is too long", llama.cpp (also behind LM
/// Studio and Ollama) "exceed_context_size_error" and "exceeds the available context size".
fn is_too_long(words: &Words) -> bool {
    const CODES: &[&str] = &["context_length", "exceed_context"];
    const MESSAGES: &[&str] = &[
        "prompt is too long",
        "maximum context length",
        "exceeds the available context size",
        "exceed context limit",
        "context length",
    ];
    let message = words.message.to_ascii_lowercase();
    CODES.iter().any(|code| words.codes.contains(code)) || MESSAGES.iter().any(|m| message.contains(m))
}

fn read_words(body: &[u8], key: Option<&Secret>) -> Words {
    let text = String::from_utf8_lossy(body);
    match serde_json::from_str::<Value>(&text) {
        Ok(value) => {
            let inner = value.get("error").filter(|error| !error.is_null()).unwrap_or(&value);
            let id = value.get("request_id").and_then(Value::as_str).filter(|id| !id.is_empty());
            let request_id = id.map(|id| text::line(&clean(id, key), REQUEST_ID_CHARS));
            Words { request_id, ..words_of(inner, key) }
        }
        // A proxy's HTML page says little; its first line of text is better than nothing.
        Err(_) if text.trim_start().starts_with('<') => Words::default(),
        Err(_) => Words { message: clean(text.trim(), key), ..Words::default() },
    }
}

fn words_of(error: &Value, key: Option<&Secret>) -> Words {
    let field = |name: &str| error.get(name).and_then(Value::as_str);
    let message = error.as_str().or_else(|| field("message")).or_else(|| field("detail")).unwrap_or("");
    let codes = format!("{} {}", field("type").unwrap_or(""), field("code").unwrap_or(""));
    Words { message: clean(message, key), codes: codes.to_ascii_lowercase(), request_id: None }
}

/// A server's words, fit to be shown: no key, no control characters, no flood.
pub(crate) fn clean(dirty: &str, key: Option<&Secret>) -> String {
    let dirty = text::head(dirty, ERROR_CHARS * 4);
    let scrubbed = key.map_or_else(|| dirty.to_owned(), |key| key.scrub(dirty));
    let spaced: String = scrubbed.split_whitespace().collect::<Vec<_>>().join(" ");
    text::line(&spaced, ERROR_CHARS)
}

fn request_id(headers: &HeaderMap, key: Option<&Secret>) -> Option<String> {
    let value = headers.get("x-request-id").or_else(|| headers.get("request-id"))?;
    let id = value.to_str().ok().filter(|id| !id.is_empty())?;
    Some(text::line(&clean(id, key), REQUEST_ID_CHARS))
}

/// Retry-After in seconds or as a date (RFC 9110, section 10.2.3), or OpenAI's retry-after-ms.
pub(crate) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let get = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    if let Some(ms) = get("retry-after-ms").and_then(|ms| ms.parse().ok()) {
        return Some(Duration::from_millis(ms));
    }
    let value = get("retry-after")?;
    if let Some(whole) =
        value.split('.').next().filter(|w| !w.is_empty() && w.bytes().all(|b| b.is_ascii_digit()))
    {
        // A fraction is rounded up; a number too large for u64 is as long as can be.
        let seconds: u64 = whole.parse().unwrap_or(u64::MAX);
        return Some(Duration::from_secs(seconds.saturating_add(u64::from(value.contains('.')))));
    }
    let at = httpdate::parse_http_date(value).ok()?;
    Some(at.duration_since(now).unwrap_or(Duration::ZERO))
}

/// The pause before try number `tries + 1`: at least what the server asked for up to `most`, otherwise doubling
/// with jitter, so that many nodes do not come back at once.
pub(crate) fn pause(again: Again, tries: u32, first: Duration, most: Duration, random: u32) -> Duration {
    let doubled = first.saturating_mul(1_u32 << (tries.saturating_sub(1)).min(16)).min(BACKOFF_MAX);
    match again {
        // Between half and the whole.
        Again::Never | Again::Soon => {
            doubled / 2 + (doubled / 2).mul_f64(f64::from(random) / f64::from(u32::MAX))
        }
        Again::After(asked) => asked.min(most) + (first / 4).mul_f64(f64::from(random) / f64::from(u32::MAX)),
    }
}

/// A failure below HTTP: nobody there, or a connection that broke.
pub(crate) fn transport(names: &Names, error: reqwest::Error, place: &str) -> Fault {
    let error = error.without_url();
    let mut cause: &dyn Error = &error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    let cause = clean(&cause.to_string(), None);
    if error.is_connect() {
        let hint = format!("is the server running, and is {} right?", names.base_var);
        let message = format!("cannot reach {place}: {cause}; {hint}");
        return Fault::new(names, ModelErrorKind::Unreachable, message);
    }
    if error.is_builder() {
        let message = format!("cannot make a request to {place}: {cause}");
        return Fault::new(names, ModelErrorKind::Settings, message);
    }
    let message = format!("{place} broke the connection before the answer ended: {cause}");
    Fault::new(names, ModelErrorKind::Cut, message)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use reqwest::header::HeaderValue;

    use super::*;
    use crate::openai::OPENAI;

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name.parse().unwrap(), HeaderValue::from_str(value).unwrap())])
    }

    #[test]
    fn retry_after_in_all_its_forms() {
        let now = httpdate::parse_http_date("Fri, 20 Nov 2026 12:00:00 GMT").unwrap();
        let after = |value: &str| retry_after(&headers("retry-after", value), now);
        assert_eq!(after("7"), Some(Duration::from_secs(7)));
        assert_eq!(after(" 1.5 "), Some(Duration::from_secs(2)));
        assert_eq!(after("Fri, 20 Nov 2026 12:00:09 GMT"), Some(Duration::from_secs(9)));
        assert_eq!(after("Fri, 20 Nov 2020 12:00:09 GMT"), Some(Duration::ZERO));
        assert_eq!(after("99999999999999999999999"), Some(Duration::from_secs(u64::MAX)));
        assert_eq!(after("-1"), None);
        assert_eq!(after("soon"), None);
        assert_eq!(retry_after(&headers("retry-after-ms", "20"), now), Some(Duration::from_millis(20)));
    }

    #[test]
    fn kinds_of_refusal() {
        use ModelErrorKind as Kind;
        let kind = |status, body: &str| {
            let fault = refused(&OPENAI, status, &HeaderMap::new(), body.as_bytes(), None);
            (fault.error.kind, fault.again)
        };
        let quota =
            r#"{"error":{"message":"You exceeded","type":"insufficient_quota","code":"insufficient_quota"}}"#;
        assert_eq!(kind(429, quota), (Kind::Quota, Again::Never));
        assert_eq!(kind(429, "{}"), (Kind::RateLimited, Again::Soon));
        for status in [408, 500, 502, 503, 504, 529] {
            assert_eq!(kind(status, "<html>"), (Kind::Server, Again::Soon));
        }
        assert_eq!(kind(401, ""), (Kind::Credentials, Again::Never));
        assert_eq!(kind(404, "no"), (Kind::NoSuchModel, Again::Never));
        assert_eq!(kind(400, "[]"), (Kind::Rejected, Again::Never));
        assert_eq!(kind(302, ""), (Kind::Settings, Again::Never));
    }

    #[test]
    fn a_refusal_is_safe_to_show() {
        let key = Secret::new("sk-0123456789abcdef0123").unwrap();
        let body = "{\"error\":{\"message\":\"bad key sk-0123456789abcdef0123\\u001b[2J\\u202e\"}}";
        let fault = refused(&OPENAI, 401, &headers("x-request-id", "req_1"), body.as_bytes(), Some(&key));
        let shown = fault.error.to_string();
        assert!(shown.contains("[key]") && !shown.contains("sk-"), "{shown}");
        assert!(!shown.contains('\u{1b}') && !shown.contains('\u{202e}'), "{shown}");
        assert!(shown.ends_with("(HTTP 401, request req_1)"), "{shown}");
        // Spaces that are folded away must not carry half a key past the cut.
        for spaces in ERROR_CHARS * 4 - 30..ERROR_CHARS * 4 {
            let body = format!("{}sk-0123456789abcdef0123", " ".repeat(spaces));
            let body = serde_json::json!({ "message": format!("a{body}") }).to_string();
            let fault = refused(
                &OPENAI,
                401,
                &headers("x-request-id", "sk-0123456789abcdef0123"),
                body.as_bytes(),
                Some(&key),
            );
            assert!(!fault.error.to_string().contains("sk-01234"), "{}", fault.error);
        }
        let flood = refused(&OPENAI, 400, &HeaderMap::new(), "x".repeat(60_000).as_bytes(), None);
        assert!(flood.error.message.chars().count() < ERROR_CHARS + 100);
    }

    proptest! {
        #[test]
        fn pauses_are_bounded(tries in 0..u32::MAX, asked in any::<u64>(), random in any::<u32>(), ask in any::<bool>()) {
            let (first, most) = (Duration::from_millis(500), Duration::from_secs(30));
            let again = if ask { Again::After(Duration::from_millis(asked)) } else { Again::Soon };
            let pause = pause(again, tries, first, most, random);
            prop_assert!(pause <= most + first);
            let least = if ask { Duration::from_millis(asked).min(most) } else { first / 2 };
            prop_assert!(pause >= least);
        }
    }
}
