//! Many robots with only their right of way between them: nobody comes too near, everybody arrives, nobody waits for
//! good. Narrow places of every kind, then crowds.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first surprise, in its tools as well")]

mod yard;

use skein_coord::Output;
use skein_types::coord::AgentState;
use skein_types::geometry::Point;
use skein_types::mission::Priority;
use yard::{Dice, RADIUS, Yard, map, mark};

/// Quick by default; `YARD_SEEDS` asks for more.
const SEEDS: u64 = 5;
const SEPARATION: f64 = 2.0 * RADIUS + 0.1;

/// All seeds, or the one in `YARD_SEED`; `YARD_TRACE=1` tells every second of it.
fn seeds() -> std::ops::Range<u64> {
    let number = |name: &str| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    number("YARD_SEED").map_or(0..number("YARD_SEEDS").unwrap_or(SEEDS), |seed| seed..seed + 1)
}

fn p(x: f64, y: f64) -> Point {
    Point::new(x, y)
}

fn finish(mut yard: Yard, seed: u64, limit_s: f64) -> f64 {
    let took = yard.run(limit_s).unwrap_or_else(|who| panic!("seed {seed}: not all arrived {who}"));
    assert!(yard.separation > SEPARATION, "seed {seed}: separation {:.3}", yard.separation);
    let accused = yard.outputs.iter().filter(|(_, _, o)| matches!(o, Output::TrustViolation { .. })).count();
    // In a crowd a way can change faster than a peer hears of it, which looks like an advance; it stays the exception.
    assert!(accused <= 1, "seed {seed}: honest robots are accused {accused} times");
    eprintln!("seed {seed}: {took:.1} s, separation {:.2}, reflex {}", yard.separation, yard.reflex_stops);
    took
}

const HALL: &str = "
    ########################
    #......##########......#
    #......##########......#
    #a....................b#
    #......##########......#
    #......##########......#
    ########################";

#[test]
fn two_meet_in_a_hall_one_robot_wide_and_both_get_through() {
    for seed in seeds() {
        let mut yard = Yard::new(map(HALL, 1.0), seed);
        let (a, b) = (mark(HALL, 1.0, 'a')[0], mark(HALL, 1.0, 'b')[0]);
        yard.add(a, &[b]);
        yard.add(b, &[a]);
        finish(yard, seed, 70.0);
    }
}

#[test]
fn the_one_with_a_payload_goes_first_through_the_hall() {
    for seed in seeds() {
        let mut yard = Yard::new(map(HALL, 1.0), seed);
        let (a, b) = (mark(HALL, 1.0, 'a')[0], mark(HALL, 1.0, 'b')[0]);
        yard.add(a, &[b]).priority = Priority::new(9).unwrap();
        yard.add(b, &[a]).carrying = true;
        yard.run(70.0).unwrap();
        let (plain, loaded) = (yard.bots[0].done_at.unwrap(), yard.bots[1].done_at.unwrap());
        assert!(loaded < 27.0 && plain > loaded, "seed {seed}: loaded after {loaded:.1} s, plain after {plain:.1} s");
        assert!(yard.separation > SEPARATION);
    }
}

const DOOR: &str = "
    #####################
    #.........#.........#
    #.a.......#.......b.#
    #.a.......#.......b.#
    #.a.................#
    #.a.......#.......b.#
    #.a.......#.......b.#
    #.........#.......b.#
    #####################";

#[test]
fn five_and_five_change_rooms_through_one_door() {
    for seed in seeds() {
        let mut yard = Yard::new(map(DOOR, 1.0), seed);
        let (a, b) = (mark(DOOR, 1.0, 'a'), mark(DOOR, 1.0, 'b'));
        for (from, to) in a.iter().zip(&b) {
            yard.add(*from, &[*to]);
            yard.add(*to, &[*from]);
        }
        finish(yard, seed, 150.0);
    }
}

const RING: &str = "
    ############
    #..........#
    #.########.#
    #.########.#
    #.########.#
    #.########.#
    #.########.#
    #.########.#
    #..........#
    ############";

