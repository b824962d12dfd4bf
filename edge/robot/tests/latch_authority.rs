//! The latch authority from outside: every output, its moment and its content.
#![expect(clippy::unwrap_used, reason = "a test says by panicking what failed")]

mod latch_bench;

use latch_bench::{
    BOOT, Bench, SECOND, START, fleet_stop, id, ms, operator, release, request, robot, start, stop, stopped_in,
};
use skein_robot::latch::{
    Found, LOCAL_LEASE, LOCAL_STEP, LatchInput, LatchOutcome, LatchOutput, LatchPath, LatchRefusal, LatchVerdict,
    level_name,
};
use skein_types::authority::{
    Epoch, LatchAction, LatchRegister, LatchReport, LatchRequest, LatchScope, LatchSet, LeaseGrant, Principal, Term,
};
use skein_types::link::CommandOutcome;
use skein_types::safety::{Cause, Causes, Latch};
use skein_types::time::WallTime;
use uuid::Uuid;

#[test]
fn a_start_publishes_first_and_says_the_rest_after_it() {
    let bench = Bench::begin(&start(), Found::Nothing);
    let kinds: Vec<&str> = bench.said.iter().map(kind).collect();
    assert_eq!(kinds, ["publish", "inform", "save", "report", "gossip"]);
    let (ticket, contents) = bench.saves().pop().unwrap();
    assert_eq!((ticket, contents.clean, contents.kernel_boot.as_str()), (1, false, "k1"));
    assert_eq!((contents.robot, contents.fleet), (robot(1), start().fleet));
    let report = bench.reports().pop().unwrap();
    assert_eq!(report, LatchReport::default());
    let gossip = bench.gossip().pop().unwrap();
    assert_eq!((gossip.sender, gossip.boot, gossip.sequence), (robot(1), start().boot, 1));
    assert_eq!(gossip.robots, [(robot(1), LatchRegister::released())]);
}

fn kind(output: &LatchOutput) -> &'static str {
    match output {
        LatchOutput::Publish(_) => "publish",
        LatchOutput::Save { .. } => "save",
        LatchOutput::Ack { .. } => "ack",
        LatchOutput::Inform(_) => "inform",
        LatchOutput::Report(_) => "report",
        LatchOutput::Gossip(_) => "gossip",
    }
}

#[test]
fn an_orderly_end_and_a_higher_term_are_kept_and_a_lower_term_is_not() {
    let mut bench = Bench::fresh();
    bench.handle(LatchInput::Term(Term(4)));
    assert_eq!((bench.authority.term(), bench.reports().pop().unwrap().term), (Term(4), Term(4)));
    assert_eq!(bench.saves().pop().unwrap().1.term, Term(4));
    bench.save(Ok(()));
    bench.said.clear();
    for term in [Term(3), Term(4)] {
        bench.handle(LatchInput::Term(term));
    }
    assert_eq!((bench.authority.term(), bench.said.len()), (Term(4), 0));
    let admitted = [3, 4, 5].map(|term| bench.authority.admits(Term(term)));
    assert_eq!(admitted, [false, true, true]);
    bench.handle(LatchInput::CleanShutdown);
    assert!(bench.saves().pop().unwrap().1.clean);
}

#[test]
fn each_change_of_what_it_reports_is_reported_once_and_an_older_lease_is_none() {
    let mut bench = Bench::fresh();
    let mut reports = |input: LatchInput| {
        bench.said.clear();
        bench.after(ms(1), input);
        bench.reports()
    };
    let grant =
        |number, name: &str| LeaseGrant { id: Uuid::from_u128(number), operator: operator(name), remaining: SECOND };
    assert!(reports(LatchInput::Tick).is_empty());
    assert!(reports(LatchInput::Manual(Some(operator("ada"))))[0].manual);
    assert!(reports(LatchInput::Manual(Some(operator("ada")))).is_empty());
    assert_eq!(reports(LatchInput::Lease(Some(grant(1, "ada"))))[0].lease, Some(grant(1, "ada")));
    assert!(reports(LatchInput::Tick).is_empty(), "a lease that only gets older");
    assert_eq!(reports(LatchInput::Lease(Some(grant(2, "ada")))).len(), 1);
    assert_eq!(reports(LatchInput::Lease(Some(grant(2, "ben")))).len(), 1);
    assert_eq!(reports(LatchInput::Lease(None))[0].lease, None);
    // One for what it obeys, with what is not on the disk yet; one once it is.
    let stopped = reports(LatchInput::Request { from: LatchPath::Mesh, target: None, request: stop(1) });
    assert_eq!((stopped.len(), stopped[0].kept, stopped[0].latches.level()), (1, false, Latch::Stop));
    let again = reports(LatchInput::Request { from: LatchPath::Mesh, target: None, request: stop(2) });
    assert_eq!((again.len(), again[0].kept), (1, false));
    bench.said.clear();
    bench.handle(LatchInput::Saved { ticket: 2, result: Ok(()) });
    assert!(!bench.reports().iter().any(|report| report.kept), "the second stop is not on the disk yet");
    bench.save(Ok(()));
    assert!(bench.reports().last().unwrap().kept);
}

