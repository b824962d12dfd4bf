//! The algebra of latch registers: merging is a semilattice, and no release undoes a stop that its maker had not seen.
#![allow(clippy::unwrap_used, reason = "a draw that fails ends the test")]

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use skein_types::authority::{
    Epoch, LatchAction, LatchRegister, LatchRequest, LatchScope, LatchView, Principal, REASON_BYTES_MAX, ReleaseRefused,
};
use skein_types::ids::{CommandId, OperatorId};
use skein_types::safety::Latch;
use skein_types::time::WallTime;
use uuid::Uuid;

fn operator(number: u8) -> Principal {
    Principal::Operator(OperatorId::new(format!("operator-{}", number % 3)).unwrap())
}

fn register() -> impl Strategy<Value = LatchRegister> {
    let level = select(vec![Latch::Released, Latch::Stop, Latch::Kill]);
    // Few values of each part, so that draws collide in all of them.
    (0..4_u64, level, 0..3_i64, any::<u8>(), 0..4_u128, "[ab]{0,2}").prop_map(
        |(epoch, level, at, by, request, reason)| LatchRegister {
            epoch: Epoch(epoch),
            level,
            reason,
            by: operator(by),
            at: WallTime::from_unix_nanos(at),
            request: CommandId(Uuid::from_u128(request)),
        },
    )
}

fn request(id: u128, action: LatchAction, by: u8) -> LatchRequest {
    LatchRequest {
        id: CommandId(Uuid::from_u128(id)),
        scope: LatchScope::Robot,
        action,
        reason: "smoke in aisle four".into(),
        by: operator(by),
        at: WallTime::from_unix_nanos(1),
    }
}

/// What happens at the doors of a register.
#[derive(Clone, Debug)]
enum Step {
    /// STOP or KILL arrives at a copy.
    Raise { door: Index, kill: bool, by: u8 },
    /// Somebody who looked at a copy releases what it shows, at another copy.
    Release { seen: Index, door: Index, by: u8 },
    /// One copy hears of another.
    Hear { from: Index, to: Index },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        (any::<Index>(), any::<bool>(), any::<u8>()).prop_map(|(door, kill, by)| Step::Raise { door, kill, by }),
        (any::<Index>(), any::<Index>(), any::<u8>()).prop_map(|(seen, door, by)| Step::Release { seen, door, by }),
        (any::<Index>(), any::<Index>()).prop_map(|(from, to)| Step::Hear { from, to }),
    ];
    vec(step, 0..60)
}

