//! Figures and names of authority: what is said of a principal, a request and a register, to the letter.
#![expect(clippy::unwrap_used, reason = "a test says by panicking what failed")]

use skein_types::authority::{
    Epoch, LatchAction, LatchRegister, LatchRequest, LatchScope, LatchSet, LatchView, Principal, PrincipalError,
    ReleaseRefused, Term, hello_message,
};
use skein_types::body::Drive;
use skein_types::failsafe::{Action, CLOUD_LOST, LossPolicy, MESH_LOST, TABLE};
use skein_types::ids::{AgentId, BootId, CommandId, FleetId};
use skein_types::safety::{Cause, Causes, FailsafeLevel, Latch};
use skein_types::time::WallTime;
use std::cmp::Ordering;
use std::time::Duration;
use uuid::Uuid;

fn request(id: u128, action: LatchAction, at_nanos: i64) -> LatchRequest {
    LatchRequest {
        id: CommandId(Uuid::from_u128(id)),
        scope: LatchScope::Robot,
        action,
        reason: "smoke".into(),
        by: "operator:ada".parse().unwrap(),
        at: WallTime::from_unix_nanos(at_nanos),
    }
}

fn stopped(id: u128, at_nanos: i64) -> LatchRegister {
    LatchRegister::released().apply(&request(id, LatchAction::Stop, at_nanos)).unwrap()
}

#[test]
fn a_principal_has_a_name_a_kind_and_one_text() {
    for (text, name) in [("operator:ada", "ada"), ("robot:rover-1", "rover-1"), ("service:cron", "cron")] {
        let principal: Principal = text.parse().unwrap();
        assert_eq!((principal.name(), principal.to_string().as_str()), (name, text));
        assert_eq!(String::from(principal.clone()), text);
        assert_eq!(Principal::try_from(text.to_owned()), Ok(principal));
    }
    assert_eq!(Principal::try_from("ada".to_owned()), Err(PrincipalError::NoKind));
}

#[test]
fn epochs_and_terms_count_on_and_stay_at_their_last() {
    assert_eq!([Epoch(4).next(), Epoch(u64::MAX).next()], [Epoch(5), Epoch(u64::MAX)]);
    assert_eq!([Term(4).next(), Term(u64::MAX).next()], [Term(5), Term(u64::MAX)]);
    assert_eq!((Epoch(12).to_string(), Term(12).to_string()), ("12".to_owned(), "t12".to_owned()));
    assert_eq!(format!("{:>5}", Epoch(12)), "   12");
}

#[test]
fn stop_and_kill_stop_and_each_action_has_its_name() {
    let actions = [LatchAction::Stop, LatchAction::Kill, LatchAction::Release { epoch: Epoch(1) }];
    assert_eq!(actions.map(LatchAction::is_stopping), [true, true, false]);
    assert_eq!(actions.map(LatchAction::name), ["stop", "kill", "release"]);
}

#[test]
fn a_stop_lifts_the_epoch_to_the_whole_second_it_was_made_in() {
    for (nanos, epoch) in [(0, 0), (999_999_999, 0), (1_000_000_000, 1), (7_999_999_999, 7), (-5_000_000_000, 0)] {
        assert_eq!(stopped(1, nanos).epoch, Epoch(epoch), "{nanos}");
    }
}

#[test]
fn one_request_raises_a_register_once_and_another_opens_the_next_epoch() {
    let first = stopped(1, 1);
    assert!(first.is_latched() && !LatchRegister::released().is_latched());
    assert_eq!(first.apply(&request(1, LatchAction::Stop, 1)), Ok(first.clone()));
    let killed = first.apply(&request(1, LatchAction::Kill, 1)).unwrap();
    assert_eq!((killed.epoch, killed.level), (Epoch(1), Latch::Kill), "the same id that asks for more");
    let again = first.apply(&request(2, LatchAction::Stop, 1)).unwrap();
    assert_eq!((again.epoch, again.request), (Epoch(1), CommandId(Uuid::from_u128(2))));
    assert_eq!((again.reason.as_str(), again.by.name(), again.at), ("smoke", "ada", WallTime::from_unix_nanos(1)));
}