#[test]
fn it_asks_to_be_called_when_the_next_gossip_is_due() {
    let mut bench = Bench::fresh();
    assert_eq!(bench.authority.next_deadline(), START + SECOND);
    bench.after(ms(999), LatchInput::Tick);
    assert!(bench.gossip().is_empty());
    bench.after(ms(1), LatchInput::Tick);
    assert_eq!(bench.gossip().len(), 1);
    assert_eq!(bench.authority.next_deadline(), START + 2 * SECOND);
}

#[test]
fn a_lease_ends_and_is_reported_at_its_own_deadline() {
    let mut bench = Bench::fresh();
    bench.after(ms(500), LatchInput::Tick);
    let grant = bench.authority.take_lease(bench.now, &operator("ada")).unwrap();
    assert_eq!((grant.operator, grant.remaining), (operator("ada"), LOCAL_LEASE));
    bench.wait(LOCAL_LEASE - ms(1));
    assert_eq!(bench.authority.next_deadline(), bench.now + ms(1));
    assert!(bench.reports().last().unwrap().lease.is_some());
    bench.wait(ms(1));
    assert_eq!(bench.reports().last().unwrap().lease, None);
}

#[test]
fn a_lease_of_one_operator_is_given_back_by_nobody_else() {
    let mut bench = Bench::fresh();
    let first = bench.authority.take_lease(bench.now, &operator("ada")).unwrap();
    bench.drain();
    assert_eq!(first.id, Uuid::from_u128(BOOT + 1), "this robot's own ids count on from its boot");
    assert_eq!(bench.reports().last().unwrap().lease, Some(first));
    let held = bench.authority.take_lease(bench.now, &operator("ben")).unwrap_err();
    assert_eq!(held.to_string(), "ada holds the lease of this robot for 5.0 s more");
    assert!(!bench.authority.give_back_lease(bench.now, &operator("ben")));
    assert!(bench.authority.report(bench.now).lease.is_some());
    assert!(bench.authority.give_back_lease(bench.now, &operator("ada")));
    bench.drain();
    assert_eq!(bench.reports().last().unwrap().lease, None);
    assert!(!bench.authority.give_back_lease(bench.now, &operator("ada")));
    let second = bench.authority.take_lease(bench.now, &operator("ben")).unwrap();
    assert_eq!(second.id, Uuid::from_u128(BOOT + 3));
}

#[test]
fn a_lease_that_is_used_lasts_at_least_as_long_as_it_did() {
    let mut bench = Bench::fresh();
    let of_supervisor = LeaseGrant { id: Uuid::from_u128(9), operator: operator("ada"), remaining: 60 * SECOND };
    bench.handle(LatchInput::Lease(Some(of_supervisor.clone())));
    assert_eq!(bench.authority.take_lease(bench.now, &operator("ada")), Ok(of_supervisor));
    let short = LeaseGrant { id: Uuid::from_u128(9), operator: operator("ada"), remaining: SECOND };
    bench.handle(LatchInput::Lease(Some(short)));
    let used = bench.authority.take_lease(bench.now, &operator("ada")).unwrap();
    assert_eq!((used.id, used.remaining), (Uuid::from_u128(9), LOCAL_LEASE));
    // To the moment: at its end it is held no more.
    assert!(bench.authority.report(bench.now + LOCAL_LEASE - ms(1)).lease.is_some());
    assert_eq!(bench.authority.report(bench.now + LOCAL_LEASE).lease, None);
    let next = bench.authority.take_lease(bench.now + LOCAL_LEASE, &operator("ben")).unwrap();
    assert_ne!(next.id, Uuid::from_u128(9), "a lease that has ended is not used");
}

