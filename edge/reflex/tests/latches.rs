//! The latches: what sets each, what a release ends, and the races between two ticks.

mod common;

use common::bench::{Bench, halted_for};
use core::time::Duration;
use proptest::prelude::*;
use skein_types::authority::LatchView;
use skein_types::motion::DriveMode;
use skein_types::safety::{Cause, Causes, FailsafeLevel, Latch};
use skein_types::time::MonoTime;
use skein_types::units::Radians;

/// A release is believed to have brought the power back when a frame of so long after it shows it.
const POWER_LAG: Duration = Duration::from_millis(100);
const POWER_RETURN: Duration = Duration::from_secs(2);
const TILT_LATCH: Duration = Duration::from_millis(100);

fn running() -> Bench {
    let mut bench = Bench::new();
    assert!(bench.follows());
    bench
}

/// A robot whose power KILL has cut.
fn killed() -> Bench {
    let mut bench = running();
    bench.latch(Latch::Kill);
    bench.tick();
    bench.frame.motors_powered = false;
    assert_eq!(bench.tick().actuators.mode, DriveMode::CutPower);
    bench
}

#[test]
fn stop_holds_until_it_is_released() {
    let mut bench = running();
    bench.latch(Latch::Stop);
    for _ in 0..50 {
        let output = bench.tick();
        halted_for(&output, Cause::OperatorStop);
        assert_eq!((output.report.level, output.latched), (FailsafeLevel::Stop, Causes::NONE));
    }
    bench.latch(Latch::Released);
    let output = bench.tick();
    assert_eq!((output.actuators.mode, output.restore_power), (DriveMode::Follow, false));
}

#[test]
fn kill_cuts_and_its_release_restores_the_power_in_the_same_tick() {
    let mut bench = running();
    bench.latch(Latch::Kill);
    let output = bench.tick();
    assert_eq!((output.actuators.mode, output.report.level), (DriveMode::CutPower, FailsafeLevel::Kill));
    bench.frame.motors_powered = false;
    let output = bench.tick();
    assert_eq!((output.actuators.mode, output.restore_power), (DriveMode::CutPower, false));
    assert_eq!(output.latched, Causes::NONE, "a power that KILL cut is no power loss");
    bench.latch(Latch::Released);
    let output = bench.tick();
    assert!(output.restore_power);
    halted_for(&output, Cause::PowerLoss);
    assert!(!bench.tick().restore_power, "once is enough");
    bench.frame.motors_powered = true;
    bench.wait_for_power();
    assert!(bench.follows());
}

#[test]
fn a_release_one_tick_late_restores_one_tick_late() {
    let mut bench = killed();
    assert_eq!(bench.tick().actuators.mode, DriveMode::CutPower);
    bench.latch(Latch::Released);
    assert!(bench.tick().restore_power);
}

#[test]
fn a_kill_after_a_release_cuts_again() {
    let mut bench = killed();
    bench.latch(Latch::Released);
    assert!(bench.tick().restore_power);
    bench.latch(Latch::Kill);
    let output = bench.tick();
    assert_eq!((output.actuators.mode, output.restore_power), (DriveMode::CutPower, false));
    bench.frame.motors_powered = true;
    for _ in 0..30 {
        assert_eq!(bench.tick().actuators.mode, DriveMode::CutPower);
    }
    bench.latch(Latch::Released);
    assert!(bench.tick().restore_power);
}

#[test]
fn kill_release_kill_between_two_ticks_stays_cut() {
    let mut bench = killed();
    bench.latch(Latch::Released);
    bench.latch(Latch::Kill);
    for _ in 0..5 {
        let output = bench.tick();
        assert_eq!((output.actuators.mode, output.restore_power), (DriveMode::CutPower, false));
    }
    bench.latch(Latch::Released);
    assert!(bench.tick().restore_power);
}

#[test]
fn kill_release_stop_between_two_ticks_gives_no_power_back_until_the_next_release() {
    let mut bench = killed();
    bench.latch(Latch::Released);
    bench.latch(Latch::Stop);
    for _ in 0..5 {
        let output = bench.tick();
        halted_for(&output, Cause::OperatorStop);
        assert!(!output.restore_power && output.report.causes.contains(Cause::PowerLoss));
    }
    bench.latch(Latch::Released);
    assert!(bench.tick().restore_power);
}

#[test]
fn stop_and_release_between_two_ticks_count_as_a_release() {
    let mut bench = running();
    bench.frame.motors_powered = false;
    halted_for(&bench.tick(), Cause::PowerLoss);
    bench.latch(Latch::Stop);
    bench.latch(Latch::Released);
    assert!(bench.tick().restore_power);
}

