//! Hosts have numbers, nodes have ids: one is told from the other without a table.

use clankers_protocol::id::NodeId;

use crate::dice::mix;

/// Odd, so that multiplying by it loses nothing; the ids' order has nothing to do with the numbers' then.
const SPREAD: u32 = 0x9e37_79b1;
/// Its inverse modulo 2^32.
const GATHER: u32 = inverse(SPREAD);

const fn inverse(odd: u32) -> u32 {
    // Newton: each step doubles the bits that are right, beginning with three.
    let mut found = odd;
    let mut step = 0;
    while step < 4 {
        found = found.wrapping_mul(2_u32.wrapping_sub(odd.wrapping_mul(found)));
        step += 1;
    }
    found
}

/// The node id of a host.
#[must_use]
pub fn id(host: u32) -> NodeId {
    let mut bytes = [0; 32];
    let words = (1_u64..).map(|n| mix(u64::from(host) ^ (n << 40)).to_le_bytes());
    let head = host.wrapping_mul(SPREAD).to_be_bytes();
    for (to, from) in bytes.iter_mut().zip(head.into_iter().chain(words.flatten())) {
        *to = from;
    }
    NodeId(bytes)
}

/// The host with this node id.
#[must_use]
pub fn host(id: &NodeId) -> u32 {
    let [a, b, c, d, ..] = id.0;
    u32::from_be_bytes([a, b, c, d]).wrapping_mul(GATHER)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_name_leads_back_to_its_host(host: u32) {
            prop_assert_eq!(super::host(&super::id(host)), host);
        }
    }
}
