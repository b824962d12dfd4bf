//! The authority against a reference model, under repetition, reordering, failing disks and restarts.

use super::persistence::{SAVE_AGAIN, SAVE_WITHIN, WAITING_MAX};
use super::*;
use core::time::Duration;
use proptest::prelude::*;
use skein_types::authority::ReleaseRefused;
use skein_types::link::CommandOutcome;
use skein_types::time::WallTime;

const NOW: MonoTime = MonoTime::from_millis(1_000);

fn robot(number: usize) -> AgentId {
    AgentId::new(format!("rover-{number}")).unwrap()
}

fn person(name: &str) -> Principal {
    Principal::Operator(OperatorId::new(name).unwrap())
}

fn start_of(number: usize) -> Start {
    Start {
        robot: robot(number),
        fleet: FleetId::new("yard").unwrap(),
        boot: BootId(Uuid::from_u128(0xb007 << 64 | (number as u128) << 32)),
        kernel_boot: "k1".into(),
        now: NOW,
        wall: WallTime::from_unix_nanos(1_800_000_000_000_000_000),
        mesh_may_release: false,
    }
}

fn request(id: u128, scope: LatchScope, action: LatchAction) -> LatchRequest {
    let at = WallTime::from_unix_nanos(i64::try_from(id).unwrap());
    LatchRequest { id: CommandId(Uuid::from_u128(id)), scope, action, reason: "test".into(), by: person("ada"), at }
}

fn stop(id: u128) -> LatchRequest {
    request(id, LatchScope::Robot, LatchAction::Stop)
}

fn release(id: u128, epoch: Epoch) -> LatchRequest {
    request(id, LatchScope::Robot, LatchAction::Release { epoch })
}

fn asked(caller: u64, request: LatchRequest) -> LatchInput {
    LatchInput::Request { from: LatchPath::DebugApi(caller), target: None, request }
}

/// One robot with a disk that can be told to fail.
struct Bench {
    authority: LatchAuthority,
    now: MonoTime,
    cell: LatchView,
    disk: Option<LatchFileContents>,
    under_way: Option<(u64, LatchFileContents)>,
    acks: Vec<(LatchPath, LatchOutcome)>,
    gossip: Vec<LatchGossip>,
    /// The most outputs that one input brought.
    most: usize,
}

impl Bench {
    fn start(number: usize, found: Found) -> Self {
        Self::start_as(&start_of(number), found)
    }

    fn start_as(start: &Start, found: Found) -> Self {
        let mut bench = Self {
            authority: LatchAuthority::start(start.now, start, found),
            now: start.now,
            cell: LatchView::default(),
            disk: None,
            under_way: None,
            acks: Vec::new(),
            gossip: Vec::new(),
            most: 0,
        };
        bench.drain();
        bench
    }

    fn fresh() -> Self {
        let mut bench = Self::start(1, Found::Nothing);
        bench.save(true);
        bench
    }

    fn handle(&mut self, input: LatchInput) {
        self.authority.handle(self.now, input);
        self.drain();
    }

    fn drain(&mut self) {
        let mut count = 0;
        while let Some(output) = self.authority.poll_output() {
            count += 1;
            match output {
                LatchOutput::Publish(view) => self.cell = view,
                LatchOutput::Save { ticket, contents } => {
                    assert!(self.under_way.is_none(), "one save at a time");
                    self.under_way = Some((ticket, *contents));
                }
                LatchOutput::Ack { path, outcome } => self.acks.push((path, outcome)),
                LatchOutput::Gossip(gossip) => self.gossip.push(*gossip),
                LatchOutput::Inform(_) | LatchOutput::Report(_) => {}
            }
        }
        self.most = self.most.max(count);
    }

    /// The disk answers what is under way.
    fn save(&mut self, works: bool) {
        let Some((ticket, contents)) = self.under_way.take() else { return };
        let result = if works { Ok(()) } else { Err("disk full".to_owned()) };
        if works {
            self.disk = Some(contents);
        }
        self.handle(LatchInput::Saved { ticket, result });
    }

