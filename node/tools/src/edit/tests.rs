use super::*;
use crate::call::Replacement;
use proptest::prelude::*;
use std::time::Instant;

fn edits(pairs: &[(&str, &str)]) -> Vec<Replacement> {
    pairs.iter().map(|(old, new)| Replacement { old_text: (*old).into(), new_text: (*new).into() }).collect()
}

fn edit(original: &str, pairs: &[(&str, &str)]) -> String {
    String::from_utf8(apply(original.as_bytes(), &edits(pairs)).unwrap().content).unwrap()
}

fn fails(original: &str, pairs: &[(&str, &str)]) -> EditError {
    apply(original.as_bytes(), &edits(pairs)).unwrap_err()
}

#[test]
fn all_edits_are_matched_against_the_original() {
    assert_eq!(edit("a b c", &[("c", "a"), ("a", "b"), ("b", "c")]), "b c a");
    // The new text of one is no place for another.
    assert!(matches!(
        fails("a b", &[("a", "x"), ("x", "y")]),
        EditError::NotFound { number: 2, total: 2, .. }
    ));
    assert_eq!(edit("ab", &[("a", "x"), ("b", "y")]), "xy", "neighbours do not overlap");
    assert_eq!(edit("a\nb\n", &[("a\n", "")]), "b\n");
}

#[test]
fn errors_are_told_apart() {
    assert_eq!(fails("abc", &[("ab", "x"), ("bc", "y")]), EditError::Overlap { first: 1, second: 2 });
    assert_eq!(fails("abc", &[("bc", "y"), ("ab", "x")]), EditError::Overlap { first: 2, second: 1 });
    assert_eq!(fails("abc", &[("b", "x"), ("b", "x")]), EditError::Overlap { first: 1, second: 2 });
    assert_eq!(fails("a", &[("a", "a")]), EditError::NoChange);
    assert_eq!(fails("a", &[("", "a")]), EditError::EmptyOld { number: 1, total: 1 });
    assert_eq!(fails("a", &[("\u{feff}", "a")]), EditError::EmptyOld { number: 1, total: 1 });
    let EditError::Ambiguous { count: 2, more: false, lines, .. } = fails("aaa", &[("aa", "x")]) else {
        panic!()
    };
    assert_eq!(lines, "1, 1", "overlapping matches count");
    let many = "x\n".repeat(50);
    let message = fails(&many, &[("x", "y")]).to_string();
    assert!(message.contains("at least 10 times, at lines 1, 2, 3,"), "{message}");
    let hint = fails("fn main() {\n    old();\n}\n", &[("fn main() {\n    new();", "")]).to_string();
    assert!(hint.contains("its first line is at line 1"), "{hint}");
    assert!(
        matches!(fails("a\n", &[("   ", "x")]), EditError::NotFound { .. }),
        "spaces alone match nothing loosely"
    );
}

#[test]
fn line_endings_and_marks_stay() {
    assert_eq!(edit("\u{feff}a\r\nb\r\nc", &[("a\nb", "1\n2\n3")]), "\u{feff}1\r\n2\r\n3\r\nc");
    assert_eq!(edit("a\r\nb\r\n", &[("a\r\nb", "x\r\ny")]), "x\r\ny\r\n");
    assert_eq!(edit("a\nb\n", &[("a\r\nb", "x\r\ny")]), "x\ny\n");
    assert_eq!(edit("a\r\nb", &[("b", "b\nc")]), "a\r\nb\r\nc", "the last line follows the one before");
    assert_eq!(edit("a", &[("a", "b\nc")]), "b\nc");
    // In a mixed file each place keeps its own.
    assert_eq!(edit("a\r\nb\nc\r\n", &[("a", "1\n1"), ("b", "2\n2")]), "1\r\n1\r\n2\n2\nc\r\n");
    // The same text with both endings is twice there.
    assert!(matches!(fails("a\r\nb\na\nb\n", &[("a\nb", "x")]), EditError::Ambiguous { count: 2, .. }));
}

#[test]
fn bytes_that_are_not_utf8_stay() {
    let applied = apply(b"\xff\xfe a \x80\n b \xc3", &edits(&[("a", "x"), ("b", "y")])).unwrap();
    assert_eq!(applied.content, b"\xff\xfe x \x80\n y \xc3");
}

