//! `tls_wire` under libFuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| (targets::target("tls_wire").run)(data));
