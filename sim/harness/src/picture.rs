//! A run as one picture: the place, what was swept, and the track each robot took. Self-contained SVG.

use std::fmt::Write as _;

use skein_space::map::{Cell, OccupancyMap};
use skein_types::geometry::Point;
use skein_types::ids::AgentId;
use skein_types::polygon::Polygon;
use skein_types::region::{Region, RegionFrame};

use crate::fleet::{FleetReport, Sample};
use crate::xml::escape;

/// Width of the place in the picture, in its own units; everything else follows from it.
const WIDTH: f64 = 1_000.0;
/// Around the place.
const EDGE: f64 = 20.0;
/// Legend entries in a row, and their height.
const LEGEND_COLUMNS: usize = 6;
const LEGEND_HEIGHT: f64 = 26.0;
/// Robots that the legend names; more are only numbered at their ends.
const LEGEND_MAX: usize = 48;
/// Least distance between two points of a track: at most two a metre.
const POINT_EVERY: f64 = 0.5;
/// Most points of all tracks together, so that the picture stays small however long the run was.
const POINTS_MAX: f64 = 6_000.0;
/// Points nearer than this to the straight line between their neighbours are left out, metres.
const STRAIGHT: f64 = 0.02;
/// Most rectangles of one layer; beyond that it is drawn coarser.
const RECTANGLES_MAX: usize = 2_000;
/// Dark enough on white, and told apart by people who see colours differently (after Okabe and Ito).
const COLOURS: [&str; 7] = ["#0072b2", "#d55e00", "#007a5a", "#aa3377", "#8a6d00", "#3b3bb3", "#555555"];
const SOLID: &str = "#2f363d";
const UNKNOWN: &str = "#e6e8eb";
const SWEPT: &str = "#e3f3e8";
const LEFT: &str = "#f7bd5a";
/// Lengths of dash and gap; with the colours, 42 different lines.
const DASHES: [&str; 6] = ["", "9 4", "3 3", "14 4 3 4", "6 3", "14 3 3 3 3 3"];

const STYLE: &str = "\
text{font:13px system-ui,'Segoe UI',Helvetica,Arial,sans-serif;fill:#24292f}\
.n{font-size:10.5px;font-weight:700;text-anchor:middle}\
.w{fill:none;stroke-width:2.2;stroke-linejoin:round;stroke-linecap:butt;opacity:.9}\
.s{fill:#fff;stroke-width:2}.e{stroke:#fff;stroke-width:1.5}.l{fill:#fff}\
.z{fill:none;stroke:#2f81f7;stroke-width:2;stroke-dasharray:7 5}\
.c{font-size:15px;font-weight:600}.k{font-size:12px;fill:#57606a}";

/// What a picture shows.
#[derive(Clone, Copy, Debug)]
pub struct Picture<'a> {
    /// The map as imported.
    pub map: &'a OccupancyMap,
    /// What was to be surveyed.
    pub zone: &'a Polygon,
    /// The cells that counted.
    pub region: &'a Region,
    /// Those of them that nobody has swept, in rising order.
    pub unswept: &'a [u32],
    /// Where everybody truly went.
    pub tracks: &'a Tracks,
    /// What came of it.
    pub report: &'a FleetReport,
}

/// Where robots truly went: points half a metre apart.
#[derive(Clone, Debug, Default)]
pub struct Tracks(Vec<(AgentId, Vec<Point>)>);

impl Tracks {
    /// Takes down where everybody is.
    pub fn add(&mut self, sample: &Sample) {
        if self.0.is_empty() {
            self.0 = sample.robots.iter().map(|robot| (robot.robot.clone(), vec![robot.pose.position])).collect();
        }
        for ((_, track), robot) in self.0.iter_mut().zip(&sample.robots) {
            let at = robot.pose.position;
            if track.last().is_none_or(|last| last.distance(at) >= POINT_EVERY) {
                track.push(at);
            }
        }
    }
}

