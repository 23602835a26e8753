#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| vigil_fuzz::segments::segments_in_part(input));
