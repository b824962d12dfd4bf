//! Which modules of one crate know each other, read from its sources, and whether they go round in a circle.

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

/// One circle of modules that know each other, if there is any.
#[must_use]
pub fn circle(edges: &BTreeMap<String, BTreeSet<String>>) -> Option<Vec<String>> {
    let mut done = BTreeSet::new();
    edges.keys().find_map(|start| walk(start, edges, &mut Vec::new(), &mut done))
}

fn walk(
    at: &str,
    edges: &BTreeMap<String, BTreeSet<String>>,
    way: &mut Vec<String>,
    done: &mut BTreeSet<String>,
) -> Option<Vec<String>> {
    if let Some(from) = way.iter().position(|step| step == at) {
        let mut found: Vec<String> = way.iter().skip(from).cloned().collect();
        found.push(at.to_owned());
        return Some(found);
    }
    if done.contains(at) {
        return None;
    }
    way.push(at.to_owned());
    let found = edges.get(at).into_iter().flatten().find_map(|next| walk(next, edges, way, done));
    way.pop();
    done.insert(at.to_owned());
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_groups_and_comments_are_read_as_a_person_would() {
        let used = modules_used(
            "use crate::ids::AgentId;\nuse crate::{time, units::Meters};\n// crate::ghost\nfn f() { crate::geo::g() }\n#[cfg(test)]\nuse crate::fixture;",
        );
        assert_eq!(used.into_iter().collect::<Vec<_>>(), ["geo", "ids", "time", "units"]);
    }

    #[test]
    fn a_planted_circle_is_found_and_a_tree_is_not_one() {
        let mut edges: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        edges.insert("a".into(), ["b".to_owned(), "c".to_owned()].into());
        edges.insert("b".into(), ["c".to_owned()].into());
        assert_eq!(circle(&edges), None);
        edges.insert("c".into(), ["a".to_owned()].into());
        assert_eq!(circle(&edges).unwrap(), ["a", "b", "c", "a"]);
    }
}
