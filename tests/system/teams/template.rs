//! What members are given.

use clankers_tests::wait;

use super::{HEARD, greps, node, team};

#[test]
fn each_member_has_a_token_of_its_own_which_can_be_taken_back() {
    let (anna, bert, carl) = (node("anna"), node("bert"), node("carl"));
    team("core", &[&anna, &bert, &carl]);
    let granted =
        anna.cli(["team", "grant", "--tools", "grep", "--max-cost", "1", "--json"]).run().ok().json();
    assert!(granted["grants"]["grants"].to_string().contains("grep"), "{granted}");
    for guest in [&bert, &carl] {
        let (code, said) = greps(guest, "anna");
        assert_eq!(code, Some(0), "{said}");
    }
    let issued = anna.cli(["token", "list", "--json"]).run().ok().json();
    let issued = issued.as_array().expect("an array");
    let of_bert = issued.iter().find(|token| token["audience"] == bert.id().to_string().as_str());
    let cid = of_bert.expect("bert's token")["cid"].as_str().expect("a CID").to_owned();
    assert_eq!(issued.len(), 2);
    anna.cli(["token", "revoke", &cid]).run().ok();
    assert_eq!(greps(&bert, "anna").0, Some(4));
    assert_eq!(greps(&carl, "anna").0, Some(0));
    // Nor is it given another, though it is a member still: not until the owner gives anew.
    bert.cli(["token", "forget", &cid]).run().ok();
    wait::until("bert to be told that there is nothing", HEARD, || {
        let said = greps(&bert, "anna");
        assert_eq!(said.0, Some(4), "{}", said.1);
        said.1.contains("not allowed to prompt (needs").then_some(())
    });
    anna.cli(["team", "grant", "--tools", "grep"]).run().ok();
    wait::until("bert's new token", HEARD, || (greps(&bert, "anna").0 == Some(0)).then_some(()));
    // It allows what was said and nothing else.
    carl.cli(["rpc", "prompt", "anna", "/write x.txt y"]).run().code(4);
}

#[test]
fn another_kind_of_token_takes_the_place_of_the_old_and_nothing_ends_all() {
    let (anna, bert) = (node("anna"), node("bert"));
    team("core", &[&anna, &bert]);
    anna.cli(["team", "grant", "--tools", "ls"]).run().ok();
    bert.cli(["rpc", "prompt", "anna", "/ls ."]).run().ok();
    assert_eq!(greps(&bert, "anna").0, Some(4));
    let changed = anna.cli(["team", "grant", "--tools", "grep"]).run().ok();
    assert!(changed.err().contains("ended: 1"), "{}", changed.story());
    wait::until("the new kind of token", HEARD, || (greps(&bert, "anna").0 == Some(0)).then_some(()));
    bert.cli(["rpc", "prompt", "anna", "/ls ."]).run().code(4);
    let nothing = anna.cli(["team", "grant", "--nothing", "--json"]).run().ok().json();
    assert_eq!(nothing["grants"], serde_json::Value::Null);
    assert_eq!(greps(&bert, "anna").0, Some(4));
    anna.cli(["team", "grant"]).run().code(2);
}

#[test]
fn a_token_that_the_owner_imported_is_not_replaced() {
    let (anna, bert) = (node("anna"), node("bert"));
    team("core", &[&anna, &bert]);
    anna.grant(bert.home(), &["--tools", "ls"]);
    anna.cli(["team", "grant", "--tools", "grep"]).run().ok();
    // The owner chose what is held there: nothing is asked for beyond it.
    assert_eq!(greps(&bert, "anna").0, Some(4));
    bert.cli(["rpc", "prompt", "anna", "/ls ."]).run().ok();
}

/// Each has a total of its own, and no second one by asking again.
#[test]
fn what_members_may_send_in_all_is_each_ones_own() {
    let (anna, bert, carl) = (node("anna"), node("bert"), node("carl"));
    team("core", &[&anna, &bert, &carl]);
    let granted = anna.cli(["team", "grant", "--drop", "--max-total", "2MB", "--json"]).run().ok().json();
    assert!(
        granted["grants"]["grants"].to_string().contains("at most 2 MB of files sent in all"),
        "{granted}"
    );
    for guest in [&bert, &carl] {
        let send = |name: &str, bytes: usize| {
            let file = guest.home().file(name, vec![7; bytes]);
            guest.cli(["rpc", "send-file", "anna", file.to_str().expect("a name")]).run()
        };
        send("a", 1_500_000).ok();
        for _try in 0..2 {
            let ran = send("b", 1_000_000).code(5);
            assert!(ran.err().contains("that your token allows in all"), "{}", ran.story());
        }
        send("c", 400_000).ok();
    }
}
