//! What the fuzz targets share. The checks themselves live in `skein_wire::check`, where the ordinary tests run them too.
//!
//! `cargo +nightly fuzz run Intent --fuzz-dir tests/fuzz` from the root runs one.

use skein_wire::check::TARGETS;

/// Runs the check of one message.
///
/// # Panics
/// When the bytes come in differently the second time: that is what the fuzzer looks for.
pub fn check(name: &str, bytes: &[u8]) {
    let target = TARGETS.iter().find(|target| target.name == name).expect("a target for each message");
    if let Err(difference) = (target.run)(bytes) {
        panic!("{name}: {difference}");
    }
}