proptest! {
    #[test]
    fn merging_commutes(a in register(), b in register()) {
        prop_assert_eq!(a.merge(&b), b.merge(&a));
    }

    #[test]
    fn merging_is_associative(a in register(), b in register(), c in register()) {
        prop_assert_eq!(a.merge(&b).merge(&c), a.merge(&b.merge(&c)));
    }

    #[test]
    fn merging_again_changes_nothing(a in register(), b in register()) {
        prop_assert_eq!(a.merge(&a), a.clone());
        let both = a.merge(&b);
        prop_assert_eq!(both.merge(&a), both.clone());
        prop_assert_eq!(both.merge(&b), both);
    }

    #[test]
    fn a_request_never_moves_a_register_back(a in register(), kill in any::<bool>(), epoch in 0..6_u64) {
        let raise = if kill { LatchAction::Kill } else { LatchAction::Stop };
        for action in [raise, LatchAction::Release { epoch: Epoch(epoch) }] {
            if let Ok(after) = a.apply(&request(77, action, 0)) {
                prop_assert!(after >= a, "{after:?} is behind {a:?}");
                prop_assert_eq!(after.merge(&a), after);
            }
        }
    }

    #[test]
    fn stop_and_kill_are_never_refused_nor_lower_anything(a in register(), kill in any::<bool>()) {
        let (action, least) = if kill { (LatchAction::Kill, Latch::Kill) } else { (LatchAction::Stop, Latch::Stop) };
        let after = a.apply(&request(77, action, 1)).unwrap();
        prop_assert!(after.level >= least && after.level >= a.level);
    }

    #[test]
    fn a_second_stop_survives_the_release_of_the_first(a in register(), kill in any::<bool>()) {
        prop_assume!(a.is_latched());
        let under_way = a.apply(&request(50, LatchAction::Release { epoch: a.epoch }, 0)).unwrap();
        let again = a.apply(&request(51, if kill { LatchAction::Kill } else { LatchAction::Stop }, 1)).unwrap();
        prop_assert!(again.merge(&under_way).is_latched());
        let refused = again.apply(&request(52, LatchAction::Release { epoch: a.epoch }, 0));
        prop_assert!(matches!(refused, Err(ReleaseRefused::LatchedAgain { .. })), "{refused:?}");
    }

    /// Whatever the two copies were before, and whichever side was cut off.
    #[test]
    fn a_release_does_not_undo_a_stop_made_later(a in register(), b in register(), second in 10..20_i64) {
        prop_assume!(a.is_latched());
        let released = a.apply(&request(60, LatchAction::Release { epoch: a.epoch }, 0)).unwrap();
        let at = WallTime::from_unix_nanos(second * 1_000_000_000);
        let later = LatchRequest { at, ..request(61, LatchAction::Stop, 1) };
        let stopped = b.apply(&later).unwrap();
        prop_assert!(stopped.merge(&released).is_latched(), "{stopped:?} lost to {released:?}");
        prop_assert_eq!(stopped.epoch, Epoch(second as u64), "the same request gives the same epoch everywhere");
    }

    /// Copies at four doors, with everything that can reach them in any order. At each door, a STOP that came after
    /// the epoch which a release names stays; and when all have heard of all, they agree.
    #[test]
    fn doors_agree_once_all_have_heard_of_all(steps in steps()) {
        let mut doors = vec![LatchRegister::released(); 4];
        for (number, step) in steps.into_iter().enumerate() {
            let id = 1_000 + number as u128;
            match step {
                Step::Raise { door, kill, by } => {
                    let door = door.index(doors.len());
                    let action = if kill { LatchAction::Kill } else { LatchAction::Stop };
                    doors[door] = doors[door].apply(&request(id, action, by)).unwrap();
                    prop_assert!(doors[door].is_latched());
                }
                Step::Release { seen, door, by } => {
                    let (epoch, door) = (doors[seen.index(doors.len())].epoch, door.index(doors.len()));
                    let before = doors[door].clone();
                    if let Ok(after) = before.apply(&request(id, LatchAction::Release { epoch }, by)) {
                        prop_assert!(!before.is_latched() || before.epoch == epoch);
                        doors[door] = after;
                    }
                }
                Step::Hear { from, to } => {
                    let (from, to) = (from.index(doors.len()), to.index(doors.len()));
                    doors[to] = doors[to].merge(&doors[from]);
                }
            }
        }
        let all = doors.iter().fold(LatchRegister::released(), |all, door| all.merge(door));
        for door in &doors {
            prop_assert_eq!(door.merge(&all), all.clone());
        }
    }

    #[test]
    fn a_stamp_never_falls_and_a_packed_view_reads_back(a in register(), b in register(), stamp in any::<u64>()) {
        let set = |own: &LatchRegister| skein_types::authority::LatchSet { own: own.clone(), fleet: b.clone() };
        let merged = set(&a.merge(&b));
        prop_assert!(merged.view().stamp >= set(&a).view().stamp);
        let view = LatchView { level: a.level, stamp: stamp >> 2 };
        prop_assert_eq!(LatchView::unpack(view.pack()), view);
    }

    #[test]
    fn a_long_reason_is_cut_where_a_character_ends(reason in "[aä漢]{0,200}") {
        let asked = LatchRequest { reason: reason.clone(), ..request(9, LatchAction::Stop, 0) };
        let register = LatchRegister::released().apply(&asked).unwrap();
        prop_assert!(register.reason.len() <= REASON_BYTES_MAX && reason.starts_with(&register.reason));
    }
}
