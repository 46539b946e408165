//! What the lab, its handles and its controls share.

use std::{
    io,
    net::Ipv4Addr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::{
    link::{Counts, Link},
    relay::Relay,
    space::Space,
    switch::mac,
    words::{Links, host_name},
};

/// What handles share.
#[derive(Debug)]
pub(crate) struct Net {
    pub(super) name: String,
    pub(super) relay: Arc<Relay>,
    pub(super) spaces: Vec<Space>,
    pub(super) addresses: Mutex<Vec<Ipv4Addr>>,
}

impl Net {
    pub(super) fn addresses(&self) -> MutexGuard<'_, Vec<Ipv4Addr>> {
        self.addresses.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a host its address, after taking another. Every address is reached directly: hosts can move anywhere.
    ///
    /// The others' hardware addresses are told, not asked for: a kernel that must ask first keeps the first packets,
    /// and sends them among later ones.
    pub(super) fn attach(&self, index: usize, old: Option<Ipv4Addr>) -> io::Result<()> {
        let addresses = self.addresses().clone();
        let mut lines = String::new();
        if let Some(old) = old {
            lines.push_str(&format!("addr del {old}/24 dev eth0\n"));
        }
        lines.push_str(&format!(
            "addr add {}/24 dev eth0\nroute replace default dev eth0\n",
            addresses[index]
        ));
        for other in (0..addresses.len()).filter(|other| *other != index) {
            lines.push_str(&neighbour(addresses[other], other));
        }
        self.spaces[index].ip(&lines)
    }

    pub(super) fn tell_names(&self) -> io::Result<()> {
        let hosts: Vec<_> = self.addresses().iter().enumerate().map(|(i, a)| (host_name(i), *a)).collect();
        self.spaces.iter().try_for_each(|space| space.names(&hosts))
    }

    pub(super) fn move_host(&self, index: usize, to: Ipv4Addr) -> io::Result<()> {
        let old = {
            let mut addresses = self.addresses();
            if addresses.contains(&to) {
                return Err(io::Error::other(format!("{to} is a host's already")));
            }
            std::mem::replace(&mut addresses[index], to)
        };
        self.attach(index, Some(old))?;
        for other in (0..self.spaces.len()).filter(|other| *other != index) {
            self.spaces[other].ip(&neighbour(to, index))?;
        }
        self.tell_names()
    }

    /// Does something to each of these links.
    pub(super) fn each(&self, which: Links, mut what: impl FnMut(&mut Link, Duration)) {
        self.relay.with(|switch, now| {
            for (from, to) in pairs(switch.hosts()).filter(|(from, to)| which.includes(*from, *to)) {
                switch.change(from, to, |link| what(link, now));
            }
        });
    }

    pub(super) fn show(&self) -> String {
        let mut out = format!("lab {}\n", self.name);
        for (index, address) in self.addresses().iter().enumerate() {
            out.push_str(&format!("host {} {address}\n", host_name(index)));
        }
        self.relay.look(|switch, now| {
            for (from, to) in pairs(switch.hosts()) {
                let link = switch.link(from, to);
                let Counts { offered, delivered, doubled, corrupted, held, .. } = link.counts();
                let lost = link.counts().lost();
                let cut = if link.is_cut(now) { " CUT" } else { "" };
                out.push_str(&format!(
                    "link {}->{}{cut} {}\n  offered {offered} delivered {delivered} lost {lost} doubled {doubled} \
                     corrupted {corrupted} held {held} under way {}\n",
                    host_name(from),
                    host_name(to),
                    link.setting(),
                    link.under_way()
                ));
            }
            out.push_str(&format!("stray {} refused {}\n", switch.stray(), self.relay.refused()));
        });
        out
    }
}

pub(super) fn hardware(host: usize) -> String {
    let [a, b, c, d, e, f] = mac(host);
    format!("{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}")
}

fn neighbour(address: Ipv4Addr, host: usize) -> String {
    format!("neigh replace {address} lladdr {} dev eth0 nud permanent\n", hardware(host))
}

pub(super) fn pairs(hosts: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..hosts * hosts).map(move |index| (index / hosts, index % hosts)).filter(|(from, to)| from != to)
}
