//! The demo's step on teams: three nodes form one, prompt each other by name, lose one and regain it.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::{
    machine::{Machine, Stage},
    steps::{START, check, ok, say, step, text},
};
use crate::error::{CliError, Outcome};

/// How long a change among the members may take to be seen (time).
const SEEN: Duration = Duration::from_secs(15);
/// How often it is looked for (time).
const POLL: Duration = Duration::from_millis(50);

/// Plays it.
pub(super) async fn play(stage: &mut Stage) -> Outcome {
    step(10, "A team: whoever is in it is found by name, and gets what its members are given")?;
    ok(stage.friend.clankers(START).await?, "the friend's node started")?;
    ok(stage.desk.clankers(&["team", "create", "crew"]).await?, "a team is made")?;
    let laptop = text(&stage.laptop.ask(&["rpc", "id", "--json"]).await?, "id")?;
    let friend = text(&stage.friend.ask(&["rpc", "id", "--json"]).await?, "id")?;
    for (id, machine) in [(laptop, &mut stage.laptop), (friend, &mut stage.friend)] {
        let invite =
            ok(stage.desk.clankers(&["team", "invite", id.as_str()]).await?, "an invite is written")?.stdout;
        ok(machine.clankers(&["team", "join", invite.trim()]).await?, "the invited one joins")?;
    }
    alive(&stage.friend, 3).await?;
    ok(stage.friend.clankers(&["mesh"]).await?, "the friend sees all three")?;
    say("One command gives every member of the team a reviewer's rights on the laptop:")?;
    let grant = ["team", "grant", "crew", "--reviewer"];
    ok(stage.laptop.clankers(&grant).await?, "members may ask for a token")?;
    std::fs::write(stage.laptop.project.join("plan.txt"), "TODO: sleep\n")?;
    let ran = stage.friend.clankers(&["rpc", "prompt", "laptop", "/grep TODO plan.txt"]).await?;
    check(ok(ran, "the friend prompts by name")?.stdout.contains("sleep"), "the answer is the laptop's")?;
    say("The friend's node ends, and comes back:")?;
    ok(stage.friend.clankers(&["daemon", "stop"]).await?, "the node stopped")?;
    alive(&stage.desk, 2).await?;
    ok(stage.desk.clankers(&["team", "members", "crew"]).await?, "the desk sees who has left")?;
    ok(stage.friend.clankers(START).await?, "the node started")?;
    alive(&stage.desk, 3).await?;
    ok(stage.desk.clankers(&["team", "members", "crew"]).await?, "the desk sees it again").map(drop)
}

/// Waits until a node sees so many members alive, itself included.
async fn alive(machine: &Machine, wanted: usize) -> Result<(), CliError> {
    let begun = Instant::now();
    loop {
        let members = machine.ask(&["team", "members", "crew", "--json"]).await?;
        let live = members.as_array().into_iter().flatten();
        let live = live.filter(|member| member.get("state").and_then(Value::as_str) == Some("alive")).count();
        if live == wanted {
            return Ok(());
        }
        check(begun.elapsed() < SEEN, "the members are seen in time")?;
        tokio::time::sleep(POLL).await;
    }
}