    fn save_all(&mut self) {
        while self.under_way.is_some() {
            self.save(true);
        }
    }

    fn wait(&mut self, span: Duration) {
        let until = self.now + span;
        while self.authority.next_deadline() <= until {
            self.now = self.now.max(self.authority.next_deadline());
            self.handle(LatchInput::Tick);
            assert!(self.authority.next_deadline() > self.now, "a drained core is not overdue");
        }
        self.now = until;
    }

    fn level(&self) -> Latch {
        assert_eq!(self.cell.level, self.authority.latches().level(), "the cell holds what the robot obeys");
        self.cell.level
    }

    fn own_epoch(&self) -> Epoch {
        self.authority.latches().own.epoch
    }

    /// The process is gone; what is on the disk starts it again.
    fn restarted(&self, kernel_boot: &str) -> Self {
        let found = self.disk.clone().map_or(Found::Nothing, |contents| Found::Contents(Box::new(contents)));
        let start = Start { now: self.now, kernel_boot: kernel_boot.into(), ..start_of(1) };
        Self { disk: self.disk.clone(), ..Self::start_as(&start, found) }
    }
}

#[test]
fn a_stop_is_in_the_cell_at_once_and_its_ack_comes_after_the_disk() {
    let mut bench = Bench::fresh();
    bench.handle(asked(1, stop(1)));
    assert_eq!(bench.level(), Latch::Stop);
    assert!(bench.acks.is_empty(), "not before it is kept");
    bench.save(true);
    let (path, outcome) = bench.acks.pop().unwrap();
    assert_eq!((path, outcome.verdict, outcome.kept), (LatchPath::DebugApi(1), LatchVerdict::Applied, true));
    assert_eq!(bench.disk.unwrap().latches.level(), Latch::Stop);
}

#[test]
fn a_disk_that_fails_leaves_it_stopped_and_says_not_kept() {
    let mut bench = Bench::fresh();
    bench.handle(LatchInput::Order {
        command: CommandId(Uuid::from_u128(77)),
        order: LatchOrder { request: Some(stop(1)), state: LatchSet::default() },
    });
    bench.save(false);
    let (_, outcome) = bench.acks.pop().unwrap();
    assert_eq!(outcome.command_outcome(), CommandOutcome::Failed("stopped, not kept: disk full".into()));
    assert_eq!((bench.level(), bench.authority.report(bench.now).kept), (Latch::Stop, false));
    bench.wait(SAVE_AGAIN);
    bench.save(true);
    assert!(bench.authority.report(bench.now).kept, "it goes on trying");
}

#[test]
fn a_disk_that_hangs_costs_an_ack_two_seconds_and_no_more() {
    let mut bench = Bench::fresh();
    bench.handle(asked(1, stop(1)));
    bench.wait(SAVE_WITHIN);
    let (_, outcome) = bench.acks.pop().unwrap();
    assert!(!outcome.kept && outcome.error.contains("does not answer"), "{outcome:?}");
    bench.handle(asked(2, request(2, LatchScope::Robot, LatchAction::Kill)));
    assert_eq!((bench.level(), bench.acks.len()), (Latch::Kill, 1), "the second is answered at once");
    bench.save_all();
    assert!(bench.authority.report(bench.now).kept, "a late answer counts");
}

#[test]
fn a_request_takes_effect_once_over_all_paths() {
    let mut bench = Bench::fresh();
    let order = LatchOrder { request: Some(stop(1)), state: LatchSet::default() };
    bench.handle(asked(1, stop(1)));
    bench.handle(LatchInput::Order { command: CommandId(Uuid::from_u128(50)), order: order.clone() });
    let stopped = bench.authority.latches().clone();
    bench.handle(asked(2, release(2, bench.own_epoch())));
    bench.handle(LatchInput::Order { command: CommandId(Uuid::from_u128(51)), order });
    bench.handle(asked(3, stop(1)));
    assert_eq!(bench.level(), Latch::Released, "the same stop does not come back after its release");
    assert_eq!(stopped.own.epoch, Epoch(0));
    bench.save_all();
    let verdicts: Vec<&LatchVerdict> = bench.acks.iter().map(|(_, outcome)| &outcome.verdict).collect();
    let (applied, done) = (LatchVerdict::Applied, LatchVerdict::AlreadyDone);
    assert_eq!(verdicts, [&applied, &done, &applied, &done, &done]);
}

