//! Whose sessions a token reaches: only the link that the node itself signed may name others'.

use clankers_auth::{Args, Command, GrantSpec, Sessions};
use ucan::Policy;

use crate::forge::{allows, chain, full, granted, held, link};

fn named(sessions: Sessions) -> GrantSpec {
    GrantSpec { sessions, ..GrantSpec::operator() }
}

#[test]
fn a_token_reaches_the_sessions_that_it_names() {
    let own = held(2, &granted(&GrantSpec::operator()));
    assert!(!own.reaches("s1"), "a policy that does not speak of sessions names none");
    assert!(!held(2, &granted(&GrantSpec::root())).reaches("s1"));
    let one = held(2, &granted(&named(Sessions::These(vec!["s1".into(), "s2".into()]))));
    assert!(one.reaches("s1") && one.reaches("s2") && !one.reaches("s3") && !one.reaches(""));
    let all = held(2, &granted(&named(Sessions::All)));
    assert!(all.reaches("s1") && all.reaches("anything"));
    let everything = GrantSpec { sessions: Sessions::All, ..GrantSpec::root() };
    assert!(held(2, &granted(&everything)).reaches("s1"));
}

#[test]
fn naming_a_session_needs_the_right_to_see_it() {
    let blind =
        GrantSpec { commands: vec![Command::PromptSend], sessions: Sessions::All, ..GrantSpec::default() };
    assert!(!held(2, &granted(&blind)).reaches("s1"));
}

#[test]
fn links_below_the_root_name_no_session() {
    let all = || Policy::like(".session", "*");
    assert!(held(2, &chain(&[link(1, 2, [all()])])).reaches("s1"));
    assert!(!held(3, &chain(&[link(1, 2, []), link(2, 3, [all()])])).reaches("s1"));
    let either = Policy::or([Policy::like(".cmd", "*"), all()]);
    assert!(!held(2, &chain(&[link(1, 2, [either])])).reaches("s1"), "without a session it allows as much");
}

#[test]
fn a_token_for_a_session_is_for_no_other() {
    let spec = named(Sessions::These(vec!["s1".into()]));
    let about = [
        Command::PromptSend,
        Command::PromptCancel,
        Command::Observe,
        Command::Drive,
        Command::SessionKill,
        Command::Approve,
        Command::ToolUse,
    ];
    for command in about {
        let args = full(command);
        assert!(allows(&spec, command, &args), "{command:?}");
        for session in [None, Some("s2".to_owned()), Some("s".to_owned())] {
            let args = Args { session, ..args.clone() };
            assert!(!allows(&spec, command, &args), "{command:?}");
        }
    }
    assert!(!allows(&spec, Command::SessionCreate, &full(Command::SessionCreate)));
    assert!(allows(&spec, Command::SessionList, &Args::default()));
    assert!(allows(&named(Sessions::All), Command::SessionCreate, &full(Command::SessionCreate)));
}
