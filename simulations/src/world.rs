//! A world: hosts, links between them, and one queue of what happens.
//!
//! The shell of a host lives here as it does in the hall of a node, and only translates: `transport` moves packets,
//! `crew` hands inputs to the machines and does what they say, `talk` answers requests.

mod crew;
mod people;
pub use people::Revoked;
mod talk;
mod transport;

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use clankers_protocol::CidDigest;

use crate::{
    dice::Dice,
    digest::Digest,
    event::Event,
    host::{Disk, Host},
    judge::Judge,
    links::{Links, Weather},
    payload::{Payload, Payloads},
    queue::{Micros, Queue},
    tally::Tally,
    wire::Wire,
};

/// What a world is made of.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Everything random comes from it.
    pub seed: u64,
    /// Hosts, count.
    pub hosts: u32,
    /// The links.
    pub weather: Weather,
    /// Whether the healers go on once the team has come together: without them a long partition stays.
    pub healer: bool,
    /// A mistake that is planted in every host's shell, to see that it is found.
    pub defect: Option<Defect>,
}

impl Setup {
    /// A world as it is meant to be.
    #[must_use]
    pub fn new(seed: u64, hosts: u32) -> Self {
        Self { seed, hosts, weather: Weather::default(), healer: true, defect: None }
    }
}

/// Mistakes that can be planted, so that a test can see the judge find them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Defect {
    /// Presence is never woken: leases do not end.
    Asleep,
    /// Presence is not told who was removed.
    Forgiving,
    /// What was heard before is taken for news: an old record is shown with a new number.
    Credulous,
    /// The healer is told that those who left were merely lost.
    Clinging,
    /// Whoever gossip names is dialed, member or not.
    Open,
    /// Revocations that are announced are not fetched.
    Deaf,
    /// Connections of gossip are kept, whoever is at their other end.
    Hoarding,
    /// Signatures are not looked at.
    Gullible,
    /// The healer is told that those who were removed were merely lost.
    Haunted,
    /// None of the shell's: the judge takes every limit for a small one.
    Cramped,
}

/// A world.
#[derive(Debug)]
pub struct World {
    now: Micros,
    /// Gossip's core counts in instants: the world's beginning. Only differences to it matter.
    began: Instant,
    queue: Queue<Event>,
    wire: Wire,
    hosts: Vec<Option<Box<Host>>>,
    disks: Vec<Disk>,
    dice: Dice,
    digest: Digest,
    tally: Tally,
    judge: Judge,
    payloads: Payloads,
    /// What the message that a core is looking at brings.
    coming: Option<Payload>,
    healer: bool,
    healing: bool,
    defect: Option<Defect>,
    /// When each running host learned of each revocation.
    learned: BTreeMap<CidDigest, BTreeMap<u32, Micros>>,
}

fn at(host: u32) -> usize {
    usize::try_from(host).unwrap_or(usize::MAX)
}

impl World {
    /// A world in which no host runs yet.
    #[must_use]
    pub fn new(setup: &Setup) -> Self {
        let hosts = at(setup.hosts);
        Self {
            now: 0,
            began: Instant::now(),
            queue: Queue::default(),
            wire: Wire::new(Links::new(setup.seed, hosts, setup.weather), hosts),
            hosts: (0..hosts).map(|_| None).collect(),
            disks: vec![Disk::default(); hosts],
            dice: Dice::new(setup.seed, 0),
            digest: Digest::default(),
            tally: Tally::new(hosts),
            judge: Judge::new(hosts).cramped(setup.defect == Some(Defect::Cramped)),
            payloads: Payloads::default(),
            coming: None,
            healer: setup.healer,
            healing: true,
            defect: setup.defect,
            learned: BTreeMap::new(),
        }
    }

    /// Microseconds since the beginning.
    #[must_use]
    pub fn now(&self) -> Micros {
        self.now
    }

    /// What was counted.
    #[must_use]
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// The hash of everything that happened.
    #[must_use]
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// What was wrong, in order.
    #[must_use]
    pub fn faults(&self) -> &[String] {
        self.judge.faults()
    }

    /// Say that something is wrong, as a scenario sees it.
    pub fn fault(&mut self, what: String) {
        self.judge.fault(self.now, what);
    }

