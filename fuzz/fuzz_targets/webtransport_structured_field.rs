#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| webwire::webtransport::fuzzing::structured_field(data));
