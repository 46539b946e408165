#![no_main]

libfuzzer_sys::fuzz_target!(init: clankers_fuzz::begin("selector"), |data: &[u8]| clankers_fuzz::fuzz::tokens::selector(data));
