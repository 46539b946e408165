//! How long a membership lasts: it renews itself, and a removal ends all that was written before.

use std::time::Duration;

use clankers_auth::{limits::REMOVAL_SKEW_SECS, team::peek as team_of};
use clankers_protocol::request::invite::Invite;
use clankers_tests::{Node, NodeHome, forge, wait};

use super::{HEALED, HEARD, all_alive, invite, join, members, node, sees, state_of, team};
use crate::BIN;

/// When this node's membership of its only team ends.
fn ends(node: &Node) -> String {
    let teams = node.cli(["team", "list", "--json"]).run().ok().json();
    teams[0]["expires"].as_str().expect("a time").to_owned()
}

/// Whether a node knows that its membership of its only team holds no longer.
fn has_ended(node: &Node) -> bool {
    let teams = node.cli(["team", "list", "--json"]).run().ok().json();
    !teams[0]["ended"].is_null()
}

/// The same node, which remembers nothing but its key.
fn forgetful(mut node: Node) -> Node {
    let home = NodeHome::new(BIN);
    let _key = home.id();
    let key = "identity.key";
    std::fs::copy(node.home().path().join(key), home.path().join(key)).expect("the key");
    node.stop();
    home.start()
}

/// An invite that renews itself, as its inviter would have written it an hour ago: more than half of its life is over.
fn past_half_of_its_life(inviter: &Node, guest: &Node) -> String {
    // Somebody else's shows what stands above; the inviter remembers none for this guest.
    let nobody = forge::id_of(&forge::random()).to_string();
    let made = inviter.cli(["team", "invite", &nobody, "--json"]).run().ok().json();
    let mut invite = Invite::parse(made["invite"].as_str().expect("an invite")).expect("an invite");
    let chain = ucan::Container::decode(&invite.chain, &ucan::ContainerLimits::CHAIN, ucan::Profile::Strict);
    let chain = chain.expect("a chain");
    let (team, _) = team_of(&invite.chain).expect("a membership");
    let now = forge::now().as_secs();
    let link = forge::Link::new(inviter.home().seed(), team.node(), guest.id())
        .command("/team/member")
        .valid(now - 3_600, now + 900)
        .meta("renew", ucan::Ipld::Bool(true))
        .bytes();
    let above = chain.tokens().map(<[u8]>::to_vec).filter(|token| {
        // The one that the invite itself has given is left out.
        let alone = forge::container([token]);
        team_of(&alone).is_ok_and(|(_, audience)| audience == inviter.id())
    });
    invite.chain = forge::container(above.chain([link]));
    invite.to_text()
}

#[test]
fn a_membership_renews_itself_from_half_of_its_life_on() {
    let (anna, bert, carl) = (node("anna"), node("bert"), node("carl"));
    anna.cli(["team", "create", "core"]).run().ok();
    join(&anna, &bert, &["--expire", "60s", "--renew"]);
    join(&anna, &carl, &["--expire", "30s"]);
    let first = ends(&bert);
    // RFC 3339 in UTC sorts as the times do.
    wait::until("a membership that ends later", Duration::from_secs(120), || {
        (ends(&bert) > first).then_some(())
    });
    // One that is not to renew itself is over when it says.
    wait::until("the other one's end", Duration::from_secs(120), || {
        let teams = carl.cli(["team", "list", "--json"]).run().ok().json();
        (teams[0]["ended"] == "expired").then_some(())
    });
    all_alive(&anna, 2);
    // The inviter knows the new one: no second is written for the same.
    let of_bert = |members: serde_json::Value| {
        let id = bert.id().to_string();
        let members = members.as_array().expect("members").clone();
        members.into_iter().find(|member| member["id"] == id.as_str()).expect("bert")["expires"].clone()
    };
    let members = anna.cli(["team", "members", "--json"]).run().ok().json();
    assert!(of_bert(members).as_str().expect("a time") > first.as_str());
}

