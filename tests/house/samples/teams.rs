//! Frames of teams and presence.

use clankers_protocol::{
    NodeId, TeamId, Timestamp,
    request::{
        peers::PeerRecord,
        presence::{
            MemberChain, MeshNode, MeshView, MeshViewReply, PeerProbe, PeerProbed, PresenceDigest,
            PresenceSync, PresenceSynced, ToldRecord,
        },
        revocation::RevokedLink,
        session::{SessionInfo, SessionState},
        team::{
            MemberLoad, MemberRecord, MemberState, TeamClaim, TeamClaimed, TeamCreate, TeamCreated,
            TeamGrant, TeamGranted, TeamInvite, TeamInvited, TeamJoin, TeamJoined, TeamLeave, TeamLeft,
            TeamList, TeamListReply, TeamMembers, TeamMembersReply, TeamRecord, TeamRemove, TeamRemoved,
            TeamShow, TeamShown, TemplateRecord,
        },
        tokens::{Preset, Rights},
    },
};

use super::{AT, LEAF, NODE, SESSION, Sample, ext, message};

const TEAM: TeamId = TeamId([0x7e; 32]);
const UNTIL: Timestamp = Timestamp(1_763_769_600_000);

fn team() -> TeamRecord {
    TeamRecord {
        id: TEAM,
        name: "core".into(),
        admin: true,
        keeper: true,
        joined: AT,
        expires: UNTIL,
        members: 3,
        alive: 2,
        ended: None,
        dropped: 3,
        template: Some(TemplateRecord {
            grants: vec!["prompt".into(), "use the tools read, grep".into()],
            expire_secs: 86_400,
            given: 1,
        }),
    }
}

fn bare_team() -> TeamRecord {
    TeamRecord { template: None, admin: false, keeper: false, ended: Some(3), ..team() }
}

fn member(state: MemberState) -> MemberRecord {
    MemberRecord {
        id: NODE,
        label: Some("desk".into()),
        claimed: Some("anna".into()),
        me: false,
        admin: true,
        state,
        addrs: vec!["192.0.2.7:4433".into()],
        relay: Some("https://relay.example.org/".into()),
        path: Some("direct".into()),
        rtt_us: Some(212),
        version: Some("clankers/0.1.0".into()),
        last_seen: Some(AT),
        load: Some(MemberLoad { sessions: 4, running: 1 }),
        expires: Some(UNTIL),
    }
}

fn peer() -> PeerRecord {
    PeerRecord {
        id: NODE,
        label: Some("desk".into()),
        claimed: None,
        addrs: vec!["192.0.2.7:4433".into()],
        relay: None,
        via: vec!["gossip".into(), "mdns".into()],
        version: Some("clankers/0.1.0".into()),
        last_seen: Some(AT),
        trusted: true,
    }
}

fn session() -> SessionInfo {
    SessionInfo {
        id: SESSION,
        title: "count to three".into(),
        state: SessionState::Running,
        model: "offline/offline".into(),
        head_seq: 9,
        attached: 1,
        created: AT,
        principal: NODE,
        cwd: String::new(),
        archived: false,
    }
}

pub(super) fn all() -> Vec<Sample> {
    [owners(), changes(), members(), views()].into_iter().flatten().collect()
}

fn owners() -> Vec<Sample> {
    let name = Some("core".to_owned());
    let invited = TeamInvited {
        invite: "clankers-team:AAEC".into(),
        team: team(),
        member: NODE,
        cid: "bafyreia".into(),
        expires: UNTIL,
        ext: ext(),
    };
    vec![
        message("", TeamCreate { leaf: LEAF, name: "core".into(), ext: ext() }),
        message("", TeamCreated { team: team(), ext: ext() }),
        message(
            "",
            TeamInvite {
                leaf: LEAF,
                team: name.clone(),
                peer: "desk".into(),
                admin: true,
                expire_secs: 86_400,
                renew: true,
                ext: ext(),
            },
        ),
        message("", invited),
        message("", TeamJoin { leaf: LEAF, invite: "clankers-team:AAEC".into(), ext: ext() }),
        message("", TeamJoined { team: bare_team(), known: false, reached: 2, ext: ext() }),
        message("", TeamList { leaf: LEAF, ext: ext() }),
        message("", TeamListReply { teams: vec![team(), bare_team()], ext: ext() }),
        message("", TeamMembers { leaf: LEAF, team: name, skip: 0, ext: ext() }),
        message("", all_states()),
    ]
}