/// Draws a picture: an SVG document.
#[must_use]
pub fn draw(picture: &Picture<'_>) -> String {
    let sheet = Sheet::of(picture.map.frame());
    let named = picture.report.per_robot.len().min(LEGEND_MAX);
    let legend = named.div_ceil(LEGEND_COLUMNS) as f64 * LEGEND_HEIGHT;
    let (width, height) = (WIDTH + 2.0 * EDGE, sheet.height + legend + 3.0 * EDGE + 42.0);
    let caption = caption(picture.report);
    let mut svg = String::with_capacity(64 * 1024);
    let mut add = |text: std::fmt::Arguments<'_>| {
        // Writing to a String cannot fail.
        let _ = svg.write_fmt(text);
    };
    add(format_args!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {}\" role=\"img\">\n<title>{}</title>\n",
        Number(height),
        escape(&caption)
    ));
    add(format_args!("<desc>{}</desc>\n<style>{STYLE}</style>\n", describe(picture)));
    add(format_args!("<rect width=\"100%\" height=\"100%\" rx=\"10\" fill=\"#fff\"/>\n"));
    add(format_args!("{}", ground(picture, &sheet)));
    let tracks: Vec<Drawn<'_>> = drawn(picture, &sheet);
    tracks.iter().for_each(|track| add(format_args!("{}", track.line())));
    add(format_args!("{}{}", walls(picture.map, &sheet), outline(picture.zone, &sheet)));
    tracks.iter().for_each(|track| add(format_args!("{}", track.start())));
    tracks.iter().for_each(|track| add(format_args!("{}", track.end())));
    for (number, track) in tracks.iter().take(LEGEND_MAX).enumerate() {
        let (column, row) = ((number % LEGEND_COLUMNS) as f64, (number / LEGEND_COLUMNS) as f64);
        let (x, y) = (EDGE + column * WIDTH / LEGEND_COLUMNS as f64, sheet.height + 2.2 * EDGE + row * LEGEND_HEIGHT);
        let robot = picture.report.per_robot.get(number);
        let driven = robot.map_or(String::new(), |robot| format!("{:.0} m", robot.distance_m));
        let died = if robot.is_some_and(|robot| !robot.alive) { " died" } else { "" };
        add(format_args!("{}", track.legend(x, y, &format!("{driven}{died}"))));
    }
    let y = sheet.height + legend + 2.2 * EDGE + 18.0;
    add(format_args!("<text class=\"c\" x=\"{EDGE}\" y=\"{}\">{}</text>\n", Number(y), escape(&caption)));
    add(format_args!("{}</svg>\n", key(y + 24.0)));
    svg
}

/// What the colours of the ground and the marks mean.
fn key(y: f64) -> String {
    let (middle, top, text_y) = (Number(y - 4.0), Number(y - 10.0), Number(y));
    let patch = |x: f64, fill: &str| {
        let x = Number(x);
        format!(
            "<rect x=\"{x}\" y=\"{top}\" width=\"18\" height=\"12\" fill=\"{fill}\" stroke=\"#8c959f\" stroke-width=\".6\"/>"
        )
    };
    let shapes = [
        (patch(EDGE, SWEPT), "swept"),
        (patch(EDGE + 90.0, LEFT), "not swept"),
        (patch(EDGE + 200.0, SOLID), "solid"),
        (patch(EDGE + 280.0, UNKNOWN), "unknown"),
        (format!("<path class=\"z\" d=\"M{} {middle}h18\"/>", EDGE + 380.0), "zone"),
        (format!("<circle class=\"s\" stroke=\"#57606a\" cx=\"{}\" cy=\"{middle}\" r=\"6\"/>", EDGE + 469.0), "start"),
        (format!("<circle fill=\"#57606a\" cx=\"{}\" cy=\"{middle}\" r=\"7\"/>", EDGE + 549.0), "end"),
    ];
    let places = [0.0, 90.0, 200.0, 280.0, 380.0, 460.0, 540.0].map(|x| Number(EDGE + x + 24.0));
    let entries = shapes.iter().zip(places);
    entries
        .map(|((shape, word), x)| format!("{shape}<text class=\"k\" x=\"{x}\" y=\"{text_y}\">{word}</text>\n"))
        .collect()
}