#[test]
fn a_removed_member_does_not_come_back_by_an_invite_of_before() {
    let (anna, bert, carl) = (node("anna"), node("bert"), node("carl"));
    anna.cli(["team", "create", "core"]).run().ok();
    join(&anna, &bert, &["--admin"]);
    join(&anna, &carl, &[]);
    for node in [&anna, &bert, &carl] {
        all_alive(node, 3);
    }
    // Written by an admin, kept by its holder, seen by nobody else.
    let kept = invite(&bert, &carl, &["--admin", "--expire", "300days"]);
    anna.cli(["team", "remove", &carl.id().to_string()]).run().ok();
    for node in [&anna, &bert] {
        sees(node, &carl, "removed", HEARD);
    }
    // Its own node knows of the removal, and says so at once.
    carl.cli(["team", "leave"]).run().ok();
    let told = carl.cli(["team", "join", "-"]).stdin(kept.clone()).run();
    assert_eq!(told.exit.code, Some(4), "{}", told.story());
    assert!(told.err().contains("was removed by") && told.err().contains("new invite"), "{}", told.story());
    // One that forgot it, or does not care: it is the others that count.
    let carl = forgetful(carl);
    carl.cli(["team", "join", "-"]).stdin(kept).run().ok();
    wait::until("carl is told that it is none", HEALED, || has_ended(&carl).then_some(()));
    for node in [&anna, &bert] {
        sees(node, &carl, "removed", HEARD);
        all_alive(node, 2);
    }
    // Asked back: at once, by whoever may.
    carl.cli(["team", "leave"]).run().ok();
    join(&bert, &carl, &[]);
    for node in [&anna, &bert, &carl] {
        all_alive(node, 3);
    }
}

/// Dora knows of the removal, leaves the team, and joins it again: nobody tells her a second time what she has the proof of.
#[test]
fn who_left_and_joined_again_still_knows_who_was_removed() {
    let (mut anna, mut bert, dora, eve) = (node("anna"), node("bert"), node("dora"), node("eve"));
    anna.cli(["team", "create", "core"]).run().ok();
    join(&anna, &bert, &["--admin"]);
    for guest in [&dora, &eve] {
        join(&anna, guest, &[]);
    }
    for node in [&anna, &bert, &dora, &eve] {
        all_alive(node, 4);
    }
    let kept = invite(&bert, &eve, &["--expire", "300days"]);
    anna.cli(["team", "remove", &eve.id().to_string()]).run().ok();
    for node in [&bert, &dora] {
        sees(node, &eve, "removed", HEARD);
    }
    dora.cli(["team", "leave"]).run().ok();
    join(&anna, &dora, &[]);
    dora.cli(["team", "grant", "--reviewer"]).run().ok();
    all_alive(&dora, 3);
    // Who removed is not there, nor is who invited.
    anna.stop();
    bert.stop();
    let eve = forgetful(eve);
    eve.cli(["team", "join", "-"]).stdin(kept).run().ok();
    let let_in = wait::until("eve is let in, or told that it is none", HEALED, || {
        if state_of(&dora, &eve) == "alive" { Some(true) } else { has_ended(&eve).then_some(false) }
    });
    assert!(!let_in, "a removed member was let in");
    let ran = eve.cli(["rpc", "prompt", dora.ticket(), "/ls"]).run();
    assert_eq!(ran.exit.code, Some(4), "{}", ran.story());
    let tokens = dora.cli(["token", "list", "--json"]).run().ok();
    assert!(!tokens.out().contains(&eve.id().to_string()), "{}", tokens.story());
}

/// Anna removes carl while bert, who invited carl, is away. When bert is back he knows nothing, and renews.
#[test]
fn a_removal_is_not_undone_by_a_renewal_at_an_inviter_that_had_not_heard_of_it() {
    let (mut anna, mut bert, mut carl) = (node("anna"), node("bert"), node("carl"));
    anna.cli(["team", "create", "core"]).run().ok();
    join(&anna, &bert, &["--admin"]);
    all_alive(&bert, 2);
    // As bert would have written it an hour ago: past half of its life. He himself has not seen it yet.
    let invite = past_half_of_its_life(&bert, &carl);
    bert.stop();
    carl.cli(["team", "join", "-"]).stdin(invite.clone()).run().ok();
    sees(&anna, &carl, "alive", HEARD);
    let first = ends(&carl);
    carl.stop();
    anna.cli(["team", "remove", &carl.id().to_string()]).run().ok();
    sees(&anna, &carl, "removed", HEARD);
    anna.stop();
    // What is written sooner than this after a removal counts as written before it.
    let over = forge::now().plus_ms((REMOVAL_SKEW_SECS + 1) * 1_000);
    wait::until("the clocks' difference to pass", HEARD, || (forge::now() > over).then_some(()));
    bert.restart();
    carl.restart();
    // The two have never met: the invite says where bert is.
    carl.cli(["team", "join", "-"]).stdin(invite).run().ok();
    wait::until("a membership that ends later", HEALED, || (ends(&carl) > first).then_some(()));
    all_alive(&bert, 2);
    // Nobody but anna knows.
    anna.restart();
    let let_in = wait::until("carl is let in by anna, or told that it is none", HEALED, || {
        if state_of(&anna, &carl) == "alive" { Some(true) } else { has_ended(&carl).then_some(false) }
    });
    assert!(!let_in, "the removal was undone");
    for node in [&anna, &bert] {
        sees(node, &carl, "removed", HEALED);
        all_alive(node, 2);
    }
    // What a person writes now holds, whatever was renewed before.
    carl.cli(["team", "leave"]).run().ok();
    join(&bert, &carl, &[]);
    for node in [&anna, &bert, &carl] {
        all_alive(node, 3);
    }
}

