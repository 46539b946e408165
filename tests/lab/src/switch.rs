//! The switch between the hosts, as a machine: frames of a host in, frames for hosts out, each by its own link.
//!
//! Frames go to the host whose address they carry; multicast and broadcast go to everybody else, so that mDNS crosses.
//! ARP and neighbour discovery belong to the lab, not to the network that is played: they pass at once and are not
//! counted, or a lost one would add a second to whatever is measured, and a cut would show as "host unreachable".

use std::{collections::BTreeSet, time::Duration};

use bytes::Bytes;

use crate::link::{Counts, Link, Setting};

/// First bytes of a host's hardware address: locally administered, "lab".
const MAC: [u8; 4] = [0x02, b'l', b'a', b'b'];
const ETHER: usize = 14;
const ARP: [u8; 2] = [0x08, 0x06];
const IPV6: [u8; 2] = [0x86, 0xdd];
const ICMPV6: u8 = 58;

/// The hardware address of a host.
#[must_use]
pub fn mac(host: usize) -> [u8; 6] {
    let [high, low] = u16::try_from(host).unwrap_or(u16::MAX).to_be_bytes();
    [MAC[0], MAC[1], MAC[2], MAC[3], high, low]
}

/// Links between all hosts.
#[derive(Debug)]
pub struct Switch {
    hosts: usize,
    /// From host f to host t at `f * hosts + t`; those of a host to itself are never used.
    links: Vec<Link>,
    /// When each link has something to do.
    agenda: BTreeSet<(Duration, usize)>,
    noted: Vec<Option<Duration>>,
    stray: u64,
}

