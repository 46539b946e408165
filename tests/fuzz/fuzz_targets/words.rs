#![no_main]

libfuzzer_sys::fuzz_target!(init: clankers_fuzz::begin("words"), |data: &[u8]| clankers_fuzz::fuzz::wire::words(data));
