#![no_main]

use pixmill_engine::catalogue::{Catalogue, Next, Row};

// Any bytes at all are read to their end or refused.
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(mut catalogue) = Catalogue::open(bytes) else { return };
    let mut row = Row::default();
    while catalogue.next_row(&mut row).expect("memory does not fail") != Next::End {}
});
