#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| webwire::websocket::fuzzing::extensions(data));
