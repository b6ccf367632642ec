//! `tls_garbage` under libFuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| (targets::target("tls_garbage").run)(data));
