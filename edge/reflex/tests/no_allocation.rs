//! A tick allocates nothing, whatever it meets.

mod common;

use common::{Place, Run};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use skein_types::geometry::{Point, Pose, Twist};
use skein_types::safety::{HazardDisc, PeerDisc};
use skein_types::units::Meters;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

fn count() {
    ALLOCATIONS.with(|n| n.set(n.get() + 1));
}

#[expect(unsafe_code, reason = "an allocator is unsafe by its nature; this one only counts and passes on")]
// SAFETY: every call is passed to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        unsafe { System.alloc(layout) }
    }

    unsafe fn realloc(&self, old: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        unsafe { System.realloc(old, layout, size) }
    }

    unsafe fn dealloc(&self, old: *mut u8, layout: Layout) {
        unsafe { System.dealloc(old, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations() -> u64 {
    ALLOCATIONS.with(Cell::get)
}

#[test]
fn ten_seconds_among_walls_peers_and_hazards_allocate_nothing() {
    let place = Place::default().room((-2.0, -2.0), (2.0, 2.0)).post((1.0, 0.2), 0.1);
    let mut run = Run::new(place, Pose::default());
    for (i, slot) in run.surroundings.peers.iter_mut().enumerate() {
        let position = Point::from_heading(i as f64) * 1.5;
        *slot = Some(PeerDisc { position, velocity: Point::new(0.1, 0.0), radius: Meters(0.25), at: run.now });
    }
    for (i, slot) in run.surroundings.hazards.iter_mut().enumerate() {
        let position = Point::from_heading(i as f64 * 0.7) * 1.8;
        *slot = Some(HazardDisc { position, radius: Meters(0.2), valid_until: run.now + common::TICK * 800 });
    }
    let before = allocations();
    for tick in 0..1_000 {
        let turn = f64::from(tick % 400) / 200.0 - 1.0;
        run.tick(Twist::planar(0.5, turn), 0.6);
    }
    assert_eq!(allocations() - before, 0);
}

#[test]
fn the_counter_counts() {
    let before = allocations();
    drop(std::hint::black_box(vec![1_u8; 100]));
    assert_eq!(allocations() - before, 1);
}