#[test]
fn a_failed_disk_is_tried_again_after_a_second_or_at_once_when_there_is_more_to_keep() {
    let mut bench = Bench::fresh();
    bench.after(ms(300), LatchInput::Tick);
    bench.ask(1, stop(1));
    bench.save(Err("disk full"));
    assert!(bench.saves().is_empty());
    let report = bench.reports().pop().unwrap();
    assert_eq!((report.kept, report.error.as_str()), (false, "disk full"));
    bench.wait(ms(999));
    assert!(bench.saves().is_empty());
    assert_eq!(bench.authority.next_deadline(), bench.now + ms(1));
    bench.wait(ms(1));
    bench.save(Err("disk full"));
    assert!(bench.saves().is_empty());
    bench.ask(2, stop(2));
    assert_eq!(bench.saves().len(), 1);
    bench.save(Ok(()));
    let report = bench.reports().pop().unwrap();
    assert_eq!((report.kept, report.error.as_str()), (true, ""));
}

#[test]
fn a_disk_that_does_not_answer_is_said_at_two_seconds_and_once() {
    let mut bench = Bench::fresh();
    bench.after(ms(300), LatchInput::Tick);
    bench.ask(1, stop(1));
    bench.wait(ms(1_999));
    assert!(bench.acks().is_empty());
    assert_eq!(bench.authority.next_deadline(), bench.now + ms(1));
    bench.wait(ms(1));
    let (_, outcome) = bench.acks().pop().unwrap();
    assert_eq!((outcome.kept, outcome.error.as_str()), (false, "the disk does not answer within 2 s"));
    assert_eq!(bench.reports().pop().unwrap().error, outcome.error);
    let due = bench.authority.next_deadline();
    assert!(due > bench.now, "an overdue disk asks for no further call: {due}");
    bench.said.clear();
    bench.wait(ms(900));
    assert!(bench.reports().is_empty() && bench.saves().is_empty());
}

#[test]
fn an_answer_of_the_disk_to_another_ticket_says_nothing() {
    let mut bench = Bench::fresh();
    bench.ask(1, stop(1));
    bench.handle(LatchInput::Saved { ticket: 1, result: Ok(()) });
    bench.handle(LatchInput::Saved { ticket: 3, result: Err("not mine".into()) });
    assert!(bench.acks().is_empty() && !bench.authority.report(bench.now).kept);
    assert_eq!(bench.authority.report(bench.now).error, "");
}

#[test]
fn a_save_answers_the_acks_of_its_content_and_no_later_ones() {
    let mut bench = Bench::fresh();
    bench.ask(1, stop(1));
    bench.ask(2, stop(2));
    bench.save(Ok(()));
    let acks = bench.acks();
    assert_eq!(acks.len(), 1);
    assert_eq!((acks[0].0, acks[0].1.request, acks[0].1.kept), (LatchPath::DebugApi(1), id(1), true));
    assert_eq!(acks[0].1.latches.own.epoch, Epoch(0), "what it obeyed after that request");
    bench.save(Ok(()));
    assert_eq!(bench.acks()[1].0, LatchPath::DebugApi(2));
    // All of it is kept: a repetition is answered at once.
    bench.ask(3, stop(1));
    let (path, outcome) = bench.acks().pop().unwrap();
    assert_eq!((path, outcome.verdict, outcome.kept), (LatchPath::DebugApi(3), LatchVerdict::AlreadyDone, true));
}

#[test]
fn when_sixty_four_acks_wait_for_the_disk_the_next_is_answered_at_once() {
    let mut bench = Bench::fresh();
    (1..=64).for_each(|n| bench.ask(n, stop(u128::from(n))));
    assert!(bench.acks().is_empty());
    bench.ask(65, stop(65));
    let acks = bench.acks();
    assert_eq!((acks.len(), acks[0].0, acks[0].1.kept), (1, LatchPath::DebugApi(65), false));
    assert_eq!(acks[0].1.error, "too many requests wait for the disk");
}

#[test]
fn an_outcome_answers_a_command_as_done_failed_or_rejected() {
    let outcome = |verdict, kept| LatchOutcome {
        request: id(1),
        verdict,
        latches: LatchSet { own: stopped_in(1), ..LatchSet::default() },
        kept,
        error: "disk full".into(),
    };
    for verdict in [LatchVerdict::Applied, LatchVerdict::AlreadyDone, LatchVerdict::Relayed] {
        assert_eq!(outcome(verdict.clone(), true).command_outcome(), CommandOutcome::Done);
        let failed = CommandOutcome::Failed("stopped, not kept: disk full".into());
        assert_eq!(outcome(verdict, false).command_outcome(), failed);
    }
    for kept in [true, false] {
        let refusal = LatchRefusal::NoOperator(Principal::Robot(robot(2)));
        let rejected = CommandOutcome::Rejected("robot:rover-0002 cannot release: only an operator can".into());
        assert_eq!(outcome(LatchVerdict::Refused(refusal), kept).command_outcome(), rejected);
    }
    let names = [Latch::Released, Latch::Stop, Latch::Kill].map(level_name);
    assert_eq!(names, ["released", "stopped", "power cut"]);
}

