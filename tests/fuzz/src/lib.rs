//! What the fuzz targets share. The checks are `skein_wire::check` and `skein_body_remote::check`, which the ordinary
//! tests run too; `TARGETS` there is the list of messages, so that none can be missing here.
//!
//! ```console
//! $ make fuzz SECONDS=60                                            # every message, then the body's frames
//! $ SKEIN_FUZZ=Intent cargo +nightly fuzz run wire --fuzz-dir tests/fuzz   # one message
//! ```

use std::sync::LazyLock;

use skein_wire::check::{TARGETS, Target};

/// The messages to try: the one that `SKEIN_FUZZ` names, else all.
static CHOSEN: LazyLock<Vec<&'static Target>> = LazyLock::new(|| match std::env::var("SKEIN_FUZZ") {
    Ok(name) => vec![TARGETS.iter().find(|target| target.name == name).expect("SKEIN_FUZZ names a message of the wire")],
    Err(_) => TARGETS.iter().collect(),
});

/// Runs the check of one message: the chosen one, or the one that the first byte selects.
///
/// # Panics
/// When the bytes are understood differently the second time: that is what the fuzzer looks for.
pub fn wire(bytes: &[u8]) {
    let (target, bytes) = match (CHOSEN.as_slice(), bytes.split_first()) {
        ([only], _) => (*only, bytes),
        (all, Some((first, rest))) => (all[usize::from(*first) % all.len()], rest),
        (_, None) => return,
    };
    if let Err(difference) = (target.run)(bytes) {
        panic!("{}: {difference}", target.name);
    }
}

/// Runs the check of the frames between a robot and its body.
///
/// # Panics
/// As [`wire`].
pub fn body_frames(bytes: &[u8]) {
    if let Err(difference) = skein_body_remote::check::frames(bytes) {
        panic!("{difference}");
    }
}