#[test]
fn a_release_of_an_older_stop_is_refused_by_name() {
    let mut bench = Bench::fresh();
    bench.handle(asked(1, stop(1)));
    bench.handle(asked(2, stop(2)));
    bench.handle(asked(3, release(3, Epoch(0))));
    assert_eq!(bench.level(), Latch::Stop);
    let (_, outcome) = bench.acks.pop().unwrap();
    assert!(matches!(
        outcome.verdict,
        LatchVerdict::Refused(LatchRefusal::Release(ReleaseRefused::LatchedAgain { epoch: Epoch(1), .. }))
    ));
    bench.handle(asked(4, release(4, Epoch(1))));
    assert_eq!(bench.level(), Latch::Released);
}

#[test]
fn only_a_person_releases_and_only_the_holder_where_a_lease_is_held() {
    let mut bench = Bench::fresh();
    bench.handle(asked(1, stop(1)));
    let by = |id, by| LatchRequest { by, ..release(id, Epoch(0)) };
    bench.handle(asked(2, by(2, Principal::Robot(robot(2)))));
    bench.authority.take_lease(bench.now, &OperatorId::new("ben").unwrap()).unwrap();
    bench.handle(asked(3, by(3, person("ada"))));
    assert_eq!(bench.level(), Latch::Stop);
    bench.handle(asked(4, by(4, person("ben"))));
    assert_eq!(bench.level(), Latch::Released);
    bench.handle(asked(5, stop(5)));
    assert_eq!(bench.level(), Latch::Stop, "a stop asks for no lease");
}

#[test]
fn the_stamp_rises_with_each_release_and_with_nothing_else() {
    let mut bench = Bench::fresh();
    let newer = LatchRegister { epoch: Epoch(5), ..LatchRegister::released() };
    let order = LatchOrder { request: None, state: LatchSet { own: newer, ..LatchSet::default() } };
    bench.handle(LatchInput::Order { command: CommandId(Uuid::nil()), order });
    assert_eq!((bench.own_epoch(), bench.cell.stamp), (Epoch(5), 0), "newer state is no release");
    bench.handle(asked(1, stop(1)));
    bench.handle(asked(2, stop(2)));
    assert_eq!(bench.cell, LatchView { level: Latch::Stop, stamp: 0 });
    bench.handle(asked(3, release(3, bench.own_epoch())));
    assert_eq!(bench.cell, LatchView { level: Latch::Released, stamp: 1 });
}

#[test]
fn what_the_reflex_latched_before_it_read_the_release_does_not_stop_the_robot_again() {
    let mut bench = Bench::fresh();
    let latched =
        |stamp| LatchInput::ReflexLatched { causes: Causes::NONE.with(Cause::PowerLoss), stamp, at: start_of(1).wall };
    bench.handle(latched(0));
    assert_eq!(bench.level(), Latch::Stop);
    let own = bench.authority.latches().own.clone();
    assert_eq!((own.by, own.reason.as_str()), (Principal::Robot(robot(1)), "the motors lost their power"));
    bench.handle(latched(0));
    assert_eq!(bench.own_epoch(), own.epoch, "once");
    bench.handle(asked(1, release(1, own.epoch)));
    bench.handle(latched(0));
    assert_eq!(bench.level(), Latch::Released);
    bench.handle(latched(1));
    assert_eq!(bench.level(), Latch::Stop, "the power did not come back");
}

