#![no_main]

libfuzzer_sys::fuzz_target!(init: clankers_fuzz::begin("gossip"), |data: &[u8]| clankers_fuzz::fuzz::wire::gossip(data));
