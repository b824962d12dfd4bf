//! Many robots with only their right of way between them: nobody comes too near, everybody arrives, nobody waits for
//! good. Narrow places of every kind, then crowds.

mod yard;

use skein_types::geometry::Point;
use skein_types::mission::Priority;
use yard::{Dice, RADIUS, Yard, map, mark};

const SEEDS: u64 = 20;
const SEPARATION: f64 = 2.0 * RADIUS + 0.1;

/// All seeds, or the one in `YARD_SEED`; `YARD_TRACE=1` tells every second of it.
fn seeds() -> std::ops::Range<u64> {
    let one = std::env::var("YARD_SEED").ok().and_then(|seed| seed.parse::<u64>().ok());
    one.map_or(0..SEEDS, |seed| seed..seed + 1)
}

fn p(x: f64, y: f64) -> Point {
    Point::new(x, y)
}

fn finish(mut yard: Yard, seed: u64, limit_s: f64) -> f64 {
    let took = yard.run(limit_s).unwrap_or_else(|who| panic!("seed {seed}: not all arrived {who}"));
    assert!(yard.separation > SEPARATION, "seed {seed}: separation {:.3}", yard.separation);
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

/// A passable place that is apart from all the others.
fn somewhere(yard: &Yard, dice: &mut Dice, apart_from: &[Point]) -> Point {
    let frame = *yard.map.frame();
    loop {
        let square = dice.roll(frame.squares()) as u32;
        let place = frame.center_of(square);
        if yard.map.passable(square) && apart_from.iter().all(|other| other.distance(place) > 1.5) {
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
