//! Why nobody is found on the local network: a look at what can be known from this machine.
//!
//! Nothing is claimed that was not seen; what is only likely says so ([`Finding::is_certain`]). It joins the mDNS
//! group, asks one question, and listens for its echo and for others' answers, for at most
//! [`DOCTOR_LISTEN_MS`](crate::limits::DOCTOR_LISTEN_MS).

mod probe;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::config::Mdns;
use probe::Heard;

/// A network interface as far as mDNS cares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InterfaceSeen {
    /// The system's name for it.
    pub name: String,
    /// Its IPv4 addresses.
    pub ipv4: Vec<Ipv4Addr>,
    /// Its IPv6 addresses.
    pub ipv6: Vec<Ipv6Addr>,
    /// It is switched on and connected.
    pub up: bool,
    /// It carries multicast.
    pub multicast: bool,
    /// It is the loopback interface.
    pub loopback: bool,
    /// Whether our own question came back on it; none when it was not tried.
    pub echo: Option<bool>,
}

impl InterfaceSeen {
    /// Says whether mDNS can be spoken on it, by what the system says.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        self.up && self.multicast && !(self.ipv4.is_empty() && self.ipv6.is_empty())
    }
}

/// Something that keeps nodes from being found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// No interface is up and has an address.
    NoInterface,
    /// Interfaces are up, but none carries multicast: a VPN, a phone's tether, a container.
    NoMulticast {
        /// Their names.
        interfaces: Vec<String>,
    },
    /// Another program has the port for itself.
    PortHeld {
        /// The port of mDNS.
        port: u16,
    },
    /// The port could not be opened for another reason.
    PortRefused {
        /// The port of mDNS.
        port: u16,
        /// What the system said.
        cause: String,
    },
    /// What we send to the group on these interfaces does not come back, on any port.
    NoEcho {
        /// Their names.
        interfaces: Vec<String>,
    },
    /// It comes back on another port, but not on that of mDNS: a firewall on this machine.
    Firewall {
        /// The port of mDNS.
        port: u16,
        /// The interfaces.
        interfaces: Vec<String>,
    },
    /// Our own question is heard, and nobody else says anything: a network that keeps its guests apart (client
    /// isolation), another network than theirs, or their firewalls.
    NobodyAnswers,
    /// The node of this machine runs with mDNS off.
    MdnsOff,
    /// Other machines speak mDNS here, but no node is among them.
    NoNodes {
        /// How many machines were heard.
        others: usize,
    },
}

impl Finding {
    /// A word for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoInterface => "no-interface",
            Self::NoMulticast { .. } => "no-multicast",
            Self::PortHeld { .. } => "port-held",
            Self::PortRefused { .. } => "port-refused",
            Self::NoEcho { .. } => "no-echo",
            Self::Firewall { .. } => "firewall",
            Self::NobodyAnswers => "nobody-answers",
            Self::MdnsOff => "mdns-off",
            Self::NoNodes { .. } => "no-nodes",
        }
    }

    /// Says whether it was seen, rather than concluded.
    #[must_use]
    pub fn is_certain(&self) -> bool {
        !matches!(self, Self::NobodyAnswers | Self::NoNodes { .. })
    }

    /// What was found, in words.
    #[must_use]
    pub fn what(&self) -> String {
        match self {
            Self::NoInterface => "no network interface is up and has an address".to_owned(),
            Self::NoMulticast { interfaces } => {
                format!("no interface carries multicast (up: {})", interfaces.join(", "))
            }
            Self::PortHeld { port } => format!("another program holds UDP port {port} for itself alone"),
            Self::PortRefused { port, cause } => format!("UDP port {port} cannot be opened: {cause}"),
            Self::NoEcho { interfaces } => {
                format!("multicast sent on {} does not come back, on any port", interfaces.join(", "))
            }
            Self::Firewall { port, interfaces } => format!(
                "a firewall on this machine drops UDP port {port} on {}: other ports come back",
                interfaces.join(", ")
            ),
            Self::MdnsOff => {
                "this machine's node runs with mDNS off: nobody finds it, and it finds nobody".to_owned()
            }
            Self::NobodyAnswers => "nobody else on this network says anything by mDNS".to_owned(),
            Self::NoNodes { others: 1 } => {
                "one other machine speaks mDNS here, but no node is there".to_owned()
            }
            Self::NoNodes { others } => {
                format!("{others} other machines speak mDNS here, but no node is among them")
            }
        }
    }

    /// What to do about it, in words.
    #[must_use]
    pub fn todo(&self) -> String {
        match self {
            Self::NoInterface => "connect to a network; two nodes on this machine alone find each other when both bind to loopback (`bind = \"127.0.0.1:0\"` under `[network]` in their settings), and a ticket reaches them as well",
            Self::NoMulticast { .. } => "multicast does not pass a VPN or a container's network: use the machine's own network, or a ticket (`clankers rpc id` prints it)",
            Self::PortHeld { .. } => "find it with `ss -ulpn 'sport = :5353'` (macOS: `sudo lsof -nP -iUDP:5353`) and let it share the port (SO_REUSEADDR and SO_REUSEPORT), or stop it",
            Self::PortRefused { .. } => "look at what the system said; in a sandbox or container, allow UDP",
            Self::NoEcho { .. } => "allow multicast (224.0.0.251 and ff02::fb) in this machine's firewall, or use a ticket",
            Self::Firewall { .. } => "allow UDP port 5353 and the node's own port (for example: `sudo ufw allow 5353/udp`; firewalld: `sudo firewall-cmd --add-service=mdns`)",
            Self::MdnsOff => "start it without `--mdns off`, and without `mdns = false` under `[network]` in its settings; a ticket works meanwhile",
            Self::NobodyAnswers => "check that a node runs on the same network with mDNS on (`network.mdns` in its settings), that this is not a guest network that keeps its guests apart, and that their firewalls let UDP port 5353 in; a ticket works without mDNS where packets pass",
            Self::NoNodes { .. } => "check that a node runs there with mDNS on (`network.mdns` in its settings); nodes on another network need a ticket or a relay",
        }
        .to_owned()
    }
}

