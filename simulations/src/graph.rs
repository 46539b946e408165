//! Components of a graph.

/// Sizes of the components, the largest first. `neighbors` is `None` for a host that does not count.
pub fn components<I: Iterator<Item = u32>>(hosts: usize, neighbors: impl Fn(u32) -> Option<I>) -> Vec<usize> {
    let mut seen = vec![false; hosts];
    let mut visit = |host: u32| {
        let slot = usize::try_from(host).ok().and_then(|host| seen.get_mut(host));
        slot.is_some_and(|seen| !std::mem::replace(seen, true))
    };
    let mut sizes = Vec::new();
    for first in 0..u32::try_from(hosts).unwrap_or(u32::MAX) {
        if neighbors(first).is_none() || !visit(first) {
            continue;
        }
        let (mut size, mut waiting) = (0, vec![first]);
        while let Some(host) = waiting.pop() {
            size += 1;
            waiting.extend(neighbors(host).into_iter().flatten().filter(|peer| visit(*peer)));
        }
        sizes.push(size);
    }
    sizes.sort_unstable_by(|a, b| b.cmp(a));
    sizes
}

#[cfg(test)]
mod tests {
    #[test]
    fn islands_are_counted_and_the_dead_are_not() {
        let edges = [(0_u32, 1_u32), (1, 2), (4, 5)];
        let found = super::components(7, |host| {
            (host != 6).then(|| {
                edges.into_iter().filter_map(move |(a, b)| match host {
                    _ if host == a => Some(b),
                    _ if host == b => Some(a),
                    _ => None,
                })
            })
        });
        assert_eq!(found, [3, 2, 1]);
    }
}