#[test]
fn an_order_merges_its_state_first_and_is_acked_over_its_command() {
    let mut bench = Bench::fresh();
    bench.order(None, LatchSet { own: stopped_in(4), ..LatchSet::default() });
    assert_eq!((bench.level(), bench.authority.latches().own.epoch), (Latch::Stop, Epoch(4)));
    bench.save(Ok(()));
    let (path, outcome) = bench.acks().pop().unwrap();
    assert_eq!(path, LatchPath::Supervisor(id(500)));
    assert_eq!((outcome.request, outcome.verdict), (id(0), LatchVerdict::AlreadyDone));
    // The supervisor has looked at the lease: the robot does not refuse for it.
    bench.authority.take_lease(bench.now, &operator("ben")).unwrap();
    bench.order(Some(release(2, 6)), LatchSet { own: stopped_in(6), ..LatchSet::default() });
    assert_eq!((bench.level(), bench.authority.latches().own.epoch), (Latch::Released, Epoch(7)));
    bench.save(Ok(()));
    let (_, outcome) = bench.acks().pop().unwrap();
    assert_eq!((outcome.request, outcome.verdict), (id(2), LatchVerdict::Applied));
}

#[test]
fn a_release_by_a_robot_or_a_service_is_refused_by_whatever_path() {
    for by in [Principal::Robot(robot(2)), Principal::Service(operator("cron"))] {
        let mut bench = Bench::fresh();
        bench.ask(1, stop(1));
        let asked = LatchRequest { by: by.clone(), ..release(2, 0) };
        bench.order(Some(asked.clone()), LatchSet::default());
        bench.ask(2, asked);
        let acks = bench.acks();
        let refused = LatchVerdict::Refused(LatchRefusal::NoOperator(by));
        assert!(acks.len() == 2 && acks.iter().all(|(_, outcome)| outcome.verdict == refused), "{acks:?}");
        assert!(acks.iter().all(|(_, outcome)| outcome.kept), "nothing waits for the disk");
        assert_eq!(bench.level(), Latch::Stop);
    }
}

#[test]
fn what_the_reflex_latches_is_a_local_stop_beyond_every_epoch_that_others_hold() {
    let latched = |causes, at| LatchInput::ReflexLatched { causes, stamp: 0, at };
    let causes = Causes::NONE.with(Cause::PowerLoss).with(Cause::Tilt).with(Cause::EmergencyStop).with(Cause::Cliff);
    let mut bench = Bench::fresh();
    bench.handle(latched(Causes::NONE, WallTime::default()));
    assert_eq!(bench.level(), Latch::Released);
    bench.handle(latched(causes, WallTime::from_unix_nanos(2_500_999_999_999)));
    let own = bench.authority.latches().own.clone();
    let reason = "cliff, it tipped over, the motors lost their power, its emergency-stop button was pressed";
    assert_eq!(own.reason, reason);
    assert_eq!((own.epoch, own.by, own.request), (Epoch(2_500), Principal::Robot(robot(1)), id(BOOT + 1)));
    let mut unset = Bench::fresh();
    unset.handle(latched(Causes::NONE.with(Cause::Cliff), WallTime::from_unix_nanos(-5)));
    let own = unset.authority.latches().own.clone();
    assert_eq!((own.epoch, own.reason.as_str()), (Epoch(LOCAL_STEP), Cause::Cliff.name()));
    unset.ask(1, release(1, LOCAL_STEP));
    unset.handle(LatchInput::ReflexLatched { causes, stamp: 1, at: WallTime::default() });
    assert_eq!(unset.authority.latches().own.epoch, Epoch(2 * LOCAL_STEP + 1));
    assert_eq!(unset.authority.view().stamp, 1);
}

#[test]
fn a_record_that_cannot_be_read_leaves_the_last_power_cut_in_force() {
    let mut bench = Bench::fresh();
    bench.ask(1, request(1, LatchScope::Robot, LatchAction::Kill));
    bench.ask(2, fleet_stop(2));
    bench.save(Ok(()));
    let last = bench.saves().pop().map(|(_, contents)| Box::new(contents));
    let again = Bench::begin(&start(), Found::Unreadable { reason: "not JSON".into(), last });
    let latches = again.authority.latches();
    assert_eq!((latches.own.level, latches.fleet.level), (Latch::Kill, Latch::Stop));
    assert_eq!(latches.own.reason, "the kept latch cannot be read: not JSON");
    assert_eq!((latches.own.epoch, latches.fleet.request), (Epoch(1_800_000_000), id(2)));
    assert_eq!(again.said[0], LatchOutput::Publish(again.authority.view()));
}