/// What was seen from this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnosis {
    /// Its interfaces.
    pub interfaces: Vec<InterfaceSeen>,
    /// Other machines that said anything by mDNS meanwhile (count).
    pub others: usize,
    /// Nodes among them, this machine's own left out (count of addresses).
    pub nodes: usize,
    /// What keeps nodes from being found, the gravest first. Empty: nothing was found wrong.
    pub findings: Vec<Finding>,
}

/// Looks for what keeps nodes from being found. It never fails: what cannot be found out is not claimed.
pub async fn doctor(mdns: &Mdns) -> Diagnosis {
    let (port, loopback) = (mdns.port, mdns.loopback);
    let seen = tokio::task::spawn_blocking(move || {
        let mut interfaces = probe::interfaces();
        let heard = probe::listen(&mut interfaces, port, loopback);
        (interfaces, heard)
    });
    let Ok((interfaces, heard)) = seen.await else {
        return Diagnosis { interfaces: Vec::new(), others: 0, nodes: 0, findings: Vec::new() };
    };
    conclude(interfaces, &heard, port, loopback)
}

/// What follows from what was seen: pure.
fn conclude(interfaces: Vec<InterfaceSeen>, heard: &Heard, port: u16, loopback: bool) -> Diagnosis {
    let fitting = |i: &&InterfaceSeen| i.loopback == loopback;
    let up: Vec<_> = interfaces
        .iter()
        .filter(fitting)
        .filter(|i| i.up && !(i.ipv4.is_empty() && i.ipv6.is_empty()))
        .collect();
    let names = |of: &[&InterfaceSeen]| of.iter().map(|i| i.name.clone()).collect::<Vec<_>>();
    let deaf: Vec<_> = up.iter().copied().filter(|i| i.is_usable() && i.echo == Some(false)).collect();
    let (walled, silent): (Vec<_>, Vec<_>) = deaf.iter().partition(|i| heard.elsewhere.contains(&i.name));
    let mut findings = Vec::new();
    if up.is_empty() {
        findings.push(Finding::NoInterface);
    } else if !up.iter().any(|i| i.is_usable()) {
        findings.push(Finding::NoMulticast { interfaces: names(&up) });
    }
    match &heard.refused {
        Some(e) if e.kind() == std::io::ErrorKind::AddrInUse => findings.push(Finding::PortHeld { port }),
        Some(e) => findings.push(Finding::PortRefused { port, cause: e.to_string() }),
        None => {}
    }
    if heard.refused.is_none() {
        if !walled.is_empty() {
            findings.push(Finding::Firewall { port, interfaces: names(&walled) });
        }
        if !silent.is_empty() {
            findings.push(Finding::NoEcho { interfaces: names(&silent) });
        }
    }
    if findings.is_empty() && heard.nodes.is_empty() {
        let others = heard.others.len();
        findings.push(if others == 0 { Finding::NobodyAnswers } else { Finding::NoNodes { others } });
    }
    let (others, nodes) = (heard.others.len(), heard.nodes.len());
    Diagnosis { interfaces, others, nodes, findings }
}

/// Says whether an address is one of this machine's.
fn is_own(interfaces: &[InterfaceSeen], ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(v4) => v4.is_loopback() || interfaces.iter().any(|i| i.ipv4.contains(&v4)),
        IpAddr::V6(v6) => v6.is_loopback() || interfaces.iter().any(|i| i.ipv6.contains(&v6)),
    }
}

#[cfg(test)]
mod tests;
