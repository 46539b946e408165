//! What must be allowed, so that a check which refuses everything does not pass.

use clankers_auth::Command;
use data_encoding::BASE64URL_NOPAD;
use ipld_core::ipld;
use ucan::Ipld;

use crate::{
    authority::{scope, tools},
    container::largest,
    forge::{
        DAY, NOW_SECS, alone, container, delegation, fields, int, invocation as signed, link, link_with,
        links, map, text, with,
    },
    invocation::{asking, sent},
    revocation::revocation,
    time::run,
    vector::{Amounts, Judge, Vector},
};

pub(crate) fn all() -> Vec<Vector> {
    [shown(), asked(), others()].concat()
}

fn chain(name: &str, tokens: &[Vec<u8>], remote: u8) -> Vector {
    Vector::new(Judge::Chain, format!("good: {name}"), container(tokens)).by(remote)
}

fn request(name: &str, tokens: &[Vec<u8>], remote: u8) -> Vector {
    Vector::new(Judge::Request, format!("good: {name}"), container(tokens)).by(remote)
}

fn shown() -> Vec<Vector> {
    let text_form = format!("C{}", BASE64URL_NOPAD.encode(&alone(link(1, 2))[1..]));
    let day = i64::try_from(DAY).unwrap() * 1000;
    let three_large: Vec<_> = (1..=3).map(|n| largest(n, n + 1)).collect();
    let four_hundred = delegation(1, with(fields(1, 2), "exp", int(NOW_SECS + 400 * DAY)));
    let nonce = |length: usize| delegation(1, with(fields(1, 2), "nonce", Ipld::Bytes(vec![1; length])));
    vec![
        chain("one link", &links(1), 2),
        chain("three links", &links(3), 4),
        chain("eight links", &links(8), 9),
        Vector::new(Judge::Chain, "good: as text", text_form),
        chain("three tokens of 4096 bytes", &three_large, 4),
        chain("400 days", &[four_hundred], 2),
        chain("the last second", &links(2), 3).after_ms(day),
        chain("a clock that is 60 seconds behind", &links(2), 3).after_ms(-60_000),
        chain("as old as the epoch", &links(2), 3).epoch_in(0),
        chain("a nonce of 12 bytes", &[nonce(12)], 2),
        chain("a nonce of 64 bytes", &[nonce(64)], 2),
        chain("another link was revoked", &links(2), 3).revoked(&link(1, 3)),
        chain("somebody below has revoked too much", &links(2), 3).overflowed(3),
    ]
}

fn asked() -> Vec<Vector> {
    let money = link_with(1, 2, ipld!([["<=", ".ctx.spent_nano_usd", 1000]]));
    let spent = |amount: u64| Amounts { spent_nano_usd: amount, ..Amounts::default() };
    let file = delegation(1, with(fields(1, 2), "cmd", text("/clankers/file")));
    let sixty_four = Ipld::List((0..64).map(|_| ipld!(["==", ".tool", "read"])).collect());
    let deep =
        Ipld::List(vec![(0..5).fold(ipld!(["==", ".tool", "read"]), |inner, _| ipld!(["and", [inner]]))]);
    let once = link_with(1, 2, ipld!([["<=", ".ctx.depth", 1]]));
    let read = [("tool", "read")];
    let shell = [("tool", "bash"), ("argv0", "ls")];
    let day = i64::try_from(DAY).unwrap() * 1000;
    let effect =
        Vector::new(Judge::Effect, "good: an effect after the run's end", container(&[link(1, 2), run()]));
    let running = Vector::new(
        Judge::Effect,
        "good: an effect after the run was revoked",
        container(&[link(1, 2), run()]),
    );
    vec![
        request("a file beneath its command", &[file], 2).asks(Command::FileRead, &[]),
        request("a listed tool", &[link_with(1, 2, tools())], 2).asks(Command::ToolUse, &read),
        request("the scope itself", &[link_with(1, 2, scope())], 2)
            .asks(Command::FileRead, &[("path", "src")]),
        request("beneath the scope", &[link_with(1, 2, scope())], 2)
            .asks(Command::FileRead, &[("path", "src/a/b.rs")]),
        request("a scope and tools in two links", &[link_with(1, 2, scope()), link_with(2, 3, tools())], 3)
            .asks(Command::ToolUse, &[("path", "src/a"), ("tool", "grep")]),
        request("64 statements", &[link_with(1, 2, sixty_four)], 2).asks(Command::ToolUse, &read),
        request("6 deep", &[link_with(1, 2, deep)], 2).asks(Command::ToolUse, &read),
        request("the shell without a scope", &links(1), 2).asks(Command::ShellExec, &shell),
        request("the last cent", std::slice::from_ref(&money), 2)
            .asks(Command::PromptSend, &[])
            .used(&money, spent(990))
            .asking(spent(10)),
        request("a counter that cannot be read and is not asked", &links(1), 2)
            .asks(Command::NodeInfo, &[])
            .unreadable("counters"),
        request("passed on as often as it may be", &[once, link(2, 3)], 3).asks(Command::NodeInfo, &[]),
        request("just before its end", &links(1), 2).asks(Command::NodeInfo, &[]).after_ms(day),
        effect.by(40).asks(Command::NodeInfo, &[]).after_ms(601_000),
        running.by(40).asks(Command::NodeInfo, &[]).revoked(&run()),
    ]
}

fn others() -> Vec<Vector> {
    let (one, three) = (links(1), links(3));
    let request = with(asking(2, &one), "exp", int(NOW_SECS + 300));
    let other = signed(2, with(asking(2, &one), "args", map(&[])));
    vec![
        Vector::new(Judge::Invocation, "good: a signed request", sent(2, request.clone(), &one)).seen(&other),
        Vector::new(Judge::Invocation, "good: a signed request in its last second", sent(2, request, &one))
            .after_ms(300_000),
        Vector::new(Judge::Revocation, "good: a revocation by the issuer", revocation(3, &three, &three[2])),
        Vector::new(Judge::Revocation, "good: a revocation from above", revocation(1, &three, &three[2])),
        Vector::new(Judge::Revocation, "good: a revocation of what has ended", revocation(1, &one, &one[0]))
            .after_ms(86_400_000 + 3_600_000),
    ]
}