/// Coverage, time and closest approach in one line.
fn caption(report: &FleetReport) -> String {
    let seconds = report.mission.as_ref().and_then(|mission| mission.duration_s).unwrap_or(report.duration_s);
    let closest = report.min_separation_m.map_or(String::new(), |least| format!(" · closest approach {least:.2} m"));
    let contacts = match report.collisions.total() {
        0 => "no contacts".to_owned(),
        1 => "1 contact".to_owned(),
        many => format!("{many} contacts"),
    };
    let robots = if report.robots == 1 { "1 robot".to_owned() } else { format!("{} robots", report.robots) };
    format!(
        "{:.1} % of {:.0} m² swept by {robots} in {:.0} min {:02.0} s{closest} · {contacts} · seed {}",
        // Never rounded up to more than there is.
        (report.coverage_ratio * 1_000.0).floor() / 10.0,
        report.zone_area_m2,
        (seconds.round() / 60.0).floor(),
        seconds.round() % 60.0,
        report.seed
    )
}

fn describe(picture: &Picture<'_>) -> String {
    let driven = picture.report.per_robot.iter();
    let driven: Vec<String> = driven.map(|robot| format!("{} drove {:.0} m", robot.robot, robot.distance_m)).collect();
    let text = format!(
        "A floor plan. Dark is solid, light green is swept, orange is left. Rings mark where robots started, discs where they ended. {}.",
        driven.join(", ")
    );
    escape(&text).into_owned()
}

/// Where metres of the map lie in the picture.
struct Sheet {
    origin: Point,
    scale: f64,
    height: f64,
}

impl Sheet {
    fn of(frame: &RegionFrame) -> Self {
        let scale = WIDTH / (f64::from(frame.width) * frame.resolution);
        Self { origin: frame.origin, scale, height: f64::from(frame.height) * frame.resolution * scale }
    }

    /// North is up.
    fn place(&self, point: Point) -> Point {
        let (east, north) = (point.x - self.origin.x, point.y - self.origin.y);
        Point::new(EDGE + east * self.scale, EDGE + self.height - north * self.scale)
    }

    /// Cells of a grid as one path with whole numbers.
    fn cells(&self, frame: &RegionFrame, fill: &str, inside: impl Fn(u32, u32) -> bool) -> String {
        let (factor, rectangles) = mosaic(frame, inside);
        if rectangles.is_empty() {
            return String::new();
        }
        let (side, corner) = (frame.resolution * self.scale * f64::from(factor), self.place(frame.origin));
        let mut path = String::new();
        for Rectangle { x, y, width, height } in rectangles {
            // Writing to a String cannot fail.
            let _ = write!(path, "M{x} {y}h{width}v{height}h-{width}z");
        }
        let (x, y) = (Number(corner.x), Number(corner.y));
        format!("<path transform=\"matrix({side:.5} 0 0 -{side:.5} {x} {y})\" fill=\"{fill}\" d=\"{path}\"/>\n")
    }
}

/// What lies under the tracks: what is not known, what is swept and what is left.
fn ground(picture: &Picture<'_>, sheet: &Sheet) -> String {
    let (map, region) = (picture.map, picture.region);
    let (frame, grid) = (map.frame(), region.frame());
    let cell = |frame: &RegionFrame, x: u32, y: u32| y * frame.width + x;
    let is_left = |cell: u32| picture.unswept.binary_search(&cell).is_ok();
    let unknown = sheet.cells(frame, UNKNOWN, |x, y| map.cell(cell(frame, x, y)) == Cell::Unknown);
    let swept = sheet.cells(grid, SWEPT, |x, y| {
        let cell = cell(grid, x, y);
        region.contains(cell) && !is_left(cell)
    });
    let left = sheet.cells(grid, LEFT, |x, y| is_left(cell(grid, x, y)));
    format!("{unknown}{swept}{left}")
}

/// The zone's rings, over the walls so that they are seen along them.
fn outline(zone: &Polygon, sheet: &Sheet) -> String {
    let mut path = String::new();
    for ring in zone.rings() {
        for (index, &corner) in ring.iter().enumerate() {
            let at = sheet.place(corner);
            // Writing to a String cannot fail.
            let _ = write!(path, "{}{} {}", if index == 0 { "M" } else { "L" }, Number(at.x), Number(at.y));
        }
        path.push('z');
    }
    format!("<path class=\"z\" d=\"{path}\"/>\n")
}

fn walls(map: &OccupancyMap, sheet: &Sheet) -> String {
    let frame = map.frame();
    sheet.cells(frame, SOLID, |x, y| map.cell(y * frame.width + x) == Cell::Occupied)
}

