//! The check as a whole: who is let in, who is not, and for which reason.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may")]

use clankers_auth::{
    Args, Command, Denial, GrantSpec, Standing, VerifiedTokens, admit,
    mint::{self, for_run, grant},
    words::describe,
};
use clankers_protocol::{NodeId, Timestamp, refusal::RefusalCode};
use ucan::{Chain, Container, ContainerLimits, Delegation, Did, Policy, Profile, SigningKey};

const NOW: Timestamp = Timestamp(1_800_000_000_000);
const DAY: u64 = 24 * 3600;

fn seed(n: u8) -> [u8; 32] {
    [n; 32]
}

fn id(n: u8) -> NodeId {
    NodeId(SigningKey::from_bytes(&seed(n)).verifying_key().to_bytes())
}

fn later(secs: u64) -> Timestamp {
    NOW.plus_ms(secs * 1000)
}

/// Nothing revoked, nothing used.
fn at(now: Timestamp) -> Standing<'static> {
    Standing::offline(now, Timestamp(0))
}

fn judge_at(now: Timestamp, me: u8, remote: NodeId, token: &[u8]) -> Result<clankers_auth::Held, Denial> {
    admit(&at(now), id(me), remote, token, &mut VerifiedTokens::default())
}

fn judge(me: u8, remote: NodeId, token: &[u8]) -> Result<clankers_auth::Held, Denial> {
    judge_at(NOW, me, remote, token)
}

fn minted(spec: &GrantSpec) -> Vec<u8> {
    grant(&seed(1), id(2), spec, NOW, DAY, [7; 16]).unwrap().to_bytes().unwrap()
}

fn tool(name: &str) -> Args {
    Args { tool: Some(name.to_owned()), ..Args::default() }
}

fn code(result: Result<impl std::fmt::Debug, Denial>) -> RefusalCode {
    result.unwrap_err().code()
}

/// A raw link, for chains that no honest mint makes.
fn link(from: u8, subject: u8, to: u8, cmd: &str, secs: u64) -> Vec<u8> {
    link_with(from, subject, to, cmd, secs, Policy::any_args())
}

fn link_with(from: u8, subject: u8, to: u8, cmd: &str, secs: u64, policy: Policy) -> Vec<u8> {
    let at = ucan::Timestamp::from_secs(NOW.as_secs()).unwrap();
    let command = ucan::Command::parse(cmd).unwrap();
    Delegation::build(Did::from(id(subject).0), Did::from(id(to).0), command, &[from ^ to ^ 0x55; 16])
        .policy(policy)
        .not_before(at)
        .expires(at.saturating_add(secs))
        .sign(&SigningKey::from_bytes(&seed(from)), Profile::Strict)
        .unwrap()
        .bytes()
        .to_vec()
}

fn chain(links: &[Vec<u8>]) -> Vec<u8> {
    Container::new(links, &ContainerLimits::CHAIN).unwrap().to_bytes().unwrap()
}

#[test]
fn presets_allow_what_they_say_and_no_more() {
    let none = Args::default();
    let allowed = |spec: &GrantSpec, command, args: &Args| {
        judge(1, id(2), &minted(spec)).unwrap().authorize(&at(NOW), command, args).is_ok()
    };
    let read_only = GrantSpec::read_only();
    assert!(allowed(&read_only, Command::Observe, &none));
    assert!(!allowed(&read_only, Command::PromptSend, &none));
    assert!(!allowed(&read_only, Command::Drive, &none));
    let reviewer = GrantSpec::reviewer();
    assert!(allowed(&reviewer, Command::PromptSend, &none));
    assert!(allowed(&reviewer, Command::ToolUse, &tool("grep")));
    assert!(!allowed(&reviewer, Command::ToolUse, &tool("write")));
    assert!(!allowed(&reviewer, Command::ToolUse, &none), "a tool that is not named is not allowed");
    assert!(!allowed(&reviewer, Command::ShellExec, &tool("bash")));
    let operator = GrantSpec::operator();
    assert!(allowed(&operator, Command::ToolUse, &tool("edit")));
    assert!(allowed(&operator, Command::Drive, &none));
    assert!(!allowed(&operator, Command::ShellExec, &tool("bash")));
    assert!(!allowed(&operator, Command::AdminGrant, &none));
    assert!(!allowed(&operator, Command::AdminStop, &none));
    let root = GrantSpec::root();
    assert!(Command::ALL.iter().all(|c| allowed(&root, *c, &none)));
    let just = GrantSpec::tools(vec!["ls".into()]);
    assert!(allowed(&just, Command::PromptSend, &none) && allowed(&just, Command::ToolUse, &tool("ls")));
    assert!(allowed(&just, Command::SessionList, &none) && allowed(&just, Command::Observe, &none));
    assert!(!allowed(&just, Command::ToolUse, &tool("read")) && !allowed(&just, Command::NodeInfo, &none));
    let shell = GrantSpec::tools(vec!["bash".into()]);
    assert!(allowed(&shell, Command::ShellExec, &tool("bash")) && shell.allows_shell());
}

