//! No bytes make a decoder panic, and what is understood is understood the same twice: the same checks that the fuzz
//! targets run, here over seeded noise and over damaged real messages.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod support;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use skein_wire::Wire;
use skein_wire::check::{Outcome, TARGETS};

fn survives(bytes: &[u8]) -> Result<(), TestCaseError> {
    for target in TARGETS {
        if let Err(difference) = (target.run)(bytes) {
            return Err(TestCaseError::fail(format!("{}: {difference}", target.name)));
        }
    }
    Ok(())
}

fn damaged(mut bytes: Vec<u8>, hits: &[(Index, u8, u8)]) -> Vec<u8> {
    for (place, kind, value) in hits {
        if bytes.is_empty() {
            break;
        }
        let at = place.index(bytes.len());
        match kind % 4 {
            0 => bytes[at] = *value,
            1 => bytes[at] ^= 1 << (value % 8),
            2 => bytes.truncate(at),
            _ => bytes.insert(at, *value),
        }
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn noise_is_refused_or_understood_but_never_a_panic(bytes in vec(any::<u8>(), 0..600)) {
        survives(&bytes)?;
    }

    #[test]
    fn damaged_messages_are_refused_or_understood_but_never_a_panic(
        report in support::report(), command in support::command(), intent in support::intent(),
        fleet in support::fleet(), hits in vec((any::<Index>(), any::<u8>(), any::<u8>()), 1..6),
    ) {
        for bytes in [report.to_bytes(), command.to_bytes(), intent.to_bytes(), fleet.to_bytes()] {
            survives(&damaged(bytes, &hits))?;
        }
    }
}

#[test]
fn every_target_understands_a_message_of_its_own() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let run = |name: &str, bytes: Vec<u8>| {
        let target = TARGETS.iter().find(|target| target.name == name).unwrap();
        assert_eq!((target.run)(&bytes), Ok(Outcome::Same), "{name}");
    };
    for _ in 0..8 {
        run("AgentReport", support::report().new_tree(&mut runner).unwrap().current().to_bytes());
        run("CloudCommand", support::command().new_tree(&mut runner).unwrap().current().to_bytes());
        run("Intent", support::intent().new_tree(&mut runner).unwrap().current().to_bytes());
        run("Hazard", support::hazard().new_tree(&mut runner).unwrap().current().to_bytes());
        run("FleetView", support::fleet().new_tree(&mut runner).unwrap().current().to_bytes());
        run("Preview", support::preview().new_tree(&mut runner).unwrap().current().to_bytes());
    }
}