#[test]
fn a_level_that_falls_without_a_new_stamp_is_not_believed() {
    for level in [Latch::Stop, Latch::Kill] {
        let mut bench = running();
        bench.latch(level);
        bench.tick();
        bench.latch.level = Latch::Released;
        for _ in 0..5 {
            let output = bench.tick();
            assert_ne!(output.actuators.mode, DriveMode::Follow);
            assert!(!output.restore_power);
        }
        bench.latch.stamp += 1;
        bench.tick();
        bench.wait_for_power();
        assert!(bench.follows());
    }
}

#[test]
fn a_stamp_that_falls_and_rises_again_is_no_release() {
    let mut bench = running();
    bench.latch = LatchView { level: Latch::Stop, stamp: 7 };
    bench.tick();
    bench.latch = LatchView { level: Latch::Released, stamp: 3 };
    halted_for(&bench.tick(), Cause::OperatorStop);
    bench.latch.stamp = 7;
    halted_for(&bench.tick(), Cause::OperatorStop);
    bench.latch.stamp = 8;
    assert!(bench.follows());
}

#[test]
fn the_first_view_of_a_boot_is_no_release() {
    let mut bench = Bench::new();
    bench.latch = LatchView { level: Latch::Released, stamp: 41 };
    bench.frame.motors_powered = false;
    assert!(!bench.tick().restore_power);
    assert_eq!(bench.tick().latched, Causes::NONE, "power that was never seen is not lost");
    bench.frame.motors_powered = true;
    assert!(bench.follows());
}

#[test]
fn without_power_at_the_boot_only_the_release_of_a_latch_restores_it() {
    let mut bench = Bench::new();
    bench.frame.motors_powered = false;
    bench.tick();
    // Registers that merge may raise the stamp of a robot that was never stopped.
    bench.latch.stamp += 5;
    assert!(!bench.tick().restore_power);
    bench.latch(Latch::Stop);
    bench.tick();
    bench.latch(Latch::Released);
    assert!(bench.tick().restore_power);
}

#[test]
fn a_lost_power_holds_it_until_a_release() {
    let mut bench = running();
    bench.frame.motors_powered = false;
    let output = bench.tick();
    halted_for(&output, Cause::PowerLoss);
    assert_eq!((output.latched, output.report.level), (Causes::NONE.with(Cause::PowerLoss), FailsafeLevel::Stop));
    bench.frame.motors_powered = true;
    for _ in 0..10 {
        halted_for(&bench.tick(), Cause::PowerLoss);
    }
    bench.latch(Latch::Stop);
    bench.tick();
    bench.latch(Latch::Released);
    let output = bench.tick();
    assert!(output.restore_power && output.latched.is_empty());
    bench.wait_for_power();
    assert!(bench.follows());
}

#[test]
fn a_power_that_does_not_return_in_time_needs_another_release() {
    for (ticks, returned) in [(200, true), (201, false)] {
        let mut bench = running();
        bench.frame.motors_powered = false;
        bench.latch(Latch::Stop);
        bench.tick();
        bench.latch(Latch::Released);
        for tick in 0..ticks {
            let output = bench.tick();
            halted_for(&output, Cause::PowerLoss);
            assert!(output.latched.is_empty(), "{tick}");
        }
        bench.frame.motors_powered = true;
        assert_eq!(bench.follows(), returned, "{ticks}");
        assert_eq!(bench.tick().latched.contains(Cause::PowerLoss), !returned);
        bench.latch(Latch::Stop);
        bench.tick();
        bench.latch(Latch::Released);
        assert_eq!(bench.tick().restore_power, !returned);
        bench.wait_for_power();
        assert!(bench.follows());
    }
}

#[test]
fn a_frame_of_before_the_release_shows_nothing_of_the_power_after_it() {
    let mut bench = running();
    bench.latch(Latch::Kill);
    bench.tick();
    // Released at once: frames still show the power of before the cut, then that it is gone, then that it is back.
    bench.latch(Latch::Released);
    for powered in [true, true, false, false, false, true, true, true, true, true] {
        bench.frame.motors_powered = powered;
        let output = bench.tick();
        halted_for(&output, Cause::PowerLoss);
        assert!(output.latched.is_empty());
    }
    assert!(bench.follows());
}

#[test]
fn tipped_over_for_a_while_it_needs_a_release() {
    let mut bench = running();
    bench.frame.tilt = Radians(0.5);
    for _ in 0..10 {
        let output = bench.tick();
        halted_for(&output, Cause::Tilt);
        assert!(output.latched.is_empty());
    }
    assert_eq!(bench.tick().latched, Causes::NONE.with(Cause::Tilt));
    bench.frame.tilt = Radians(0.0);
    let output = bench.tick();
    halted_for(&output, Cause::Tilt);
    assert_eq!(output.report.level, FailsafeLevel::Stop);
    bench.latch(Latch::Stop);
    bench.tick();
    bench.latch(Latch::Released);
    assert!(bench.follows());
}

