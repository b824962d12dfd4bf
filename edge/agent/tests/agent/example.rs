//! The example does what its documentation says.

use skein_types::mission::SliceState;

#[expect(dead_code, reason = "the example's main belongs to its own binary")]
#[path = "../../examples/drive_agent.rs"]
mod drive_agent;

#[test]
fn the_example_drives_to_its_goal_through_a_stop() {
    let mut lines = Vec::new();
    let state = drive_agent::run(|line| lines.push(line.to_owned())).unwrap();
    assert_eq!(state, SliceState::Done, "{lines:#?}");
    assert!(lines.iter().any(|line| line.contains("stopped by ada: a look around")), "{lines:#?}");
}
