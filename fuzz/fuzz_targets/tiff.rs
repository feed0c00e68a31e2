#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| pixmill_fuzz::promises_hold(pixmill_codec::SourceFormat::Tiff, bytes));