#[test]
fn a_stop_that_the_robot_raised_itself_outlives_a_release_made_while_it_was_away() {
    let mut bench = Bench::fresh();
    let stamp = bench.cell.stamp;
    bench.handle(LatchInput::ReflexLatched { causes: Causes::NONE.with(Cause::Tilt), stamp, at: WallTime::default() });
    let released = LatchRegister { epoch: Epoch(9), ..LatchRegister::released() };
    let order = LatchOrder { request: None, state: LatchSet { own: released, ..LatchSet::default() } };
    bench.handle(LatchInput::Order { command: CommandId(Uuid::nil()), order });
    assert_eq!((bench.level(), bench.own_epoch()), (Latch::Stop, Epoch(LOCAL_STEP)));
}

#[test]
fn a_restart_finds_the_latch_as_it_was_acknowledged() {
    let mut bench = Bench::fresh();
    bench.handle(asked(1, request(1, LatchScope::Robot, LatchAction::Kill)));
    let mut lost = bench.restarted("k1");
    assert_eq!((lost.level(), bench.acks.len()), (Latch::Released, 0), "nobody was told that it is kept");
    bench.save(true);
    let mut kept = bench.restarted("k1");
    assert_eq!((kept.level(), bench.acks.len()), (Latch::Kill, 1));
    kept.handle(asked(1, stop(1)));
    assert_eq!(kept.own_epoch(), Epoch(0), "the request is still known");
    lost.handle(asked(1, stop(1)));
    assert_eq!(lost.level(), Latch::Stop);
}

#[test]
fn lost_power_an_unreadable_record_and_another_robots_record_read_as_stop() {
    let mut bench = Bench::fresh();
    assert_eq!(bench.restarted("k1").level(), Latch::Released, "a crash of the process alone");
    let power = bench.restarted("k2");
    assert_eq!(power.level(), Latch::Stop);
    assert!(power.authority.latches().own.reason.contains("lost its power"));
    assert_eq!(bench.restarted("").level(), Latch::Stop, "a kernel that does not say counts as another");
    bench.handle(LatchInput::CleanShutdown);
    bench.save_all();
    assert_eq!(bench.restarted("k2").level(), Latch::Released, "it was shut down in order");
    let last = bench.disk.clone().map(Box::new);
    for last in [None, last] {
        let unreadable = Bench::start(1, Found::Unreadable { reason: "not JSON".into(), last });
        assert_eq!(unreadable.level(), Latch::Stop);
    }
    let contents = Box::new(bench.disk.clone().unwrap());
    assert_eq!(Bench::start(2, Found::Contents(contents.clone())).level(), Latch::Stop);
    let newer = Box::new(LatchFileContents { version: RECORD_VERSION + 1, ..*contents });
    assert_eq!(Bench::start(1, Found::Contents(newer)).level(), Latch::Stop);
}

#[test]
fn the_fifth_crash_within_two_minutes_is_a_stop() {
    let mut bench = Bench::fresh();
    for crash in 1..CRASHES_MAX {
        bench = bench.restarted("k1");
        bench.save_all();
        assert_eq!(bench.level(), Latch::Released, "crash {crash}");
        bench.wait(Duration::from_secs(10));
    }
    let mut fifth = bench.restarted("k1");
    assert_eq!(fifth.level(), Latch::Stop);
    fifth.save_all();
    fifth.handle(asked(1, release(1, fifth.own_epoch())));
    fifth.save_all();
    assert_eq!(fifth.restarted("k1").level(), Latch::Released, "a person looked; it counts anew");
    let mut slow = Bench::fresh();
    for _ in 0..20 {
        slow.wait(CRASH_WINDOW / 4);
        slow = slow.restarted("k1");
        slow.save_all();
        assert_eq!(slow.level(), Latch::Released);
    }
}