#[test]
fn a_bump_is_no_tip_over() {
    let mut bench = running();
    for tilt in [0.5, 0.5, 0.0, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5] {
        bench.frame.tilt = Radians(tilt);
        assert!(bench.tick().latched.is_empty());
    }
    bench.frame.tilt = Radians(0.0);
    assert!(bench.follows());
}

#[test]
fn released_while_it_lies_on_its_side_it_latches_again() {
    let mut bench = running();
    bench.frame.tilt = Radians(1.5);
    for _ in 0..20 {
        bench.tick();
    }
    bench.latch(Latch::Stop);
    bench.tick();
    bench.latch(Latch::Released);
    for tick in 0..12 {
        let output = bench.tick();
        halted_for(&output, Cause::Tilt);
        assert_eq!(output.latched.contains(Cause::Tilt), tick >= 10, "{tick}");
    }
}

#[test]
fn the_bodys_emergency_stop_holds_it_until_a_release_after_it_is_let_go() {
    let mut bench = running();
    bench.frame.emergency_stop = true;
    let output = bench.tick();
    halted_for(&output, Cause::EmergencyStop);
    assert_eq!((output.latched, output.report.level), (Causes::NONE.with(Cause::EmergencyStop), FailsafeLevel::Stop));
    bench.latch(Latch::Stop);
    bench.tick();
    // Released while it is pressed: nothing ends.
    bench.latch(Latch::Released);
    halted_for(&bench.tick(), Cause::EmergencyStop);
    bench.frame.emergency_stop = false;
    for _ in 0..5 {
        halted_for(&bench.tick(), Cause::EmergencyStop);
    }
    bench.latch(Latch::Stop);
    bench.tick();
    bench.latch(Latch::Released);
    assert!(bench.follows());
}

#[test]
fn no_power_comes_back_while_the_emergency_stop_is_pressed() {
    let mut bench = killed();
    bench.frame.emergency_stop = true;
    bench.latch(Latch::Released);
    let output = bench.tick();
    halted_for(&output, Cause::EmergencyStop);
    assert!(!output.restore_power);
    bench.frame.emergency_stop = false;
    bench.tick();
    bench.latch(Latch::Stop);
    bench.tick();
    bench.latch(Latch::Released);
    assert!(bench.tick().restore_power);
}

#[test]
fn a_frame_that_cannot_be_trusted_sets_and_ends_no_latch() {
    let mut bench = running();
    let output = bench.tick_with(|now, frame, _| {
        frame.at = now - Duration::from_millis(51);
        (frame.emergency_stop, frame.motors_powered, frame.tilt) = (true, false, Radians(3.0));
    });
    assert!(output.latched.is_empty());
    assert!(bench.follows());
}

/// One tick of a random history.
#[derive(Clone, Copy, Debug)]
struct Step {
    /// What happens to the register before this tick.
    orders: [Option<Latch>; 3],
    ticks: u64,
    trusted: bool,
    powered: bool,
    tilted: bool,
    estop: bool,
}

fn step() -> impl Strategy<Value = Step> {
    let order = || {
        prop_oneof![12 => Just(None), 1 => Just(Some(Latch::Stop)), 1 => Just(Some(Latch::Kill)),
        2 => Just(Some(Latch::Released))]
    };
    let orders = [order(), order(), order()];
    let ticks = prop_oneof![8 => Just(1_u64), 1 => 2..15_u64, 1 => Just(205_u64)];
    let flags = (prop::bool::weighted(0.95), prop::bool::weighted(0.9), prop::bool::weighted(0.1));
    (orders, ticks, flags, prop::bool::weighted(0.05)).prop_map(|(orders, ticks, (trusted, powered, tilted), estop)| {
        Step { orders, ticks, trusted, powered, tilted, estop }
    })
}

/// The rules of the latches as plain facts and times, written without states.
#[derive(Default)]
struct Model {
    stamp: Option<u64>,
    level: Latch,
    seen_power: bool,
    cut: bool,
    lost: bool,
    released_at: Option<MonoTime>,
    tilted_since: Option<MonoTime>,
    tipped: bool,
    pressed: bool,
    emergency: bool,
}

