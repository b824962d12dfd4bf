//! `skein zone`: checks and converts zone files.

use serde_json::json;

use crate::args::{Zone as Verb, ZoneFile};
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::output::{self, Table, talk};
use crate::zone::{self, MapFacts, Zone};

pub(super) fn zone(context: &Context, verb: Verb) -> Result<Exit, Failure> {
    match verb {
        Verb::Check(file) => check(context, &file),
        Verb::Import(file) => import(context, &file),
    }
}

fn read(context: &Context, file: &ZoneFile) -> Result<Zone, Failure> {
    let current = context.current()?;
    let map = file.map.as_ref().or(current.as_ref().map(|record| &record.map));
    let map = map.map(|path| MapFacts::read(path)).transpose()?;
    let zone = zone::read(&file.file, map.as_ref())?;
    zone.notes.iter().for_each(|note| talk(&format!("note: {note}")));
    if let Some(map) = &map
        && let Some(note) = zone::check_inside(&zone, map)?
    {
        talk(&format!("note: {note}"));
    }
    Ok(zone)
}

fn check(context: &Context, file: &ZoneFile) -> Result<Exit, Failure> {
    let zone = read(context, file)?;
    let (low, high) = zone.polygon.bounds();
    let corners: usize = zone.polygon.rings().map(<[_]>::len).sum();
    let value = json!({
        "file": file.file,
        "name": zone.name,
        "area_m2": zone.polygon.area(),
        "corners": corners,
        "holes": zone.polygon.holes().len(),
        "bounds": {"min": [low.x, low.y], "max": [high.x, high.y]},
    });
    output::show(context.format(), &value, || {
        let mut table = Table::new(&["ZONE", "AREA", "SIZE", "CORNERS", "HOLES", "FROM", "TO"], 7);
        table.row([
            zone.name.clone().unwrap_or_else(|| file.file.display().to_string()),
            format!("{:.1} m²", zone.polygon.area()),
            format!("{:.1} × {:.1} m", high.x - low.x, high.y - low.y),
            corners.to_string(),
            zone.polygon.holes().len().to_string(),
            format!("{:.1} {:.1}", low.x, low.y),
            format!("{:.1} {:.1}", high.x, high.y),
        ]);
        table
    })?;
    Ok(Exit::Ok)
}

/// Data is GeoJSON, whatever the format: that is what the file is for.
fn import(context: &Context, file: &ZoneFile) -> Result<Exit, Failure> {
    let zone = read(context, file)?;
    let (low, high) = zone.polygon.bounds();
    talk(&format!(
        "{:.1} × {:.1} m, {:.1} m², from ({:.1}, {:.1}) to ({:.1}, {:.1}) in the map's frame",
        high.x - low.x,
        high.y - low.y,
        zone.polygon.area(),
        low.x,
        low.y,
        high.x,
        high.y
    ));
    output::data(&format!("{}\n", output::json(&zone::to_geojson(&zone))?))?;
    Ok(Exit::Ok)
}