#[test]
fn a_stop_of_the_fleet_and_one_for_another_robot_pass_through_a_robot_that_hears_both() {
    let mut asked_at = Bench::start(1, Found::Nothing);
    let mut between = Bench::start(2, Found::Nothing);
    let mut last = Bench::start(3, Found::Nothing);
    asked_at.handle(asked(1, request(1, LatchScope::Fleet, LatchAction::Stop)));
    let target = Some(robot(3));
    let kill = request(2, LatchScope::Robot, LatchAction::Kill);
    asked_at.wait(Duration::from_millis(100));
    asked_at.handle(LatchInput::Request { from: LatchPath::DebugApi(2), target, request: kill });
    asked_at.wait(Duration::from_millis(100));
    for gossip in asked_at.gossip.clone() {
        between.handle(LatchInput::Gossip(Box::new(gossip)));
    }
    between.wait(Duration::from_millis(100));
    for gossip in between.gossip.clone() {
        last.handle(LatchInput::Gossip(Box::new(gossip)));
    }
    assert_eq!((asked_at.level(), between.level(), last.level()), (Latch::Stop, Latch::Stop, Latch::Kill));
    let known: Vec<&AgentId> = last.authority.known().map(|(robot, ..)| robot).collect();
    assert_eq!(known, [&robot(1), &robot(2)]);
}

#[test]
fn one_request_for_several_robots_is_passed_on_to_each() {
    let mut asked_at = Bench::start(1, Found::Nothing);
    let mut between = Bench::start(2, Found::Nothing);
    let mut last = Bench::start(3, Found::Nothing);
    let stop_them = stop(1);
    asked_at.handle(asked(1, stop_them.clone()));
    for (caller, number) in [(2, 2), (3, 3)] {
        let target = Some(robot(number));
        asked_at.handle(LatchInput::Request { from: LatchPath::DebugApi(caller), target, request: stop_them.clone() });
    }
    asked_at.wait(Duration::from_millis(100));
    for gossip in asked_at.gossip.clone() {
        between.handle(LatchInput::Gossip(Box::new(gossip)));
    }
    assert_eq!(between.level(), Latch::Stop);
    between.wait(Duration::from_millis(100));
    for gossip in between.gossip.clone() {
        last.handle(LatchInput::Gossip(Box::new(gossip)));
    }
    assert_eq!(last.level(), Latch::Stop, "it hears only the robot between, which had executed the request itself");
}

#[test]
fn requests_stop_circulating_and_peers_never_release_this_robots_own_latch() {
    let mut bench = Bench::fresh();
    bench.handle(asked(1, request(1, LatchScope::Fleet, LatchAction::Stop)));
    bench.wait(RELAY_FOR + Duration::from_secs(2));
    assert!(bench.gossip.last().unwrap().requests.is_empty());
    bench.handle(asked(2, stop(2)));
    let forged = LatchRegister { epoch: Epoch(7), ..LatchRegister::released() };
    let gossip = |register| {
        LatchInput::Gossip(Box::new(LatchGossip {
            sender: robot(2),
            boot: BootId(Uuid::nil()),
            sequence: 1,
            fleet: LatchRegister::released(),
            robots: vec![(robot(1), register)],
            requests: Vec::new(),
        }))
    };
    bench.handle(gossip(forged));
    assert_eq!(bench.authority.latches().own.level, Latch::Stop);
    let beyond = LatchRegister { epoch: Epoch(u64::MAX), level: Latch::Stop, ..LatchRegister::released() };
    bench.handle(gossip(beyond));
    assert_eq!(bench.own_epoch(), Epoch(0), "an epoch that nobody could release is a forgery");
}

#[test]
fn what_a_robot_obeys_of_the_fleet_is_known_from_itself_and_not_from_others() {
    let mut bench = Bench::fresh();
    let stopped = LatchRegister { level: Latch::Stop, ..LatchRegister::released() };
    let gossip = |sender, fleet| {
        LatchInput::Gossip(Box::new(LatchGossip {
            sender: robot(sender),
            boot: BootId(Uuid::nil()),
            sequence: 1,
            fleet,
            robots: vec![(robot(2), LatchRegister::released()), (robot(3), LatchRegister::released())],
            requests: Vec::new(),
        }))
    };
    bench.handle(gossip(2, stopped.clone()));
    let fleet = |bench: &Bench, number| {
        let known = bench.authority.known().find(|(name, _)| **name == robot(number)).map(|(_, known)| known.clone());
        known.unwrap().fleet
    };
    assert_eq!((fleet(&bench, 2), fleet(&bench, 3)), (Some(stopped.clone()), None));
    bench.handle(gossip(2, LatchRegister::released()));
    assert_eq!(fleet(&bench, 2), Some(stopped), "an old message takes nothing back");
}

