//! What a model is told about each tool.

use crate::error::ToolError;

/// A tool as a model sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ToolSpec {
    /// Its name.
    pub name: &'static str,
    /// What it does, for the model.
    pub description: &'static str,
    /// JSON Schema of its arguments, as JSON text.
    pub parameters: &'static str,
    /// Whether it changes nothing.
    pub read_only: bool,
    /// How a call looks, for error messages.
    pub usage: &'static str,
}

impl ToolSpec {
    pub(super) fn misfit(&self, why: impl Into<String>) -> ToolError {
        ToolError::BadArguments { tool: self.name, why: why.into(), usage: self.usage }
    }
}

/// Every tool, in the order in which models see them.
pub fn specs() -> &'static [ToolSpec] {
    SPECS
}

/// Whether a tool has this name.
pub fn is_tool(name: &str) -> bool {
    find(name).is_some()
}

pub(super) fn find(name: &str) -> Option<&'static ToolSpec> {
    SPECS.iter().find(|spec| spec.name == name)
}

const SPECS: &[ToolSpec] = &[
    ToolSpec {
        name: "read",
        description: "Show a text file. Shows at most 2,000 lines or 50 KiB, whichever comes first, and says with which \
                      offset to continue. Binary files and images are only named.",
        parameters: r#"{"type":"object","properties":{"path":{"type":"string","description":"File, relative to the workspace"},"offset":{"type":"integer","minimum":1,"description":"First line to show, from 1"},"limit":{"type":"integer","minimum":1,"description":"Lines to show at most"}},"required":["path"],"additionalProperties":false}"#,
        read_only: true,
        usage: r#"{"path": "src/main.rs", "offset": 1, "limit": 100} (offset and limit may be left out)"#,
    },
    ToolSpec {
        name: "write",
        description: "Create a file or replace all of its content. Makes missing directories. For a small change to \
                      an existing file use edit.",
        parameters: r#"{"type":"object","properties":{"path":{"type":"string","description":"File, relative to the workspace"},"content":{"type":"string","description":"The whole new content"}},"required":["path","content"],"additionalProperties":false}"#,
        read_only: false,
        usage: r#"{"path": "notes.txt", "content": "text\n"}"#,
    },
    ToolSpec {
        name: "edit",
        description: "Replace parts of a text file. Each old_text must occur exactly once in the file as it is now \
                      (add lines around it until it does); several edits are all matched against the file before any \
                      of them, and must not overlap. Answers with a diff.",
        parameters: r#"{"type":"object","properties":{"path":{"type":"string","description":"File, relative to the workspace"},"edits":{"type":"array","minItems":1,"items":{"type":"object","properties":{"old_text":{"type":"string","description":"Text that occurs exactly once"},"new_text":{"type":"string","description":"Text to stand there instead"}},"required":["old_text","new_text"],"additionalProperties":false}}},"required":["path","edits"],"additionalProperties":false}"#,
        read_only: false,
        usage: r#"{"path": "src/main.rs", "edits": [{"old_text": "a", "new_text": "b"}]}"#,
    },
    ToolSpec {
        name: "bash",
        description: "Run a command with bash in the workspace, without standard input or a terminal. Standard output \
                      and error come back together, cut to the last 2,000 lines or 50 KiB; the whole is kept in a file \
                      that the answer names and that read and grep open. Killed with all its children after timeout seconds (300 unless set, at \
                      most 3600). Put long-running servers in the background, their output redirected to a file.",
        parameters: r#"{"type":"object","properties":{"command":{"type":"string","description":"The command line"},"timeout":{"type":"integer","minimum":1,"maximum":3600,"description":"Seconds it may take"}},"required":["command"],"additionalProperties":false}"#,
        read_only: false,
        usage: r#"{"command": "cargo test", "timeout": 600} (timeout in seconds may be left out)"#,
    },
    ToolSpec {
        name: "grep",
        description: "Search files for a regular expression (Rust syntax). Answers path:line: text, at most 100 hits, \
                      lines cut at 500 characters. Leaves out what .gitignore names, binary files and .git.",
        parameters: r#"{"type":"object","properties":{"pattern":{"type":"string","description":"Regular expression"},"path":{"type":"string","description":"File or directory to search, the workspace by default"},"glob":{"type":"string","description":"Only files that match, such as *.rs or src/**/*.rs"},"ignore_case":{"type":"boolean"},"literal":{"type":"boolean","description":"The pattern is plain text"},"context":{"type":"integer","minimum":0,"description":"Lines around each hit"},"limit":{"type":"integer","minimum":1,"maximum":100},"all":{"type":"boolean","description":"Also what ignore files leave out"}},"required":["pattern"],"additionalProperties":false}"#,
        read_only: true,
        usage: r#"{"pattern": "TODO", "path": "src", "glob": "*.rs", "ignore_case": true, "literal": false, "context": 2, "limit": 100, "all": false} (only pattern is needed)"#,
    },
    ToolSpec {
        name: "find",
        description: "Find files and directories by a glob such as *.rs or src/**/*.toml. Answers paths relative to the \
                      workspace, at most 1,000. Leaves out what .gitignore names, and .git.",
        parameters: r#"{"type":"object","properties":{"pattern":{"type":"string","description":"Glob, matched with the name, or with the path if it has a /"},"path":{"type":"string","description":"Directory to look in, the workspace by default"},"limit":{"type":"integer","minimum":1,"maximum":1000},"all":{"type":"boolean","description":"Also what ignore files leave out"}},"required":["pattern"],"additionalProperties":false}"#,
        read_only: true,
        usage: r#"{"pattern": "*.rs", "path": "src", "limit": 1000, "all": false} (only pattern is needed)"#,
    },
    ToolSpec {
        name: "ls",
        description: "List a directory: names in order, directories with a / at the end, links with @, at most 500. \
                      What .gitignore names is only counted unless all is true.",
        parameters: r#"{"type":"object","properties":{"path":{"type":"string","description":"Directory, the workspace by default"},"limit":{"type":"integer","minimum":1,"maximum":500},"all":{"type":"boolean","description":"Also what ignore files leave out"}},"additionalProperties":false}"#,
        read_only: true,
        usage: r#"{"path": "src", "limit": 500, "all": false} (all may be left out)"#,
    },
];
