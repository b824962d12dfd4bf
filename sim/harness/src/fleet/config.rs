//! What a run of a fleet is made of.

use core::time::Duration;

use skein_types::body::BodyDescriptor;
use skein_types::polygon::Polygon;
use skein_world::Noise;

use super::fault::FaultSpec;
use super::operator::Press;
use crate::place::Place;

/// A fleet, its place and its work.
#[derive(Clone, Debug)]
pub struct FleetConfig {
    /// Map, planning grid and solid ground.
    pub place: Place,
    /// What is to be surveyed, in the map's frame.
    pub zone: Polygon,
    /// How many robots.
    pub robots: usize,
    /// The body that all robots have.
    pub body: BodyDescriptor,
    /// Everything random follows from it.
    pub seed: u64,
    /// The run ends at the latest after this.
    pub limit: Duration,
    /// How many people walk about.
    pub people: usize,
    /// How imperfect sensors and motors are.
    pub noise: Noise,
    /// What goes wrong.
    pub faults: Vec<FaultSpec>,
    /// What operators press.
    pub presses: Vec<Press>,
    /// The fence that no robot leaves, in the map's frame; `None` is the map's outline and half a metre.
    pub fence: Option<Polygon>,
    /// Where the floor is missing, in the map's frame; on no map.
    pub cliffs: Vec<Polygon>,
    /// Robots go home when the work is done.
    pub return_home: bool,
}

impl FleetConfig {
    /// Rovers with usual noise and half an hour of time; nothing goes wrong.
    #[must_use]
    pub fn new(place: Place, zone: Polygon, robots: usize, seed: u64) -> Self {
        Self {
            place,
            zone,
            robots,
            body: BodyDescriptor::rover(),
            seed,
            limit: Duration::from_secs(30 * 60),
            people: 0,
            noise: Noise::usual(),
            faults: Vec::new(),
            presses: Vec::new(),
            fence: None,
            cliffs: Vec::new(),
            return_home: false,
        }
    }
}
