//! The little Markdown that the house's own documents use. Pure.

/// The content of each fenced block of this language, in order.
pub(crate) fn blocks<'a>(text: &'a str, language: &str) -> Vec<&'a str> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((_, after)) = rest.split_once("```") {
        let (head, body) = after.split_once('\n').unwrap_or((after, ""));
        let Some((content, after)) = body.split_once("```") else { break };
        if head.trim() == language {
            found.push(content);
        }
        rest = after;
    }
    found
}

/// Where the links of a document lead, outside of fenced blocks.
pub(crate) fn links(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (number, part) in text.split("```").enumerate() {
        if number % 2 == 1 {
            continue;
        }
        for after in part.split("](").skip(1) {
            if let Some((target, _)) = after.split_once(')') {
                found.push(target.to_owned());
            }
        }
    }
    found
}

/// The headings of a document as the anchors that link to them.
pub(crate) fn anchors(text: &str) -> Vec<String> {
    text.lines()
        .filter_map(|line| line.strip_prefix('#'))
        .map(|line| {
            let heading = line.trim_start_matches('#').trim().to_lowercase();
            let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
            kept.map(|c| if c == ' ' { '-' } else { c }).collect()
        })
        .collect()
}

/// What stands between `<!-- generated: NAME -->` and `<!-- end -->`.
pub(crate) fn generated<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let (_, after) = text.split_once(&format!("<!-- generated: {name} -->\n"))?;
    after.split_once("<!-- end -->").map(|(content, _)| content)
}

/// The document with other content there.
pub(crate) fn regenerated(text: &str, name: &str, content: &str) -> Option<String> {
    let mark = format!("<!-- generated: {name} -->\n");
    let (before, after) = text.split_once(&mark)?;
    let (_, rest) = after.split_once("<!-- end -->")?;
    Some(format!("{before}{mark}{content}<!-- end -->{rest}"))
}

/// The first cells of a document's table rows that are code: "| `x` | ..." gives "x".
pub(crate) fn coded_rows(text: &str) -> Vec<String> {
    text.lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
        .map(|(cell, _)| cell.to_owned())
        .collect()
}

#[test]
fn the_parts_are_found() {
    let text = "# A b, `c`\nsee [x](y.md) and [z](http://z)\n```sh\nls [a](no.md)\n```\n| `k` | v |\n\
        <!-- generated: t -->\nold\n<!-- end -->\nend\n";
    assert_eq!(blocks(text, "sh"), ["ls [a](no.md)\n"]);
    assert_eq!(blocks(text, "toml"), Vec::<&str>::new());
    assert_eq!(links(text), ["y.md", "http://z"]);
    assert_eq!(anchors(text), ["a-b-c"]);
    assert_eq!(coded_rows(text), ["k"]);
    assert_eq!(generated(text, "t"), Some("old\n"));
    assert_eq!(generated(text, "u"), None);
    let new = regenerated(text, "t", "new\n").unwrap();
    assert_eq!(new, text.replace("old", "new"));
}