#[test]
fn a_stolen_token_is_of_no_use() {
    assert_eq!(code(judge(1, id(3), &minted(&GrantSpec::root()))), RefusalCode::WrongAudience);
}

#[test]
fn a_token_for_another_node_is_named_as_such() {
    assert_eq!(code(judge(9, id(2), &minted(&GrantSpec::root()))), RefusalCode::WrongNode);
}

#[test]
fn a_self_signed_root_about_this_node_is_no_root() {
    let forged = chain(&[link(2, 1, 2, "/", DAY)]);
    assert!(judge(1, id(2), &forged).is_err(), "issuer and audience are one");
    let forged = chain(&[link(3, 1, 2, "/", DAY)]);
    assert_eq!(code(judge(1, id(2), &forged)), RefusalCode::BadToken);
}

#[test]
fn extending_a_token_that_one_has_merely_seen_fails() {
    // 1 granted 2; 4 has seen it and appends a link of its own to 5.
    let seen = link(1, 1, 2, "/", DAY);
    assert_eq!(code(judge(1, id(5), &chain(&[seen, link(4, 1, 5, "/", DAY)]))), RefusalCode::BadToken);
}

#[test]
fn surplus_missing_and_switched_links_fail() {
    let (a, b) = (link(1, 1, 2, "/", DAY), link(2, 1, 3, "/", DAY));
    assert!(judge(1, id(3), &chain(&[a.clone(), b.clone()])).is_ok());
    assert_eq!(code(judge(1, id(3), &chain(std::slice::from_ref(&b)))), RefusalCode::BadToken);
    assert_eq!(
        code(judge(1, id(3), &chain(&[a.clone(), b, link(6, 1, 7, "/", DAY)]))),
        RefusalCode::BadToken
    );
    let switched = link(2, 8, 3, "/", DAY);
    assert_eq!(code(judge(1, id(3), &chain(&[a, switched]))), RefusalCode::BadToken);
}

#[test]
fn a_flipped_bit_in_any_link_is_found() {
    let (a, b) = (link(1, 1, 2, "/", DAY), link(2, 1, 3, "/", DAY));
    for which in 0..2 {
        for at in (0..a.len().min(b.len())).step_by(7) {
            let mut links = [a.clone(), b.clone()];
            links[which][at] ^= 1;
            let container = chain(&links);
            assert!(judge(1, id(3), &container).is_err(), "link {which}, byte {at}");
        }
    }
}

#[test]
fn time_is_judged_for_every_link_and_at_every_use() {
    let expired_root = [link(1, 1, 2, "/", 10), link(2, 1, 3, "/", DAY)];
    assert_eq!(code(judge_at(later(11), 1, id(3), &chain(&expired_root))), RefusalCode::Expired);
    let held = judge(1, id(3), &chain(&expired_root)).unwrap();
    assert!(held.authorize(&at(later(5)), Command::NodeInfo, &Args::default()).is_ok());
    assert_eq!(
        code(held.authorize(&at(later(11)), Command::NodeInfo, &Args::default())),
        RefusalCode::Expired
    );
    assert!(held.check_running(&at(later(11))).is_err());
    let early = Timestamp(NOW.0 - 61_000);
    assert_eq!(code(judge_at(early, 1, id(3), &chain(&expired_root))), RefusalCode::NotYetValid);
    let within_leeway = Timestamp(NOW.0 - 59_000);
    assert!(judge_at(within_leeway, 1, id(3), &chain(&expired_root)).is_ok());
}

#[test]
fn nothing_lives_longer_than_400_days() {
    assert!(grant(&seed(1), id(2), &GrantSpec::root(), NOW, 401 * DAY, [0; 16]).is_err());
    assert!(grant(&seed(1), id(2), &GrantSpec::root(), NOW, 0, [0; 16]).is_err());
    assert_eq!(code(judge(1, id(2), &chain(&[link(1, 1, 2, "/", 401 * DAY)]))), RefusalCode::BadToken);
}

#[test]
fn an_older_epoch_is_withdrawn() {
    let token = minted(&GrantSpec::root());
    let standing = Standing::offline(NOW, later(1));
    let judged = admit(&standing, id(1), id(2), &token, &mut VerifiedTokens::default());
    assert_eq!(code(judged), RefusalCode::Revoked);
}

#[test]
fn delegating_onward_narrows_by_itself() {
    let reviewer = describe(&minted(&GrantSpec::reviewer())).unwrap().container;
    let container = Container::decode(&reviewer, &ContainerLimits::CHAIN, Profile::Strict).unwrap();
    let root = container.tokens().next().unwrap().to_vec();
    // The delegate claims everything for the next one: the reviewer's policy still holds.
    let widened = chain(&[root, link(2, 1, 3, "/", DAY)]);
    let held = judge(1, id(3), &widened).unwrap();
    assert!(held.authorize(&at(NOW), Command::ToolUse, &tool("read")).is_ok());
    assert_eq!(code(held.authorize(&at(NOW), Command::ToolUse, &tool("write"))), RefusalCode::Unauthorized);
    assert_eq!(
        code(held.authorize(&at(NOW), Command::AdminStop, &Args::default())),
        RefusalCode::Unauthorized
    );
    assert_eq!(held.principal(), id(3));
    assert!(!held.is_owner());
}

