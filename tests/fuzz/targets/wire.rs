//! Messages of the wire: any bytes are refused, or understood the same twice.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| skein_fuzz::wire(bytes));