#[test]
fn a_loose_match_takes_whole_lines_and_keeps_the_rest() {
    let original = "keep  \nsay \u{201c}hi\u{201d}   \nnext\u{a0}one\t\nend  \n";
    let applied = apply(original.as_bytes(), &edits(&[("say \"hi\"\nnext one", "done")])).unwrap();
    assert_eq!(applied.fuzzy, [1]);
    assert_eq!(String::from_utf8(applied.content).unwrap(), "keep  \ndone\nend  \n");
    // Within a line, what lies around the match keeps its own quotes.
    assert_eq!(
        edit("f(\u{2018}a\u{2019}, \u{2018}b\u{2019}, \u{2018}c\u{2019})\n", &[("'b'", "B")]),
        "f(\u{2018}a\u{2019}, B, \u{2018}c\u{2019})\n"
    );
    assert_eq!(edit("a \u{2014} b\n", &[("a - b", "c")]), "c\n");
    assert_eq!(edit("ﬁne\n", &[("fine", "ok")]), "ok\n");
    assert_eq!(edit("cafe\u{301} x\n", &[("café x", "tea")]), "tea\n");
    assert_eq!(edit("a  \r\nb \r\nc\r\n", &[("a\nb\n", "x\n")]), "x\r\nc\r\n");
    assert_eq!(edit("a \nb", &[("a\nb", "x")]), "x");
    assert_eq!(edit("z\na \nb\n", &[("\na\n", "\n")]), "z\nb\n");
}

#[test]
fn a_loose_match_must_be_unique_too() {
    let original = "a \nb\na\t\nb\n";
    assert!(matches!(fails(original, &[("a\nb", "x")]), EditError::Ambiguous { count: 2, .. }));
    // An exact match wins over loose ones.
    assert_eq!(edit("\u{2018}a\u{2019} 'a'", &[("'a'", "x")]), "\u{2018}a\u{2019} x");
}

#[test]
fn changes_near_each_other_share_a_hunk() {
    let original = "aa\nb\nc\nd\ne\nf\ng\nh\ni\nj\nk\nl\nm\nn\n";
    let applied = apply(original.as_bytes(), &edits(&[("aa", ""), ("d\n", ""), ("n", "N\nO")])).unwrap();
    let diff = diff::unified("f", original.as_bytes(), &applied.content, &applied.changes);
    let want = "--- a/f\n+++ b/f\n@@ -1,7 +1,6 @@\n-aa\n+\n b\n c\n-d\n e\n f\n g\n@@ -11,4 +10,5 @@\n k\n l\n m\n-n\n+N\n+O\n";
    assert_eq!(diff, want);
}

#[test]
fn an_attack_on_the_matcher_ends_soon() {
    let original = "a".repeat(1 << 20);
    let started = Instant::now();
    assert!(matches!(fails(&original, &[(&"a".repeat(1 << 19), "x")]), EditError::Ambiguous { .. }));
    assert!(matches!(fails(&original, &[(&("a".repeat(1 << 19) + "b"), "x")]), EditError::NotFound { .. }));
    assert!(started.elapsed().as_secs() < 10);
}

/// Lines of a small alphabet, so that matches are often ambiguous, overlapping or loose.
fn text() -> impl Strategy<Value = String> {
    "([abc]{0,3}[ \u{201c}\"']{0,2}(\n|\r\n)?){0,12}"
}

