//! Which crate may depend on which: the table of `ARCHITECTURE.md` as data, and the checks that hold the workspace to it.

use std::collections::{BTreeMap, BTreeSet};

pub mod modules;

/// A row of the table.
pub struct Crate {
    /// Name of the package.
    pub name: &'static str,
    /// A core: no async, clock, threads, I/O or global randomness.
    pub core: bool,
    /// Packages of the workspace it may depend on, besides `skein-types`, which everyone may.
    pub may_use: &'static [&'static str],
}

const fn core(name: &'static str, may_use: &'static [&'static str]) -> Crate {
    Crate { name, core: true, may_use }
}

const fn shell(name: &'static str, may_use: &'static [&'static str]) -> Crate {
    Crate { name, core: false, may_use }
}

/// The table. Crates under `tests/` may depend on anything and are not listed.
pub const CRATES: &[Crate] = &[
    core("skein-types", &[]),
    core("skein-wire", &[]),
    shell("skein-settings", &[]),
    core("skein-body", &[]),
    core("skein-space", &[]),
    core("skein-reflex", &[]),
    shell("skein-body-remote", &["skein-body"]),
    core("skein-coord", &["skein-space"]),
    core("skein-agent", &["skein-space", "skein-coord", "skein-reflex", "skein-body"]),
    core("skein-robot", &["skein-agent", "skein-reflex", "skein-body", "skein-coord"]),
    core("skein-supervisor", &["skein-space"]),
    core("skein-world", &["skein-space", "skein-body"]),
    shell("skein-mesh", &["skein-coord", "skein-wire"]),
    shell(
        "skein-edge",
        &[
            "skein-robot",
            "skein-agent",
            "skein-reflex",
            "skein-body",
            "skein-body-remote",
            "skein-mesh",
            "skein-wire",
            "skein-settings",
            "skein-space",
        ],
    ),
    shell("skein-cloud", &["skein-supervisor", "skein-wire", "skein-settings", "skein-space"]),
    shell(
        "skein-sim",
        &[
            "skein-robot",
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

/// Libraries that do I/O, keep time, run tasks or draw randomness from the system: not in a core, at any depth.
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

/// What a core may depend on although it is on the list, and why.
///
/// `skein-wire` holds the service traits that tonic generates; nothing in it opens a socket.
pub const EXCEPTIONS: &[(&str, &str)] = &[("skein-wire", "tonic")];

/// Dependencies between packages of the workspace that the table does not allow, as sentences.
#[must_use]
pub fn forbidden_edges(table: &[Crate], edges: &BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    let ours: BTreeSet<&str> = table.iter().map(|row| row.name).collect();
    let mut found = Vec::new();
    for row in table {
        for to in edges.get(row.name).into_iter().flatten() {
            let allowed = to == "skein-types" || row.may_use.contains(&to.as_str());
            if !allowed && (ours.contains(to.as_str()) || to.starts_with("skein-")) {
                found.push(format!("{} depends on {to}, which the table in tests/arch does not allow", row.name));
            }
        }
    }
    found
}

/// Impure libraries a core reaches, with the chain of dependencies, as sentences.
#[must_use]
pub fn impure_reach(
    table: &[Crate],
    edges: &BTreeMap<String, BTreeSet<String>>,
    exceptions: &[(&str, &str)],
) -> Vec<String> {
    let mut found = Vec::new();
    for row in table.iter().filter(|row| row.core) {
        let excepted: BTreeSet<&str> =
            exceptions.iter().filter(|(name, _)| *name == row.name).map(|(_, library)| *library).collect();
        let mut seen = BTreeSet::new();
        let mut chains: Vec<Vec<String>> = vec![vec![row.name.to_owned()]];
        while let Some(chain) = chains.pop() {
            let here = chain.last().cloned().unwrap_or_default();
            for next in edges.get(&here).into_iter().flatten() {
                if excepted.contains(next.as_str()) || !seen.insert(next.clone()) {
                    continue;
                }
                let mut longer = chain.clone();
                longer.push(next.clone());
                if IMPURE.contains(&next.as_str()) {
                    found.push(format!("{} is a core but reaches {next}: {}", row.name, longer.join(" -> ")));
                } else {
                    chains.push(longer);
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
        let planted = edges(&[("skein-reflex", "skein-agent"), ("skein-agent", "skein-reflex")]);
        let found = forbidden_edges(CRATES, &planted);
        assert_eq!(found.len(), 1);
        assert!(found[0].starts_with("skein-reflex depends on skein-agent"));
    }

    #[test]
    fn a_planted_runtime_deep_under_a_core_is_found() {
        let planted = edges(&[("skein-space", "helper"), ("helper", "tokio")]);
        let found = impure_reach(CRATES, &planted, EXCEPTIONS);
        assert!(found.iter().any(|line| line.ends_with("skein-space -> helper -> tokio")), "{found:?}");
    }

    #[test]
    fn an_exception_covers_only_its_own_crate() {
        let planted = edges(&[("skein-wire", "tonic"), ("tonic", "tokio"), ("skein-coord", "tonic")]);
        let found = impure_reach(CRATES, &planted, EXCEPTIONS);
        assert_eq!(found, ["skein-coord is a core but reaches tonic: skein-coord -> tonic"]);
    }
}