struct Rectangle {
    x: u32,
    y: u32,
    width: u32,
    height: u32,
}

/// Cells merged into rectangles, of as many cells a side as it takes to have few of them.
fn mosaic(frame: &RegionFrame, inside: impl Fn(u32, u32) -> bool) -> (u32, Vec<Rectangle>) {
    let mut factor = 1;
    loop {
        let (columns, rows) = (frame.width.div_ceil(factor), frame.height.div_ceil(factor));
        let any = |x: u32, y: u32| {
            let (xs, ys) =
                (x * factor..((x + 1) * factor).min(frame.width), y * factor..((y + 1) * factor).min(frame.height));
            ys.into_iter().any(|y| xs.clone().any(|x| inside(x, y)))
        };
        let rectangles = merge(columns, rows, any);
        if rectangles.len() <= RECTANGLES_MAX || columns.max(rows) <= 1 {
            return (factor, rectangles);
        }
        factor += 1;
    }
}

/// Runs of one row grow into the next one where that has the same run.
fn merge(columns: u32, rows: u32, inside: impl Fn(u32, u32) -> bool) -> Vec<Rectangle> {
    let mut done: Vec<Rectangle> = Vec::new();
    let mut growing: Vec<Rectangle> = Vec::new();
    for y in 0..rows {
        let mut row: Vec<Rectangle> = Vec::new();
        for x in (0..columns).filter(|&x| inside(x, y)) {
            match row.last_mut() {
                Some(run) if run.x + run.width == x => run.width += 1,
                _ => row.push(Rectangle { x, y, width: 1, height: 1 }),
            }
        }
        for run in &mut row {
            if let Some(at) = growing.iter().position(|above| above.x == run.x && above.width == run.width) {
                let above = growing.swap_remove(at);
                (run.y, run.height) = (above.y, above.height + 1);
            }
        }
        done.append(&mut growing);
        growing = row;
    }
    done.append(&mut growing);
    done
}

/// One robot's track, ready to be drawn.
struct Drawn<'a> {
    id: &'a AgentId,
    points: Vec<Point>,
    colour: &'static str,
    dash: &'static str,
}

fn drawn<'a>(picture: &Picture<'a>, sheet: &Sheet) -> Vec<Drawn<'a>> {
    let tracks = &picture.tracks.0;
    let all: usize = tracks.iter().map(|(_, track)| track.len()).sum();
    let spacing = POINT_EVERY * (all as f64 / POINTS_MAX).max(1.0);
    let one = |(number, (id, track)): (usize, &'a (AgentId, Vec<Point>))| Drawn {
        id,
        points: thinned(track, spacing).into_iter().map(|point| sheet.place(point)).collect(),
        colour: COLOURS.get(number % COLOURS.len()).copied().unwrap_or_default(),
        dash: DASHES.get(number % DASHES.len()).copied().unwrap_or_default(),
    };
    tracks.iter().enumerate().map(one).collect()
}

/// Points at least so far apart, without those on straight stretches; the last one stays.
fn thinned(track: &[Point], spacing: f64) -> Vec<Point> {
    let mut kept: Vec<Point> = Vec::new();
    for &point in track {
        match kept.as_slice() {
            [.., last] if last.distance(point) < spacing * 0.99 => continue,
            [.., before, last] if is_between(*before, *last, point) => {
                kept.pop();
            }
            _ => {}
        }
        kept.push(point);
    }
    match (kept.as_slice(), track.last()) {
        ([_, .., last], Some(end)) if last.distance(*end) > 0.0 => {
            kept.pop();
            kept.push(*end);
        }
        _ => {}
    }
    kept
}

fn is_between(before: Point, point: Point, after: Point) -> bool {
    let (along, to) = (after - before, point - before);
    let length = along.norm_squared().sqrt();
    let ahead = along.x * to.x + along.y * to.y;
    let aside = (along.x * to.y - along.y * to.x).abs();
    ahead > 0.0 && ahead < length * length && aside < STRAIGHT * length
}

