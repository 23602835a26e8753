#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| vigil_fuzz::profile::profile(input));
