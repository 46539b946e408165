//! Setting a lab up: what it is to be, whether it can be, and making it.

use std::{
    io,
    net::Ipv4Addr,
    path::Path,
    process::Command,
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use tun_rs::{DeviceBuilder, Layer, SyncDevice};

use super::{
    Lab, LabError, REQUIRED,
    net::{Net, hardware},
};
use crate::{
    limits::{HOSTS, MTU_BYTES},
    link::Setting,
    relay::Relay,
    space::{Space, fresh_name, sweep},
    switch::Switch,
    words::host_name,
};

/// What a lab is to be.
#[derive(Debug, Clone)]
#[must_use]
pub struct Builder {
    hosts: usize,
    seed: u64,
    setting: Setting,
    ipv6: bool,
    mtu: u16,
}

impl Default for Builder {
    fn default() -> Self {
        Self { hosts: 2, seed: 0, setting: Setting::default(), ipv6: false, mtu: MTU_BYTES }
    }
}

impl Builder {
    /// How many hosts: a, b, c, ... with 10.0.0.1, 10.0.0.2, ...
    pub fn hosts(mut self, hosts: usize) -> Self {
        self.hosts = hosts;
        self
    }

    /// What chance does: the same seed and the same frames, the same decisions.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// What every link does at first.
    pub fn setting(mut self, setting: Setting) -> Self {
        self.setting = setting;
        self
    }

    /// The delay of every link at first, one way.
    pub fn delay(mut self, delay: Duration) -> Self {
        self.setting.delay = delay;
        self
    }

    /// IPv6 as well, link-local and fd00:6c61:62::1 and on. Without it, a host that moves has really moved.
    pub fn ipv6(mut self, ipv6: bool) -> Self {
        self.ipv6 = ipv6;
        self
    }

    /// MTU of the devices, bytes, between 576 and 9,000.
    pub fn mtu(mut self, mtu: u16) -> Self {
        self.mtu = mtu.clamp(576, 9_000);
        self
    }

    /// Starts it; `None`, with the reason printed, where the machine does not allow that.
    ///
    /// # Panics
    /// Where it does not, although `LAB_REQUIRED` is set; for a number of hosts that is not possible.
    #[must_use]
    pub fn start(self) -> Option<Lab> {
        match self.try_start() {
            Ok(lab) => Some(lab),
            // A container may have root without the rights of root.
            Err(error @ (LabError::Missing { .. } | LabError::System(_))) => {
                skip(&error);
                None
            }
            Err(error) => panic!("{error}"),
        }
    }

    /// Starts it.
    ///
    /// # Errors
    /// Says what is missing, or what the system refused.
    pub fn try_start(self) -> Result<Lab, LabError> {
        if !(1..=HOSTS).contains(&self.hosts) {
            return Err(LabError::Hosts(self.hosts));
        }
        possible()?;
        for left in sweep() {
            eprintln!("lab: removed what a killed lab left: {left}");
        }
        let mut switch = Switch::new(self.hosts, self.seed);
        switch.set_all(Duration::ZERO, &self.setting);
        let relay = Arc::new(Relay::new(switch)?);
        let name = fresh_name();
        let mut spaces = Vec::new();
        let mut devices = Vec::new();
        let mut addresses = Vec::new();
        for index in 0..self.hosts {
            let space = Space::add(format!("{name}-{}", host_name(index)))?;
            devices.push(self.device(index, &space)?);
            let last = u8::try_from(index + 1).map_err(io::Error::other)?;
            addresses.push(Ipv4Addr::new(10, 0, 0, last));
            spaces.push(space);
        }
        let net = Arc::new(Net { name, relay, spaces, addresses: Mutex::new(addresses) });
        for index in 0..self.hosts {
            net.attach(index, None)?;
        }
        net.tell_names()?;
        let thread = thread::Builder::new().name("lab relay".into()).spawn({
            let relay = Arc::clone(&net.relay);
            move || relay.run(&devices)
        })?;
        Ok(Lab::running(net, thread))
    }

    /// The host's `eth0`, made within its namespace: it vanishes with this process, however that ends.
    fn device(&self, index: usize, space: &Space) -> io::Result<SyncDevice> {
        let make = || {
            if !self.ipv6 {
                for which in ["all", "default"] {
                    // No such file where the kernel has no IPv6.
                    let _none = std::fs::write(format!("/proc/sys/net/ipv6/conf/{which}/disable_ipv6"), "1");
                }
            }
            DeviceBuilder::new().name("eth0").layer(Layer::L2).enable(false).build_sync()
        };
        let device = space.inside(make)??;
        device.set_nonblocking(true)?;
        let mut lines = format!(
            "link set lo up\nlink set eth0 address {} mtu {}\nlink set eth0 txqueuelen 10000 up\n",
            hardware(index),
            self.mtu
        );
        if self.ipv6 {
            lines.push_str(&format!("addr add fd00:6c61:62::{:x}/64 dev eth0 nodad\n", index + 1));
        }
        space.ip(&lines)?;
        Ok(device)
    }
}

/// Prints why a test is skipped, or fails where it must not be.
pub(crate) fn skip(reason: &dyn std::fmt::Display) {
    assert!(std::env::var_os(REQUIRED).is_none(), "{REQUIRED} is set, and the lab cannot run: {reason}");
    eprintln!("skipped: {reason}");
}

/// Whether this machine lets a lab be made.
fn possible() -> Result<(), LabError> {
    let missing = |what, hint| Err(LabError::Missing { what, hint });
    if !rustix::process::geteuid().is_root() {
        return missing(
            "root",
            "namespaces and devices need it: run as root, in a container with NET_ADMIN and SYS_ADMIN",
        );
    }
    if !Path::new("/dev/net/tun").exists() {
        return missing("/dev/net/tun", "load the module tun, or give the container that device");
    }
    if Command::new("ip").arg("-V").output().is_err() {
        return missing("the program `ip`", "install iproute2");
    }
    Ok(())
}