#[test]
fn the_owner_is_the_node_key_itself_and_nobody_else() {
    let run = for_run(&seed(1), None, id(1), id(40), NOW, [1; 16]).unwrap().to_bytes().unwrap();
    let held = judge(1, id(40), &run).unwrap();
    assert!(held.is_owner());
    assert_eq!(held.principal(), id(1));
    let grant = held.authorize(&at(NOW), Command::AdminStop, &Args::default()).unwrap();
    assert!(grant.owner && grant.expires.is_none());
    // A short grant of everything is not the owner, however short.
    let token =
        mint::grant(&seed(1), id(2), &GrantSpec::root(), NOW, 60, [2; 16]).unwrap().to_bytes().unwrap();
    let held = judge(1, id(2), &token).unwrap();
    assert!(!held.is_owner());
    assert_eq!(held.principal(), id(2));
}

#[test]
fn a_run_of_a_granted_node_is_its_node_and_bounds_only_the_start() {
    let token = minted(&GrantSpec::reviewer());
    let run = for_run(&seed(2), Some(&token), id(1), id(50), NOW, [3; 16]).unwrap().to_bytes().unwrap();
    let held = judge(1, id(50), &run).unwrap();
    assert_eq!(held.principal(), id(2));
    assert!(!held.is_owner());
    let after_run = later(700);
    assert_eq!(
        code(held.authorize(&at(after_run), Command::PromptSend, &Args::default())),
        RefusalCode::Expired
    );
    assert!(held.authorize_running(&at(after_run), Command::ToolUse, &tool("read")).is_ok());
    assert!(held.authorize_running(&at(after_run), Command::ToolUse, &tool("write")).is_err());
    assert_eq!(
        code(held.authorize_running(&at(later(DAY + 1)), Command::ToolUse, &tool("read"))),
        RefusalCode::Expired
    );
}

#[test]
fn segments_not_letters_make_a_prefix() {
    let held = judge(1, id(2), &chain(&[link(1, 1, 2, "/clankers/file", DAY)])).unwrap();
    assert!(held.authorize(&at(NOW), Command::FileRead, &Args::default()).is_ok());
    let odd = judge(1, id(2), &chain(&[link(1, 1, 2, "/clankers/fil", DAY)])).unwrap();
    assert!(odd.authorize(&at(NOW), Command::FileRead, &Args::default()).is_err());
}

#[test]
fn an_argument_that_is_not_there_denies() {
    let policy = Policy::build([Policy::eq(".path", "src")], Profile::Strict).unwrap();
    let held = judge(1, id(2), &chain(&[link_with(1, 1, 2, "/", DAY, policy)])).unwrap();
    assert!(held.authorize(&at(NOW), Command::FileRead, &Args::default()).is_err());
    let args = Args { path: Some("src".into()), ..Args::default() };
    assert!(held.authorize(&at(NOW), Command::FileRead, &args).is_ok());
    let args = Args { path: Some("src2".into()), ..Args::default() };
    assert!(held.authorize(&at(NOW), Command::FileRead, &args).is_err());
}

#[test]
fn words_say_what_the_check_does() {
    let said = describe(&minted(&GrantSpec::reviewer())).unwrap();
    assert_eq!((said.subject, said.issuer, said.audience), (id(1), id(1), id(2)));
    assert!(said.grants.contains(&"prompt".to_owned()), "{:?}", said.grants);
    assert!(said.grants.contains(&"use the tools read, grep, find, ls".to_owned()), "{:?}", said.grants);
    assert_eq!(describe(&minted(&GrantSpec::root())).unwrap().grants, ["everything, the shell included"]);
    let text = grant(&seed(1), id(2), &GrantSpec::root(), NOW, DAY, [7; 16]).unwrap().to_text().unwrap();
    assert!(text.starts_with('C'));
    assert_eq!(describe(text.as_bytes()).unwrap().cid, describe(&minted(&GrantSpec::root())).unwrap().cid);
    assert!(describe(b"Cgarbage").is_err());
}

#[test]
fn a_remembered_signature_remembers_nothing_else() {
    let mut verified = VerifiedTokens::default();
    let token = minted(&GrantSpec::reviewer());
    assert!(admit(&at(NOW), id(1), id(2), &token, &mut verified).is_ok());
    assert!(admit(&at(later(2 * DAY)), id(1), id(2), &token, &mut verified).is_err());
    assert!(admit(&at(NOW), id(1), id(3), &token, &mut verified).is_err());
}

#[test]
fn every_command_of_the_table_parses() {
    for command in Command::ALL {
        assert!(ucan::Command::parse(command.path()).is_ok(), "{}", command.path());
    }
    let links = chain(&[link(1, 1, 2, "/", DAY)]);
    let container = Container::decode(&links, &ContainerLimits::CHAIN, Profile::Strict).unwrap();
    assert!(Chain::order(container.delegations(Profile::Strict).unwrap()).is_ok());
}