proptest! {
    /// Unique, disjoint pieces of a text, replaced at once, give what cutting and pasting gives.
    #[test]
    fn applying_equals_replacing_in_the_original(
        original in "[abcé\n ]{0,60}",
        cuts in proptest::collection::btree_set(0usize..60, 0..8),
        news in proptest::collection::vec("[xyz\n]{0,4}", 8),
        backwards: bool,
    ) {
        let cuts: Vec<usize> = cuts.into_iter().filter(|c| *c <= original.len() && original.is_char_boundary(*c)).collect();
        let (mut pairs, mut want, mut done) = (Vec::new(), String::new(), 0);
        for (window, new) in cuts.chunks_exact(2).zip(&news) {
            let old = original.get(window[0]..window[1]).unwrap();
            let unique = (0..original.len()).filter(|at| original.as_bytes()[*at..].starts_with(old.as_bytes())).count() == 1;
            if unique {
                want += original.get(done..window[0]).unwrap();
                want += new;
                done = window[1];
                pairs.push((old, new.as_str()));
            }
        }
        want += original.get(done..).unwrap();
        if backwards {
            pairs.reverse();
        }
        match apply(original.as_bytes(), &edits(&pairs)) {
            Ok(applied) => {
                prop_assert_eq!(String::from_utf8(applied.content).unwrap(), want);
                prop_assert!(applied.fuzzy.is_empty());
            }
            Err(error) => {
                prop_assert_eq!(error, EditError::NoChange);
                prop_assert_eq!(original, want);
            }
        }
    }

    /// Whatever is asked, lines that the edit does not touch keep every byte.
    #[test]
    fn untouched_lines_keep_every_byte(before in text(), line in "[abc]{1,3}[ ]{0,2}", after in text(), new in "[xyz]{1,3}") {
        let needle = "[[unique]]";
        let original = format!("{before}\n{line}{needle}  \r\n{after}");
        let applied = apply(original.as_bytes(), &edits(&[(&format!("{line}{needle}\n"), &format!("{new}\n"))])).unwrap();
        prop_assert_eq!(applied.fuzzy, vec![1]);
        prop_assert_eq!(String::from_utf8(applied.content).unwrap(), format!("{before}\n{new}\r\n{after}"));
    }

    /// Edits of some lines, exact and loose ones mixed, give what replacing just those lines gives: the mark at the
    /// start, every other line and every line's own ending stay.
    #[test]
    fn a_mixed_file_stays_mixed(
        bom: bool,
        lines in proptest::collection::vec((any::<bool>(), 0usize..4), 1..12),
        ended: bool,
    ) {
        let mut original = String::from(if bom { "\u{feff}" } else { "" });
        let (mut want, mut pairs, mut loose) = (original.clone(), Vec::new(), Vec::new());
        for (number, (crlf, kind)) in lines.iter().enumerate() {
            let last = number + 1 == lines.len();
            let own = if *crlf { "\r\n" } else { "\n" };
            // A last line without an ending follows the one before.
            let before = number.checked_sub(1).map_or("\n", |at| if lines[at].0 { "\r\n" } else { "\n" });
            let (end, style) = if last && !ended { ("", before) } else { (own, own) };
            let line = format!("<{number}> \u{201c}q\u{201d} \u{a0}z  ");
            original += &format!("{line}{end}");
            match kind {
                0 => {
                    pairs.push((line, format!("new {number}\nmore")));
                    want += &format!("new {number}{style}more{end}");
                }
                1 => {
                    pairs.push((format!("<{number}> \"q\"  z"), format!("new {number}\r\nmore")));
                    loose.push(pairs.len());
                    want += &format!("new {number}{style}more{end}");
                }
                _ => want += &format!("{line}{end}"),
            }
        }
        let pairs: Vec<(&str, &str)> = pairs.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        if !pairs.is_empty() {
            let applied = apply(original.as_bytes(), &edits(&pairs)).unwrap();
            prop_assert_eq!(applied.fuzzy, loose);
            prop_assert_eq!(String::from_utf8(applied.content).unwrap(), want);
        }
    }

    /// No input makes it panic, loop, or report success without a change.
    #[test]
    fn any_edit_of_any_bytes_ends_well(
        original in proptest::collection::vec(prop_oneof![Just(b'a'), Just(b'\n'), Just(b'\r'), Just(b' '), Just(0xe2), Just(0x80), Just(0x9c), any::<u8>()], 0..80),
        pairs in proptest::collection::vec((text(), text()), 1..4),
    ) {
        let pairs: Vec<(&str, &str)> = pairs.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        if let Ok(applied) = apply(&original, &edits(&pairs)) {
            prop_assert!(applied.content != original);
        }
    }

    /// The diff, taken as a patch of the old lines, gives the new ones.
    #[test]
    fn the_diff_is_a_patch(
        original in "([abcde]{1,2}\n){0,30}[ab]?",
        picks in proptest::collection::btree_set(0usize..80, 0..6),
        news in proptest::collection::vec("[xy\n]{0,3}", 6),
    ) {
        let changes: Vec<(usize, &String)> = picks.into_iter().filter(|at| *at < original.len()).zip(&news).collect();
        let (mut content, mut done, mut ranges) = (Vec::new(), 0, Vec::new());
        for (at, new) in changes {
            content.extend_from_slice(&original.as_bytes()[done..at]);
            let start = content.len();
            content.extend_from_slice(new.as_bytes());
            ranges.push(apply::Change { old: at..at + 1, new: start..content.len() });
            done = at + 1;
        }
        content.extend_from_slice(&original.as_bytes()[done..]);
        let diff = diff::unified("f", original.as_bytes(), &content, &ranges);
        prop_assert_eq!(patched(&original, &diff), String::from_utf8(content).unwrap(), "{}", diff);
    }
}

/// Applies a unified diff as `patch` does, believing its line numbers and checking what it removes and keeps.
fn patched(original: &str, diff: &str) -> String {
    let old: Vec<&str> = original.split_inclusive('\n').collect();
    let (mut out, mut at) = (String::new(), 0);
    let mut lines = diff.lines().skip(2).peekable();
    while let Some(line) = lines.next() {
        if let Some(header) = line.strip_prefix("@@ -") {
            let (start, len) = header.split(' ').next().unwrap().split_once(',').unwrap();
            let start: usize = start.parse().unwrap();
            let upto = start - usize::from(len != "0");
            out.extend(old[at..upto].iter().copied());
            at = upto;
            let new_start: usize =
                header.split('+').nth(1).unwrap().split(',').next().unwrap().parse().unwrap();
            let new_len = header.split('+').nth(1).unwrap().split(',').nth(1).unwrap();
            assert_eq!(out.matches('\n').count(), new_start - usize::from(!new_len.starts_with("0 ")));
            continue;
        }
        let (sign, text) = line.split_at(1);
        let end = if lines.next_if(|next| next.starts_with('\\')).is_some() { "" } else { "\n" };
        let text = format!("{text}{end}");
        if sign != "+" {
            assert_eq!(old[at], text);
            at += 1;
        }
        if sign != "-" {
            out += &text;
        }
    }
    out.extend(old[at..].iter().copied());
    out
}
