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
/// Addresses taken from one record of a discovered peer (count).
pub const DISCOVERED_ADDRESSES: usize = 16;
/// Addresses of it that are remembered beside those of its newest record (count).
pub const DISCOVERED_KEPT: usize = 8;
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
/// Records that mdns-sd may keep of others (count). It has no limit of its own; past this one it is started anew.
/// A node takes four.
pub const MDNS_CACHE_RECORDS: u64 = 4_096;
/// How many it may keep right after it was flooded (count): what made-up answers cost grows with its square. Half a second
/// of a thousand a second fits, so that true answers to a question (a quarter of a second) are among them. It goes back to
/// [`MDNS_CACHE_RECORDS`] with the longest pause.
pub const MDNS_FLOODED_RECORDS: u64 = 1_536;
/// How often they are counted (milliseconds).
pub const MDNS_GUARD_MS: u64 = 250;
/// How long mdns-sd may take to count them (milliseconds); past that it is taken to be flooded.
pub const MDNS_COUNT_MS: u64 = 2_000;
/// How often mDNS looks for interfaces and addresses that came or went (seconds).
pub const INTERFACES_CHECK_S: u32 = 2;
/// How often a check listens for echoes and answers, at most (milliseconds).
pub const DOCTOR_LISTEN_MS: u64 = 2_500;
/// When it asks a second time (milliseconds): what was answered just before is not answered again for a second.
pub const DOCTOR_AGAIN_MS: u64 = 1_200;
/// An mDNS packet that a check reads (bytes, RFC 6762 section 17).
pub const DOCTOR_PACKET_BYTES: usize = 9_000;
/// Packets that a check reads before it has heard enough (count).
pub const DOCTOR_PACKETS: usize = 2_000;
/// Other machines that a check counts (count).
pub const DOCTOR_OTHERS: usize = 1_024;
/// How often the relay's connection is looked at (milliseconds).
pub const RELAY_CHECK_MS: u64 = 15_000;
/// How long no relay may be connected before the network is looked at anew, and the shortest pause between two such
/// looks (milliseconds). The pause doubles while it does not help.
pub const RELAY_LOST_MS: u64 = 60_000;
/// Longest pause between two such looks (milliseconds).
pub const RELAY_LOST_MAX_MS: u64 = 900_000;
/// How often a free port is looked for that IPv4 and IPv6 can share (count).
pub const PORT_ATTEMPTS: usize = 4;