#[test]
fn a_release_of_an_epoch_that_was_or_of_a_free_register_changes_nothing() {
    let release = |epoch| request(9, LatchAction::Release { epoch: Epoch(epoch) }, 2);
    let free = LatchRegister { epoch: Epoch(3), ..LatchRegister::released() };
    assert_eq!([free.apply(&release(2)), free.apply(&release(3))], [Ok(free.clone()), Ok(free.clone())]);
    let unknown = ReleaseRefused::UnknownEpoch { named: Epoch(4), epoch: Epoch(3) };
    assert_eq!(free.apply(&release(4)), Err(unknown));
    let held = LatchRegister { epoch: Epoch(3), ..stopped(1, 1) };
    let again = ReleaseRefused::LatchedAgain { epoch: Epoch(3), by: held.by.clone() };
    assert_eq!(held.apply(&release(2)), Err(again));
    assert_eq!(held.apply(&release(3)).unwrap().epoch, Epoch(4));
}

#[test]
fn of_two_registers_the_later_epoch_wins_then_the_level_then_the_earlier_request() {
    let base = stopped(5, 500);
    let later = LatchRegister { epoch: Epoch(1), level: Latch::Released, ..base.clone() };
    let killed = LatchRegister { level: Latch::Kill, at: WallTime::from_unix_nanos(900), ..base.clone() };
    let earlier = LatchRegister { at: WallTime::from_unix_nanos(400), ..base.clone() };
    for winner in [later, killed, earlier] {
        assert_eq!((base.merge(&winner), winner.merge(&base)), (winner.clone(), winner.clone()));
        assert_eq!((winner.cmp(&base), base.cmp(&winner)), (Ordering::Greater, Ordering::Less));
    }
}

#[test]
fn a_set_of_registers_holds_merges_and_applies_by_scope() {
    let (stop, kill) = (stopped(1, 1), LatchRegister { level: Latch::Kill, ..stopped(2, 1) });
    let set = |own: &LatchRegister, fleet: &LatchRegister| LatchSet { own: own.clone(), fleet: fleet.clone() };
    let free = LatchRegister::released();
    for (set, level, by_fleet) in [
        (set(&free, &free), Latch::Released, false),
        (set(&stop, &kill), Latch::Kill, true),
        (set(&kill, &stop), Latch::Kill, false),
        (set(&stop, &stop), Latch::Stop, false),
    ] {
        assert_eq!((set.level(), std::ptr::eq(set.holding(), &set.fleet)), (level, by_fleet));
    }
    let both = set(&stop, &free).merge(&set(&free, &kill));
    assert_eq!(both, set(&stop, &kill));
    assert_eq!((both.get(LatchScope::Robot), both.get(LatchScope::Fleet)), (&stop, &kill));
    let fleet_stop = LatchRequest { scope: LatchScope::Fleet, ..request(1, LatchAction::Stop, 1) };
    assert_eq!(LatchSet::default().apply(&fleet_stop), Ok(set(&free, &stop)));
    assert_eq!(LatchSet::default().apply(&request(1, LatchAction::Stop, 1)), Ok(set(&stop, &free)));
    let in_epoch = |epoch| LatchRegister { epoch: Epoch(epoch), ..stop.clone() };
    assert_eq!(set(&in_epoch(3), &in_epoch(4)).view(), LatchView { level: Latch::Stop, stamp: 7 });
    assert_eq!(set(&in_epoch(u64::MAX), &in_epoch(4)).view().stamp, u64::MAX);
}

