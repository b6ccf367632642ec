//! `piece_lists` under libFuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| (targets::target("piece_lists").run)(data));
