//! What the latch authority takes from the mesh, and what it passes on when.
#![expect(clippy::unwrap_used, reason = "a test says by panicking what failed")]

mod latch_bench;

use latch_bench::{
    Bench, SECOND, START, fleet_stop, gossip_of, id, ms, relayed, release, request, robot, start, stop, stopped_in,
};
use skein_robot::latch::{KNOWN_MAX, LatchInput, LatchOutput, LatchPath, LatchRefusal, LatchVerdict, RELAY_FOR, Start};
use skein_types::authority::{Epoch, LatchAction, LatchGossip, LatchRegister, LatchRequest, LatchScope};
use skein_types::ids::{AgentId, CommandId};
use skein_types::safety::Latch;

#[test]
fn a_request_for_another_robot_is_relayed_and_changes_nothing_here() {
    for trusted in [false, true] {
        let mut bench = Bench::settled(&Start { mesh_may_release: trusted, ..start() });
        let mut ask = |request: LatchRequest, target| {
            bench.said.clear();
            bench.after(ms(100), LatchInput::Request { from: LatchPath::DebugApi(1), target, request });
            (bench.acks().pop().map(|(_, outcome)| (outcome.verdict, outcome.kept)), bench.level())
        };
        let relayed = (Some((LatchVerdict::Relayed, true)), Latch::Released);
        assert_eq!(ask(stop(1), Some(robot(2))), relayed);
        let (answer, level) = ask(release(2, 0), Some(robot(2)));
        let refused = LatchVerdict::Refused(LatchRefusal::MeshUnauthenticated);
        assert_eq!(answer.unwrap().0, if trusted { LatchVerdict::Relayed } else { refused });
        assert_eq!(level, Latch::Released);
        let sent = bench.gossip().pop().map_or(0, |gossip| gossip.requests.len());
        assert_eq!(sent, if trusted { 2 } else { 1 });
        assert_eq!(ask_level(&mut bench, stop(3), Some(robot(1))), Latch::Stop, "this robot by its name");
        assert_eq!(ask_level(&mut bench, fleet_stop(4), Some(robot(2))), Latch::Stop);
        assert_eq!(
            bench.authority.latches().fleet.level,
            Latch::Stop,
            "a stop of the fleet is for all, also where one robot is named"
        );
    }
}

fn ask_level(bench: &mut Bench, request: LatchRequest, target: Option<AgentId>) -> Latch {
    bench.handle(LatchInput::Request { from: LatchPath::DebugApi(1), target, request });
    bench.level()
}

#[test]
fn what_concerns_the_fleet_is_passed_on_unless_it_is_refused_or_may_not_travel() {
    let fleet_release =
        |number, epoch| request(number, LatchScope::Fleet, LatchAction::Release { epoch: Epoch(epoch) });
    for trusted in [false, true] {
        let mut bench = Bench::settled(&Start { mesh_may_release: trusted, ..start() });
        let mut passed_on = |request: LatchRequest| {
            bench.said.clear();
            bench.ask(1, request);
            bench.wait(ms(20));
            let newest = bench.gossip().pop();
            newest.map_or(Vec::new(), |gossip| gossip.requests.iter().map(|relayed| relayed.request.id).collect())
        };
        assert_eq!(passed_on(stop(1)), [], "its own register is nobody else's");
        assert_eq!(passed_on(fleet_stop(2)), [id(2)]);
        let refused = passed_on(fleet_release(3, 77));
        assert!(!refused.contains(&id(3)));
        bench.wait(ms(100));
        bench.said.clear();
        bench.ask(1, fleet_release(4, 0));
        bench.wait(ms(20));
        let sent = bench.gossip().pop().unwrap();
        assert_eq!(sent.requests.iter().any(|relayed| relayed.request.id == id(4)), trusted);
        assert!(sent.requests.iter().all(|relayed| relayed.target.is_none()));
        assert_eq!(sent.fleet.level, Latch::Released);
    }
}

#[test]
fn its_own_gossip_that_comes_back_is_not_looked_at() {
    let mut bench = Bench::fresh();
    let echo = LatchGossip { fleet: stopped_in(1), ..gossip_of(1) };
    bench.handle(LatchInput::Gossip(Box::new(echo.clone())));
    assert_eq!(bench.level(), Latch::Released);
    bench.handle(LatchInput::Gossip(Box::new(LatchGossip { sender: robot(2), ..echo })));
    assert_eq!(bench.level(), Latch::Stop);
}

