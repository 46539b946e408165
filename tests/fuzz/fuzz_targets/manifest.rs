#![no_main]

libfuzzer_sys::fuzz_target!(init: clankers_fuzz::begin("manifest"), |data: &[u8]| clankers_fuzz::fuzz::files::manifest(data));