#[test]
fn the_last_sixty_four_requests_are_remembered_and_kept() {
    let mut bench = Bench::fresh();
    (1..=66).for_each(|n| bench.ask(1, stop(n)));
    bench.save(Ok(()));
    let recent = bench.saves().pop().unwrap().1.recent;
    assert_eq!(recent, (3..=66).map(id).collect::<Vec<_>>());
    let before = bench.authority.latches().clone();
    bench.ask(1, stop(3));
    assert_eq!(bench.authority.latches(), &before);
    bench.ask(1, stop(2));
    assert_ne!(bench.authority.latches(), &before, "an older one is forgotten, and stops again");
}

#[test]
fn a_state_without_a_request_is_not_remembered_as_one() {
    let mut bench = Bench::fresh();
    bench.order(None, LatchSet { own: stopped_in(4), ..LatchSet::default() });
    bench.save(Ok(()));
    bench.order(None, LatchSet { own: LatchRegister { request: id(7), ..stopped_in(5) }, ..LatchSet::default() });
    bench.order(None, LatchSet { fleet: LatchRegister { request: id(8), ..stopped_in(5) }, ..LatchSet::default() });
    bench.save(Ok(()));
    assert_eq!(bench.saves().pop().unwrap().1.recent, [id(7), id(8)]);
    bench.ask(3, stop(8));
    assert_eq!(bench.authority.latches().own.request, id(7));
}

#[test]
fn what_changes_nothing_is_not_said_and_a_level_that_stays_is_not_published() {
    let mut bench = Bench::fresh();
    bench.order(None, LatchSet::default());
    let kinds: Vec<&str> = bench.said.iter().map(kind).collect();
    assert_eq!(kinds, ["ack"], "nothing to keep: the ack is at once");
    bench.said.clear();
    bench.after(ms(100), LatchInput::Request { from: LatchPath::Mesh, target: None, request: stop(1) });
    let kinds: Vec<&str> = bench.said.iter().map(kind).collect();
    assert_eq!(kinds, ["publish", "inform", "save", "report", "gossip"]);
    bench.said.clear();
    bench.after(ms(100), LatchInput::Request { from: LatchPath::Mesh, target: None, request: stop(2) });
    let kinds: Vec<&str> = bench.said.iter().map(kind).collect();
    assert_eq!(kinds, ["inform", "report", "gossip"]);
    bench.said.clear();
    bench.ask(1, release(3, 1));
    assert_eq!(bench.said.iter().map(kind).next(), Some("publish"));
    assert_eq!((bench.authority.view().level, bench.authority.view().stamp), (Latch::Released, 1));
    bench.said.clear();
    bench.ask(2, release(4, 1));
    for ticket in [2, 4] {
        bench.handle(LatchInput::Saved { ticket, result: Ok(()) });
    }
    let verdicts: Vec<LatchVerdict> = bench.acks().into_iter().map(|(_, outcome)| outcome.verdict).collect();
    assert_eq!(verdicts, [LatchVerdict::Applied, LatchVerdict::AlreadyDone], "free already");
}

#[test]
fn the_operator_who_drives_is_kept_and_found_again_after_a_restart() {
    let mut bench = Bench::fresh();
    bench.handle(LatchInput::Manual(Some(operator("ada"))));
    let (_, contents) = bench.saves().pop().unwrap();
    assert_eq!((contents.manual.clone(), bench.authority.manual()), (Some(operator("ada")), Some(&operator("ada"))));
    bench.save(Ok(()));
    bench.said.clear();
    bench.handle(LatchInput::Manual(Some(operator("ada"))));
    assert!(bench.said.is_empty(), "nothing has changed");
    bench.handle(LatchInput::Manual(Some(operator("ben"))));
    assert_eq!(bench.saves().pop().unwrap().1.manual, Some(operator("ben")));
    let again = Bench::begin(&start(), Found::Contents(Box::new(contents)));
    assert_eq!(again.authority.manual(), Some(&operator("ada")));
    assert!(again.reports().pop().unwrap().manual);
    let first = Bench::begin(&start(), Found::Nothing);
    assert_eq!((first.authority.manual(), first.reports().pop().unwrap().manual), (None, false));
}
