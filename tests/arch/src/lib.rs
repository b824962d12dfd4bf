//! Who may know whom: the table of `ARCHITECTURE.md` as data, and the checks that hold the workspace to it.

use std::collections::{BTreeMap, BTreeSet};

pub mod modules;

/// What a room is, and which of our rooms it may depend on (besides `skein-types`, which everyone may).
pub struct Room {
    /// Name of the crate.
    pub name: &'static str,
    /// A pure core: no async, clock, threads, I/O or global randomness.
    pub pure: bool,
    /// Rooms it may know.
    pub may_know: &'static [&'static str],
}

const fn pure(name: &'static str, may_know: &'static [&'static str]) -> Room {
    Room { name, pure: true, may_know }
}

const fn shell(name: &'static str, may_know: &'static [&'static str]) -> Room {
    Room { name, pure: false, may_know }
}

/// The table. Crates under `tests/` may know anything and are not listed.
pub const ROOMS: &[Room] = &[
    pure("skein-types", &[]),
    pure("skein-wire", &[]),
    pure("skein-body", &[]),
    pure("skein-space", &[]),
    pure("skein-reflex", &[]),
    shell("skein-body-remote", &["skein-body"]),
    pure("skein-coord", &["skein-space"]),
    pure("skein-agent", &["skein-space", "skein-coord", "skein-reflex", "skein-body"]),
    pure("skein-supervisor", &["skein-space"]),
    pure("skein-world", &["skein-space", "skein-body"]),
    shell("skein-mesh", &["skein-coord", "skein-wire"]),
    shell(
        "skein-edge",
        &["skein-agent", "skein-reflex", "skein-body", "skein-body-remote", "skein-mesh", "skein-wire", "skein-space"],
    ),
    shell("skein-cloud", &["skein-supervisor", "skein-wire", "skein-space"]),
    shell(
        "skein-sim",
        &[
            "skein-agent",
            "skein-reflex",
            "skein-supervisor",
            "skein-coord",
            "skein-world",
            "skein-body",
            "skein-body-remote",
            "skein-space",
            "skein-wire",
        ],
    ),
    shell("skein", &["skein-wire"]),
];

/// Libraries that do I/O, keep time, run tasks or draw randomness from the system: not in a pure core, at any depth.
pub const IMPURE: &[&str] = &[
    "async-nats",
    "axum",
    "chrono",
    "crossbeam-channel",
    "hyper",
    "log",
    "mio",
    "object_store",
    "ort",
    "parking_lot",
    "rayon",
    "redis",
    "reqwest",
    "rusqlite",
    "rustix",
    "socket2",
    "time",
    "tokio",
    "tonic",
    "tracing",
    "zenoh",
];

/// What a pure room may depend on although it is on the list, and why.
///
/// `skein-wire` holds the service traits that tonic generates; nothing in it opens a socket.
pub const EXCEPTIONS: &[(&str, &str)] = &[("skein-wire", "tonic")];

/// Edges between our rooms that the table does not allow, as sentences.
#[must_use]
pub fn forbidden_edges(rooms: &[Room], edges: &BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    let ours: BTreeSet<&str> = rooms.iter().map(|room| room.name).collect();
    let mut found = Vec::new();
    for room in rooms {
        for to in edges.get(room.name).into_iter().flatten() {
            let allowed = to == "skein-types" || room.may_know.contains(&to.as_str());
            if !allowed && (ours.contains(to.as_str()) || to.starts_with("skein-")) {
                found.push(format!("{} knows {to}, which the table in tests/arch does not allow", room.name));
            }
        }
    }
    found
}

/// Impure libraries a pure room reaches, with the way there, as sentences.
#[must_use]
pub fn impure_reach(
    rooms: &[Room],
    edges: &BTreeMap<String, BTreeSet<String>>,
    exceptions: &[(&str, &str)],
) -> Vec<String> {
    let mut found = Vec::new();
    for room in rooms.iter().filter(|room| room.pure) {
        let excepted: BTreeSet<&str> =
            exceptions.iter().filter(|(name, _)| *name == room.name).map(|(_, library)| *library).collect();
        let mut seen = BTreeSet::new();
        let mut ways: Vec<Vec<String>> = vec![vec![room.name.to_owned()]];
        while let Some(way) = ways.pop() {
            let here = way.last().cloned().unwrap_or_default();
            for next in edges.get(&here).into_iter().flatten() {
                if excepted.contains(next.as_str()) || !seen.insert(next.clone()) {
                    continue;
                }
                let mut longer = way.clone();
                longer.push(next.clone());
                if IMPURE.contains(&next.as_str()) {
                    found.push(format!("{} is pure but reaches {next}: {}", room.name, longer.join(" -> ")));
                } else {
                    ways.push(longer);
                }
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edges(list: &[(&str, &str)]) -> BTreeMap<String, BTreeSet<String>> {
        let mut edges: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (from, to) in list {
            edges.entry((*from).to_owned()).or_default().insert((*to).to_owned());
        }
        edges
    }

    #[test]
    fn a_planted_edge_outside_the_table_is_found() {
        let found = forbidden_edges(ROOMS, &edges(&[("skein-reflex", "skein-agent"), ("skein-agent", "skein-reflex")]));
        assert_eq!(found.len(), 1);
        assert!(found[0].starts_with("skein-reflex knows skein-agent"));
    }

    #[test]
    fn a_planted_runtime_deep_under_a_pure_core_is_found_with_the_way_there() {
        let planted = edges(&[("skein-space", "helper"), ("helper", "tokio")]);
        let found = impure_reach(ROOMS, &planted, EXCEPTIONS);
        assert!(found.iter().any(|line| line.ends_with("skein-space -> helper -> tokio")), "{found:?}");
    }

    #[test]
    fn an_exception_covers_only_its_own_room() {
        let planted = edges(&[("skein-wire", "tonic"), ("tonic", "tokio"), ("skein-coord", "tonic")]);
        let found = impure_reach(ROOMS, &planted, EXCEPTIONS);
        assert_eq!(found, ["skein-coord is pure but reaches tonic: skein-coord -> tonic"]);
    }
}