/// Leaving and joining again at once meets what is left of the first time, which is still being heard to say goodbye.
#[test]
fn who_leaves_and_joins_again_at_once_is_there() {
    let (anna, bert) = (node("anna"), node("bert"));
    team("core", &[&anna, &bert]);
    let text = invite(&anna, &bert, &[]);
    for _ in 0..3 {
        bert.cli(["team", "leave"]).run().ok();
        bert.cli(["team", "join", &text]).run().ok();
        for node in [&anna, &bert] {
            all_alive(node, 2);
        }
    }
}

/// Bert passes a token of anna's on to somebody outside, and takes it back while anna is away. Nobody tells her but the
/// team: she asks whom she meets what they know of her own.
#[test]
fn what_a_member_has_taken_back_of_anothers_is_known_there_when_that_one_is_back() {
    let (mut anna, bert, guest) = (node("anna"), node("bert"), NodeHome::new(BIN));
    team("core", &[&anna, &bert]);
    anna.grant(bert.home(), &["--reviewer"]);
    let held = bert.cli(["token", "list", "--json"]).run().ok().json();
    let from = held[0]["cid"].as_str().expect("a CID").to_owned();
    let to = guest.id().to_string();
    let made = bert.cli(["token", "delegate", "--json", "--from", &from, "--for", &to]).run().ok().json();
    guest.cli(["token", "import", "-"]).stdin(made["token"].as_str().expect("a token")).run().ok();
    guest.cli(["rpc", "prompt", anna.ticket(), "/ls"]).run().ok();
    anna.stop();
    let revoked = bert.cli(["token", "revoke", made["cid"].as_str().expect("a CID"), "--json"]).run().ok();
    assert_eq!(revoked.json()["revoked"][0]["delivered"], false, "{}", revoked.story());
    anna.restart();
    wait::until("the end of the guest's token", HEALED, || {
        (guest.cli(["rpc", "prompt", anna.ticket(), "/ls"]).run().exit.code == Some(4)).then_some(())
    });
    // What bert holds itself is as good as before.
    bert.cli(["rpc", "prompt", anna.ticket(), "/ls"]).run().ok();
}

#[test]
fn members_are_shown_with_the_end_of_their_membership_and_told_what_to_do_about_it() {
    let (anna, bert, carl) = (node("anna"), node("bert"), node("carl"));
    anna.cli(["team", "create", "core"]).run().ok();
    join(&anna, &bert, &["--expire", "6days"]);
    join(&anna, &carl, &[]);
    for node in [&anna, &bert, &carl] {
        all_alive(node, 3);
    }
    for (node, other, renews) in [(&bert, &bert, false), (&anna, &bert, false), (&bert, &carl, true)] {
        let id = other.id().to_string();
        let all = members(node);
        let seen = all.iter().find(|member| member["id"] == id.as_str()).expect("a member");
        assert!(seen["expires"].is_string() && seen["renews"] == renews, "{seen}");
    }
    let told = |node: &Node| node.cli(["team", "members"]).run().ok();
    let own = told(&bert);
    assert!(
        own.err().contains("this node's membership ends") && own.err().contains("team invite"),
        "{}",
        own.story()
    );
    assert!(own.out().contains("UNTIL") && own.out().contains(", renews"), "{}", own.story());
    // Who may invite is told of the others; who has nothing to do about it is told nothing.
    let hint = format!("'clankers team invite {}'", bert.id().short());
    assert!(told(&anna).err().contains(&hint), "{}", told(&anna).story());
    assert_eq!(told(&carl).err(), "");
    // What it says to do helps.
    join(&anna, &bert, &[]);
    assert_eq!(told(&bert).err(), "");
}
