//! Direct prompts: a tool's name and plain words.

use serde_json::{Map, Value, json};

use super::{ToolCall, ToolSpec, spec};
use crate::error::ToolError;

pub(super) fn with_slash(line: &str) -> Option<Result<ToolCall, ToolError>> {
    let (spec, rest) = split(line.trim_start().strip_prefix('/')?)?;
    Some(parse(spec, rest))
}

pub(super) fn plain(line: &str) -> Option<ToolCall> {
    let (spec, rest) = split(line.trim_start())?;
    parse(spec, rest).ok()
}

fn split(line: &str) -> Option<(&'static ToolSpec, &str)> {
    let end = line.find(char::is_whitespace).unwrap_or(line.len());
    let (name, rest) = line.split_at_checked(end)?;
    Some((spec::find(name)?, rest.trim_start_matches([' ', '\t'])))
}

fn parse(spec: &'static ToolSpec, rest: &str) -> Result<ToolCall, ToolError> {
    // A path or pattern may begin with a brace, so only what really is an object counts as arguments; `edit` takes
    // nothing else, and its error must speak of the JSON.
    let object = rest.trim_start().starts_with('{');
    if spec.name == "edit" || (object && serde_json::from_str::<Map<String, Value>>(rest).is_ok()) {
        return ToolCall::parse(spec.name, rest);
    }
    let args = match spec.name {
        "bash" => json!({ "command": rest.trim_end() }),
        "write" => write(spec, rest)?,
        "read" => read(spec, &words(spec, rest)?)?,
        "grep" => grep(spec, &words(spec, rest)?)?,
        "find" => find(spec, &words(spec, rest)?)?,
        _ => ls(spec, &words(spec, rest)?)?,
    };
    ToolCall::parse(spec.name, &args.to_string())
}

fn write(spec: &ToolSpec, rest: &str) -> Result<Value, ToolError> {
    let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
    match rest.split_at_checked(end) {
        Some((path, content)) if !path.is_empty() && !content.is_empty() => {
            let mut chars = content.chars();
            chars.next();
            Ok(json!({ "path": path, "content": chars.as_str() }))
        }
        _ => Err(spec.misfit("say /write PATH TEXT")),
    }
}

fn read(spec: &ToolSpec, words: &[String]) -> Result<Value, ToolError> {
    match words {
        [path] => Ok(json!({ "path": path })),
        [path, offset] => Ok(json!({ "path": path, "offset": offset })),
        [path, offset, limit] => Ok(json!({ "path": path, "offset": offset, "limit": limit })),
        _ => Err(spec.misfit("say /read PATH [OFFSET [LIMIT]]")),
    }
}

fn grep(spec: &ToolSpec, words: &[String]) -> Result<Value, ToolError> {
    let mut args = Map::new();
    let mut rest = words;
    while let [first, tail @ ..] = rest {
        match first.as_str() {
            "-i" => args.insert("ignore_case".to_owned(), json!(true)),
            "-F" => args.insert("literal".to_owned(), json!(true)),
            "--" => {
                rest = tail;
                break;
            }
            option if option.len() > 1 && option.starts_with('-') => {
                return Err(
                    spec.misfit(format!("{option} is not known; say /grep [-i] [-F] [--] PATTERN [PATH]"))
                );
            }
            _ => break,
        };
        rest = tail;
    }
    match rest {
        [pattern] => args.insert("pattern".to_owned(), json!(pattern)),
        [pattern, path] => {
            args.insert("path".to_owned(), json!(path));
            args.insert("pattern".to_owned(), json!(pattern))
        }
        _ => {
            return Err(
                spec.misfit("say /grep [-i] [-F] [--] PATTERN [PATH], quotes around a pattern with spaces")
            );
        }
    };
    Ok(Value::Object(args))
}

fn find(spec: &ToolSpec, words: &[String]) -> Result<Value, ToolError> {
    match words {
        [pattern] => Ok(json!({ "pattern": pattern })),
        [pattern, path] => Ok(json!({ "pattern": pattern, "path": path })),
        _ => Err(spec.misfit("say /find GLOB [PATH]")),
    }
}

fn ls(spec: &ToolSpec, words: &[String]) -> Result<Value, ToolError> {
    match words {
        [] => Ok(json!({})),
        [path] => Ok(json!({ "path": path })),
        _ => Err(spec.misfit("say /ls [PATH]")),
    }
}

/// Words as a shell splits them, except that a backslash is an ordinary character outside double quotes (patterns
/// are full of them) and only escapes `"` and `\` within.
fn words(spec: &ToolSpec, text: &str) -> Result<Vec<String>, ToolError> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            c if c.is_whitespace() => words.extend(word.take()),
            '\'' | '"' => {
                let quoted = word.get_or_insert_default();
                loop {
                    match chars.next() {
                        None => return Err(spec.misfit(format!("a quote {c} is not closed"))),
                        Some(end) if end == c => break,
                        Some('\\') if c == '"' => match chars.next_if(|next| matches!(next, '"' | '\\')) {
                            Some(escaped) => quoted.push(escaped),
                            None => quoted.push('\\'),
                        },
                        Some(other) => quoted.push(other),
                    }
                }
            }
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    Ok(words)
}