#[test]
fn registers_from_the_mesh_count_up_to_the_jump_that_can_be_released() {
    const JUMP: u64 = 1 << 40;
    for trusted in [false, true] {
        let mut bench = Bench::settled(&Start { mesh_may_release: trusted, ..start() });
        let mut hear = |own: LatchRegister, fleet: LatchRegister| {
            bench.handle(LatchInput::Gossip(Box::new(LatchGossip {
                fleet,
                robots: vec![(robot(1), own)],
                ..gossip_of(2)
            })));
            let latches = bench.authority.latches();
            (latches.own.epoch.0, latches.fleet.epoch.0)
        };
        assert_eq!(hear(stopped_in(JUMP + 1), stopped_in(JUMP + 1)), (0, 0));
        assert_eq!(hear(stopped_in(JUMP), stopped_in(JUMP)), (JUMP, JUMP));
        let free = |epoch| LatchRegister { level: Latch::Released, ..stopped_in(epoch) };
        let fleet = if trusted { JUMP + 5 } else { JUMP };
        assert_eq!(hear(free(JUMP + 5), free(JUMP + 5)), (JUMP, fleet), "no peer knows better that this robot is free");
        assert_eq!(hear(free(2 * JUMP + 6), free(2 * JUMP + 6)), (JUMP, fleet));
    }
}

#[test]
fn registers_of_others_are_known_and_passed_on_with_the_own_one_first() {
    let mut bench = Bench::fresh();
    let robots = vec![(robot(7), stopped_in(3)), (robot(5), LatchRegister::released())];
    bench.after(ms(10), LatchInput::Gossip(Box::new(LatchGossip { robots, ..gossip_of(2) })));
    let older = vec![(robot(7), stopped_in(2))];
    bench.after(ms(10), LatchInput::Gossip(Box::new(LatchGossip { robots: older, ..gossip_of(2) })));
    let known: Vec<_> =
        bench.authority.known().map(|(name, known)| (name.clone(), known.own.epoch.0, known.heard_at)).collect();
    assert_eq!(known, [(robot(5), 0, START + ms(10)), (robot(7), 3, START + ms(20))]);
    assert_eq!(bench.level(), Latch::Released);
    bench.wait(SECOND);
    let names: Vec<AgentId> = bench.gossip().pop().unwrap().robots.into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, [robot(1), robot(5), robot(7)]);
}

#[test]
fn more_registers_than_a_message_holds_take_turns() {
    let mut bench = Bench::fresh();
    let robots: Vec<_> = (100..200).map(|number| (robot(number), LatchRegister::released())).collect();
    bench.handle(LatchInput::Gossip(Box::new(LatchGossip { robots, ..gossip_of(2) })));
    bench.wait(3 * SECOND);
    let sent: Vec<Vec<AgentId>> = bench
        .gossip()
        .iter()
        .map(|gossip| gossip.robots.iter().skip(1).map(|(name, _)| name.clone()).collect())
        .collect();
    let of = |numbers: &mut dyn Iterator<Item = usize>| numbers.map(robot).collect::<Vec<_>>();
    assert_eq!(sent[0], of(&mut (100..163)));
    assert_eq!(sent[1], of(&mut (163..200).chain(100..126)));
    assert_eq!(sent[2], of(&mut (126..189)));
}

#[test]
fn of_too_many_robots_the_one_heard_of_longest_ago_is_forgotten() {
    let mut bench = Bench::fresh();
    let hear = |bench: &mut Bench, number| {
        let robots = vec![(robot(number), LatchRegister::released())];
        bench.after(ms(1), LatchInput::Gossip(Box::new(LatchGossip { robots, ..gossip_of(2) })));
    };
    (0..KNOWN_MAX).for_each(|n| hear(&mut bench, 1_000 + n));
    assert_eq!(bench.authority.known().count(), KNOWN_MAX);
    hear(&mut bench, 1_000);
    assert_eq!(bench.authority.known().count(), KNOWN_MAX, "one that is known takes no other's place");
    hear(&mut bench, 9_000);
    let known: Vec<AgentId> = bench.authority.known().map(|(name, _)| name.clone()).collect();
    assert_eq!(known.len(), KNOWN_MAX);
    assert!(!known.contains(&robot(1_001)) && known.contains(&robot(1_000)) && known.contains(&robot(9_000)));
}

#[test]
fn news_go_out_at_once_but_no_two_messages_within_twenty_milliseconds() {
    let mut bench = Bench::fresh();
    bench.after(ms(5), LatchInput::Tick);
    bench.ask(1, stop(1));
    assert!(bench.gossip().is_empty());
    assert_eq!(bench.authority.next_deadline(), START + ms(20));
    bench.wait(ms(15));
    assert_eq!(bench.gossip().len(), 1);
    assert_eq!(bench.gossip()[0].robots[0].1.level, Latch::Stop);
    bench.wait(ms(20));
    bench.ask(2, stop(2));
    assert_eq!(bench.gossip().len(), 2, "after twenty it goes at once");
    let sequences: Vec<u64> = bench.gossip().iter().map(|gossip| gossip.sequence).collect();
    assert_eq!(sequences, [2, 3]);
}