#[test]
fn robots_go_round_a_ring_both_ways() {
    for seed in seeds() {
        let mut yard = Yard::new(map(RING, 1.0), seed);
        let corners = [p(1.5, 1.5), p(10.5, 1.5), p(10.5, 8.5), p(1.5, 8.5)];
        for i in 0..4 {
            let next = |k: usize| corners[(i + k) % 4];
            let round = if i == 2 { [next(3), next(2), next(1)] } else { [next(1), next(2), next(3)] };
            yard.add(corners[i], &round);
        }
        finish(yard, seed, 200.0);
    }
}

const DEAD_END: &str = "
    ##########################
    #.....####################
    #.....########.###########
    #.a....................b.#
    #.....####################
    #.....####################
    ##########################";

#[test]
fn one_lets_the_other_out_of_a_dead_end_at_its_only_passing_place() {
    for seed in seeds() {
        for carrying in [0, 1] {
            let mut yard = Yard::new(map(DEAD_END, 1.0), seed);
            let (a, b) = (mark(DEAD_END, 1.0, 'a')[0], mark(DEAD_END, 1.0, 'b')[0]);
            yard.add(a, &[b]);
            yard.add(b, &[a]);
            yard.bots[carrying].carrying = true;
            finish(yard, seed, 90.0);
        }
    }
}

const CROSSING: &str = "
    ###############
    #####.....#####
    #####.n...#####
    #####.....#####
    #######.#######
    #...###.###...#
    #.w.###.###...#
    #.............#
    #...###.###.e.#
    #...###.###...#
    #######.#######
    #####.....#####
    #####...s.#####
    #####.....#####
    ###############";

#[test]
fn four_cross_where_two_halls_meet() {
    for seed in seeds() {
        let mut yard = Yard::new(map(CROSSING, 1.0), seed);
        let at = |c| mark(CROSSING, 1.0, c)[0];
        let turns = if seed % 2 == 0 { ['e', 's', 'w', 'n'] } else { ['s', 'w', 'n', 'e'] };
        for (from, to) in ['n', 'e', 's', 'w'].into_iter().zip(turns) {
            yard.add(at(from), &[at(to)]);
        }
        finish(yard, seed, 90.0);
    }
}

#[test]
fn four_cross_an_open_place_straight_on() {
    let open = format!("{}\n", ["....................", ""].concat()).repeat(20);
    for seed in seeds() {
        let mut yard = Yard::new(map(&open, 1.0), seed);
        let ends = [p(2.0, 10.0), p(10.0, 2.0), p(18.0, 10.0), p(10.0, 18.0)];
        for i in 0..4 {
            yard.add(ends[i], &[ends[(i + 2) % 4]]);
        }
        finish(yard, seed, 60.0);
    }
}

const SHELVES: &str = "
    ####################
    #..................#
    #..................#
    #..###.###.###.##..#
    #..###.###.###.##..#
    #..................#
    #..###.###.###.##..#
    #..###.###.###.##..#
    #..................#
    #..................#
    #..###.###.###.##..#
    #..###.###.###.##..#
    #..................#
    #..###.###.###.##..#
    #..###.###.###.##..#
    #..###.###.###.##..#
    #..................#
    #..................#
    #..................#
    ####################";

/// A traversable place that is apart from all the others.
fn somewhere(yard: &Yard, dice: &mut Dice, apart_from: &[Point]) -> Point {
    let frame = *yard.map.frame();
    loop {
        let cell = dice.roll(frame.cells()) as u32;
        let place = frame.center_of(cell);
        if yard.map.traversable(cell) && apart_from.iter().all(|other| other.distance(place) > 1.5) {
            return place;
        }
    }
}

#[test]
fn ten_that_start_in_a_cluster_all_leave_for_their_goals() {
    for seed in seeds() {
        let mut yard = Yard::new(map(SHELVES, 1.0), seed);
        let mut dice = Dice(seed);
        let mut goals: Vec<Point> = Vec::new();
        for i in 0..10 {
            let start = p(3.0 + f64::from(i % 5), 1.5 + f64::from(i / 5));
            let goal = somewhere(&yard, &mut dice, &goals);
            goals.push(goal);
            yard.add(start, &[goal]);
        }
        finish(yard, seed, 120.0);
    }
}