/// Story 16: somebody on the mesh says that everybody is free.
#[test]
fn a_release_forged_on_the_mesh_releases_nobody_in_any_form() {
    let fleet_release = request(8, LatchScope::Fleet, LatchAction::Release { epoch: Epoch(0) });
    let own_release = release(9, Epoch(0));
    let gossip = LatchGossip {
        sender: robot(9),
        boot: BootId(Uuid::nil()),
        sequence: 1,
        fleet: LatchRegister { epoch: Epoch(5), ..LatchRegister::released() },
        robots: vec![(robot(1), LatchRegister { epoch: Epoch(5), ..LatchRegister::released() })],
        requests: vec![
            RelayedRequest { target: None, request: fleet_release.clone() },
            RelayedRequest { target: Some(robot(1)), request: own_release },
        ],
    };
    let stops = [request(1, LatchScope::Fleet, LatchAction::Stop), request(2, LatchScope::Robot, LatchAction::Kill)];
    let mut bench = Bench::fresh();
    bench.handle(LatchInput::Gossip(Box::new(gossip.clone())));
    assert_eq!(bench.authority.latches().fleet.epoch, Epoch(0), "not even the epoch of a free robot is believed");
    stops.iter().for_each(|stop| bench.handle(asked(1, stop.clone())));
    let before = bench.authority.latches().clone();
    bench.handle(LatchInput::Gossip(Box::new(gossip.clone())));
    assert_eq!(bench.authority.latches(), &before);
    let relayed =
        LatchInput::Request { from: LatchPath::DebugApi(7), target: Some(robot(2)), request: release(10, Epoch(0)) };
    bench.handle(relayed);
    let refused = LatchVerdict::Refused(LatchRefusal::MeshUnauthenticated);
    assert!(bench.acks.iter().any(|(_, outcome)| outcome.verdict == refused));

    let mut trusting = Bench::start_as(&Start { mesh_may_release: true, ..start_of(1) }, Found::Nothing);
    trusting.handle(asked(1, stops[0].clone()));
    trusting.handle(LatchInput::Gossip(Box::new(LatchGossip { fleet: LatchRegister::released(), ..gossip })));
    assert_eq!(trusting.authority.latches().fleet.level, Latch::Released, "where the mesh knows its peers");
}

#[test]
fn a_forged_epoch_can_be_released_by_the_name_it_shows() {
    let mut bench = Bench::fresh();
    // The farthest ahead that is believed.
    let farthest = Epoch(1 << 40);
    let forged = LatchRegister { epoch: farthest, level: Latch::Stop, ..LatchRegister::released() };
    bench.handle(LatchInput::Gossip(Box::new(LatchGossip {
        sender: robot(9),
        boot: BootId(Uuid::nil()),
        sequence: 1,
        fleet: forged.clone(),
        robots: vec![(robot(1), forged)],
        requests: Vec::new(),
    })));
    assert_eq!((bench.level(), bench.own_epoch()), (Latch::Stop, farthest));
    bench.handle(asked(1, release(1, farthest)));
    bench.handle(asked(2, request(2, LatchScope::Fleet, LatchAction::Release { epoch: farthest })));
    assert_eq!(bench.level(), Latch::Released);
}