impl Drawn<'_> {
    fn line(&self) -> String {
        let mut points = String::new();
        for point in &self.points {
            // Writing to a String cannot fail.
            let _ = write!(points, "{},{} ", Number(point.x), Number(point.y));
        }
        let id = escape(self.id.as_str());
        format!(
            "<polyline class=\"w\" {} points=\"{}\"><title>{id}</title></polyline>\n",
            self.pen(),
            points.trim_end()
        )
    }

    fn pen(&self) -> String {
        let dash = if self.dash.is_empty() { String::new() } else { format!(" stroke-dasharray=\"{}\"", self.dash) };
        format!("stroke=\"{}\"{dash}", self.colour)
    }

    fn start(&self) -> String {
        let ring = format!("<circle r=\"9\" class=\"s\" stroke=\"{}\"/>", self.colour);
        self.mark(self.points.first(), &ring, &format!("class=\"n\" style=\"fill:{}\"", self.colour))
    }

    fn end(&self) -> String {
        let disc = format!("<circle r=\"10.5\" class=\"e\" fill=\"{}\"/>", self.colour);
        self.mark(self.points.last(), &disc, "class=\"n l\" style=\"fill:#fff\"")
    }

    fn mark(&self, at: Option<&Point>, shape: &str, text: &str) -> String {
        let Some(at) = at else { return String::new() };
        let (x, y, id) = (Number(at.x), Number(at.y), self.short_id());
        format!("<g transform=\"translate({x} {y})\">{shape}<text y=\"3.8\" {text}>{}</text></g>\n", escape(&id))
    }

    /// What fits into a mark: the number at the end of an id such as `rover-12`, or its beginning.
    fn short_id(&self) -> String {
        let id = self.id.as_str();
        let number = id.rsplit('-').next().unwrap_or(id);
        number.chars().take(3).collect()
    }

    fn legend(&self, x: f64, y: f64, driven: &str) -> String {
        let (left, y, text_y) = (Number(x), Number(y), Number(y + 4.5));
        let (disc, end, text) = (Number(x + 41.0), Number(x + 34.0), Number(x + 55.0));
        let line = format!("<path class=\"w\" {} d=\"M{left} {y}H{end}\"/>", self.pen());
        let mark = format!("<circle cx=\"{disc}\" cy=\"{y}\" r=\"9\" fill=\"{}\"/>", self.colour);
        let number = format!(
            "<text class=\"n\" style=\"fill:#fff\" x=\"{disc}\" y=\"{text_y}\">{}</text>",
            escape(&self.short_id())
        );
        let name = escape(self.id.as_str());
        format!("{line}{mark}{number}<text class=\"k\" x=\"{text}\" y=\"{text_y}\">{name} {driven}</text>\n")
    }
}

/// A coordinate with at most one decimal.
struct Number(f64);

impl std::fmt::Display for Number {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let tenths = (self.0 * 10.0).round() + 0.0;
        if tenths % 10.0 == 0.0 { write!(f, "{}", tenths / 10.0) } else { write!(f, "{:.1}", tenths / 10.0) }
    }
}

#[cfg(test)]
mod tests {
    use skein_world::Collisions;

    use super::*;
    use crate::xml::elements;

    const FRAME: RegionFrame = RegionFrame { origin: Point::new(-2.0, -1.0), resolution: 0.5, width: 40, height: 20 };

    fn report(robots: usize) -> FleetReport {
        FleetReport {
            seed: 7,
            robots,
            duration_s: 125.6,
            mission: None,
            coverage_ratio: 0.999_9,
            zone_area_m2: 200.0,
            collisions: Collisions::default(),
            min_separation_m: Some(0.814),
            min_separation_of: None,
            distance_total_m: 0.0,
            per_robot: Vec::new(),
            messages: (0, 0),
            undecodable: Vec::new(),
            refusals: Vec::new(),
            events_kept: 0,
            checks: Vec::new(),
            acknowledgements: Vec::new(),
            incidents: Vec::new(),
        }
    }

    fn tracks(robots: usize, points: usize) -> Tracks {
        let track = |robot: usize| {
            let at =
                |i: usize| Point::new((i as f64 * 0.7).sin() * 8.0 + 6.0, robot as f64 * 0.01 + (i % 17) as f64 * 0.5);
            (AgentId::new(format!("rover-{}", robot + 1)).unwrap(), (0..points).map(at).collect())
        };
        Tracks((0..robots).map(track).collect())
    }

