//! Requests that a good chain does not allow: commands, arguments, paths, budgets, the shell.

use clankers_auth::{Command, step::Step};
use ipld_core::ipld;
use ucan::Ipld;

use crate::{
    forge::{container, delegation, fields, link, link_with, text, with},
    time::run,
    vector::{Amounts, Judge, Vector},
};

fn asked(name: &str, tokens: &[Vec<u8>], remote: u8) -> Vector {
    Vector::new(Judge::Request, format!("authority: {name}"), container(tokens)).by(remote)
}

/// Of a command, and what is beneath it.
fn commanding(from: u8, to: u8, command: &str) -> Vec<u8> {
    delegation(from, with(fields(from, to), "cmd", text(command)))
}

/// `src` and what is beneath it.
pub(crate) fn scope() -> Ipld {
    ipld!([["or", [["==", ".path", "src"], ["like", ".path", "src/*"]]]])
}

/// Certain tools on any path.
pub(crate) fn tools() -> Ipld {
    ipld!([["or", [["==", ".tool", "read"], ["==", ".tool", "grep"]]]])
}

pub(crate) fn all() -> Vec<Vector> {
    [commands(), arguments(), paths(), globs(), shells(), budgets(), depths()].concat()
}

fn commands() -> Vec<Vector> {
    let uncovered = |name: &str, granted: &str, asks: Command| {
        let vector = asked(name, &[commanding(1, 2, granted)], 2).asks(asks, &[]);
        vector.refused(Step::Command, "Chain.CommandNotCovered", "unauthorized")
    };
    let widened =
        asked("a child that widens", &[commanding(1, 2, "/clankers/file/read"), commanding(2, 3, "/")], 3);
    let narrowed = asked("a child that narrows", &[link(1, 2), commanding(2, 3, "/clankers/file/list")], 3);
    let observe =
        asked("observe is used to type", &[commanding(1, 2, "/clankers/session/attach/observe")], 2);
    vec![
        uncovered("a segment that is a prefix in letters", "/clankers/fil", Command::FileRead),
        uncovered("filesystem is not file", "/clankers/filesystem", Command::FileRead),
        uncovered("a command beneath the one that is asked", "/clankers/file/read/only", Command::FileRead),
        uncovered("a sibling", "/clankers/file/list", Command::FileRead),
        uncovered("another branch", "/clankers/session", Command::PromptSend),
        uncovered("another vocabulary", "/team/member", Command::NodeInfo),
        uncovered("revoking is no command of the node", "/ucan/revoke", Command::AdminRevoke),
        uncovered("prompting is not stopping the node", "/clankers/prompt", Command::AdminStop),
        uncovered("tools are not the shell", "/clankers/tool/use", Command::ShellExec),
        uncovered("the root in a longer word", "/clankersx", Command::NodeInfo),
        widened.asks(Command::FileWrite, &[]).refused(
            Step::Command,
            "Chain.CommandNotCovered",
            "unauthorized",
        ),
        narrowed.asks(Command::FileRead, &[]).refused(
            Step::Command,
            "Chain.CommandNotCovered",
            "unauthorized",
        ),
        observe.asks(Command::Drive, &[]).refused(Step::Command, "Chain.CommandNotCovered", "unauthorized"),
    ]
}

fn policy(vector: Vector, reason: &str) -> Vector {
    vector.refused(Step::Policy, &format!("Chain.Policy.{reason}"), "unauthorized")
}