/// A payload that is gossiped to a team (bytes). The wire's own bound is [`GOSSIP_MESSAGE_BYTES`].
pub const GOSSIP_PAYLOAD_BYTES: usize = 3_500;
/// A message between neighbours in gossip (bytes), checked before anything is allocated.
pub const GOSSIP_MESSAGE_BYTES: usize = 4_096;
/// Teams that one node gossips in at a time (count).
pub const GOSSIP_TEAMS: usize = 32;
/// Members of one team that have shown their membership here and may be dialed and accepted (count).
pub const GOSSIP_SHOWN: usize = 4_096;
/// Gossip connections of one team, those being closed included (count). Five are neighbours.
pub const GOSSIP_CONNECTIONS: usize = 64;
/// Accepted connections that wait for their team's task (count).
pub const GOSSIP_ACCEPTED_WAITING: usize = 16;
/// Events that wait for the hall (count); more are dropped and counted.
pub const GOSSIP_EVENTS: usize = 1_024;
/// Commands that wait for a team's task (count).
pub const GOSSIP_COMMANDS: usize = 256;
/// Messages read from neighbours that wait for a team's task (count).
pub const GOSSIP_INBOX: usize = 64;
/// Messages that wait for one slow neighbour (count); past that it is cut.
pub const GOSSIP_QUEUE_MESSAGES: usize = 256;
/// Messages that wait for a member who is being dialed (count).
pub const GOSSIP_WAITING_MESSAGES: usize = 32;
/// Members that gossip wants to reach and the hall is asked about, at a time (count).
pub const GOSSIP_WANTED: usize = 32;
/// How long the hall has to show membership to a wanted member, and how long an answer of no stands (milliseconds).
pub const GOSSIP_WANTED_MS: u64 = 10_000;
/// Dials of one team under way at a time (count).
pub const GOSSIP_DIALS: usize = 8;
/// How long one dial may take (milliseconds).
pub const GOSSIP_DIAL_MS: u64 = 5_000;
/// How long a member is left alone after a dial that failed (milliseconds).
pub const GOSSIP_DIAL_AGAIN_MS: u64 = 2_000;
/// How long the first bytes of a new gossip connection may take (milliseconds).
pub const GOSSIP_OPEN_MS: u64 = 5_000;
/// Silence after which a gossip connection is dead (milliseconds); QUIC pings every 5 s.
pub const GOSSIP_IDLE_MS: u64 = 15_000;
/// How long one message may take to be taken off our hands (milliseconds); past that the neighbour is cut.
pub const GOSSIP_STALL_MS: u64 = 10_000;
/// How long a connection that is given up may take to deliver its last messages (milliseconds).
pub const GOSSIP_LINGER_MS: u64 = 1_000;
/// How long a connection to a member who is no neighbour is kept unused (milliseconds).
pub const GOSSIP_SPARE_MS: u64 = 10_000;
/// Age at which one of two connections to the same neighbour is given up (milliseconds).
pub const GOSSIP_TWIN_MS: u64 = 3_000;
/// Age at which a connection to a neighbour that dials from elsewhere is given up at once (milliseconds): longer than two that
/// dial each other need.
pub const GOSSIP_MOVED_MS: u64 = 1_000;
/// How often a team's task looks for what has run out (milliseconds).
pub const GOSSIP_SWEEP_MS: u64 = 1_000;
/// How long leaving a team may take, goodbyes included (milliseconds).
pub const GOSSIP_QUIT_MS: u64 = 500;
/// Messages that one neighbour may send per second, an announcement of many counted as many.
pub const GOSSIP_PEER_MESSAGES_PER_S: u32 = 200;
/// The same at once, after a pause (count): a large team's presence after a partition.
pub const GOSSIP_PEER_MESSAGES_BURST: u32 = 2_000;
/// How many messages the introduction of a joining member counts for (count).
pub const GOSSIP_INTRODUCTION: u32 = 10;
/// Bytes that one neighbour may send per second.
pub const GOSSIP_PEER_BYTES_PER_S: u32 = 256 * 1024;
/// The same at once, after a pause (bytes).
pub const GOSSIP_PEER_BYTES_BURST: u32 = 2 * 1024 * 1024;
/// Requests to become a neighbour, which push somebody else out, that one member may make per second; and
/// connections that it may open.
pub const GOSSIP_PEER_JOINS_PER_S: u32 = 1;
/// The same at once, after a pause (count).
pub const GOSSIP_PEER_JOINS_BURST: u32 = 10;
/// Messages over these limits that are dropped before the neighbour is cut (count).
pub const GOSSIP_PEER_EXCESS: u32 = 1_000;
/// Messages that no honest node sends (forged, malformed) before the neighbour is cut (count).
pub const GOSSIP_PEER_FORGED: u32 = 3;
/// After how long one of those is forgiven (seconds).
pub const GOSSIP_PEER_FORGIVEN_S: u32 = 60;
/// How long a neighbour that was cut for its conduct stays out (milliseconds).
pub const GOSSIP_CUT_MS: u64 = 60_000;
/// Payloads of one author that are passed on per second.
pub const GOSSIP_AUTHOR_MESSAGES_PER_S: u32 = 5;
/// The same at once, after a pause (count).
pub const GOSSIP_AUTHOR_MESSAGES_BURST: u32 = 50;
/// Payloads that this node may broadcast per second: less than others pass on, so that none is lost.
pub const GOSSIP_OWN_MESSAGES_PER_S: u32 = 4;
/// The same at once, after a pause (count).
pub const GOSSIP_OWN_MESSAGES_BURST: u32 = 40;
/// Own payloads that wait for a first neighbour (count). The oldest makes room.
pub const GOSSIP_HELD: usize = 16;
/// How long they wait (milliseconds).
pub const GOSSIP_HELD_MS: u64 = 10_000;
/// Authors whose rate is remembered (count).
pub const GOSSIP_AUTHORS: usize = 4_096;
/// Payloads remembered as passed on (count).
pub const GOSSIP_SEEN: usize = 16_384;
/// How long they are remembered (milliseconds): shorter than the 90 s of the gossip core, so that whatever it has
/// forgotten is judged again.
pub const GOSSIP_SEEN_MS: u64 = 80_000;
/// Hops that a payload may have made (count). Honest ones make some dozens in a team of 10,000.
pub const GOSSIP_ROUNDS: u16 = 1_024;
/// Hops that a membership message may still make (count); HyParView's own begin with 6.
pub const GOSSIP_TTL: u16 = 16;
/// Members named in one shuffle (count); HyParView's own name 8.
pub const GOSSIP_SHUFFLED: usize = 16;
/// How long gossip waits for a member's answer to a request to become neighbours (milliseconds): the dial with
/// its showing of membership is part of it.
pub const GOSSIP_NEIGHBOR_MS: u64 = 2_000;
