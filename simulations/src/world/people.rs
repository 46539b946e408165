//! Hosts come, go, are lost and are removed; memberships are learned.

use clankers_protocol::{
    CidDigest, NodeId, Timestamp, healer, peering,
    presence::{self, Noted},
    spread::{self, How},
};

use super::{Defect, World, at};
use crate::{
    event::Event,
    host::{BEGIN_MS, Host, TEAM},
    limits::{FAREWELL, RECHECK_PAUSE},
    names,
    wire::Lane,
};

/// How long links are good in a world, milliseconds: 400 days, the longest there are.
const LINK_MS: u64 = 400 * 86_400_000;

/// What a revocation in a world takes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revoked {
    /// A membership: it concerns everyone.
    Member(u32),
    /// A link of the team that is nobody's membership, told from others by this number: it concerns everyone.
    Link(u32),
    /// A token for rights on this host: it concerns that host alone.
    Token(u32),
}

impl Revoked {
    /// The digest that names it.
    #[must_use]
    pub fn cid(self) -> CidDigest {
        let (tag, number) = match self {
            Self::Member(host) => (1, host),
            Self::Link(number) => (2, number),
            Self::Token(host) => (3, host),
        };
        let mut bytes = names::id(number).0;
        if let Some(last) = bytes.last_mut() {
            *last = tag;
        }
        CidDigest(bytes)
    }

    /// The member, when it is a membership.
    #[must_use]
    pub fn member(self) -> Option<u32> {
        match self {
            Self::Member(host) => Some(host),
            Self::Link(_) | Self::Token(_) => None,
        }
    }

    /// Whether a host has to know.
    #[must_use]
    pub fn concerns(self, host: u32) -> bool {
        match self {
            Self::Member(_) | Self::Link(_) => true,
            Self::Token(subject) => subject == host,
        }
    }

    /// Whose rights it carries.
    fn subject(self) -> NodeId {
        match self {
            Self::Member(_) | Self::Link(_) => TEAM.node(),
            Self::Token(host) => names::id(host),
        }
    }

    fn of(cid: &CidDigest) -> Option<Self> {
        let number = names::host(&NodeId(cid.0));
        match cid.0.last()? {
            1 => Some(Self::Member(number)),
            2 => Some(Self::Link(number)),
            3 => Some(Self::Token(number)),
            _ => None,
        }
    }
}

impl World {
    /// Start a host. It knows what is on its disk: members and revocations; at first, whom its invite names.
    pub fn start(&mut self, host: u32) {
        if self.wire.runs(host) {
            return;
        }
        self.wire.start(host);
        let clock = self.clock(host);
        let Some(disk) = self.disks.get_mut(at(host)) else { return };
        disk.boot_id = (disk.boot_id + 1).max(clock.0);
        disk.left = false;
        // What was taken back and not looked at before the end: nobody is shown by a membership that does not hold.
        let revoked = disk.revoked.values().filter_map(|noted| Revoked::of(&noted.cid)?.member());
        for member in revoked.collect::<Vec<_>>() {
            disk.members.remove(&member);
            disk.removed.insert(member);
        }
        let disk = disk.clone();
        let one = Host::new(host, &disk, &mut self.dice);
        if let Some(slot) = self.hosts.get_mut(at(host)) {
            *slot = Some(Box::new(one));
        }
        self.judge.started(host);
        self.gossip(host, false, |gossip, now, out| gossip.join(now, &[], out));
        for noted in disk.revoked.values() {
            let known = spread::Input::Known { noted: *noted, how: How::Loaded };
            self.spread(host, known);
        }
        for member in &disk.members {
            self.introduce(host, *member);
        }
        self.presence(host, presence::Input::Start);
        self.healer(host, healer::Input::Start);
    }

    /// End a host's process without a word.
    pub fn kill(&mut self, host: u32) {
        self.wire.kill(self.now, host, &mut self.queue);
        if let Some(slot) = self.hosts.get_mut(at(host)) {
            *slot = None;
        }
    }

    /// A host says goodbye, and ends a moment later.
    pub fn leave(&mut self, host: u32) {
        self.presence(host, presence::Input::Leave);
        let life = self.wire.life(host);
        self.queue.push(self.now + FAREWELL, Event::Quit { host, life });
    }

