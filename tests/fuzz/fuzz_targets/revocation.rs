#![no_main]

libfuzzer_sys::fuzz_target!(init: clankers_fuzz::begin("revocation"), |data: &[u8]| clankers_fuzz::fuzz::tokens::revocation(data));