    /// The team has come together: from now on healers run only where the setup wants them.
    pub fn together(&mut self) {
        self.healing = self.healer;
    }

    /// Dice for a scenario.
    pub fn dice(&mut self) -> &mut Dice {
        &mut self.dice
    }

    /// Hosts of this world, running or not.
    pub fn everyone(&self) -> impl Iterator<Item = u32> + use<> {
        0..u32::try_from(self.hosts.len()).unwrap_or(u32::MAX)
    }

    /// Hosts that run.
    #[must_use]
    pub fn running(&self) -> Vec<u32> {
        self.everyone().filter(|host| self.host(*host).is_some()).collect()
    }

    /// A host, when it runs.
    #[must_use]
    pub fn host(&self, host: u32) -> Option<&Host> {
        self.hosts.get(at(host))?.as_deref()
    }

    fn host_mut(&mut self, host: u32) -> Option<&mut Host> {
        self.hosts.get_mut(at(host))?.as_deref_mut()
    }

    /// What a host keeps.
    #[must_use]
    pub fn disk(&self, host: u32) -> Option<&Disk> {
        self.disks.get(at(host))
    }

    /// The same, to be changed: between the steps of a scenario.
    pub fn disk_mut(&mut self, host: u32) -> Option<&mut Disk> {
        self.disks.get_mut(at(host))
    }

    /// When each host learned of a revocation.
    #[must_use]
    pub fn learned(&self, cid: &CidDigest) -> Option<&BTreeMap<u32, Micros>> {
        self.learned.get(cid)
    }

    fn instant(&self) -> Instant {
        self.began + Duration::from_micros(self.now)
    }

    /// Let happen what happens until then, or until something is wrong.
    pub fn run_until(&mut self, until: Micros) {
        while self.judge.faults().is_empty()
            && let Some((at, event)) = self.queue.pop(until)
        {
            self.now = at;
            self.happen(event);
            self.sweep();
        }
        self.now = self.now.max(until);
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Net(transport) => self.transport(transport),
            Event::Timer { host, life, timer } => {
                if self.wire.life(host) == life {
                    self.digest.event(self.now, 1, [host.into(), 0, 0]);
                    self.gossip(host, false, |gossip, now, out| gossip.timer(now, timer, out));
                }
            }
            Event::Wake { host, life, machine, number } => {
                if self.wire.life(host) == life
                    && self.host(host).is_some_and(|h| h.is_latest(machine, number))
                {
                    self.digest.event(self.now, 7, [host.into(), number, 0]);
                    self.woken(host, machine);
                }
            }
            Event::Quit { host, life } => {
                if self.wire.life(host) == life {
                    self.digest.event(self.now, 9, [host.into(), 0, 0]);
                    self.quit(host);
                }
            }
            Event::Recheck { host, life } => {
                if self.wire.life(host) == life {
                    self.digest.event(self.now, 10, [host.into(), 0, 0]);
                    self.recheck(host);
                }
            }
            Event::Spare { host, life, peer } => {
                if self.wire.life(host) == life {
                    self.digest.event(self.now, 11, [host.into(), peer.into(), 0]);
                    self.spare(host, peer);
                }
            }
            Event::WantOver { host, life, peer, number } => {
                if self.wire.life(host) == life {
                    self.digest.event(self.now, 8, [host.into(), peer.into(), number]);
                    self.want_over(host, peer, number);
                }
            }
        }
    }

    /// Look at one host as a whole, another one each time.
    fn sweep(&mut self) {
        let Some(host) = self.judge.turn(self.digest.count()) else { return };
        let (Some(Some(one)), Some(disk)) = (self.hosts.get(at(host)), self.disks.get(at(host))) else {
            return;
        };
        self.judge.sweep(self.now, host, one, disk, &self.disks, &self.wire);
    }

    /// Sizes of the overlay's components among running hosts that are members, the largest first. Two hosts are
    /// together when each is the other's neighbour.
    #[must_use]
    pub fn components(&self) -> Vec<usize> {
        crate::graph::components(self.hosts.len(), |host| {
            let one = self.host(host).filter(|_| !self.judge.is_removed(host))?;
            let mutual = move |peer: &u32| {
                self.host(*peer).is_some_and(|other| other.gossip.neighbors().contains(&host))
            };
            Some(one.gossip.neighbors().iter().copied().filter(mutual))
        })
    }
}
