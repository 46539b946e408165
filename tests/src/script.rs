//! What the scripted model says: the file that `node/models` documents, written from Rust.

use std::fmt::Write;

use serde_json::Value;

/// A script, turn by turn.
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct Script {
    repeat: bool,
    turns: Vec<Turn>,
}

/// One answer of the model.
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct Turn {
    thinking: String,
    text: String,
    calls: Vec<(String, String)>,
    delay_ms: u64,
    piece_chars: Option<usize>,
    hang: bool,
    fail: Option<(String, Option<u16>, String, bool)>,
    usage: Option<(u64, u64)>,
}

impl Script {
    /// Says these, one for each call of the model.
    pub fn of(turns: impl IntoIterator<Item = Turn>) -> Self {
        Self { repeat: false, turns: turns.into_iter().collect() }
    }

    /// Says this again and again.
    pub fn always(turn: Turn) -> Self {
        Self { repeat: true, turns: vec![turn] }
    }

    /// After the last turn comes the first again.
    pub fn repeat(mut self) -> Self {
        self.repeat = true;
        self
    }

    /// The file's text.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let mut out = format!("repeat = {}\n", self.repeat);
        for turn in &self.turns {
            turn.write(&mut out);
        }
        out
    }
}

impl Turn {
    /// Says this text: `{{prompt}}`, `{{result}}` and `{{status}}` are filled in.
    pub fn says(text: &str) -> Self {
        Self { text: text.to_owned(), ..Self::default() }
    }

    /// Calls one tool.
    pub fn calls(tool: &str, arguments: &Value) -> Self {
        Self::default().and_calls(tool, arguments)
    }

    /// Fails as `kind`: `server`, `rate_limited`, `credentials`, `quota`, `timeout`, `cut` or `garbage`.
    pub fn fails(kind: &str, message: &str) -> Self {
        Self { fail: Some((kind.to_owned(), None, message.to_owned(), false)), ..Self::default() }
    }

    /// Calls one more tool. A JSON string is passed on as it is: also when it is broken JSON itself.
    pub fn and_calls(mut self, tool: &str, arguments: &Value) -> Self {
        let text = arguments.as_str().map_or_else(|| arguments.to_string(), str::to_owned);
        self.calls.push((tool.to_owned(), text));
        self
    }

    /// Thinks this first.
    pub fn thinking(mut self, text: &str) -> Self {
        text.clone_into(&mut self.thinking);
        self
    }

    /// Pauses before each piece (milliseconds).
    pub fn delay_ms(mut self, delay: u64) -> Self {
        self.delay_ms = delay;
        self
    }

    /// Streams in pieces of this many characters.
    pub fn piece_chars(mut self, chars: usize) -> Self {
        self.piece_chars = Some(chars);
        self
    }

    /// After the text, says nothing until interrupted.
    pub fn hangs(mut self) -> Self {
        self.hang = true;
        self
    }

    /// The HTTP status that its failure claims.
    pub fn status(mut self, status: u16) -> Self {
        if let Some(fail) = &mut self.fail {
            fail.1 = Some(status);
        }
        self
    }

    /// Its failure comes after thinking and text.
    pub fn after_text(mut self, text: &str) -> Self {
        text.clone_into(&mut self.text);
        if let Some(fail) = &mut self.fail {
            fail.3 = true;
        }
        self
    }

    /// Tokens that it claims to have used.
    pub fn usage(mut self, input: u64, output: u64) -> Self {
        self.usage = Some((input, output));
        self
    }

    fn write(&self, out: &mut String) {
        let mut line = |text: String| {
            out.push_str(&text);
            out.push('\n');
        };
        line(format!("\n[[turn]]\nthinking = {}", quote(&self.thinking)));
        line(format!("text = {}\ndelay_ms = {}\nhang = {}", quote(&self.text), self.delay_ms, self.hang));
        if let Some(chars) = self.piece_chars {
            line(format!("piece_chars = {chars}"));
        }
        if let Some((input, output)) = self.usage {
            line(format!("usage = {{ input = {input}, output = {output} }}"));
        }
        if let Some((kind, status, message, after)) = &self.fail {
            let status = status.map(|status| format!("status = {status}, ")).unwrap_or_default();
            let message = quote(message);
            line(format!(
                "fail = {{ kind = {}, {status}message = {message}, after_text = {after} }}",
                quote(kind)
            ));
        }
        for (tool, arguments) in &self.calls {
            line(format!("[[turn.call]]\nname = {}\narguments = {}", quote(tool), quote(arguments)));
        }
    }
}

/// A TOML basic string (TOML 1.0, "String").
fn quote(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            c if c.is_control() => drop(write!(out, "\\u{:04X}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_file_is_toml_that_says_the_same() {
        let nasty = "a \"b\" \\ {{prompt}}\n\u{1b}[2J\u{7f}é";
        let script = Script::of([
            Turn::says(nasty).thinking("hm").delay_ms(3).piece_chars(5).usage(7, 8),
            Turn::calls("grep", &json!({"pattern": "TODO"})).and_calls("ls", &json!("not { json")),
            Turn::fails("server", "over\"loaded").status(529).after_text("half"),
            Turn::default().hangs(),
        ]);
        let read: toml::Value = toml::from_str(&script.repeat().to_toml()).unwrap();
        let turns = read["turn"].as_array().unwrap();
        assert_eq!((read["repeat"].as_bool(), turns.len()), (Some(true), 4));
        assert_eq!(turns[0]["text"].as_str(), Some(nasty));
        assert_eq!(turns[0]["usage"]["output"].as_integer(), Some(8));
        assert_eq!(turns[1]["call"][0]["arguments"].as_str(), Some(r#"{"pattern":"TODO"}"#));
        assert_eq!(turns[1]["call"][1]["arguments"].as_str(), Some("not { json"));
        assert_eq!(turns[2]["fail"]["status"].as_integer(), Some(529));
        assert_eq!(turns[2]["fail"]["after_text"].as_bool(), Some(true));
        assert_eq!(turns[3]["hang"].as_bool(), Some(true));
    }
}
