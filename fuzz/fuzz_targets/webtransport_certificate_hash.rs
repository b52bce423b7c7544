#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| webwire::webtransport::fuzzing::certificate_hash(data));