#[test]
fn memory_is_bounded_whoever_sends_what() {
    let mut bench = Bench::fresh();
    for n in 0..2_000_u128 {
        let requests = (0..16).map(|k| RelayedRequest { target: Some(robot(5)), request: stop(10 + n * 16 + k) });
        let robots = (0..64).map(|k| (robot(100 + (n as usize) * 64 + k), LatchRegister::released()));
        bench.now = bench.now + Duration::from_millis(1);
        bench.handle(LatchInput::Gossip(Box::new(LatchGossip {
            sender: robot(2),
            boot: BootId(Uuid::nil()),
            sequence: 1,
            fleet: LatchRegister::released(),
            robots: robots.collect(),
            requests: requests.collect(),
        })));
        bench.handle(asked(1, stop(1_000_000 + n)));
    }
    assert!(bench.authority.known().count() <= KNOWN_MAX);
    assert!(bench.authority.persistence.waiting_count() <= WAITING_MAX && bench.authority.recent.len() <= RECENT_MAX);
    let last = bench.gossip.last().unwrap();
    assert!(last.robots.len() <= 64 && last.requests.len() <= 16);
    assert!(bench.most < 100 + WAITING_MAX, "{}", bench.most);
}

/// What can happen to a robot.
#[derive(Clone, Debug)]
enum Step {
    Request(u8, bool),
    Release(u8),
    Repeat(u8),
    Save(bool),
    Restart,
    Wait(u16),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (0..40_u8, any::<bool>()).prop_map(|(id, kill)| Step::Request(id, kill)),
        2 => (0..40_u8).prop_map(Step::Release),
        2 => (0..40_u8).prop_map(Step::Repeat),
        4 => any::<bool>().prop_map(Step::Save),
        1 => Just(Step::Restart),
        1 => (0..3_000_u16).prop_map(Step::Wait),
    ];
    prop::collection::vec(step, 1..60)
}

proptest! {
    /// The reference: a list of requests in the order in which they first came, applied to a register; after a restart,
    /// those up to the last save. An acknowledged stop is never lost, and no stop is undone by an older release.
    #[test]
    fn acknowledged_stops_survive_everything_but_their_release(steps in steps()) {
        let mut bench = Bench::fresh();
        let mut acknowledged: Option<LatchRegister> = None;
        for (n, step) in steps.into_iter().enumerate() {
            match step {
                Step::Request(id, kill) => {
                    let action = if kill { LatchAction::Kill } else { LatchAction::Stop };
                    let id = u128::from(id) + 1_000 * (n as u128 + 1);
                    bench.handle(asked(1, request(id, LatchScope::Robot, action)));
                    prop_assert!(bench.level() >= Latch::Stop, "a stop is in the cell in the call that brought it");
                }
                Step::Release(id) => {
                    let epoch = bench.own_epoch();
                    let id = u128::from(id) + 1_000_000 * (n as u128 + 1);
                    bench.handle(asked(2, release(id, epoch)));
                    prop_assert_eq!(bench.level(), Latch::Released);
                }
                Step::Repeat(id) => {
                    let before = bench.authority.latches().clone();
                    if let Some(known) = bench.authority.recent.get(usize::from(id)).copied() {
                        bench.handle(asked(3, LatchRequest { id: known, ..stop(1) }));
                        prop_assert_eq!(bench.authority.latches(), &before, "a request takes effect once");
                    }
                }
                Step::Save(works) => bench.save(works),
                Step::Restart => {
                    let epoch_before = bench.disk.as_ref().map(|disk| disk.latches.own.epoch);
                    bench = bench.restarted("k1");
                    prop_assert!(Some(bench.own_epoch()) >= epoch_before);
                    if let Some(kept) = &acknowledged {
                        let now = &bench.authority.latches().own;
                        prop_assert!(now >= kept, "acknowledged {:?}, found {:?}", kept, now);
                    }
                }
                Step::Wait(millis) => {
                    let saving = bench.under_way.take();
                    bench.wait(Duration::from_millis(u64::from(millis)));
                    bench.under_way = bench.under_way.take().or(saving);
                }
            }
            for (_, outcome) in bench.acks.drain(..) {
                if outcome.kept {
                    let own = outcome.latches.own;
                    acknowledged = Some(acknowledged.map_or(own.clone(), |before| before.merge(&own)));
                }
            }
        }
    }
}
