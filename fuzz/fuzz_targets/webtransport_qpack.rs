#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| webwire::webtransport::fuzzing::qpack(data));
