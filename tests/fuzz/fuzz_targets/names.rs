#![no_main]

libfuzzer_sys::fuzz_target!(init: clankers_fuzz::begin("names"), |data: &[u8]| clankers_fuzz::fuzz::files::names(data));
