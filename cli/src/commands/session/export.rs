//! A session written out: Markdown for people, JSON lines for programs, one page for a browser.

use std::io;

use clankers_node::store::LogReader;
use clankers_protocol::{
    conversation::ToolStatus,
    event::{Durable, Event},
    jsonl,
    text::{self, Clean},
};

use crate::{args::Format, commands::output_file::Out, error::CliError, output::rfc3339};

/// Characters of a call's arguments in a heading.
const ARGUMENTS_CHARS: usize = 300;

/// Writes all of it.
pub(super) fn write(reader: &LogReader, format: Format, out: &mut Out) -> Result<(), CliError> {
    let session = reader.session();
    if format == Format::Html {
        out.write(HTML_HEAD.as_bytes())?;
    }
    let mut failed: Option<io::Error> = None;
    let scanned = reader.scan(0, |durable| {
        if failed.is_some() {
            return;
        }
        let wrote = match format {
            Format::Json => out.line(&jsonl::event(session, &durable)),
            Format::Md => markdown(&durable).map_or(Ok(()), |text| out.write(text.as_bytes())),
            Format::Html => part(&durable).map_or(Ok(()), |part| out.write(html(&part).as_bytes())),
        };
        failed = wrote.err();
    });
    scanned.map_err(CliError::machine)?;
    if let Some(error) = failed {
        return Err(error.into());
    }
    if format == Format::Html {
        out.write(b"</body></html>\n")?;
    }
    Ok(())
}

/// One thing that a reader sees.
struct Part {
    heading: String,
    /// What was said.
    text: String,
    /// It is a tool's or a program's: shown as it stands.
    verbatim: bool,
}

fn part(durable: &Durable) -> Option<Part> {
    let part = |heading: String, text: &str, verbatim: bool| {
        Some(Part { heading, text: Clean::block(text).as_str().to_owned(), verbatim })
    };
    let at = rfc3339(durable.at);
    match &durable.event {
        Event::Prompt(e) => part(format!("Prompt of {}, {at}", e.principal.short()), &e.text, false),
        Event::Steered(e) => part(format!("{} said meanwhile", e.principal.short()), &e.text, false),
        Event::Message(e) if e.text.is_empty() => None,
        Event::Message(e) => part("Answer".to_owned(), &e.text, false),
        Event::ToolCall(e) => {
            let arguments = text::line(&e.arguments, ARGUMENTS_CHARS);
            part(format!("Tool {}", text::line(&e.name, 40)), &arguments, true)
        }
        Event::ToolResult(e) => {
            let how = match e.status {
                ToolStatus::Ok => "ok",
                ToolStatus::Error => "error",
                ToolStatus::Denied => "denied",
                ToolStatus::Interrupted => "interrupted",
            };
            part(format!("Result of {}: {how}", text::line(&e.name, 40)), &e.text, true)
        }
        Event::Compacted(e) => part("Summary of what was before".to_owned(), &e.summary, false),
        Event::Settled(e) => {
            let reason = e.reason.as_deref()?;
            part("Ended".to_owned(), reason, false)
        }
        Event::Usage(_) | Event::Resolved(_) => None,
    }
}

fn markdown(durable: &Durable) -> Option<String> {
    let Part { heading, text, verbatim } = part(durable)?;
    if !verbatim {
        return Some(format!("## {heading}\n\n{}\n\n", text.trim_end()));
    }
    // A fence that the text does not contain.
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    Some(format!("### {heading}\n\n{fence}\n{}\n{fence}\n\n", text.trim_end()))
}

const HTML_HEAD: &str = "<!doctype html><html><head><meta charset=\"utf-8\">\
    <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\
    <title>clankers session</title><style>body{font:16px/1.5 sans-serif;max-width:50em;margin:2em auto;padding:0 1em}\
    pre{white-space:pre-wrap;overflow-wrap:anywhere}pre.v{background:#f3f3f3;padding:.6em;font-size:.85em}\
    h2{font-size:1em;color:#555}</style></head><body>\n";

fn html(part: &Part) -> String {
    let class = if part.verbatim { " class=\"v\"" } else { "" };
    format!("<h2>{}</h2><pre{class}>{}</pre>\n", escape(&part.heading), escape(part.text.trim_end()))
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use clankers_protocol::{
        Timestamp,
        event::{Event, ToolResultEvent},
    };

    use super::*;

    fn result(text: &str) -> Durable {
        let (item, name, status) = ("c".to_owned(), "bash".to_owned(), ToolStatus::Ok);
        let event = Event::ToolResult(ToolResultEvent { item, name, status, text: text.to_owned() });
        Durable { seq: 1, at: Timestamp(0), event }
    }

    #[test]
    fn what_a_tool_printed_stays_inside_its_frame() {
        let hostile = "</pre><script>alert(1)</script>\n````\n# not a heading";
        let page = html(&part(&result(hostile)).unwrap());
        assert!(!page.contains("<script>") && page.contains("&lt;script&gt;"), "{page}");
        let text = markdown(&result(hostile)).unwrap();
        assert!(text.contains("\n`````\n") && text.trim_end().ends_with("`````"), "{text}");
    }
}