#[test]
fn ten_among_shelves_change_places_again_and_again() {
    for seed in seeds() {
        let mut yard = Yard::new(map(SHELVES, 1.0), seed);
        let mut dice = Dice(seed);
        let mut starts: Vec<Point> = Vec::new();
        for _ in 0..10 {
            let start = somewhere(&yard, &mut dice, &starts);
            starts.push(start);
        }
        for i in 0..10 {
            let goals: Vec<Point> = (1..4).map(|k| starts[(i + k * 3) % 10]).collect();
            yard.add(starts[i], &goals);
        }
        finish(yard, seed, 300.0);
    }
}

#[test]
fn a_third_of_all_messages_lost_costs_time_and_nothing_else() {
    for seed in seeds() {
        let mut yard = Yard::new(map(DOOR, 1.0), seed);
        yard.loss = 330;
        let (a, b) = (mark(DOOR, 1.0, 'a'), mark(DOOR, 1.0, 'b'));
        for (from, to) in a.iter().zip(&b) {
            yard.add(*from, &[*to]);
            yard.add(*to, &[*from]);
        }
        finish(yard, seed, 150.0);
    }
}

#[test]
fn a_stopped_robot_is_planned_around_and_one_that_waits_in_an_aisle_makes_room() {
    for seed in seeds() {
        let mut yard = Yard::new(map(SHELVES, 1.0), seed);
        yard.add(p(1.5, 1.5), &[p(18.0, 18.0)]);
        let parked = yard.add(p(2.0, 9.0), &[]);
        parked.state = AgentState::Stopped;
        for y in [5.0, 12.0, 14.0] {
            yard.add(p(10.5, y), &[]);
        }
        yard.add(p(10.5, 1.5), &[p(10.5, 18.0)]);
        finish(yard, seed, 60.0);
    }
}

#[test]
fn a_robot_that_falls_silent_is_lost_and_does_not_stop_the_others() {
    let mut yard = Yard::new(map(DOOR, 1.0), 1);
    yard.add(p(2.5, 4.5), &[p(18.5, 4.5)]);
    yard.add(p(14.0, 4.5), &[]);
    while yard.seconds() < 1.0 {
        yard.tick();
    }
    yard.bots[1].mute = true;
    yard.run(60.0).unwrap();
    let lost = |o: &Output| matches!(o, Output::PeerLost(agent) if agent.as_str() == "rover-02");
    let at = yard.outputs.iter().find(|(_, who, o)| who.as_str() == "rover-01" && lost(o)).unwrap().0;
    assert!((1.8..2.4).contains(&at), "lost at {at:.2} s");
    assert!(yard.separation > SEPARATION);
}

#[test]
fn a_robot_that_says_it_yields_and_advances_is_reported_and_still_not_hit() {
    for seed in seeds() {
        let mut yard = Yard::new(map(HALL, 1.0), seed);
        let (a, b) = (mark(HALL, 1.0, 'a')[0], mark(HALL, 1.0, 'b')[0]);
        yard.add(a, &[b]);
        yard.add(b, &[a]).liar = true;
        for _ in 0..300 {
            yard.tick();
        }
        let reported = yard.outputs.iter().any(|(_, who, o)| {
            who.as_str() == "rover-01"
                && matches!(o, Output::TrustViolation { agent, .. } if agent.as_str() == "rover-02")
        });
        assert!(reported, "seed {seed}");
        assert!(yard.separation > SEPARATION, "seed {seed}: {:.2}", yard.separation);
    }
}

#[test]
fn nobody_breaks_a_promise_by_making_room() {
    for seed in seeds() {
        let mut yard = Yard::new(map(HALL, 1.0), seed);
        let (a, b) = (mark(HALL, 1.0, 'a')[0], mark(HALL, 1.0, 'b')[0]);
        yard.add(a, &[b]);
        yard.add(b, &[a]);
        yard.run(70.0).unwrap();
        let accused: Vec<_> = yard.outputs.iter().filter(|o| matches!(o.2, Output::TrustViolation { .. })).collect();
        assert!(accused.is_empty(), "{accused:?}");
    }
}

#[test]
fn the_same_yard_gives_the_same_run() {
    let run = || {
        let mut yard = Yard::new(map(SHELVES, 1.0), 7);
        for i in 0..6 {
            let x = f64::from(i);
            yard.add(p(2.0 + x * 2.0, 1.5), &[p(16.0 - x * 2.0, 17.5)]);
        }
        yard.run(120.0).unwrap();
        format!("{:?}", yard.outputs)
    };
    assert_eq!(run(), run());
}
