//! Fuzz targets: a function for each decoder that takes any bytes, must not panic, and holds what it accepts to what
//! a decoder promises.
//!
//! Two drivers share them. libFuzzer, in the workspace of its own in `tests/fuzz/` (`docs/fuzzing.md`), looks for new
//! ways; the test in `changes.rs` runs each over its seeds and some thousand changes of them, always the
//! same, on any toolchain.

// The workspace in tests/fuzz/ takes this file in by its path, and then looks for these beside it.
#[path = "fuzz/disk.rs"]
pub mod disk;
#[path = "fuzz/files.rs"]
pub mod files;
#[path = "fuzz/grants.rs"]
pub mod grants;
#[path = "fuzz/seeds.rs"]
pub mod seeds;
#[path = "fuzz/tokens.rs"]
pub mod tokens;
#[path = "fuzz/wire.rs"]
pub mod wire;

/// A decoder under attack.
pub struct Target {
    /// Its name on the command line.
    pub name: &'static str,
    /// Takes any bytes.
    pub run: fn(&[u8]),
    /// What it begins with.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

const fn target(name: &'static str, run: fn(&[u8]), seeds: fn() -> Vec<Vec<u8>>) -> Target {
    Target { name, run, seeds }
}

/// All targets that libFuzzer runs.
pub const TARGETS: &[Target] = &[
    target("container", tokens::container, || seeds::shown(seeds::ANY)),
    target("delegation", tokens::delegation, seeds::tokens),
    target("invocation_token", tokens::invocation_token, seeds::tokens),
    target("chain", tokens::chain, || seeds::shown(&["chain", "request", "effect"])),
    target("invocation", tokens::invocation, || seeds::shown(&["invocation"])),
    target("revocation", tokens::revocation, || seeds::shown(&["revocation"])),
    target("policy", tokens::policy, || {
        seeds::words(&[
            r#"[[["==",".tool","read"]],{"tool":"read"}]"#,
            r#"[[["or",[["==",".path","src"],["like",".path","src/*"]]]],{"path":"src/a/b"}]"#,
            r#"[[["and",[["<=",".ctx.depth",1],[">",".size",-5]]]],{"ctx":{"depth":0},"size":9}]"#,
            r#"[[["all",".a",["<",".",3]],["any",".a[1:]",["==",".b[-1]?",null]]],{"a":[1,2]}]"#,
            r#"[[["not",["!=",".a[\"x y\"]",1.5]],["like",".t","a*\\*b"]],{"a":{"x y":1.5},"t":"aa*b"}]"#,
        ])
    }),
    target("grants", grants::grants, || {
        seeds::words(&[
            r#"{"links":[["/clankers",[["or",[["==",".cmd","/clankers/node/info"],["==",".path","src"]]]]],["/",[]]],"args":{"path":"src"}}"#,
            r#"{"links":[["/",[["or",[["==",".path","src"],["like",".path","src/*"]]],["==",".workspace","w1"]]]],"args":{"path":"src/a","workspace":"w1","tool":"bash"}}"#,
            r#"{"links":[["/",[["<=",".ctx.spent_nano_usd",1500000000],["<=",".ctx.depth",1]]],["/",[[">=",".ctx.per_min",0]]],["/clankers/prompt",[]]],"args":{"spend":1,"starts":1},"used":5}"#,
            r#"{"links":[["/clankers/session",[["or",[["==",".session","s1"],["==",".session","\u001b[2J"]]]]]],"args":{"session":"s1"}}"#,
            r#"{"links":[["/",[["like",".model","local/*\u202e"],["<=",".size",10]]],["/",[["any",".ctx",["==",".",0]],["all",".ctx",["<=",".",9]]]]],"args":{"model":"local/x","size":9}}"#,
        ])
    }),
    target("selector", tokens::selector, || {
        seeds::words(&[
            ".",
            ".tool",
            ".ctx.depth",
            ".a[0]",
            ".a[-1]?",
            ".a[1:3]",
            ".[]",
            ".[\"x y\"]",
            ".a.b.c?",
        ])
    }),
    target("did", tokens::did, || {
        seeds::words(&["did:key:z6MkmT9j6fVZqzXV8u2wVVSu49gYSRYGSQnduWXF6foAJrqz", "did:key:z", "did:web:x"])
    }),
    target("cid", tokens::cid, || {
        let cid = ucan::Cid::of(b"seed");
        vec![cid.to_string().into_bytes(), cid.to_bytes().to_vec()]
    }),
    target("command", tokens::command, || {
        seeds::words(&["/", "/clankers/file/read", "/a-b/c_1", "/é", "/A", "/a//b"])
    }),
    target("frames", wire::frames, seeds::streams),
    target("message", wire::message, || seeds::bodies(false)),
    target("event", wire::event, || seeds::bodies(true)),
    target("words", wire::words, || {
        seeds::words(&["plain", "two\nlines\t", "\u{1b}[2J", "a\u{202e}b\u{200b}c\u{9b}31m", "héllo wörld"])
    }),
    target("names", files::names, || {
        seeds::words(&[
            "a/b.txt",
            "..",
            "a//b",
            "C:\\x",
            "e\u{301}",
            "\u{1b}[2J",
            "nul",
            "a\u{200d}b",
            "straße/ﬁ",
            ".clankers-part",
        ])
    }),
    target("manifest", files::manifest, files::manifests),
    target("receiver", files::receiver, files::conversations),
    target("gossip", wire::gossip, seeds::payloads),
    target("session_log", disk::session_log, seeds::logs),
];

/// The target with this name.
///
/// # Panics
/// When there is none: the caller names them by hand.
#[must_use]
pub fn named(name: &str) -> &'static Target {
    TARGETS.iter().find(|target| target.name == name).unwrap_or_else(|| panic!("no target {name}"))
}
