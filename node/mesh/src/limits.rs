//! Every bound of the mesh, with its unit. Bounds of the wire itself stand in `clankers_protocol::limits`.

/// Connections, of all sources together, that are shaking hands or not yet admitted (count).
pub const UNAUTHENTICATED_CONNECTIONS: usize = 512;
/// The same from one source: an IPv4 address, an IPv6 /64, or one relay (count).
pub const UNAUTHENTICATED_CONNECTIONS_PER_SOURCE: usize = 64;
/// From this many unauthenticated connections on, a source must first prove that it receives at its address
/// (QUIC Retry, RFC 9000 section 8.1.2), so that forged sources cannot fill the table (count).
pub const UNAUTHENTICATED_RETRY_FROM: usize = 128;
/// How long a handshake may take before it is dropped (milliseconds).
pub const UNAUTHENTICATED_HANDSHAKE_MS: u64 = 5_000;
/// Bytes in flight that a connection may fill before it is admitted.
pub const UNAUTHENTICATED_WINDOW_BYTES: u32 = 512 * 1024;
/// Bi streams that a peer may have open before it is admitted: the first for Hello, the rest parked (count).
pub const UNAUTHENTICATED_STREAMS: u32 = 9;
/// Uni streams that a peer may have open before it is admitted (count).
pub const UNAUTHENTICATED_UNI_STREAMS: u32 = 0;

/// Bytes in flight on an admitted connection: ten stream windows of 1.25 MB and a little room.
pub const CONNECTION_WINDOW_BYTES: u32 = 16 * 1024 * 1024;
/// Uni streams that an admitted peer may have open at a time (count).
pub const CONNECTION_UNI_STREAMS: u32 = 16;
/// Connections that shook hands and wait for `Mesh::accept` (count).
pub const ACCEPTED_WAITING: usize = 64;
/// How long `Mesh::close` may take, goodbyes included (milliseconds).
pub const CLOSE_MS: u64 = 3_000;
/// How long a start waits for the machine's own addresses when it binds to any (milliseconds).
pub const OWN_ADDRESSES_MS: u64 = 200;

/// Bytes buffered in one direction of an in-memory stream.
pub const MEMORY_PIPE_BYTES: usize = 256 * 1024;
/// Bytes read from a stream at a time by a frame reader.
pub const READ_CHUNK_BYTES: usize = 64 * 1024;
/// A close reason as it is shown (characters).
pub const REASON_CHARS: usize = 200;
/// A close reason as it is sent (bytes): it must fit into one packet.
pub const REASON_BYTES: usize = 512;
/// A ticket's text (bytes).
pub const TICKET_BYTES: usize = 4096;

/// Peers remembered from mDNS (count). The oldest makes room for a new one.
pub const DISCOVERED_PEERS: usize = 1024;
/// Addresses remembered for one discovered peer (count).
pub const DISCOVERED_ADDRESSES: usize = 16;
/// The TXT record that we send (bytes).
pub const TXT_BYTES: usize = 200;
/// A TXT record that we still read (bytes).
pub const TXT_BYTES_READ: usize = 400;
/// Instance label in mDNS (bytes, RFC 1035 section 2.3.4).
pub const INSTANCE_BYTES: usize = 63;
/// A label in a TXT record (bytes of UTF-8).
pub const TXT_LABEL_BYTES: usize = 40;
/// A software version in a TXT record (bytes).
pub const TXT_VERSION_BYTES: usize = 16;
/// How long a discovered peer is believed without being heard again (milliseconds): two mDNS TTLs of 120 s.
pub const DISCOVERED_TTL_MS: u64 = 240_000;
/// Shortest pause before a lost browse is opened again (milliseconds).
pub const BROWSE_AGAIN_MS: u64 = 250;
/// Longest pause before a lost browse is opened again (milliseconds).
pub const BROWSE_AGAIN_MAX_MS: u64 = 10_000;
/// How long a goodbye on mDNS may take (milliseconds).
pub const GOODBYE_MS: u64 = 500;
/// Shortest unique prefix of a node id that is looked up (hex digits).
pub const ID_PREFIX_DIGITS: usize = 4;
/// How long one dial waits for mDNS to say something new about the peer (milliseconds).
pub const LOOKUP_MS: u64 = 10_000;
/// How often what has run out is dropped from the table of discovered peers (milliseconds).
pub const SWEEP_MS: u64 = 10_000;
/// How long a discovered peer that did not answer a dial has to answer mDNS (milliseconds).
pub const VERIFY_MS: u64 = 2_000;
/// How often a free port is looked for that IPv4 and IPv6 can share (count).
pub const PORT_ATTEMPTS: usize = 4;
