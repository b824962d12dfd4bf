//! What operators press and what goes wrong, by seed.

use core::time::Duration;

/// A way to a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    Supervisor,
    /// A robot's debug API; for another robot it passes the request on over the mesh.
    Debug(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Stop,
    Kill,
    Release,
}

/// An operator presses a button.
#[derive(Clone, Debug)]
pub(crate) struct Press {
    pub(crate) operator: &'static str,
    pub(crate) action: Action,
    /// One robot, or the fleet.
    pub(crate) target: Option<usize>,
    pub(crate) over: Vec<Access>,
}

#[derive(Clone, Debug)]
pub(crate) struct Act {
    pub(crate) at: Duration,
    pub(crate) press: Press,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Kill(usize),
    /// The robot's machine loses its power.
    PowerCut(usize),
    Hang(usize),
    DiskFull(usize),
    SlowDisk(usize),
    CutCloud(usize),
    CutMesh(usize),
    SplitMesh(usize),
    CutDebug(usize),
    /// Every message may be lost, doubled, late and overtaken.
    Impaired,
    KillSupervisor,
    SupervisorDiskFull,
}

#[derive(Clone, Debug)]
pub(crate) struct Trouble {
    pub(crate) fault: Fault,
    pub(crate) at: Duration,
    pub(crate) lasts: Duration,
}

#[derive(Clone, Debug)]
pub(crate) struct Script {
    pub(crate) seed: u64,
    pub(crate) robots: usize,
    pub(crate) acts: Vec<Act>,
    pub(crate) faults: Vec<Trouble>,
    /// All acts have begun and all faults have ended by then.
    pub(crate) ends: Duration,
}

const OPERATORS: [&str; 3] = ["ada", "ben", "eve"];
const LENGTH_MS: u64 = 40_000;

/// The finaliser of SplitMix64 (Steele and others 2014).
pub(crate) const fn mixed(number: u64) -> u64 {
    let once = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let twice = (once ^ (once >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    twice ^ (twice >> 31)
}

struct Random(u64);

impl Random {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed(self.0) % bound.max(1)
    }

    fn index(&mut self, bound: usize) -> usize {
        self.below(bound as u64) as usize
    }
}

impl Script {
    pub(crate) fn of_seed(seed: u64) -> Self {
        let mut random = Random(seed ^ 0x5eed);
        let robots = 2 + random.index(3);
        let acts = (0..4 + random.below(12)).map(|_| act(&mut random, robots)).collect();
        let mut faults: Vec<Trouble> = (0..random.below(9)).map(|_| trouble(&mut random, robots)).collect();
        if random.below(6) == 0 {
            // A supervisor that never comes back.
            let at = Duration::from_millis(random.below(LENGTH_MS / 2));
            faults.push(Trouble { fault: Fault::KillSupervisor, at, lasts: Duration::from_secs(3_600) });
        }
        Self { seed, robots, acts, faults, ends: Duration::from_millis(LENGTH_MS) }
    }
}

fn act(random: &mut Random, robots: usize) -> Act {
    let action =
        [Action::Stop, Action::Stop, Action::Kill, Action::Release, Action::Release, Action::Release][random.index(6)];
    let target = (random.below(2) == 0).then(|| random.index(robots));
    let first =
        if random.below(2) == 0 { Access::Supervisor } else { Access::Debug(target.unwrap_or(random.index(robots))) };
    let mut over = vec![first];
    // The command line uses several paths at once, for the same request.
    for _ in 0..random.below(3) {
        let more = if random.below(3) == 0 { Access::Supervisor } else { Access::Debug(random.index(robots)) };
        if !over.contains(&more) {
            over.push(more);
        }
    }
    let at = Duration::from_millis(1_000 + random.below(LENGTH_MS - 6_000));
    Act { at, press: Press { operator: OPERATORS[random.index(3)], action, target, over } }
}

fn trouble(random: &mut Random, robots: usize) -> Trouble {
    let robot = random.index(robots);
    let fault = match random.below(13) {
        0 | 1 => Fault::Kill(robot),
        2 => Fault::PowerCut(robot),
        3 => Fault::Hang(robot),
        4 => Fault::DiskFull(robot),
        5 => Fault::SlowDisk(robot),
        6 => Fault::CutCloud(robot),
        7 => Fault::CutMesh(robot),
        8 => Fault::SplitMesh(random.index(robots)),
        9 => Fault::CutDebug(robot),
        10 => Fault::Impaired,
        11 => Fault::KillSupervisor,
        _ => Fault::SupervisorDiskFull,
    };
    let at = 500 + random.below(LENGTH_MS - 10_000);
    let lasts = 50 + random.below((LENGTH_MS - at).min(12_000) - 60);
    Trouble { fault, at: Duration::from_millis(at), lasts: Duration::from_millis(lasts) }
}
