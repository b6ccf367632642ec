//! `dispositions` under libFuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| (targets::target("dispositions").run)(data));
