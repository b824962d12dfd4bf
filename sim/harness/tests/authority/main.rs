//! The whole authority path against a reference model: STOP, KILL and RELEASE by several operators over the supervisor, the debug
//! APIs and the mesh, while messages are late, lost, doubled and overtaken, links are cut, processes and machines die and
//! hang, and disks are slow and full; and bugs that are planted between the cores and what drives them.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a helper of a test fails the test")]

mod bugs;
mod checks;
mod faults;
mod model;
mod operators;
mod script;
mod supervisor;
mod world;

use std::sync::{Arc, LazyLock};

use bugs::Bug;
use script::Script;
use skein_sim::sample;
use skein_space::planning::PlanningMap;
use skein_types::body::BodyDescriptor;
use world::World;

/// Seeds of the proof. A failure names its seed; `SEED=n cargo test -p skein-sim --test authority one_seed` shows that run.
const SEEDS: u64 = 300;

fn map() -> &'static Arc<PlanningMap> {
    static MAP: LazyLock<Arc<PlanningMap>> =
        LazyLock::new(|| sample::warehouse(&BodyDescriptor::rover()).unwrap().0.planning);
    &MAP
}

fn run(seed: u64, bug: Option<Bug>) -> World {
    let mut world = World::new(map(), Script::of_seed(seed), bug);
    world.run();
    world
}

#[test]
fn nothing_undoes_a_stop_but_a_later_release() {
    let mut releases = 0;
    for seed in 1..=SEEDS {
        let world = run(seed, None);
        assert!(world.wrong.is_empty(), "seed {seed}: {:#?}\n{}", world.wrong, world.log.join("\n"));
        releases += world.applied;
    }
    assert!(releases > SEEDS, "only {releases} releases took effect: the scripts do too little");
}

#[test]
fn every_planted_bug_is_found() {
    for bug in Bug::ALL {
        let found = (1..=SEEDS).find(|seed| !run(*seed, Some(bug)).wrong.is_empty());
        assert!(found.is_some(), "{bug:?} was not found in {SEEDS} seeds");
        println!("{bug:?}: seed {}", found.unwrap());
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let log = |seed| run(seed, None).log;
    assert_eq!(log(7), log(7));
    assert_ne!(log(7), log(8));
}

/// Shows the run of the seed in the variable SEED.
#[test]
fn one_seed() {
    let Some(seed) = std::env::var("SEED").ok().and_then(|text| text.parse().ok()) else { return };
    let world = run(seed, None);
    assert!(world.wrong.is_empty(), "seed {seed}: {:#?}\n{}", world.wrong, world.log.join("\n"));
}
