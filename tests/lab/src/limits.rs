//! Every bound of the lab, with its unit.

use std::time::Duration;

/// Hosts of one lab, count: each pair is two links.
pub const HOSTS: usize = 64;
/// Largest frame that a device hands over, bytes: a jumbo frame with its Ethernet header.
pub const FRAME_BYTES: usize = 9_018;
/// MTU of a host's device unless told otherwise, bytes without the Ethernet header.
pub const MTU_BYTES: u16 = 1_500;
/// What may wait before a link of limited rate unless told otherwise, bytes. More is dropped at the tail.
pub const QUEUE_BYTES: usize = 256 * 1024;
/// What a link holds in all, waiting and in flight, bytes: 1 Gbit/s over 500 ms. More is dropped, and counted.
pub const LINK_BYTES: usize = 64 * 1024 * 1024;
/// Depth of the token bucket, bytes: two full frames. A larger frame waits until the bucket is full.
pub const BUCKET_BYTES: u64 = 3_028;
/// Frames read from one device before the others get their turn, count.
pub const READS: usize = 64;
/// Largest delay, jitter or hold of a link.
pub const DELAY: Duration = Duration::from_secs(60);
/// Length of a control line, bytes.
pub const LINE_BYTES: u64 = 4_096;
/// Connections to the control socket at once, count.
pub const CONTROLS: usize = 16;
/// How long a namespace's killed processes may take to go.
pub const KILLED: Duration = Duration::from_secs(5);
/// Between two looks at what has no notification: other processes.
pub const POLL: Duration = Duration::from_millis(5);
