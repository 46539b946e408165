//! The sockets of the check: one question on each interface, and an ear for its echo and for answers.

use std::{
    collections::BTreeSet,
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket},
    time::{Duration, Instant},
};

use socket2::{Domain, Protocol, SockRef, Socket, Type};

use super::{InterfaceSeen, is_own};
use crate::{
    discovery::record::SERVICE,
    limits::{DOCTOR_AGAIN_MS, DOCTOR_LISTEN_MS, DOCTOR_OTHERS, DOCTOR_PACKET_BYTES, DOCTOR_PACKETS},
};

/// The group of mDNS (RFC 6762 section 3).
const GROUP: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 251);

/// What was heard.
#[derive(Debug, Default)]
pub(super) struct Heard {
    /// Why the port of mDNS was not opened.
    pub(super) refused: Option<io::Error>,
    /// Interfaces on which multicast came back on another port.
    pub(super) elsewhere: BTreeSet<String>,
    /// Other machines.
    pub(super) others: BTreeSet<IpAddr>,
    /// Machines that answered for our service; this one only where there is no other, on loopback.
    pub(super) nodes: BTreeSet<IpAddr>,
}

pub(super) fn interfaces() -> Vec<InterfaceSeen> {
    netdev::get_interfaces()
        .into_iter()
        .map(|i| InterfaceSeen {
            ipv4: i.ipv4_addrs(),
            ipv6: i.ipv6_addrs(),
            up: i.is_up() && i.is_running(),
            // Linux does not set the flag on loopback, where multicast works all the same.
            multicast: i.is_multicast() || i.is_loopback(),
            loopback: i.is_loopback(),
            echo: None,
            name: i.name,
        })
        .collect()
}

/// Asks on every fitting interface and listens. IPv4 only: that is what routers and firewalls get wrong, and an
/// interface without it is left untried.
pub(super) fn listen(interfaces: &mut [InterfaceSeen], port: u16, loopback: bool) -> Heard {
    let mut heard = Heard::default();
    let ear = match open(port) {
        Ok(ear) => ear,
        Err(e) => {
            heard.refused = Some(e);
            return heard;
        }
    };
    // A port of its own, to tell a firewall from a network without multicast.
    let other = open(0).ok();
    let mark = mark();
    for (n, interface) in (0_u8..).zip(interfaces.iter_mut()) {
        if let Some(ip) =
            interface.ipv4.first().filter(|_| interface.is_usable() && interface.loopback == loopback)
            && speak(&ear, other.as_ref(), *ip, port, &question([mark, n])).is_ok()
        {
            interface.echo = Some(false);
        }
    }
    let begun = Instant::now();
    let end = begun + Duration::from_millis(DOCTOR_LISTEN_MS);
    // What was answered a moment ago is not answered again within a second (RFC 6762 section 6): it is asked twice.
    let mut again = Some(begun + Duration::from_millis(DOCTOR_AGAIN_MS));
    let mut packet = vec![0; DOCTOR_PACKET_BYTES];
    for _ in 0..DOCTOR_PACKETS {
        let left = again.unwrap_or(end).saturating_duration_since(Instant::now());
        let Some((from, packet)) = read(&ear, left, &mut packet) else {
            if again.take().is_none() {
                break;
            }
            ask_again(&ear, interfaces, port, mark);
            continue;
        };
        match echo(packet, mark) {
            Some(n) => {
                if let Some(interface) = interfaces.get_mut(n) {
                    interface.echo = Some(true);
                }
            }
            None => note(interfaces, loopback, from, packet, &mut heard),
        }
    }
    if let Some(other) = &other {
        for _ in 0..DOCTOR_PACKETS {
            let Some((_, packet)) = read(other, Duration::from_millis(1), &mut packet) else { break };
            let name = echo(packet, mark).and_then(|n| Some(interfaces.get(n)?.name.clone()));
            heard.elsewhere.extend(name);
        }
    }
    heard
}

/// mDNS leaves the id of a message unused (RFC 6762 section 18.1): the first byte of ours tells this check from
/// other programs here, the second one interface from another.
fn mark() -> u8 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    now.subsec_micros().to_le_bytes()[0] | 1
}

/// The interface on which we asked this, if we did.
fn echo(packet: &[u8], mark: u8) -> Option<usize> {
    let n = *packet.get(1)?;
    (packet == question([mark, n]).as_slice()).then_some(usize::from(n))
}

fn note(interfaces: &[InterfaceSeen], loopback: bool, from: SocketAddr, packet: &[u8], heard: &mut Heard) {
    let is_answer = packet.get(2).is_some_and(|flags| flags & 0x80 != 0);
    let own = is_own(interfaces, from.ip());
    if is_answer && names_service(packet) && (loopback || !own) && heard.nodes.len() < DOCTOR_OTHERS {
        heard.nodes.insert(from.ip());
    }
    if !own && heard.others.len() < DOCTOR_OTHERS {
        heard.others.insert(from.ip());
    }
}

