//! A wire between a client and a node that can be cut: UDP, passed on by this process.

use std::{
    collections::HashMap,
    net::{SocketAddr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use clankers_mesh::PeerAddress;

/// The largest datagram (bytes).
const DATAGRAM_BYTES: usize = 64 * 1024;
/// How soon a thread sees that the wire is gone (time).
const LOOK: Duration = Duration::from_millis(100);

#[derive(Debug, Default)]
struct State {
    cut: AtomicBool,
    over: AtomicBool,
    passed: AtomicU64,
    lost: AtomicU64,
}

/// A wire to one node. Ends with the value.
#[derive(Debug)]
pub struct Wire {
    address: PeerAddress,
    state: Arc<State>,
}

impl Wire {
    /// A wire to the node at `to`.
    ///
    /// # Panics
    /// When there is no port.
    #[must_use]
    pub fn to(to: &PeerAddress) -> Self {
        let target = *to.addrs.first().expect("a node with an address");
        let front = UdpSocket::bind("127.0.0.1:0").expect("a port on loopback");
        front.set_read_timeout(Some(LOOK)).expect("a time limit");
        let address =
            PeerAddress { id: to.id, addrs: vec![front.local_addr().expect("an address")], relay: None };
        let state = Arc::<State>::default();
        let shared = Arc::clone(&state);
        thread::spawn(move || forward(&Arc::new(front), target, &shared));
        Self { address, state }
    }

    /// A ticket with the wire's near end as the node's only address.
    ///
    /// # Panics
    /// When it cannot be written.
    #[must_use]
    pub fn ticket(&self) -> String {
        self.address.ticket().expect("a ticket")
    }

    /// From now on everything is lost, or passed on again.
    pub fn cut(&self, cut: bool) {
        self.state.cut.store(cut, Ordering::Relaxed);
    }

    /// Datagrams that were passed on, and that were lost (counts).
    #[must_use]
    pub fn counts(&self) -> (u64, u64) {
        (self.state.passed.load(Ordering::Relaxed), self.state.lost.load(Ordering::Relaxed))
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.state.over.store(true, Ordering::Relaxed);
    }
}

fn forward(front: &Arc<UdpSocket>, target: SocketAddr, state: &Arc<State>) {
    let mut ways: HashMap<SocketAddr, Arc<UdpSocket>> = HashMap::new();
    pump(front, state, |bytes, from| {
        let way = ways.entry(from).or_insert_with(|| {
            let way = Arc::new(UdpSocket::bind("127.0.0.1:0").expect("a port on loopback"));
            way.set_read_timeout(Some(LOOK)).expect("a time limit");
            let (back, front, state) = (Arc::clone(&way), Arc::clone(front), Arc::clone(state));
            thread::spawn(move || {
                pump(&back, &state, |bytes, _| drop(front.send_to(bytes, from)));
            });
            way
        });
        // What cannot be sent is lost, as on any wire.
        let _lost = way.send_to(bytes, target);
    });
}

/// Reads until the wire is gone.
fn pump(from: &UdpSocket, state: &State, mut pass: impl FnMut(&[u8], SocketAddr)) {
    let mut buffer = vec![0; DATAGRAM_BYTES];
    while !state.over.load(Ordering::Relaxed) {
        match from.recv_from(&mut buffer) {
            Ok(_) if state.cut.load(Ordering::Relaxed) => {
                state.lost.fetch_add(1, Ordering::Relaxed);
            }
            Ok((length, sender)) => {
                state.passed.fetch_add(1, Ordering::Relaxed);
                pass(&buffer[..length], sender);
            }
            // Nothing came, or the other end is not there now.
            Err(_) => {}
        }
    }
}
