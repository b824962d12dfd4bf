//! One place that many robots share: seeded physics in two and a half dimensions, lidar, people, batteries, and the
//! truth about what happened.
//!
//! The world is a [`Terrain`] (which cells are solid) with robots in it. Each step of 10 ms drives every body as its
//! last command said, keeps footprints out of walls and out of each other (counting every touch), lets people walk,
//! and renews what each robot senses. Everything left to chance is drawn from a stream split by seed, robot and tick.
//!
//! ```
//! use std::sync::Arc;
//! use skein_types::body::BodyDescriptor;
//! use skein_types::geometry::{Point, Pose, Twist};
//! use skein_types::motion::{ActuatorFrame, DriveMode};
//! use skein_types::region::RegionFrame;
//! use skein_world::{RobotSpec, Terrain, World, WorldConfig};
//!
//! let frame = RegionFrame { origin: Point::new(0.0, 0.0), resolution: 0.05, width: 200, height: 200 };
//! let hall = Arc::new(Terrain::new(frame, |_| false).unwrap());
//! let rover = RobotSpec { descriptor: BodyDescriptor::rover(), start: Pose::new(5.0, 5.0, 0.0) };
//! let mut world = World::new(WorldConfig { robots: vec![rover], ..WorldConfig::new(7, hall) }).unwrap();
//! for sequence in 0..100 {
//!     let twist = Twist::planar(0.5, 0.0);
//!     let go = ActuatorFrame { at: world.now(), sequence, mode: DriveMode::Follow, twist };
//!     world.actuate(0, &go).unwrap();
//!     world.step();
//! }
//! assert!(world.pose(0).unwrap().position.x > 5.3);
//! assert_eq!(world.truth().collisions.total(), 0);
//! ```

mod body;
mod chance;
mod config;
pub mod contact;
mod drive;
mod lidar;
mod localiser;
mod people;
pub mod placement;
mod robot;
mod survey;
mod terrain;
mod world;

pub use body::SimBody;
pub use config::{Noise, PEOPLE_MAX, ROBOTS_MAX, RobotSpec, STEP, WorldConfig};
pub use contact::{Collisions, Contact, ContactKind};
pub use people::PERSON_RADIUS;
pub use robot::{CLIFF_REACH, SILENCE_MAX};
pub use survey::Survey;
pub use terrain::{Beams, TERRAIN_CELLS_MAX, Terrain, TerrainError};
pub use world::{CommandError, Coverage, Truth, World, WorldError};