impl Switch {
    /// Perfect links between this many hosts.
    #[must_use]
    pub fn new(hosts: usize, seed: u64) -> Self {
        let link = |index: usize| Link::new(seed ^ (index as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let pairs = hosts * hosts;
        Self {
            hosts,
            links: (0..pairs).map(link).collect(),
            agenda: BTreeSet::new(),
            noted: vec![None; pairs],
            stray: 0,
        }
    }

    /// Hosts.
    #[must_use]
    pub fn hosts(&self) -> usize {
        self.hosts
    }

    /// Frames for nobody here.
    #[must_use]
    pub fn stray(&self) -> u64 {
        self.stray
    }

    /// A link.
    #[must_use]
    pub fn link(&self, from: usize, to: usize) -> &Link {
        &self.links[from * self.hosts + to]
    }

    /// What happened on a link.
    #[must_use]
    pub fn counts(&self, from: usize, to: usize) -> Counts {
        self.link(from, to).counts()
    }

    /// Does something to a link, and notes when it wants to be looked at.
    pub fn change<T>(&mut self, from: usize, to: usize, what: impl FnOnce(&mut Link) -> T) -> T {
        let index = from * self.hosts + to;
        let done = what(&mut self.links[index]);
        self.note(index);
        done
    }

    /// Sets all links alike.
    pub fn set_all(&mut self, now: Duration, setting: &Setting) {
        for index in 0..self.links.len() {
            self.links[index].set(now, setting.clone());
            self.note(index);
        }
    }

    /// A host sent a frame. What passes at once is in `out`, with the host that it is for.
    pub fn arrive(&mut self, now: Duration, from: usize, frame: Bytes, out: &mut Vec<(usize, Bytes)>) {
        let Some(target) = frame.first_chunk::<6>().copied() else {
            self.stray += 1;
            return;
        };
        let everybody = target[0] & 1 == 1;
        let one = (0..self.hosts).find(|host| mac(*host) == target && *host != from);
        if !everybody && one.is_none() {
            self.stray += 1;
            return;
        }
        let at_once = is_housekeeping(&frame);
        for to in (0..self.hosts).filter(|to| *to != from && (everybody || one == Some(*to))) {
            if at_once {
                out.push((to, frame.clone()));
            } else {
                self.change(from, to, |link| link.offer(now, frame.clone()));
            }
        }
    }

    /// Every frame that is due by `now`, in the order of due times.
    pub fn due(&mut self, now: Duration, out: &mut Vec<(usize, Bytes)>) {
        while let Some((at, index)) = self.agenda.first().copied().filter(|(at, _)| *at <= now) {
            // Only up to the moment noted: another link's frame may be due before this one's next.
            while let Some((_, frame)) = self.links[index].due(at) {
                out.push((index % self.hosts, frame));
            }
            self.note(index);
        }
    }

    /// When there is something to do next.
    #[must_use]
    pub fn next(&self) -> Option<Duration> {
        self.agenda.first().map(|(at, _)| *at)
    }

    fn note(&mut self, index: usize) {
        if let Some(old) = self.noted[index].take() {
            self.agenda.remove(&(old, index));
        }
        if let Some(next) = self.links[index].next() {
            self.agenda.insert((next, index));
            self.noted[index] = Some(next);
        }
    }
}

/// ARP, or ICMPv6 neighbour and router discovery (RFC 4861: types 133 to 137).
fn is_housekeeping(frame: &[u8]) -> bool {
    match frame.get(12..ETHER) {
        Some(kind) if kind == ARP => true,
        Some(kind) if kind == IPV6 => {
            frame.get(ETHER + 6) == Some(&ICMPV6)
                && frame.get(ETHER + 40).is_some_and(|icmp| (133..=137).contains(icmp))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(to: [u8; 6], kind: [u8; 2], number: u8) -> Bytes {
        [&to[..], &mac(0), &kind, &[number; 50]].concat().into()
    }

    const IPV4: [u8; 2] = [0x08, 0x00];
    const EVERYBODY: [u8; 6] = [0x01, 0x00, 0x5e, 0x00, 0x00, 0xfb];
    const NOW: Duration = Duration::ZERO;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn frames_find_their_host_each_after_its_links_delay() {
        let mut switch = Switch::new(3, 1);
        switch.change(0, 1, |link| link.set(NOW, Setting::delayed(ms(50))));
        switch.change(0, 2, |link| link.set(NOW, Setting::delayed(ms(10))));
        let mut out = Vec::new();
        switch.arrive(NOW, 0, frame(mac(1), IPV4, 1), &mut out);
        switch.arrive(NOW, 0, frame(EVERYBODY, IPV4, 2), &mut out);
        switch.arrive(NOW, 0, frame(mac(0), IPV4, 3), &mut out);
        switch.arrive(NOW, 0, frame(mac(9), IPV4, 4), &mut out);
        switch.arrive(NOW, 0, Bytes::from_static(b"short"), &mut out);
        assert!(out.is_empty());
        assert_eq!(switch.next(), Some(ms(10)));
        switch.due(ms(49), &mut out);
        assert_eq!(out.iter().map(|(to, f)| (*to, f[14])).collect::<Vec<_>>(), [(2, 2)]);
        switch.due(ms(50), &mut out);
        assert_eq!(out.iter().map(|(to, f)| (*to, f[14])).collect::<Vec<_>>(), [(2, 2), (1, 1), (1, 2)]);
        assert_eq!((switch.next(), switch.stray()), (None, 3));
    }

    #[test]
    fn frames_of_several_links_come_out_in_the_order_of_their_times() {
        let mut switch = Switch::new(2, 1);
        switch.change(0, 1, |link| link.set(NOW, Setting::delayed(ms(30))));
        switch.change(1, 0, |link| link.set(NOW, Setting::delayed(ms(25))));
        let mut out = Vec::new();
        for number in 0..10 {
            let now = ms(10) * u32::from(number);
            switch.arrive(now, 0, frame(mac(1), IPV4, number), &mut out);
            switch.arrive(now, 1, frame(mac(0), IPV4, number), &mut out);
        }
        switch.due(ms(1000), &mut out);
        let seen: Vec<(usize, u8)> = out.iter().map(|(to, f)| (*to, f[14])).collect();
        let wanted: Vec<(usize, u8)> = (0..10).flat_map(|n| [(0, n), (1, n)]).collect();
        assert_eq!(seen, wanted);
    }

    #[test]
    fn housekeeping_passes_a_cut_and_is_not_counted() {
        let mut switch = Switch::new(2, 1);
        switch.change(0, 1, |link| link.cut(NOW, None));
        let mut out = Vec::new();
        switch.arrive(NOW, 0, frame([0xff; 6], ARP, 1), &mut out);
        assert_eq!(out.len(), 1);
        let mut ipv6 = frame(mac(1), IPV6, 0).to_vec();
        ipv6[ETHER + 6] = ICMPV6;
        ipv6[ETHER + 40] = 135;
        switch.arrive(NOW, 0, ipv6.clone().into(), &mut out);
        assert_eq!(out.len(), 2);
        // An echo request is traffic.
        ipv6[ETHER + 40] = 128;
        switch.arrive(NOW, 0, ipv6.into(), &mut out);
        switch.arrive(NOW, 0, frame(mac(1), IPV4, 1), &mut out);
        assert_eq!(out.len(), 2);
        assert_eq!((switch.counts(0, 1).offered, switch.counts(0, 1).lost_cut), (2, 2));
    }
}
