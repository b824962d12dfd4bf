//! The batch as a program: what it prints, what it writes and how it ends.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

use std::process::{Command, Output};

fn skein_sim(arguments: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_skein-sim")).args(arguments.split_whitespace()).output().unwrap()
}

#[test]
fn a_batch_that_fails_ends_with_one_and_its_command_fails_alike() {
    let folder = tempfile::tempdir().unwrap();
    let junit = folder.path().join("batch.xml");
    // Six seconds are too few for anybody.
    let batch = skein_sim(&format!("batch --robots 1,2 --seeds 3..4 --minutes 0.1 --junit {}", junit.display()));
    let lines = String::from_utf8(batch.stdout).unwrap();
    assert_eq!(batch.status.code(), Some(1), "{lines}");
    assert!(lines.ends_with("0 passed, 4 failed\n"), "{lines}");
    let written = std::fs::read_to_string(junit).unwrap();
    assert!(written.contains("tests=\"4\" failures=\"4\""), "{written}");
    let repeat = lines.lines().find_map(|line| line.trim().strip_prefix("repeat with: skein-sim ")).unwrap();
    assert!(written.contains(repeat), "{repeat}");
    let again = skein_sim(repeat);
    assert_eq!(again.status.code(), Some(1), "{repeat}");
    assert!(String::from_utf8(again.stdout).unwrap().contains("FAIL at least 99 % was swept"), "{repeat}");
}

#[test]
fn seeds_that_are_none_are_asked_for_again() {
    let refused = skein_sim("batch --seeds 9..1");
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8(refused.stderr).unwrap().contains("the smaller seed comes first"));
}

#[test]
fn a_run_leaves_a_picture() {
    let folder = tempfile::tempdir().unwrap();
    let picture = folder.path().join("run.svg");
    skein_sim(&format!("run --robots 2 --minutes 0.1 --picture {}", picture.display()));
    let svg = std::fs::read_to_string(picture).unwrap();
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n") && svg.matches("<polyline").count() == 2);
}
