#![no_main]

libfuzzer_sys::fuzz_target!(init: clankers_fuzz::begin("grants"), |data: &[u8]| clankers_fuzz::fuzz::grants::grants(data));