    pub(super) fn quit(&mut self, host: u32) {
        self.gossip(host, false, |gossip, now, out| gossip.quit(now, out));
        for (peer, lane) in self.wire.peers(host) {
            self.close(host, peer, lane);
        }
        if let Some(disk) = self.disks.get_mut(at(host)) {
            disk.left = true;
        }
        self.kill(host);
    }

    /// Put hosts on sides of a cut.
    pub fn cut(&mut self, sides: &[(u32, u8)]) {
        self.wire.cut(self.now, sides, &mut self.queue);
    }

    /// A host has noticed that its network changed.
    pub fn network_changed(&mut self, host: u32) {
        self.healer(host, healer::Input::NetworkChanged);
    }

    /// A host takes something back.
    pub fn revoke(&mut self, host: u32, what: Revoked) {
        // When the link would have ended: as its issuer said, whose clock may be another.
        let expires = Timestamp(BEGIN_MS + LINK_MS);
        let noted = Noted { cid: what.cid(), subject: what.subject(), expires };
        self.judge.revoked(self.now, what);
        self.adopt(host, &noted, How::Own);
    }

    /// A revocation was judged good here and is stored.
    pub(super) fn adopt(&mut self, host: u32, noted: &Noted, how: How) {
        if self.store(host, noted) {
            self.spread(host, spread::Input::Known { noted: *noted, how });
            self.want_recheck(host);
        }
    }

    /// Store a revocation. False when it was known.
    pub(super) fn store(&mut self, host: u32, noted: &Noted) -> bool {
        let Some(disk) = self.disks.get_mut(at(host)) else { return false };
        if disk.revoked.insert(noted.cid, *noted).is_some() {
            return false;
        }
        self.learned.entry(noted.cid).or_default().insert(host, self.now);
        true
    }

    /// Who is a member still is to be looked at: at once, or a while after the last time.
    pub(super) fn want_recheck(&mut self, host: u32) {
        let (now, life) = (self.now, self.wire.life(host));
        let Some(one) = self.host_mut(host).filter(|one| !one.recheck) else { return };
        one.recheck = true;
        let then = one.recheck_at.max(now);
        self.queue.push(then, Event::Recheck { host, life });
    }

    /// Looks at who is a member still.
    pub(super) fn recheck(&mut self, host: u32) {
        let now = self.now;
        let Some(one) = self.host_mut(host) else { return };
        (one.recheck, one.recheck_at) = (false, now + RECHECK_PAUSE);
        let Some(disk) = self.disks.get(at(host)) else { return };
        let revoked = disk.revoked.keys().filter_map(|cid| Revoked::of(cid)?.member());
        for member in revoked.filter(|member| !disk.removed.contains(member)).collect::<Vec<_>>() {
            self.enforce(host, member);
        }
    }

    /// What was taken back is of no use any more.
    fn enforce(&mut self, host: u32, member: u32) {
        let id = names::id(member);
        if let Some(disk) = self.disks.get_mut(at(host)) {
            disk.members.remove(&member);
            disk.removed.insert(member);
        }
        if let Some(one) = self.host_mut(host) {
            one.newest.set(member, (0, 0));
        }
        if self.defect != Some(Defect::Forgiving) {
            self.presence(host, presence::Input::Removed(id));
        }
        if self.defect == Some(Defect::Haunted) {
            self.healer(host, healer::Input::Silent(id));
        } else {
            self.healer(host, healer::Input::Forget(id));
        }
        self.spread(host, spread::Input::Removed(id));
        self.peering(host, peering::Input::Removed(id));
        self.close(host, member, Lane::Hall);
    }

    /// A membership was seen and judged good, unless it is among those taken back.
    pub(super) fn learn(&mut self, host: u32, member: u32) -> bool {
        let Some(disk) = self.disks.get_mut(at(host)) else { return false };
        if disk.removed.contains(&member) || member == host {
            return false;
        }
        // One that is known stays until it is looked at again.
        let revoked = disk.revoked.contains_key(&Revoked::Member(member).cid());
        if revoked && !disk.members.contains(&member) {
            return false;
        }
        let new = disk.members.insert(member);
        let gone = self.host_mut(host).is_some_and(|one| one.gone.remove(&member));
        if new || gone {
            self.introduce(host, member);
        }
        true
    }

    fn introduce(&mut self, host: u32, member: u32) {
        let id = names::id(member);
        self.presence(host, presence::Input::Member(id));
        self.spread(host, spread::Input::Member(id));
        self.peering(host, peering::Input::Member(id));
        self.healer(host, healer::Input::Remember(id));
    }
}
