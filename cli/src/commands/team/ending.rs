//! Memberships that end soon, and what to do about it.

use clankers_protocol::{
    Timestamp,
    request::team::{MemberState, TeamRecord},
};

use super::show::{Noted, label};
use crate::when::when;

/// An end that is nearer than this is spoken of (milliseconds): seven days.
const SOON_MS: u64 = 7 * 24 * 60 * 60 * 1000;

/// Lines for people: of this node's own membership; of others' where this node may invite.
pub(super) fn warnings(team: &TeamRecord, members: &[Noted], now: Timestamp) -> Vec<String> {
    let mut lines = Vec::new();
    for (member, note) in members {
        let Some(ends) = member.expires.filter(|ends| ends.since(now) < SOON_MS) else { continue };
        if note.invited {
            continue;
        }
        // One that renews itself is short when its owner wanted it so.
        if member.state == MemberState::Removed || (note.renews == Some(true) && !note.overdue) {
            continue;
        }
        let (short, ends) = (member.id.short(), when(ends));
        if member.me {
            let why = match note.overdue {
                true => "nobody has renewed it: whoever invited this node is not there",
                false => "it does not renew itself",
            };
            lines.push(format!("! this node's membership ends {ends}, and {why}"));
            let ask = format!("'clankers team invite {short}' on a node that may invite");
            lines.push(format!("  ask for another invite ({ask}), and join by it here as by the first one"));
        } else if team.admin {
            let name = label(member.label.as_deref(), member.claimed.as_deref());
            lines.push(format!("! the membership of {} ends {ends}", format!("{name} {short}").trim()));
            lines.push(format!("  another invite makes it last: 'clankers team invite {short}'"));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use clankers_protocol::{
        NodeId, TeamId,
        request::team::{MemberNote, MemberRecord},
    };

    use super::*;

    const NOW: Timestamp = Timestamp(1_800_000_000_000);
    const DAY: u64 = 86_400_000;

    fn team(admin: bool) -> TeamRecord {
        TeamRecord {
            id: TeamId([7; 32]),
            name: "core".into(),
            admin,
            keeper: false,
            joined: Timestamp(0),
            expires: NOW,
            members: 2,
            alive: 2,
            ended: None,
            dropped: 0,
            template: None,
        }
    }

    fn member(me: bool, ends_in: u64, renews: bool, overdue: bool) -> Noted {
        let record = MemberRecord {
            id: NodeId([9; 32]),
            label: Some("desk".into()),
            claimed: None,
            me,
            admin: false,
            state: MemberState::Alive,
            addrs: Vec::new(),
            relay: None,
            path: None,
            rtt_us: None,
            version: None,
            last_seen: None,
            load: None,
            expires: Some(NOW.plus_ms(ends_in)),
        };
        (record, MemberNote { renews: Some(renews), overdue, ..MemberNote::default() })
    }

    #[test]
    fn an_end_within_a_week_is_spoken_of_with_what_to_do_unless_it_is_no_end() {
        let said = |admin, member: Noted| warnings(&team(admin), &[member], NOW).join("\n");
        let own = said(false, member(true, 6 * DAY, false, false));
        assert!(own.contains("does not renew itself") && own.contains("team invite 0909"), "{own}");
        let late = said(false, member(true, 6 * DAY, true, true));
        assert!(late.contains("nobody has renewed it"), "{late}");
        // Far away; one that will be renewed; another's, by whom nothing can be done.
        for (admin, quiet) in [
            (true, member(true, 8 * DAY, false, false)),
            (true, member(true, 1_000, true, false)),
            (false, member(false, 1_000, false, false)),
        ] {
            assert_eq!(said(admin, quiet), "");
        }
        let other = said(true, member(false, DAY, false, false));
        assert!(other.contains("desk 0909") && other.contains("'clankers team invite 0909"), "{other}");
        // Whoever was removed is not asked to stay.
        let (mut removed, note) = member(false, DAY, false, false);
        removed.state = MemberState::Removed;
        assert_eq!(said(true, (removed, note)), "");
    }
}