impl Model {
    /// Whether the power is restored in this tick.
    fn tick(&mut self, now: MonoTime, view: LatchView, step: &Step) -> bool {
        if step.trusted {
            self.pressed = step.estop;
            self.emergency |= step.estop;
        }
        let was_latched = self.level != Latch::Released;
        let release = view.level == Latch::Released && self.stamp.is_some_and(|stamp| view.stamp > stamp);
        if release || view.level != Latch::Released {
            self.level = view.level;
        }
        self.stamp = self.stamp.max(Some(view.stamp));
        let mut restore = false;
        if release && !self.pressed {
            (self.emergency, restore) = (false, self.cut || self.lost || self.released_at.is_some());
            restore |= !self.seen_power && was_latched;
            if std::mem::take(&mut self.tipped) {
                self.tilted_since = None;
            }
            if restore {
                (self.cut, self.lost, self.released_at) = (false, false, Some(now));
            }
        }
        if self.level == Latch::Kill {
            (self.cut, self.lost, self.released_at, self.seen_power) = (true, false, None, true);
        }
        if self.released_at.is_some_and(|at| now > at + POWER_RETURN) {
            (self.released_at, self.lost) = (None, true);
        }
        if step.trusted {
            self.look(now, step);
        }
        restore
    }

    fn look(&mut self, now: MonoTime, step: &Step) {
        let on = self.seen_power && !self.cut && !self.lost && self.released_at.is_none();
        if step.powered {
            if self.released_at.is_some_and(|at| now >= at + POWER_LAG) {
                (self.released_at, self.seen_power) = (None, true);
            }
            self.seen_power |= self.released_at.is_none();
        } else if on {
            self.lost = true;
        }
        if !step.tilted {
            self.tilted_since = None;
        } else if self.tilted_since.is_some_and(|since| now.since(since) >= TILT_LATCH) {
            self.tipped = true;
        } else {
            self.tilted_since = self.tilted_since.or(Some(now));
        }
    }

    fn on(&self) -> bool {
        self.seen_power && !self.cut && !self.lost && self.released_at.is_none()
    }

    fn causes(&self) -> Causes {
        let facts = [
            (self.level == Latch::Stop, Cause::OperatorStop),
            (self.level == Latch::Kill, Cause::OperatorKill),
            (!self.on(), Cause::PowerLoss),
            (self.tipped || self.tilted_since.is_some(), Cause::Tilt),
            (self.emergency, Cause::EmergencyStop),
        ];
        facts.into_iter().filter(|(holds, _)| *holds).fold(Causes::NONE, |all, (_, cause)| all.with(cause))
    }
}

const LATCH_CAUSES: [Cause; 5] =
    [Cause::OperatorStop, Cause::OperatorKill, Cause::PowerLoss, Cause::Tilt, Cause::EmergencyStop];

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn random_histories_agree_with_the_model(steps in prop::collection::vec(step(), 1..80)) {
        let (mut bench, mut model) = (Bench::new(), Model::default());
        // Whether something that needs a release has happened since the last one.
        let mut held = false;
        for step in steps {
            for order in step.orders.into_iter().flatten() {
                bench.latch(order);
            }
            for _ in 0..step.ticks {
                let stamp = model.stamp;
                (bench.frame.motors_powered, bench.frame.emergency_stop) = (step.powered, step.estop);
                bench.frame.tilt = Radians(if step.tilted { 1.0 } else { 0.1 });
                let output = bench.tick_with(|now, frame, _| {
                    if !step.trusted {
                        frame.at = now - Duration::from_millis(60);
                    }
                });
                let restore = model.tick(bench.now, bench.latch, &step);
                prop_assert_eq!(output.restore_power, restore);
                let found = LATCH_CAUSES.into_iter().filter(|cause| output.report.causes.contains(*cause));
                prop_assert_eq!(found.fold(Causes::NONE, Causes::with), model.causes());

                // What must hold whatever the model thinks.
                let released = bench.latch.level == Latch::Released && stamp.is_some_and(|s| bench.latch.stamp > s);
                prop_assert!(!output.restore_power || released && !(step.trusted && step.estop));
                if bench.latch.level == Latch::Kill {
                    prop_assert_eq!(output.actuators.mode, DriveMode::CutPower);
                }
                held = (held && !released) || bench.latch.level != Latch::Released || step.trusted && step.estop;
                prop_assert!(!held || output.actuators.mode != DriveMode::Follow);
                held |= !output.latched.is_empty();
            }
        }
        // Let go, upright, powered and released, it moves again.
        (bench.frame.motors_powered, bench.frame.emergency_stop, bench.frame.tilt) = (true, false, Radians(0.0));
        bench.tick();
        bench.latch(Latch::Stop);
        bench.tick();
        bench.latch(Latch::Released);
        bench.wait_for_power();
        prop_assert!(bench.follows());
    }
}
