#![no_main]

use pixmill_adapters::net::origin::rehearsal::rehearse;

/// Bytes of a body that are read, and how much more of it may come at once.
const MOST: usize = 1 << 20;
const PIECE: usize = 64 << 10;

// Any bytes at all give an answer or a fault, and no more of a body than is asked for.
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    if let Ok((_, body)) = runtime.block_on(rehearse(bytes, MOST)) {
        assert!(body.len() <= MOST + PIECE);
    }
});