#[test]
fn a_request_is_repeated_ten_times_in_its_first_second_and_then_once_a_second_for_a_minute() {
    let mut bench = Bench::fresh();
    bench.after(ms(500), LatchInput::Tick);
    bench.ask(1, fleet_stop(1));
    let begun = bench.now;
    let mut sent = Vec::new();
    bench.said.clear();
    while bench.now < begun + RELAY_FOR + 3 * SECOND {
        bench.now = bench.authority.next_deadline();
        bench.handle(LatchInput::Tick);
        for gossip in bench.gossip() {
            sent.push((bench.now.since(begun).as_millis(), gossip.requests.len()));
        }
        bench.said.retain(|output| matches!(output, LatchOutput::Save { .. }));
    }
    let young: Vec<u128> = (1..=10).map(|n| n * 100).collect();
    assert_eq!(sent.iter().map(|(at, _)| *at).take(12).collect::<Vec<_>>(), [young, vec![2_000, 3_000]].concat());
    assert!(sent.iter().all(|(at, requests)| *requests == usize::from(*at < 60_000)), "{sent:?}");
}

#[test]
fn of_too_many_requests_the_oldest_is_passed_on_no_more() {
    let mut bench = Bench::fresh();
    (1..=17).for_each(|n| bench.ask(1, fleet_stop(n)));
    bench.wait(SECOND);
    let ids: Vec<CommandId> = bench.gossip().pop().unwrap().requests.iter().map(|relayed| relayed.request.id).collect();
    assert_eq!(ids, (2..=17).map(id).collect::<Vec<_>>());
}

#[test]
fn a_request_from_the_mesh_is_executed_once_passed_on_once_and_never_acked() {
    let mut bench = Bench::fresh();
    let heard = || relayed([(None, fleet_stop(1)), (Some(1), stop(2)), (Some(3), stop(3)), (None, stop(4))]);
    bench.handle(heard());
    let latches = bench.authority.latches().clone();
    assert_eq!((latches.fleet.request, latches.own.request), (id(1), id(2)), "one that names no robot is for none");
    bench.after(ms(30), heard());
    assert_eq!(bench.authority.latches(), &latches);
    bench.wait(SECOND);
    let sent = bench.gossip().pop().unwrap();
    let requests: Vec<_> = sent.requests.iter().map(|relayed| (relayed.request.id, relayed.target.clone())).collect();
    assert_eq!(requests, [(id(1), None), (id(3), Some(robot(3)))]);
    bench.save(Ok(()));
    assert!(bench.acks().is_empty());
}

#[test]
fn twenty_requests_of_peers_are_looked_at_in_a_second() {
    let mut bench = Bench::fresh();
    bench.ask(1, stop(1));
    bench.after(2 * SECOND, LatchInput::Tick);
    let epoch = |bench: &Bench| bench.authority.latches().own.epoch.0;
    bench.handle(relayed((10..31).map(|n| (Some(1), stop(n)))));
    assert_eq!(epoch(&bench), 20, "the twenty-first is not looked at");
    bench.after(ms(999), relayed([(Some(1), stop(40))]));
    assert_eq!(epoch(&bench), 20);
    bench.after(ms(1), relayed((50..71).map(|n| (Some(1), stop(n)))));
    assert_eq!(epoch(&bench), 40);
}

#[test]
fn a_stop_for_a_robot_that_is_free_is_looked_at_however_many_came_before() {
    let mut bench = Bench::settled(&Start { mesh_may_release: true, ..start() });
    let useless = (10..60).map(|n| (Some(1), release(n, 0)));
    bench.handle(relayed(useless.chain([(Some(1), stop(1))])));
    assert_eq!(bench.level(), Latch::Stop);
    bench.handle(relayed([(Some(1), release(2, 0))]));
    assert_eq!(bench.level(), Latch::Stop, "a release has no such right");
    bench.after(SECOND, relayed([(Some(1), release(3, 0))]));
    assert_eq!(bench.level(), Latch::Released);
}

#[test]
fn a_release_for_another_robot_travels_only_where_the_mesh_knows_its_peers() {
    for trusted in [false, true] {
        let mut bench = Bench::settled(&Start { mesh_may_release: trusted, ..start() });
        bench.after(ms(50), relayed([(Some(3), release(1, 0))]));
        bench.wait(SECOND);
        assert_eq!(bench.gossip().pop().unwrap().requests.len(), usize::from(trusted));
    }
}

#[test]
fn copies_of_what_was_executed_use_up_none_of_the_twenty() {
    let mut bench = Bench::fresh();
    let copy = || [(Some(1), stop(1)), (None, fleet_stop(2))];
    bench.handle(relayed((0..30).flat_map(|_| copy()).chain([(Some(1), stop(3))])));
    assert_eq!(bench.authority.latches().own.request, id(3));
}
