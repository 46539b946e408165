#![no_main]

libfuzzer_sys::fuzz_target!(init: clankers_fuzz::begin("session_log"), |data: &[u8]| clankers_fuzz::fuzz::disk::session_log(data));