#[test]
fn a_view_is_packed_with_its_level_in_the_lowest_two_bits() {
    const STAMP_MAX: u64 = u64::MAX / 4;
    for (stamp, level, word) in [
        (0, Latch::Released, 0),
        (5, Latch::Stop, 21),
        (5, Latch::Kill, 22),
        (STAMP_MAX, Latch::Kill, u64::MAX - 1),
        (STAMP_MAX + 1, Latch::Kill, u64::MAX - 1),
        (u64::MAX, Latch::Released, u64::MAX - 3),
    ] {
        assert_eq!(LatchView { level, stamp }.pack(), word, "{stamp} {level:?}");
        assert_eq!(LatchView::unpack(word), LatchView { level, stamp: stamp.min(STAMP_MAX) });
    }
    assert_eq!(LatchView::unpack(23), LatchView { level: Latch::Kill, stamp: 5 });
}

#[test]
fn what_a_robot_signs_holds_each_part_at_its_place() {
    let (fleet, agent) = (FleetId::new("yard").unwrap(), AgentId::new("rover-1").unwrap());
    let message = hello_message(&[1; 32], &fleet, &agent, BootId(Uuid::from_u128(0x0203)), &[4; 32]);
    let boot = [[0; 14].as_slice(), &[2, 3]].concat();
    let parts: [&[u8]; 8] = [b"skein-hello-v1", &[1; 32], b"yard", &[0], b"rover-1", &[0], &boot, &[4; 32]];
    assert_eq!(message, parts.concat());
}

#[test]
fn each_action_has_its_name_and_its_level() {
    use FailsafeLevel::{Hold, Kill, Land, Return, Slow, Stop, Warn};
    let all = [
        (Action::Warn, "warn", Warn),
        (Action::Slow, "slow", Slow),
        (Action::Block, "block", Hold),
        (Action::Hold, "hold", Hold),
        (Action::Return, "return", Return),
        (Action::Land, "land", Land),
        (Action::Stop, "stop", Stop),
        (Action::CutPower, "cut power", Kill),
    ];
    for (action, name, level) in all {
        assert_eq!((action.name(), action.level()), (name, level));
    }
}

#[test]
fn the_rows_of_the_table_that_matter_most_say_what_they_say() {
    for (cause, drive, action) in [
        (Cause::OperatorKill, Drive::Multirotor, Action::CutPower),
        (Cause::OperatorStop, Drive::Multirotor, Action::Stop),
        (Cause::EmergencyStop, Drive::Holonomic, Action::Stop),
        (Cause::EmergencyStop, Drive::Multirotor, Action::Land),
        (Cause::Cliff, Drive::Differential, Action::Block),
        (Cause::Cliff, Drive::Multirotor, Action::Warn),
        (Cause::BatteryCritical, Drive::Holonomic, Action::Hold),
        (Cause::BatteryCritical, Drive::Multirotor, Action::Land),
    ] {
        assert_eq!(cause.action(drive), action, "{cause:?} {drive:?}");
    }
    assert_eq!((Cause::Cliff.level(), Cause::BatteryCritical.level()), (FailsafeLevel::Hold, FailsafeLevel::Land));
    let landing = Causes::of_rows(|row| row.actions.on(Drive::Multirotor) == Action::Land);
    let expected = [Cause::Tilt, Cause::BatteryCritical, Cause::EmergencyStop].into_iter();
    assert_eq!(landing, expected.fold(Causes::NONE, Causes::with));
    let escalates: Vec<Cause> = TABLE.iter().filter(|row| row.escalation.is_some()).map(|row| row.cause).collect();
    assert_eq!(escalates, [Cause::CloudLost, Cause::MeshLost]);
    assert_eq!(MESH_LOST.at(Duration::from_millis(1_999)), LossPolicy::Hold);
    let after = [MESH_LOST.at(Duration::from_secs(2)), CLOUD_LOST.at(Duration::ZERO)];
    assert_eq!(after, [LossPolicy::Continue; 2]);
}
