//! Maps are read as ROS reads them, wrong ones are refused with the place, and clearance is exact.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a helper of a test fails the test")]

use proptest::prelude::*;
use skein_space::map::{Cell, MapError, MapMeta, MetaError, Mode, OccupancyMap, PgmError, Shade};
use skein_space::planning::{PlanningError, PlanningMap, PlanningParams};
use skein_types::geometry::Point;
use skein_types::region::RegionFrame;
use skein_types::units::Meters;

const YAML: &str = "image: hall.pgm\nresolution: 0.05\norigin: [-1.0, 2.0, 0.0]\nnegate: 0\noccupied_thresh: 0.65\nfree_thresh: 0.25\n";

fn meta(more: &str) -> MapMeta {
    MapMeta::parse(&format!("{YAML}{more}")).unwrap()
}

fn shade(value: u16) -> Shade {
    Shade { value, max: 255 }
}

fn image_error(bytes: &[u8]) -> PgmError {
    match OccupancyMap::from_pgm(&meta(""), bytes) {
        Err(MapError::Image(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn trinary_has_three_values_by_two_thresholds() {
    let meta = meta("");
    assert_eq!(meta.mode, Mode::Trinary);
    // Occupancy is (255 - shade) / 255: above 0.65, between, below 0.25.
    assert_eq!([0, 89, 90, 205, 191, 192, 255].map(|s| meta.value_of(shade(s))), [100, 100, -1, 0, -1, 0, 0]);
}

#[test]
fn negate_turns_black_and_white_round() {
    let yaml = YAML.replace("negate: 0", "negate: 1");
    let negated = MapMeta::parse(&yaml).unwrap();
    for value in 0..=255 {
        assert_eq!(negated.value_of(shade(value)), meta("").value_of(shade(255 - value)));
    }
}

#[test]
fn scale_has_percent_between_the_thresholds() {
    let yaml = "image: a.pgm\nresolution: 0.1\norigin: [0, 0, 0]\nnegate: false\noccupied_thresh: 1.0\nfree_thresh: 0.0\nmode: scale\n";
    let meta = MapMeta::parse(yaml).unwrap();
    assert_eq!([255, 204, 128, 51, 0].map(|s| meta.value_of(shade(s))), [0, 19, 49, 79, 99]);
}

#[test]
fn raw_takes_the_shade_itself_up_to_a_hundred() {
    let meta = meta("mode: raw\n");
    assert_eq!([0, 25, 100, 101, 255].map(|s| meta.value_of(shade(s))), [0, 25, 100, -1, -1]);
    let image = b"P2 4 1 255\n0 25 26 255";
    let map = OccupancyMap::from_pgm(&meta, image).unwrap();
    assert_eq!([0, 1, 2, 3].map(|cell| map.cell(cell)), [Cell::Free, Cell::Free, Cell::Unknown, Cell::Unknown]);
}

#[test]
fn wide_shades_mean_the_same_as_narrow_ones() {
    let meta = meta("");
    let narrow = OccupancyMap::from_pgm(&meta, b"P5\n3 1\n255\n\x00\x80\xff").unwrap();
    let wide = OccupancyMap::from_pgm(&meta, b"P5 3 1 65535\n\x00\x00\x80\x80\xff\xff").unwrap();
    let plain = OccupancyMap::from_pgm(&meta, b"P2 # plain\n3 # columns\n1\n2\n0 1 # middle\n2").unwrap();
    assert_eq!(narrow, wide);
    assert_eq!([0, 1, 2].map(|cell| plain.cell(cell)), [Cell::Occupied, Cell::Unknown, Cell::Free]);
}

#[test]
fn the_first_row_of_the_image_is_the_northernmost() {
    let map = OccupancyMap::from_pgm(&meta(""), b"P5 1 2 255\n\x00\xff").unwrap();
    assert_eq!(map.cell_at(Point::new(-0.99, 2.01)), Cell::Free);
    assert_eq!(map.cell_at(Point::new(-0.99, 2.06)), Cell::Occupied);
    assert_eq!(map.cell_at(Point::new(-0.99, 2.11)), Cell::Unknown);
}

#[test]
fn a_datum_is_read_and_checked() {
    let datum = meta("datum: {lat: 48.1, lon: 11.5}\n").datum.unwrap();
    assert_eq!((datum.0.lat, datum.0.lon), (48.1, 11.5));
    let swapped = MapMeta::parse(&format!("{YAML}datum: {{lat: 111.5, lon: 48.1}}\n")).unwrap_err();
    assert!(swapped.to_string().contains("swapped"), "{swapped}");
}

#[test]
fn wrong_yaml_is_refused_by_key_or_line() {
    let error = |from: &str, to: &str| MapMeta::parse(&YAML.replace(from, to)).unwrap_err().to_string();
    for (from, to, wanted) in [
        ("resolution: 0.05", "resolution: .nan", "resolution"),
        ("resolution: 0.05", "resolution: -1", "resolution"),
        ("resolution: 0.05", "resolution: five", "line 2"),
        ("resolution: 0.05\n", "", "resolution"),
        ("[-1.0, 2.0, 0.0]", "[1.0, 2.0]", "origin"),
        ("[-1.0, 2.0, 0.0]", "[1.0, .inf, 0.0]", "origin"),
        ("negate: 0", "negate: 7", "negate"),
        ("free_thresh: 0.25", "free_thresh: 0.7", "free_thresh"),
        ("occupied_thresh: 0.65", "occupied_thresh: 1.5", "occupied_thresh"),
        ("image: hall.pgm", "image: ''", "image"),
        ("negate: 0", "negate: 0\nmode: fuzzy", "fuzzy"),
    ] {
        let message = error(from, to);
        assert!(message.contains(wanted), "{to}: {message}");
    }
    assert!(matches!(MapMeta::parse(&"x".repeat(100_000)), Err(MetaError::TooLarge(100_000))));
}

#[test]
fn wrong_images_are_refused_with_the_place() {
    assert!(matches!(image_error(b"\x89PNG\r\n"), PgmError::Magic(_)));
    assert!(matches!(image_error(b""), PgmError::Magic(_)));
    assert!(matches!(image_error(b"P5 x 3 255\n"), PgmError::Header { field: "width", offset: 3, .. }));
    assert!(matches!(image_error(b"P5 3 0 255\n"), PgmError::Header { field: "height", .. }));
    assert!(matches!(image_error(b"P5 3 3 65536\n"), PgmError::Header { field: "maximum", .. }));
    assert!(matches!(image_error(b"P5 999999999999 3 255\n"), PgmError::Header { field: "width", .. }));
    assert!(matches!(image_error(b"P5 60000 60000 255\n"), PgmError::TooLarge { .. }));
    assert_eq!(image_error(b"P5 3 3 255\n\x00\x00"), PgmError::Truncated { found: 2, wanted: 9 });
    assert_eq!(image_error(b"P2 2 2 255\n1 2 3"), PgmError::Truncated { found: 3, wanted: 4 });
    assert_eq!(image_error(b"P2 2 2 255\n1 2 x 3"), PgmError::Pixel { column: 0, row: 1, offset: 15 });
    assert_eq!(image_error(b"P2 2 2 9\n1 2 3 10"), PgmError::TooLight { column: 1, row: 1, value: 10, max: 9 });
    assert_eq!(image_error(b"P5 1 2 9\n\x01\x10"), PgmError::TooLight { column: 0, row: 1, value: 16, max: 9 });
}

#[test]
fn a_map_turned_by_a_quarter_has_its_pixels_in_their_new_places() {
    let yaml = YAML.replace("[-1.0, 2.0, 0.0]", "[0.0, 0.0, 1.5707963267948966]");
    let turned = MapMeta::parse(&yaml).unwrap();
    // Two columns, three rows; only the pixel in the south-east of the image is occupied.
    let map = OccupancyMap::from_pgm(&turned, b"P5 2 3 255\n\xff\xff\xff\xff\xff\x00").unwrap();
    assert_eq!((map.frame().width, map.frame().height), (3, 2));
    assert_eq!(map.cell_at(Point::new(-0.025, 0.075)), Cell::Occupied);
    assert_eq!(map.cell_at(Point::new(-0.025, 0.025)), Cell::Free);
    assert_eq!(map.cell_at(Point::new(-0.125, 0.075)), Cell::Free);
}

#[test]
fn a_wall_one_pixel_thick_stays_closed_when_its_map_is_turned() {
    let yaml = YAML.replace("[-1.0, 2.0, 0.0]", "[3.0, -1.0, 0.6]").replace("0.05", "0.1");
    let turned = MapMeta::parse(&yaml).unwrap();
    let mut image = b"P5 60 60 255\n".to_vec();
    image.extend((0..3600).map(|i| if i / 60 == 30 { 0 } else { 255 }));
    let map = OccupancyMap::from_pgm(&turned, &image).unwrap();
    let planning =
        PlanningMap::new(&map, &PlanningParams { resolution: Meters(0.1), clearance: Meters(0.06) }).unwrap();
    let at = |x: f64, y: f64| Point::new(3.0, -1.0) + Point::new(x, y).rotated(0.6);
    let south = planning.reachable_from(&[at(3.0, 1.0)]);
    assert!(south.contains(map.frame().cell_of(at(1.0, 2.5)).unwrap()));
    assert!(!south.contains(map.frame().cell_of(at(3.0, 4.0)).unwrap()));
}

#[test]
fn the_hash_tells_maps_apart_and_is_the_same_for_the_same() {
    let image = b"P5 2 2 255\n\x00\xff\x80\xff";
    let map = OccupancyMap::from_pgm(&meta(""), image).unwrap();
    assert_eq!(map.hash(), OccupancyMap::from_pgm(&meta(""), image).unwrap().hash());
    let other = OccupancyMap::from_pgm(&meta(""), b"P5 2 2 255\n\x00\xff\xff\xff").unwrap();
    let moved = MapMeta::parse(&YAML.replace("-1.0", "-1.1")).unwrap();
    let moved = OccupancyMap::from_pgm(&moved, image).unwrap();
    assert!(map.hash() != other.hash() && map.hash() != moved.hash());
}

#[test]
fn unusable_maps_and_parameters_are_refused() {
    let frame = RegionFrame { origin: Point::default(), resolution: 0.1, width: 20, height: 20 };
    let walls = OccupancyMap::from_cells(frame, |_| Cell::Occupied);
    let params =
        |resolution, clearance| PlanningParams { resolution: Meters(resolution), clearance: Meters(clearance) };
    assert!(matches!(PlanningMap::new(&walls, &params(0.1, 0.3)), Err(PlanningError::NoPassable { .. })));
    assert!(matches!(PlanningMap::new(&walls, &params(f64::NAN, 0.3)), Err(PlanningError::Params { .. })));
    assert!(matches!(PlanningMap::new(&walls, &params(0.1, 0.0)), Err(PlanningError::Params { .. })));
}

/// Distance from the middle of a cell to the nearest pixel that is not free, or to the border, in pixels.
fn brute_clearance(free: &[bool], width: usize, height: usize, x: f64, y: f64) -> f64 {
    let border = x.min(y).min(width as f64 - x).min(height as f64 - y).max(0.0);
    let to_pixel = |i: usize| {
        let (px, py) = ((i % width) as f64, (i / width) as f64);
        let gap = |at: f64, low: f64| (low - at).max(at - low - 1.0).max(0.0);
        gap(x, px).hypot(gap(y, py))
    };
    (0..free.len()).filter(|&i| !free[i]).map(to_pixel).fold(border, f64::min)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn clearance_is_the_distance_to_the_nearest_pixel_that_is_not_free(
        (w, h, free) in (1_usize..40, 1_usize..40, 0.5_f64..1.0)
            .prop_flat_map(|(w, h, density)| (Just(w), Just(h), prop::collection::vec(prop::bool::weighted(density), w * h))),
        factor in 1_usize..5,
    ) {
        let frame = RegionFrame { origin: Point::new(-2.0, 7.0), resolution: 0.05, width: w as u32, height: h as u32 };
        let map = OccupancyMap::from_cells(frame, |cell| if free[cell as usize] { Cell::Free } else { Cell::Unknown });
        let params = PlanningParams { resolution: Meters(0.05 * factor as f64), clearance: Meters(1e-3) };
        let Ok(planning) = PlanningMap::new(&map, &params) else { return Ok(()) };
        let frame = *planning.frame();
        prop_assert_eq!((frame.width as usize, frame.height as usize), (w.div_ceil(factor), h.div_ceil(factor)));
        for cell in 0..frame.cells() as u32 {
            let (column, row) = ((cell % frame.width) as usize, (cell / frame.width) as usize);
            let middle = |i: usize| factor as f64 * (i as f64 + 0.5);
            let brute = brute_clearance(&free, w, h, middle(column), middle(row)) * 0.05;
            prop_assert!((f64::from(planning.clearance(cell)) - brute).abs() < 1e-6, "cell {}: {} instead of {}", cell, planning.clearance(cell), brute);
            let pixels = (0..factor * factor).map(|i| (column * factor + i % factor, row * factor + i / factor));
            let open = pixels.into_iter().all(|(x, y)| x < w && y < h && free[y * w + x]);
            prop_assert_eq!(planning.blocked(cell), !open);
            prop_assert_eq!(planning.traversable(cell), open && brute >= 1e-3);
        }
    }

    #[test]
    fn no_bytes_make_the_reader_fall_over(bytes in prop::collection::vec(any::<u8>(), 0..200), head in "P[25] [0-9]{1,3} [0-9]{1,3} [0-9]{1,5}\n") {
        let mut image = head.into_bytes();
        image.extend(bytes.iter());
        let _ = OccupancyMap::from_pgm(&meta(""), &image);
        let _ = OccupancyMap::from_pgm(&meta(""), &bytes);
        let _ = MapMeta::parse(&String::from_utf8_lossy(&bytes));
    }
}
