//! Seeded physics, lidar, people and batteries.
