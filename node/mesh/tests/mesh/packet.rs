//! mDNS packets as anyone on the network can send them (RFC 1035 section 4, RFC 6762 section 18).

use std::net::{Ipv4Addr, UdpSocket};

use clankers_protocol::NodeId;

/// The service type, as labels.
const SERVICE: [&str; 3] = ["_clankers", "_udp", "local"];

pub(crate) fn name(labels: &[&str], out: &mut Vec<u8>) {
    for label in labels {
        out.push(u8::try_from(label.len()).unwrap());
        out.extend_from_slice(label.as_bytes());
    }
    out.push(0);
}

fn record(labels: &[&str], kind: u16, ttl: u32, data: &[u8], out: &mut Vec<u8>) {
    name(labels, out);
    out.extend_from_slice(&kind.to_be_bytes());
    // Class IN; all but the shared PTR flush the cache.
    out.extend_from_slice(&(if kind == 12 { 1_u16 } else { 0x8001 }).to_be_bytes());
    out.extend_from_slice(&ttl.to_be_bytes());
    out.extend_from_slice(&u16::try_from(data.len()).unwrap().to_be_bytes());
    out.extend_from_slice(data);
}

/// One record of a packet.
pub(crate) struct Record<'a> {
    pub(crate) name: &'a [&'a str],
    pub(crate) kind: u16,
    pub(crate) ttl: u32,
    pub(crate) data: &'a [u8],
}

/// An unsolicited response with these records.
pub(crate) fn packet(records: &[Record<'_>]) -> Vec<u8> {
    let count = u8::try_from(records.len()).unwrap();
    let mut out = vec![0, 0, 0x84, 0, 0, 0, 0, count, 0, 0, 0, 0];
    for r in records {
        record(r.name, r.kind, r.ttl, r.data, &mut out);
    }
    out
}

/// An unsolicited response that announces a node with this id at an IPv4 address and port.
pub(crate) fn announcement(id: NodeId, ip: Ipv4Addr, port: u16) -> Vec<u8> {
    let instance = clankers_mesh::discovery::record::instance(id);
    let [service, udp, local] = SERVICE;
    let full = [instance.as_str(), service, udp, local];
    let host = [instance.as_str(), local];
    let mut out = vec![0, 0, 0x84, 0, 0, 0, 0, 4, 0, 0, 0, 0];
    let mut data = Vec::new();
    name(&full, &mut data);
    record(&SERVICE, 12, 120, &data, &mut out);
    let mut data = vec![0, 0, 0, 0];
    data.extend_from_slice(&port.to_be_bytes());
    name(&host, &mut data);
    record(&full, 33, 120, &data, &mut out);
    let mut data = Vec::new();
    for pair in ["txtvers=1".to_owned(), format!("id={instance}"), format!("p4={port}")] {
        data.push(u8::try_from(pair.len()).unwrap());
        data.extend_from_slice(pair.as_bytes());
    }
    record(&full, 16, 120, &data, &mut out);
    record(&host, 1, 120, &ip.octets(), &mut out);
    out
}

/// A socket that sends to the group on the loopback interface from the port where others listen.
pub(crate) struct Sender {
    socket: UdpSocket,
    port: u16,
}

impl Sender {
    pub(crate) fn new(port: u16) -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        Self { socket, port }
    }

    pub(crate) fn send(&self, packet: &[u8]) {
        self.socket.send_to(packet, (Ipv4Addr::new(224, 0, 0, 251), self.port)).unwrap();
    }
}