fn arguments() -> Vec<Vector> {
    let (unmet, absent, kind) = ("NotSatisfied", "Unresolved", "KindMismatch");
    let tool = |name: &str, policy: Ipld| {
        asked(name, &[link_with(1, 2, policy)], 2).asks(Command::ToolUse, &[("tool", "read")])
    };
    let effect = Vector::new(
        Judge::Effect,
        "authority: an unlisted tool, asked for by the model within an allowed prompt",
        container(&[link_with(1, 2, tools()), run()]),
    );
    vec![
        policy(
            asked("an unlisted tool", &[link_with(1, 2, tools())], 2)
                .asks(Command::ToolUse, &[("tool", "write")]),
            unmet,
        ),
        policy(effect.by(40).asks(Command::ToolUse, &[("tool", "write")]), unmet),
        policy(asked("no tool at all", &[link_with(1, 2, tools())], 2).asks(Command::ToolUse, &[]), absent),
        policy(
            asked("a tool in upper case", &[link_with(1, 2, tools())], 2)
                .asks(Command::ToolUse, &[("tool", "READ")]),
            unmet,
        ),
        policy(
            asked("a tool with a space", &[link_with(1, 2, tools())], 2)
                .asks(Command::ToolUse, &[("tool", "read ")]),
            unmet,
        ),
        policy(
            asked("the child drops the parent's policy", &[link_with(1, 2, tools()), link(2, 3)], 3)
                .asks(Command::ToolUse, &[("tool", "write")]),
            unmet,
        ),
        policy(
            asked(
                "the child widens the parent's policy",
                &[link_with(1, 2, tools()), link_with(2, 3, ipld!([["==", ".tool", "write"]]))],
                3,
            )
            .asks(Command::ToolUse, &[("tool", "write")]),
            unmet,
        ),
        policy(
            asked(
                "the child narrows",
                &[link_with(1, 2, tools()), link_with(2, 3, ipld!([["==", ".tool", "grep"]]))],
                3,
            )
            .asks(Command::ToolUse, &[("tool", "read")]),
            unmet,
        ),
        policy(
            asked("the middle one narrows", &[link(1, 2), link_with(2, 3, tools()), link(3, 4)], 4)
                .asks(Command::ToolUse, &[("tool", "edit")]),
            unmet,
        ),
        policy(
            tool("another session", ipld!([["==", ".session", "s1"]]))
                .asks(Command::Observe, &[("session", "s2")]),
            unmet,
        ),
        policy(
            tool("another workspace", ipld!([["==", ".workspace", "w1"]]))
                .asks(Command::FileRead, &[("workspace", "w2")]),
            unmet,
        ),
        policy(
            tool("a dearer model", ipld!([["like", ".model", "local/*"]]))
                .asks(Command::ModelUse, &[("model", "cloud/large")]),
            unmet,
        ),
        policy(tool("no model", ipld!([["like", ".model", "*"]])), absent),
        policy(
            tool("a file too large", ipld!([["<=", ".size", 1024]])).asks(Command::FileWrite, &[]).size(1025),
            unmet,
        ),
        policy(
            tool("a file of all bytes", ipld!([["<=", ".size", 1024]]))
                .asks(Command::FileWrite, &[])
                .size(u64::MAX),
            unmet,
        ),
        policy(
            tool("a file of no known size", ipld!([["<=", ".size", 1024]])).asks(Command::FileWrite, &[]),
            absent,
        ),
        policy(tool("a command by its policy", ipld!([["==", ".cmd", "/clankers/node/info"]])), unmet),
        policy(tool("a number where a text is", ipld!([["==", ".tool", 1]])), kind),
        policy(tool("an order of texts", ipld!([["<=", ".tool", 9]])), kind),
        policy(tool("all of what is no collection", ipld!([["all", ".tool", ["==", ".", "read"]]])), kind),
        policy(tool("an argument of another world", ipld!([["==", ".role", "admin"]])), absent),
        policy(tool("a part of a text", ipld!([["==", ".tool.x", 1]])), absent),
        policy(tool("null is not absent", ipld!([["==", ".path", null]])), absent),
        policy(
            tool(
                "an absent argument in an or",
                ipld!([["or", [["==", ".path", "src"], ["==", ".tool", "read"]]]]),
            ),
            absent,
        ),
    ]
}

/// Whatever an executor that forgot to resolve might ask.
fn paths() -> Vec<Vector> {
    let odd = [
        "src2",
        "sr",
        ".",
        "",
        "../x",
        "..",
        "/src",
        "/src/a",
        "/etc/passwd",
        "docs",
        "Src",
        "SRC/a",
        "src\0",
        "src\\x",
        "src\\..\\x",
        "./src",
        ".git/hooks",
        "a/src",
        "src*",
        "s\u{301}rc",
        "src\u{200b}",
        "\u{ff53}rc/a",
        "src//",
        " src",
        "%73rc/a",
        "~/src",
        "C:\\src",
        "src\n",
    ];
    odd.iter()
        .filter(|path| **path != "src//")
        .map(|path| {
            let vector = asked(&format!("the path {path:?} outside of src"), &[link_with(1, 2, scope())], 2);
            policy(vector.asks(Command::FileRead, &[("path", path)]), "NotSatisfied")
        })
        .chain([
            policy(
                asked("no path", &[link_with(1, 2, scope())], 2).asks(Command::FileRead, &[]),
                "Unresolved",
            ),
            policy(
                asked(
                    "a path beneath, of a child that has another",
                    &[link_with(1, 2, scope()), link_with(2, 3, ipld!([["==", ".path", "docs"]]))],
                    3,
                )
                .asks(Command::FileRead, &[("path", "src/a")]),
                "NotSatisfied",
            ),
        ])
        .collect()
}

/// Patterns that cost others minutes; here they cost a pass.
fn globs() -> Vec<Vector> {
    let text = "a".repeat(2000);
    let stars = |count: usize| format!("{}b", "a*".repeat(count));
    let glob = |name: &str, pattern: &str| {
        let vector = asked(name, &[link_with(1, 2, ipld!([["like", ".path", pattern]]))], 2);
        policy(vector.asks(Command::FileRead, &[("path", text.as_str())]), "NotSatisfied")
    };
    vec![
        glob("a glob of 30 stars", &stars(30)),
        glob("a glob of 800 stars", &stars(800)),
        glob("a glob of stars alone, and a letter", &format!("{}b", "*".repeat(1500))),
        glob("an escaped star", "\\*"),
        glob("a glob is of the whole text", "a"),
        glob("a question mark is a letter", &"?".repeat(2000)),
        glob("brackets are letters", "[a]*"),
    ]
}

