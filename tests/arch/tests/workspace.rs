//! The workspace held against the table of allowed dependencies.
#![expect(clippy::expect_used, reason = "what a test cannot read fails it")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand};
use skein_arch::modules::{cycle, modules_used};
use skein_arch::{CRATES, EXCEPTIONS, forbidden_edges, impure_reach};

fn workspace() -> Metadata {
    MetadataCommand::new()
        .manifest_path(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Cargo.toml"))
        .other_options(vec!["--offline".into(), "--filter-platform".into(), "x86_64-unknown-linux-gnu".into()])
        .exec()
        .expect("cargo metadata of the workspace")
}

/// Run-time dependencies of each package, by name.
fn edges(metadata: &Metadata) -> BTreeMap<String, BTreeSet<String>> {
    let names: BTreeMap<_, _> = metadata.packages.iter().map(|p| (&p.id, p.name.to_string())).collect();
    let mut edges: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for node in &metadata.resolve.as_ref().expect("a resolved graph").nodes {
        let to = node
            .deps
            .iter()
            .filter(|dep| dep.dep_kinds.iter().any(|kind| kind.kind == DependencyKind::Normal))
            .map(|dep| names[&dep.pkg].clone());
        edges.entry(names[&node.id].clone()).or_default().extend(to);
    }
    edges
}

#[test]
fn every_dependency_is_in_the_table() {
    assert_eq!(forbidden_edges(CRATES, &edges(&workspace())), Vec::<String>::new());
}

#[test]
fn no_core_reaches_an_impure_library() {
    assert_eq!(impure_reach(CRATES, &edges(&workspace()), EXCEPTIONS), Vec::<String>::new());
}

#[test]
fn every_crate_outside_tests_is_in_the_table() {
    let metadata = workspace();
    let known: BTreeSet<&str> = CRATES.iter().map(|row| row.name).collect();
    for package in metadata.workspace_packages() {
        let is_test =
            package.manifest_path.strip_prefix(&metadata.workspace_root).is_ok_and(|p| p.starts_with("tests"));
        assert_eq!(is_test, !known.contains(package.name.as_str()), "{} is in the wrong place", package.name);
    }
    for row in CRATES {
        assert!(metadata.workspace_packages().iter().any(|p| p.name.as_str() == row.name), "{} is gone", row.name);
    }
}

#[test]
fn no_modules_form_a_cycle() {
    let workspace = workspace();
    for package in workspace.workspace_packages() {
        let root = package.manifest_path.parent().expect("a folder").join("src");
        let mut edges: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        read_modules(root.as_std_path(), None, &mut edges);
        let modules: BTreeSet<String> = edges.keys().cloned().collect();
        for (name, to) in &mut edges {
            to.retain(|other| modules.contains(other) && other != name);
        }
        assert_eq!(cycle(&edges), None, "modules of {} form a cycle", package.name);
    }
}

/// Collects what each top-level module uses; a folder counts as one module. The crate's root may use all.
fn read_modules(folder: &Path, inside: Option<&str>, edges: &mut BTreeMap<String, BTreeSet<String>>) {
    for entry in std::fs::read_dir(folder).expect("a readable source folder").flatten() {
        let path = entry.path();
        let stem = path.file_stem().and_then(|s| s.to_str()).unwrap_or_default().to_owned();
        let module = inside.map_or(stem.clone(), str::to_owned);
        if path.is_dir() {
            read_modules(&path, Some(&module), edges);
        } else if path.extension().is_some_and(|e| e == "rs") && !matches!(module.as_str(), "lib" | "main") {
            let source = std::fs::read_to_string(&path).expect("a readable source file");
            edges.entry(module).or_default().extend(modules_used(&source));
        }
    }
}
