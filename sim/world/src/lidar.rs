//! One lidar revolution: beams against the terrain, and against the discs of robots and people.

use skein_types::geometry::{Point, Pose};
use skein_types::sensing::BEAMS;

use crate::chance::Chance;
use crate::config::Noise;
use crate::terrain::Terrain;

/// Nothing is nearer to the lidar than this, metres.
const RANGE_MIN: f32 = 0.01;

/// Directions of the beams in the body's frame, as unit vectors.
#[derive(Clone, Debug)]
pub(crate) struct Fan([(f32, f32); BEAMS]);

impl Fan {
    pub(crate) fn new() -> Self {
        Self(core::array::from_fn(|beam| {
            let direction = Point::from_heading(skein_types::sensing::Scan::angle_of(beam));
            (direction.x as f32, direction.y as f32)
        }))
    }

    /// True ranges from a place: terrain first, then whatever stands before it.
    pub(crate) fn look(
        &self,
        terrain: &Terrain,
        pose: &Pose,
        range_max: f32,
        discs: impl Iterator<Item = (Point, f64)>,
        ranges: &mut [f32; BEAMS],
    ) {
        let ahead = Point::from_heading(pose.heading);
        let (cos, sin) = (ahead.x as f32, ahead.y as f32);
        let beams = terrain.beams_from(pose.position);
        for (range, &(x, y)) in ranges.iter_mut().zip(&self.0) {
            *range = beams.cast(cos * x - sin * y, sin * x + cos * y, range_max);
        }
        for (center, radius) in discs {
            self.shade(pose, center, radius, ranges);
        }
        for range in ranges.iter_mut() {
            *range = if *range > range_max { f32::INFINITY } else { *range };
        }
    }

    /// Shortens the beams that hit a disc. Only the beams within its angular width are looked at.
    fn shade(&self, pose: &Pose, center: Point, radius: f64, ranges: &mut [f32; BEAMS]) {
        let to = pose.body_from_map(center);
        let distance = to.norm();
        if distance <= radius {
            ranges.iter_mut().for_each(|range| *range = range.min(RANGE_MIN));
            return;
        }
        let per_radian = BEAMS as f64 / core::f64::consts::TAU;
        let half = libm::asin(radius / distance) * per_radian;
        let middle = to.heading() * per_radian;
        for beam in (middle - half).ceil() as i64..=(middle + half).floor() as i64 {
            let index = beam.rem_euclid(BEAMS as i64) as usize;
            let (Some(range), Some(&(x, y))) = (ranges.get_mut(index), self.0.get(index)) else { continue };
            let direction = Point::new(f64::from(x), f64::from(y));
            let across = direction.cross(to);
            let half_chord = (radius * radius - across * across).max(0.0).sqrt();
            let hit = (direction.dot(to) - half_chord) as f32;
            *range = range.min(hit.max(RANGE_MIN));
        }
    }
}

/// What the sensor makes of true ranges: bell-shaped noise (from three even numbers) and beams without an answer.
/// Each beam takes 64 bits of chance.
pub(crate) fn blur(ranges: &mut [f32; BEAMS], noise: &Noise, range_max: f32, chance: &mut Chance) {
    if noise.lidar_m == 0.0 && noise.lidar_dropout == 0.0 {
        return;
    }
    let deviation = noise.lidar_m as f32;
    let dropout = (noise.lidar_dropout.clamp(0.0, 1.0) * 65_536.0) as u64;
    for range in ranges.iter_mut() {
        let bits = chance.bits();
        let sum = (bits & 0xffff) + (bits >> 16 & 0xffff) + (bits >> 32 & 0xffff);
        let bell = (sum as f32 * (1.0 / 65_536.0) - 1.5) * 2.0;
        let seen = (*range + deviation * bell).max(RANGE_MIN);
        *range = if bits >> 48 < dropout {
            f32::NAN
        } else if seen > range_max {
            f32::INFINITY
        } else {
            seen
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use skein_types::region::RegionFrame;

    fn hall() -> Terrain {
        let frame = RegionFrame { origin: Point::new(-10.0, -10.0), resolution: 0.05, width: 400, height: 400 };
        Terrain::new(frame, |_| false).unwrap()
    }

    #[test]
    fn walls_are_where_they_are_in_every_direction_whichever_way_the_body_faces() {
        let (terrain, fan) = (hall(), Fan::new());
        for heading in [0.0, 1.0, -2.5] {
            let pose = Pose::new(3.0, -4.0, heading);
            let mut ranges = [0.0; BEAMS];
            fan.look(&terrain, &pose, 40.0, std::iter::empty(), &mut ranges);
            for (beam, range) in ranges.iter().enumerate() {
                let hit = pose
                    .map_from_body(Point::from_heading(skein_types::sensing::Scan::angle_of(beam)) * f64::from(*range));
                let wall = hit.x.abs().max(hit.y.abs());
                assert!((wall - 10.0).abs() < 1e-4, "beam {beam} ended at {hit:?}");
            }
        }
    }

    #[test]
    fn a_disc_shortens_exactly_the_beams_that_meet_it() {
        let (terrain, fan) = (hall(), Fan::new());
        let pose = Pose::new(0.0, 0.0, 2.0);
        let (center, radius) = (Point::new(-3.0, 1.0), 0.4);
        let mut ranges = [0.0; BEAMS];
        fan.look(&terrain, &pose, 8.0, std::iter::once((center, radius)), &mut ranges);
        let mut met = 0;
        for (beam, range) in ranges.iter().enumerate() {
            let direction = Point::from_heading(pose.heading + skein_types::sensing::Scan::angle_of(beam));
            let misses = center.distance_to_segment(Point::default(), direction * 8.0);
            if misses < radius {
                met += 1;
                let hit = direction * f64::from(*range);
                assert!((hit.distance(center) - radius).abs() < 1e-5, "beam {beam} ended at {hit:?}");
            } else {
                assert!(*range > 5.0, "beam {beam} saw {range}");
            }
        }
        assert!(met > 10);
    }

    #[test]
    fn noise_and_dropouts_have_the_size_they_are_said_to_have() {
        let mut chance = Chance::new(3, 0);
        let (mut dropped, mut squares) = (0, 0.0);
        for tick in 0..200 {
            chance.at_tick(tick);
            let mut ranges = [4.0; BEAMS];
            blur(&mut ranges, &Noise::usual(), 10.0, &mut chance);
            dropped += ranges.iter().filter(|r| r.is_nan()).count();
            squares += ranges.iter().filter(|r| !r.is_nan()).map(|r| f64::from(r - 4.0).powi(2)).sum::<f64>();
        }
        let share = dropped as f64 / (200.0 * BEAMS as f64);
        assert!((share - 0.005).abs() < 0.001, "{share}");
        let deviation = (squares / (200.0 * BEAMS as f64)).sqrt();
        assert!((deviation - 0.01).abs() < 5e-4, "{deviation}");
        let mut far = [f32::INFINITY; BEAMS];
        blur(&mut far, &Noise { lidar_dropout: 0.0, ..Noise::usual() }, 10.0, &mut chance);
        assert!(far.iter().all(|r| r.is_infinite()));
    }
}
