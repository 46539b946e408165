//! Who is a member.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    time::{Duration, Instant},
};

use clankers_tests::{NodeHome, wait};

use super::{HEARD, all_alive, greps, invite, join, members, node, sees, state_of, team};
use crate::BIN;

#[test]
fn an_invite_is_of_use_to_its_peer_only_and_only_while_it_lasts() {
    let (anna, bert, carl) = (node("anna"), node("bert"), node("carl"));
    anna.cli(["team", "create", "core"]).run().ok();
    let text = invite(&anna, &bert, &[]);
    let stolen = carl.cli(["team", "join", &text, "--json"]).run().code(4);
    assert!(stolen.error()["message"].as_str().expect("words").contains("not for this node"));
    assert_eq!(carl.cli(["team", "list", "--json"]).run().ok().json(), serde_json::json!([]));
    // From a file, as well as an argument and standard input.
    let file = bert.home().file("invite.txt", format!("{text}\n"));
    bert.cli(["team", "join"]).arg(&file).run().ok();
    all_alive(&anna, 2);
    // Joining twice is joining once.
    let again = bert.cli(["team", "join", &text, "--json"]).run().ok().json();
    assert_eq!(again["known"], true);
    let short = invite(&anna, &carl, &["--expire", "1s"]);
    wait::until("the end of the invite", Duration::from_secs(180), || {
        (carl.cli(["team", "join", &short]).run().exit.code == Some(4)).then_some(())
    });
    for broken in ["clankers-team:", "clankers-team:AAAA", "endpointabc", "", &text[..text.len() - 3]] {
        carl.cli(["team", "join", broken]).run().code(2);
    }
}

#[test]
fn admins_invite_and_members_do_not() {
    let (anna, bert, carl) = (node("anna"), node("bert"), node("carl"));
    anna.cli(["team", "create", "core"]).run().ok();
    join(&anna, &bert, &[]);
    let refused = bert.cli(["team", "invite", &carl.id().to_string(), "--json"]).run().code(2);
    assert!(refused.error()["message"].as_str().expect("words").contains("admin"), "{}", refused.story());
    // The same node, made an admin by a new invite.
    join(&anna, &bert, &["--admin"]);
    join(&bert, &carl, &[]);
    all_alive(&anna, 3);
    // A member removes nobody; an admin removes whom it invited, and not who invited it.
    carl.cli(["team", "remove", &bert.id().to_string()]).run().code(7);
    bert.cli(["team", "remove", &anna.id().to_string()]).run().code(7);
    bert.cli(["team", "remove", &carl.id().to_string()]).run().ok();
    for node in [&anna, &bert] {
        sees(node, &carl, "removed", HEARD);
    }
}