/// Says whether our service's name stands in a packet. It is only counted, so a look at the bytes is enough.
fn names_service(packet: &[u8]) -> bool {
    let name = name(SERVICE);
    let first = name.len().saturating_sub(1);
    name.get(..first).is_some_and(|labels| packet.windows(first).any(|w| w.eq_ignore_ascii_case(labels)))
}

/// A name as labels (RFC 1035 section 3.1).
fn name(of: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for label in of.split('.').filter(|label| !label.is_empty()) {
        out.push(u8::try_from(label.len()).unwrap_or(0));
        out.extend_from_slice(label.as_bytes());
    }
    out.push(0);
    out
}

/// The questions: who offers our service, and who offers any (RFC 6763 section 9).
fn question(id: [u8; 2]) -> Vec<u8> {
    let mut out = id.to_vec();
    out.extend_from_slice(&[0, 0, 0, 2, 0, 0, 0, 0, 0, 0]);
    for service in [SERVICE, "_services._dns-sd._udp.local."] {
        out.extend(name(service));
        // PTR, class IN.
        out.extend_from_slice(&[0, 12, 0, 1]);
    }
    out
}

/// A socket on a port, shared with whoever shares it.
fn open(port: u16) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_reuse_address(true)?;
    #[cfg(unix)]
    socket.set_reuse_port(true)?;
    socket.bind(&SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port).into())?;
    socket.set_multicast_ttl_v4(255)?;
    socket.set_multicast_loop_v4(true)?;
    Ok(socket.into())
}

/// Asks the group on one interface, on the port of mDNS and on the other. Answers to a question from the port of
/// mDNS go to the group (RFC 6762 section 6), where they are heard.
fn speak(
    ear: &UdpSocket,
    other: Option<&UdpSocket>,
    ip: Ipv4Addr,
    port: u16,
    question: &[u8],
) -> io::Result<()> {
    ear.join_multicast_v4(&GROUP, &ip)?;
    send(ear, ip, port, question)?;
    if let Some(other) = other
        && other.join_multicast_v4(&GROUP, &ip).is_ok()
    {
        ear.send_to(question, (GROUP, other.local_addr()?.port()))?;
    }
    Ok(())
}

fn send(ear: &UdpSocket, ip: Ipv4Addr, port: u16, question: &[u8]) -> io::Result<()> {
    SockRef::from(ear).set_multicast_if_v4(&ip)?;
    ear.send_to(question, (GROUP, port)).map(drop)
}

/// The same questions where they were asked before.
fn ask_again(ear: &UdpSocket, interfaces: &[InterfaceSeen], port: u16, mark: u8) {
    for (n, interface) in (0_u8..).zip(interfaces) {
        if let (Some(_), Some(ip)) = (interface.echo, interface.ipv4.first()) {
            // It was possible a moment ago; if it is not any more, the first time has to do.
            let _gone = send(ear, *ip, port, &question([mark, n]));
        }
    }
}

fn read<'a>(socket: &UdpSocket, limit: Duration, buf: &'a mut [u8]) -> Option<(SocketAddr, &'a [u8])> {
    if limit.is_zero() {
        return None;
    }
    socket.set_read_timeout(Some(limit)).ok()?;
    let (size, from) = socket.recv_from(buf).ok()?;
    Some((from, buf.get(..size)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machines_own_node_is_none_that_was_found() {
        let own = Ipv4Addr::new(10, 0, 0, 1);
        let interface = InterfaceSeen {
            name: "eth0".to_owned(),
            ipv4: vec![own],
            ipv6: Vec::new(),
            up: true,
            multicast: true,
            loopback: false,
            echo: None,
        };
        let mut answer = question([0, 0]);
        answer[2] = 0x84;
        let mut heard = Heard::default();
        for last in [1, 2, 3] {
            let from = SocketAddr::from((Ipv4Addr::new(10, 0, 0, last), 5353));
            note(std::slice::from_ref(&interface), false, from, &answer, &mut heard);
        }
        assert_eq!((heard.others.len(), heard.nodes.len()), (2, 2), "{heard:?}");
        assert!(!heard.nodes.contains(&own.into()), "{heard:?}");
        // On loopback there is no other machine.
        note(&[interface], true, (own, 5353).into(), &answer, &mut heard);
        assert_eq!((heard.others.len(), heard.nodes.len()), (2, 3), "{heard:?}");
    }

    #[test]
    fn the_question_is_dns_and_only_our_own_is_an_echo() {
        let packet = question([7, 3]);
        let names = name(SERVICE).len() + name("_services._dns-sd._udp.local.").len();
        assert_eq!(packet.len(), 12 + names + 8);
        assert_eq!(echo(&packet, 7), Some(3));
        assert_eq!(echo(&packet, 9), None, "somebody else asks the same");
        assert_eq!(echo(&[7], 7), None);
        assert!(names_service(&packet));
        assert!(!names_service(b"\x09_services\x07_dns-sd\x04_udp\x05local\0"));
        assert!(!names_service(b""));
    }
}
