#![no_main]

libfuzzer_sys::fuzz_target!(init: clankers_fuzz::begin("receiver"), |data: &[u8]| clankers_fuzz::fuzz::files::receiver(data));