fn all_states() -> TeamMembersReply {
    let states = [
        MemberState::Alive,
        MemberState::Lost,
        MemberState::Left,
        MemberState::Removed,
        MemberState::Unknown,
    ];
    TeamMembersReply { team: team(), members: states.map(member).to_vec(), more: 1, ext: ext() }
}

fn changes() -> Vec<Sample> {
    let link = RevokedLink {
        cid: "bafyreia".into(),
        subject: NodeId(TEAM.0),
        audience: NODE,
        expires: UNTIL,
        revocation: vec![1, 2, 3],
    };
    let grant = |rights| TeamGrant { leaf: LEAF, team: None, rights, expire_secs: 86_400, ext: ext() };
    let reviewer = Rights { preset: Some(Preset::Reviewer), ..Rights::default() };
    vec![
        message("", TeamLeave { leaf: LEAF, team: None, force: true, ext: ext() }),
        message("", TeamLeft { team: bare_team(), ext: ext() }),
        message("", TeamRemove { leaf: LEAF, team: None, peer: "desk".into(), ext: ext() }),
        message("", TeamRemoved { team: team(), member: NODE, links: vec![link], tokens: 1, ext: ext() }),
        message("reviewer", grant(Some(reviewer))),
        message("nothing", grant(None)),
        message("", TeamGranted { team: team(), ended: 1, warnings: vec!["it may cost".into()], ext: ext() }),
    ]
}

fn told() -> Vec<ToldRecord> {
    vec![ToldRecord { age_ms: 1_200, record: vec![1, 2] }]
}

fn chains() -> Vec<MemberChain> {
    vec![MemberChain { member: NODE, chain: vec![0x40, 9] }]
}

fn sync(have: Option<Vec<PresenceDigest>>) -> PresenceSync {
    PresenceSync { team: TEAM, have, records: told(), chains: chains(), ask: vec![NODE], ext: ext() }
}

fn members() -> Vec<Sample> {
    let digest = PresenceDigest { member: NODE, boot_id: 7, counter: 42 };
    vec![
        message("", TeamShow { team: TEAM, chain: vec![0x40, 1, 2], ext: ext() }),
        message("", TeamShown { chain: vec![0x40, 3], ext: ext() }),
        message("", TeamClaim { team: TEAM, ext: ext() }),
        message("", TeamClaimed { token: "Coken".into(), ext: ext() }),
        message("digests", sync(Some(vec![digest]))),
        message("told", sync(None)),
        message("", PresenceSynced { records: told(), chains: chains(), want: vec![NODE], ext: ext() }),
    ]
}

fn views() -> Vec<Sample> {
    let node = MeshNode {
        peer: peer(),
        me: true,
        teams: vec!["core".into()],
        state: Some(MemberState::Alive),
        path: Some("direct".into()),
        rtt_us: Some(212),
        load: Some(MemberLoad { sessions: 4, running: 1 }),
        sessions: Some(vec![session()]),
    };
    vec![
        message("", MeshView { leaf: LEAF, skip: 200, ask_ms: 1_500, ext: ext() }),
        message("", MeshViewReply { nodes: vec![node], more: 3, ext: ext() }),
        message("", PeerProbe { leaf: LEAF, peer: "desk".into(), limit_ms: 5_000, ext: ext() }),
        message("", PeerProbed { peer: peer(), path: "direct".into(), rtt_us: 212, ext: ext() }),
    ]
}
