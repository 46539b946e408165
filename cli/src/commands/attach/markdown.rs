//! Markdown, lightly styled, line by line: headings, code, emphasis. What it does not know stays as it was written.

/// What a line stands in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Style {
    /// Between two fences.
    code: bool,
    /// Whether anything is styled at all.
    colour: bool,
}

const BOLD: &str = "\x1b[1m";
const CODE: &str = "\x1b[36m";
const DIM: &str = "\x1b[2m";
const PLAIN: &str = "\x1b[0m";

impl Style {
    pub(super) fn new(colour: bool) -> Self {
        Self { code: false, colour }
    }

    /// One line, which is clean. `whole` unless its end or its beginning is missing: then no fence is looked for.
    pub(super) fn line(&mut self, line: &str, whole: bool) -> String {
        if whole && line.trim_start().starts_with("```") {
            self.code = !self.code;
            return self.paint(DIM, line);
        }
        if self.code {
            return self.paint(CODE, line);
        }
        let heading = line.trim_start_matches('#');
        let depth = line.len() - heading.len();
        if (1..=6).contains(&depth) && heading.starts_with(' ') {
            return self.paint(BOLD, line);
        }
        if self.colour { spans(line) } else { line.to_owned() }
    }

    /// A line in this style.
    pub(super) fn paint(&self, style: &str, line: &str) -> String {
        if self.colour && !line.is_empty() { format!("{style}{line}{PLAIN}") } else { line.to_owned() }
    }

    /// A line that matters less.
    pub(super) fn dim(&self, line: &str) -> String {
        self.paint(DIM, line)
    }

    /// A line that matters more.
    pub(super) fn bold(&self, line: &str) -> String {
        self.paint(BOLD, line)
    }
}

/// Emphasis and code within a line: only where both ends are there.
fn spans(line: &str) -> String {
    let (mut out, mut rest) = (String::with_capacity(line.len()), line);
    loop {
        let next = [("**", BOLD), ("`", CODE)]
            .into_iter()
            .filter_map(|(mark, style)| rest.find(mark).map(|at| (at, mark, style)))
            .min_by_key(|(at, ..)| *at);
        let Some((at, mark, style)) = next else { break };
        let (before, after) = rest.split_at(at);
        let inner = after.strip_prefix(mark).unwrap_or_default();
        let end = inner.find(mark).filter(|end| *end > 0 && !inner.starts_with(' '));
        out.push_str(before);
        match end {
            Some(end) => {
                let (words, tail) = inner.split_at(end);
                out.push_str(&format!("{style}{words}{PLAIN}"));
                rest = tail.strip_prefix(mark).unwrap_or_default();
            }
            None => {
                out.push_str(mark);
                rest = inner;
            }
        }
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn plain(styled: &str) -> String {
        [BOLD, CODE, DIM, PLAIN].iter().fold(styled.to_owned(), |text, escape| text.replace(escape, ""))
    }

    #[test]
    fn marks_are_styled_where_they_are_whole() {
        let mut style = Style::new(true);
        assert_eq!(style.line("# Title", true), "\x1b[1m# Title\x1b[0m");
        assert_eq!(style.line("a **b** `c`", true), "a \x1b[1mb\x1b[0m \x1b[36mc\x1b[0m");
        assert_eq!(style.line("2 ** 3 and a ` tick", true), "2 ** 3 and a ` tick");
        assert_eq!(style.line("#no title", true), "#no title");
        style.line("```rust", true);
        assert_eq!(style.line("let a = **b;", true), "\x1b[36mlet a = **b;\x1b[0m");
        style.line("```", true);
        assert_eq!(style.line("after", true), "after");
        let mut none = Style::new(false);
        assert_eq!(none.line("# a **b** `c`", true), "# a **b** `c`");
    }

    proptest! {
        #[test]
        fn no_letter_is_lost(line in "[a-z *`#]{0,40}") {
            let mut style = Style::new(true);
            let letters = |text: &str| text.chars().filter(char::is_ascii_lowercase).collect::<String>();
            prop_assert_eq!(letters(&plain(&style.line(&line, true))), letters(&line));
        }
    }
}
