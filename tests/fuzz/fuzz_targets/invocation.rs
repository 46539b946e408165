#![no_main]

libfuzzer_sys::fuzz_target!(init: clankers_fuzz::begin("invocation"), |data: &[u8]| clankers_fuzz::fuzz::tokens::invocation(data));