fn shells() -> Vec<Vector> {
    let bash = [("tool", "bash"), ("argv0", "ls"), ("path", "src")];
    let scoped = |vector: Vector| {
        vector.asks(Command::ShellExec, &bash).refused(
            Step::ShellScope,
            "ShellUnderPathScope",
            "unauthorized",
        )
    };
    let elsewhere = ipld!([["or", [["==", ".cmd", "/clankers/shell/exec"], ["==", ".path", "src"]]]]);
    vec![
        scoped(asked("the shell under a path scope", &[link_with(1, 2, scope())], 2)),
        scoped(asked("the shell under a parent's path scope", &[link_with(1, 2, scope()), link(2, 3)], 3)),
        scoped(asked("the shell under a child's path scope", &[link(1, 2), link_with(2, 3, scope())], 3)),
        scoped(asked("the shell beside a path scope in an or", &[link_with(1, 2, elsewhere)], 2)),
        asked("the shell as a tool under a path scope", &[link_with(1, 2, scope())], 2)
            .asks(Command::ToolUse, &bash)
            .refused(Step::ShellScope, "ShellUnderPathScope", "unauthorized"),
    ]
}

fn budgets() -> Vec<Vector> {
    let money = link_with(1, 2, ipld!([["<=", ".ctx.spent_nano_usd", 1000]]));
    let tokens = link_with(1, 2, ipld!([["<=", ".ctx.tokens_used", 100]]));
    let rate = link_with(1, 2, ipld!([["<=", ".ctx.per_min", 5]]));
    let at_once = link_with(1, 2, ipld!([["<=", ".ctx.concurrent", 2]]));
    let none = Amounts::default();
    let spend = |amount: u64| Amounts { spent_nano_usd: amount, ..none };
    let start = Amounts { per_min: 1, ..none };
    let prompt = |name: &str, tokens: &[Vec<u8>], remote: u8| {
        asked(name, tokens, remote).asks(Command::PromptSend, &[])
    };
    let refused = |vector: Vector, denial: &str, code: &str| vector.refused(Step::Counters, denial, code);
    let (over, fast) = ("over_budget", "rate_limited");
    let child = link_with(2, 3, ipld!([["<=", ".ctx.spent_nano_usd", 500]]));
    vec![
        refused(
            prompt("the money is spent", std::slice::from_ref(&money), 2).used(&money, spend(1001)),
            "Budget.Money",
            over,
        ),
        refused(
            prompt("what is asked is too much", std::slice::from_ref(&money), 2)
                .used(&money, spend(990))
                .asking(spend(11)),
            "Budget.Money",
            over,
        ),
        refused(
            prompt("a sum that would wrap", std::slice::from_ref(&money), 2)
                .used(&money, spend(999))
                .asking(spend(u64::MAX)),
            "Budget.Money",
            over,
        ),
        refused(
            prompt("another delegate has spent it", &[money.clone(), link(2, 4)], 4)
                .used(&money, spend(1000))
                .asking(spend(1)),
            "Budget.Money",
            over,
        ),
        refused(
            prompt("the child's own budget is spent", &[money.clone(), child.clone()], 3)
                .used(&child, spend(500))
                .asking(spend(1)),
            "Budget.Money",
            over,
        ),
        refused(
            prompt("the parent's budget is spent", &[money.clone(), child], 3)
                .used(&money, spend(1000))
                .asking(spend(1)),
            "Budget.Money",
            over,
        ),
        refused(
            prompt("the tokens are used", std::slice::from_ref(&tokens), 2)
                .used(&tokens, Amounts { tokens: 101, ..none }),
            "Budget.Tokens",
            over,
        ),
        refused(
            prompt("too many in a minute", std::slice::from_ref(&rate), 2)
                .used(&rate, Amounts { per_min: 5, ..none })
                .asking(start),
            "Rate.PerMinute",
            fast,
        ),
        refused(
            prompt("too many at once", std::slice::from_ref(&at_once), 2)
                .used(&at_once, Amounts { concurrent: 2, ..none })
                .asking(start),
            "Rate.Concurrent",
            fast,
        ),
        refused(
            prompt("counters that cannot be read", &[money], 2).unreadable("counters"),
            "Unreadable",
            "node_trouble",
        ),
        policy(
            prompt("a counter that is not known", &[link_with(1, 2, ipld!([["<=", ".ctx.mood", 1]]))], 2),
            "Unresolved",
        ),
    ]
}

fn depths() -> Vec<Vector> {
    let most = |depth: u64| link_with(1, 2, ipld!([["<=", ".ctx.depth", depth]]));
    let info =
        |name: &str, tokens: &[Vec<u8>], remote: u8| asked(name, tokens, remote).asks(Command::NodeInfo, &[]);
    let deep = |vector: Vector| vector.refused(Step::Depth, "Depth", "unauthorized");
    vec![
        deep(info("passed on where it may not be", &[most(0), link(2, 3)], 3)),
        deep(info("passed on twice where once is allowed", &[most(1), link(2, 3), link(3, 4)], 4)),
        deep(info("a run in the middle counts", &[most(0), run(), link(40, 5)], 5)),
        policy(
            info("only when passed on", &[link_with(1, 2, ipld!([[">=", ".ctx.depth", 1]])), link(2, 3)], 3),
            "NotSatisfied",
        ),
    ]
}
