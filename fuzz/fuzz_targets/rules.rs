#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| vigil_fuzz::settings::rules_in_part(input));
