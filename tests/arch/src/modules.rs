//! Which modules of one crate use each other, read from its sources, and whether they form a cycle.

use std::collections::{BTreeMap, BTreeSet};

/// The module each `use crate::…` or `crate::…` path of a source text points at. Comments and test modules are left out.
#[must_use]
pub fn modules_used(source: &str) -> BTreeSet<String> {
    let code = source.split("#[cfg(test)]").next().unwrap_or_default();
    let mut used = BTreeSet::new();
    for line in code.lines().map(str::trim_start).filter(|line| !line.starts_with("//")) {
        for after in line.split("crate::").skip(1) {
            if let Some(group) = after.strip_prefix('{') {
                used.extend(group.split(',').map(leading_name));
            } else {
                used.insert(leading_name(after));
            }
        }
    }
    used.retain(|name| !name.is_empty());
    used
}

fn leading_name(path: &str) -> String {
    path.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// One cycle of modules that use each other, if there is any.
#[must_use]
pub fn cycle(edges: &BTreeMap<String, BTreeSet<String>>) -> Option<Vec<String>> {
    let mut done = BTreeSet::new();
    edges.keys().find_map(|start| walk(start, edges, &mut Vec::new(), &mut done))
}

fn walk(
    at: &str,
    edges: &BTreeMap<String, BTreeSet<String>>,
    path: &mut Vec<String>,
    done: &mut BTreeSet<String>,
) -> Option<Vec<String>> {
    if let Some(from) = path.iter().position(|step| step == at) {
        let mut found: Vec<String> = path.iter().skip(from).cloned().collect();
        found.push(at.to_owned());
        return Some(found);
    }
    if done.contains(at) {
        return None;
    }
    path.push(at.to_owned());
    let found = edges.get(at).into_iter().flatten().find_map(|next| walk(next, edges, path, done));
    path.pop();
    done.insert(at.to_owned());
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_groups_count_and_comments_do_not() {
        let used = modules_used(
            "use crate::ids::AgentId;\nuse crate::{time, units::Meters};\n// crate::ghost\nfn f() { crate::geo::g() }\n#[cfg(test)]\nuse crate::fixture;",
        );
        assert_eq!(used.into_iter().collect::<Vec<_>>(), ["geo", "ids", "time", "units"]);
    }

    #[test]
    fn a_planted_cycle_is_found() {
        let mut edges: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        edges.insert("a".into(), ["b".to_owned(), "c".to_owned()].into());
        edges.insert("b".into(), ["c".to_owned()].into());
        assert_eq!(cycle(&edges), None);
        edges.insert("c".into(), ["a".to_owned()].into());
        assert_eq!(cycle(&edges).unwrap(), ["a", "b", "c", "a"]);
    }
}
