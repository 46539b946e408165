//! Taking a token back: from the start of the owner's command to the end of what ran under the token, at the other
//! machine's command line.

use std::time::Instant;

use clankers_tests::{
    script::{Script, Turn},
    stats::{Samples, millis},
};

use crate::{
    limits::PATIENCE,
    peers::Lab,
    report::{Judge, Row},
};

pub(crate) fn closing(lab: &Lab) -> Vec<Row> {
    let (owner, guest) = (lab.home(), lab.home());
    owner.script(&Script::always(Turn::says("on it").hangs()));
    let node = owner.start();
    let (mut whole, mut command) = (Samples::new(), Samples::new());
    for _ in 0..lab.rounds {
        let token = node.token(guest.id(), &["--reviewer"]);
        guest.cli(["token", "import", "-"]).stdin(token.clone()).run().ok();
        let mut prompt =
            guest.cli(["rpc", "prompt", node.ticket(), "work", "--mode", "json"]).within(PATIENCE).start();
        prompt.json_of_type("text_delta");
        let file = owner.file("given.token", &token);
        let start = Instant::now();
        owner.cli(["token", "revoke"]).arg(&file).run().ok();
        command.push(millis(start.elapsed()));
        prompt.finish().code(4);
        whole.push(millis(start.elapsed()));
    }
    vec![
        Row::new(
            "revoke -> the prompt under it has ended at its client",
            "ms",
            whole,
            Judge::P50,
            1000.0,
            1000.0,
        ),
        Row::shown("  of it, the owner's command", "ms", command),
    ]
}