    fn drawing(robots: usize, points: usize, wall: impl Fn(u32) -> bool) -> String {
        let map = OccupancyMap::from_cells(FRAME, |cell| if wall(cell) { Cell::Occupied } else { Cell::Free });
        let zone = Polygon::rectangle(Point::new(-1.0, 0.0), Point::new(10.0, 8.0)).unwrap();
        let region = Region::from_cells(FRAME, (0..400).filter(|&cell| !wall(cell))).unwrap();
        let (tracks, report) = (tracks(robots, points), report(robots));
        draw(&Picture { map: &map, zone: &zone, region: &region, unswept: &[41, 42], tracks: &tracks, report: &report })
    }

    #[test]
    fn a_picture_is_sound_xml_with_everything_in_it() {
        let svg = drawing(3, 40, |cell| cell % 40 == 0);
        let found = elements(&svg).unwrap();
        let count = |name: &str| found.iter().filter(|found| *found == name).count();
        assert_eq!((count("svg"), count("polyline")), (1, 3));
        let ends = svg.matches("class=\"e\"").count();
        assert_eq!((ends, svg.matches("<g transform").count()), (3, 6), "a ring and a disc each");
        for fill in [SOLID, SWEPT, LEFT] {
            assert!(svg.contains(&format!("fill=\"{fill}\" d=\"M")), "{fill}");
        }
        assert!(
            svg.contains("99.9 % of 200 m² swept by 3 robots in 2 min 06 s · closest approach 0.81 m · no contacts")
        );
        assert!(!svg.contains("http://") || svg.matches("http").count() == 1, "nothing is fetched");
    }

    #[test]
    fn lines_differ_in_more_than_colour() {
        let pens: std::collections::BTreeSet<_> = (0..42).map(|i| (COLOURS[i % 7], DASHES[i % 6])).collect();
        assert_eq!(pens.len(), 42);
        let svg = drawing(6, 30, |_| false);
        let lines = svg.lines().filter(|line| line.starts_with("<polyline"));
        let dashes: std::collections::BTreeSet<_> =
            lines.map(|line| line.split("stroke-dasharray=").nth(1).and_then(|rest| rest.split('"').nth(1))).collect();
        assert_eq!(dashes.len(), 6);
    }

    #[test]
    fn a_huge_fleet_on_a_noisy_map_is_still_a_small_picture() {
        let svg = drawing(512, 2_000, |cell| (cell * 7 + cell / 40) % 3 == 0);
        elements(&svg).unwrap();
        assert!(svg.len() <= 300_000, "{} bytes", svg.len());
    }

    #[test]
    fn merged_cells_are_the_cells() {
        let inside = |x: u32, y: u32| (x * x + 3 * y) % 5 < 3 || y == 4;
        let mut seen = vec![0; 20 * 10];
        for Rectangle { x, y, width, height } in merge(20, 10, inside) {
            (y..y + height).for_each(|y| (x..x + width).for_each(|x| seen[(y * 20 + x) as usize] += 1));
        }
        for cell in 0..200 {
            assert_eq!(seen[cell as usize], i32::from(inside(cell % 20, cell / 20)), "cell {cell}");
        }
    }

    #[test]
    fn a_way_has_at_most_two_points_a_metre_and_keeps_its_ends_and_corners() {
        let corner =
            |i: usize| if i < 100 { Point::new(i as f64 * 0.1, 0.0) } else { Point::new(10.0, (i - 100) as f64 * 0.1) };
        let track: Vec<Point> = (0..=203).map(corner).collect();
        let kept = thinned(&track, POINT_EVERY);
        assert!(kept.len() <= 5, "straight stretches need no points: {kept:?}");
        assert_eq!((kept.first(), kept.last()), (track.first(), track.last()));
        assert!(kept.iter().any(|point| point.distance(Point::new(10.0, 0.0)) < 0.5));
        assert_eq!(thinned(&track[..1], POINT_EVERY), track[..1]);
        let there_and_back = [0.0, 1.0, 2.0, 3.0, 2.0, 1.0].map(|x| Point::new(x, 0.0));
        assert!(thinned(&there_and_back, POINT_EVERY).contains(&Point::new(3.0, 0.0)));
    }

    #[test]
    fn numbers_are_short() {
        for (number, text) in [(1.0, "1"), (-0.04, "0"), (2.25, "2.3"), (1_019.96, "1020")] {
            assert_eq!(Number(number).to_string(), text);
        }
    }
}