#[test]
fn a_removed_member_is_cut_and_its_token_ends() {
    let (anna, bert, carl) = (node("anna"), node("bert"), node("carl"));
    team("core", &[&anna, &bert, &carl]);
    anna.cli(["team", "grant", "--reviewer"]).run().ok();
    let (code, said) = greps(&carl, "anna");
    assert_eq!(code, Some(0), "{said}");
    let removed = anna.cli(["team", "remove", "carl", "--json"]).run().ok().json();
    assert_eq!(removed["tokens"], 1, "{removed}");
    let begun = Instant::now();
    // Whatever carl has now is of no use.
    let (code, said) = greps(&carl, anna.ticket());
    assert_eq!(code, Some(4), "{said}");
    for node in [&anna, &bert] {
        sees(node, &carl, "removed", HEARD);
    }
    println!("both others knew of it {:?} after the removal", begun.elapsed());
    wait::until("carl's own knowledge of it", HEARD, || {
        let list = carl.cli(["team", "list", "--json"]).run().ok().json();
        (list[0]["ended"] == "revoked").then_some(())
    });
    // The others gossip on without it.
    assert_eq!(state_of(&anna, &bert), "alive");
    // The old invite is worth nothing for ever; a new one brings it back, with a token of its own.
    join(&anna, &carl, &[]);
    all_alive(&anna, 3);
    let (code, said) = greps(&carl, "anna");
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn who_an_admin_brought_in_goes_with_the_admin() {
    let (anna, bert, carl) = (node("anna"), node("bert"), node("carl"));
    anna.cli(["team", "create", "core"]).run().ok();
    join(&anna, &bert, &["--admin"]);
    join(&bert, &carl, &[]);
    all_alive(&anna, 3);
    anna.cli(["team", "remove", &bert.id().to_string()]).run().ok();
    for gone in [&bert, &carl] {
        sees(&anna, gone, "removed", HEARD);
    }
}

#[test]
fn who_was_away_when_somebody_was_removed_learns_it_on_coming_back() {
    let (anna, mut bert, carl) = (node("anna"), node("bert"), node("carl"));
    team("core", &[&anna, &bert, &carl]);
    bert.kill9();
    anna.cli(["team", "remove", &carl.id().to_string()]).run().ok();
    bert.restart();
    sees(&bert, &anna, "alive", HEARD);
    sees(&bert, &carl, "removed", HEARD);
    // It does not let carl in any more.
    let refused = carl.cli(["rpc", "ping", bert.ticket()]).run().ok();
    assert_eq!(state_of(&bert, &carl), "removed", "{}", refused.story());
}

#[test]
fn leaving_is_said_and_forgotten_and_the_keeper_is_warned() {
    let (anna, bert) = (node("anna"), node("bert"));
    team("core", &[&anna, &bert]);
    let key = fs::read_dir(anna.home().path().join("teams")).expect("a directory").next().expect("a key");
    let mode = key.expect("a key").metadata().expect("its mode").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    bert.cli(["team", "leave"]).run().ok();
    assert_eq!(bert.cli(["team", "list", "--json"]).run().ok().json(), serde_json::json!([]));
    sees(&anna, &bert, "left", HEARD);
    let warned = anna.cli(["team", "leave", "--json"]).run().code(2);
    assert!(warned.error()["hints"].to_string().contains("--force"), "{}", warned.story());
    anna.cli(["team", "leave", "--force"]).run().ok();
    assert_eq!(anna.cli(["team", "members"]).run().exit.code, Some(7));
}

#[test]
fn a_team_can_be_made_and_joined_before_any_node_runs() {
    let (anna, bert) = (NodeHome::new(BIN), NodeHome::new(BIN));
    anna.cli(["team", "create", "core"]).run().ok();
    let made = anna.cli(["team", "invite", &bert.id().to_string(), "--json"]).run().ok().json();
    bert.cli(["team", "join", made["invite"].as_str().expect("an invite")]).run().ok();
    let first = anna.start();
    // The invite knew no address of anna's: hers comes by hand.
    bert.cli(["rpc", "peers", "add", first.ticket()]).run().ok();
    let second = bert.start();
    all_alive(&first, 2);
    all_alive(&second, 2);
    assert_eq!(members(&first).len(), 2);
}

#[test]
fn names_of_teams_are_words() {
    let anna = NodeHome::new(BIN);
    for bad in ["", "a b", "-x", "beef", "\u{1b}[2J", &"x".repeat(65)] {
        anna.cli(["team", "create", "--", bad]).run().code(2);
    }
    anna.cli(["team", "create", "core"]).run().ok();
    anna.cli(["team", "create", "core"]).run().code(2);
    anna.cli(["team", "members", "cure"]).run().code(7);
    anna.cli(["team", "create", "night"]).run().ok();
    anna.cli(["team", "members"]).run().code(2);
    anna.cli(["team", "members", "night"]).run().ok();
}

/// An invite is an offer: whoever never shows it is no member, and it stands in nobody's way.
#[test]
fn an_invite_that_nobody_showed_makes_nobody_a_member_and_keeps_nobody_one() {
    let (mut anna, bert, carl) = (node("anna"), node("bert"), node("carl"));
    anna.cli(["team", "create", "core"]).run().ok();
    anna.cli(["team", "grant", "--reviewer"]).run().ok();
    join(&anna, &bert, &["--admin"]);
    join(&bert, &carl, &["--expire", "7days"]);
    all_alive(&anna, 3);
    wait::until("what anna gives to carl", HEARD, || (greps(&carl, "anna").0 == Some(0)).then_some(()));
    let never = NodeHome::new(BIN);
    let unused = invite(&anna, &carl, &[]);
    let _unused = invite(&anna, &bert, &[]);
    anna.cli(["team", "invite", &never.id().to_string()]).run().ok();
    for again in [false, true] {
        if again {
            anna.stop();
            anna.restart();
            all_alive(&anna, 3);
        }
        let list = anna.cli(["team", "list", "--json"]).run().ok().json();
        assert_eq!(list[0]["members"], 3, "{list}");
        let all = members(&anna);
        let of = |id: String| all.iter().find(|one| one["id"] == id.as_str()).expect("a row");
        let row = of(never.id().to_string());
        assert_eq!((&row["invited"], &row["state"]), (&true.into(), &"unknown".into()), "{row}");
        assert_eq!(of(carl.id().to_string())["invited"], false);
        // What it has shown is what it is.
        assert_eq!(of(bert.id().to_string())["admin"], true, "{all:?}");
        let mesh = anna.cli(["mesh"]).run().ok();
        assert!(!mesh.out().contains(&never.id().short()), "{}", mesh.out());
    }
    let table = anna.cli(["team", "members"]).run().ok();
    assert!(table.out().contains("invited"), "{}", table.out());
    // The membership that carl has shown was bert's to give, and to take.
    bert.cli(["team", "remove", &carl.id().to_string()]).run().ok();
    sees(&anna, &carl, "removed", HEARD);
    let (code, said) = greps(&carl, anna.ticket());
    assert_eq!(code, Some(4), "{said}");
    // Anna's own invite is hers to give, and to take.
    carl.cli(["team", "join", &unused]).run().ok();
    sees(&anna, &carl, "alive", HEARD);
    anna.cli(["team", "remove", &carl.id().to_string()]).run().ok();
    anna.cli(["team", "remove", &never.id().to_string()]).run().ok();
    carl.cli(["team", "join", &unused]).run().code(4);
    let gone = members(&anna).into_iter().find(|one| one["id"] == never.id().to_string().as_str());
    assert_eq!(gone.expect("a row")["invited"], false);
}

/// The newest membership that a member shows is what it is, also where it ends sooner, and where it is only told of.
#[test]
fn a_member_that_is_made_an_admin_for_a_week_is_one_for_all() {
    let (anna, bert, carl) = (node("anna"), node("bert"), node("carl"));
    team("core", &[&anna, &bert, &carl]);
    join(&anna, &carl, &["--admin", "--expire", "7days"]);
    for node in [&anna, &bert, &carl] {
        wait::until("carl is an admin", HEARD, || {
            let id = carl.id().to_string();
            members(node).into_iter().find(|one| one["id"] == id.as_str() && one["admin"] == true)
        });
    }
}
