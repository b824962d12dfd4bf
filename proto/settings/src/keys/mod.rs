//! Every key of every process, with its kind, its default and what it is for.

mod cloud;
mod edge;

use crate::Kind;

pub use cloud::CLOUD;
pub use edge::EDGE;

/// One key of a program.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// `section.key`, lower case.
    pub name: &'static str,
    /// What its value must look like.
    pub kind: Kind,
    /// The value when no layer gives one, as TOML; `None` leaves the key out of the configuration.
    pub default: Option<&'static str>,
    /// What it is for, with its unit: one phrase, printed by `--print-config`.
    pub about: &'static str,
}

/// A process that is configured, and the keys it knows.
#[derive(Clone, Copy, Debug)]
pub struct Program {
    /// The stem of its files: `edge` reads `/etc/skein/edge.toml`.
    pub name: &'static str,
    /// Its keys, grouped by section in the order of `--print-config`.
    pub keys: &'static [Key],
}

/// All programs: an environment variable for one of them is not an error in another.
pub const PROGRAMS: &[&Program] = &[&EDGE, &CLOUD];

const fn key(name: &'static str, kind: Kind, default: Option<&'static str>, about: &'static str) -> Key {
    Key { name, kind, default, about }
}

impl Program {
    /// The key with this full name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }

    /// Whether any of its keys is in this section.
    #[must_use]
    pub fn has_section(&self, section: &str) -> bool {
        self.keys.iter().any(|key| key.section() == section)
    }

    /// The known name nearest to a wrong one: by spelling, else the same key in another section.
    #[must_use]
    pub(crate) fn nearest(&self, wrong: &str) -> Option<&'static str> {
        let scored = self.keys.iter().map(|key| (strsim::jaro_winkler(wrong, key.name), key.name));
        let best = scored.max_by(|a, b| a.0.total_cmp(&b.0)).filter(|(score, _)| *score > 0.8);
        let last = wrong.rsplit('.').next().unwrap_or(wrong);
        let elsewhere = self.keys.iter().find(|key| key.last() == last);
        best.map(|(_, name)| name).or_else(|| elsewhere.map(|key| key.name))
    }
}

impl Key {
    pub(crate) fn section(&self) -> &'static str {
        self.name.split_once('.').map_or(self.name, |(section, _)| section)
    }

    pub(crate) fn last(&self) -> &'static str {
        self.name.split_once('.').map_or(self.name, |(_, key)| key)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::Layers;

    #[test]
    fn every_default_fits_its_own_kind() {
        for program in PROGRAMS {
            for key in program.keys {
                let given = Layers::defaults(program).get(key.name).map(|(value, _)| value.clone());
                assert_eq!(given.is_some(), key.default.is_some(), "{}", key.name);
                assert!(given.is_none_or(|value| key.kind.check(&value).is_ok()), "{}", key.name);
            }
        }
    }

    #[test]
    fn every_key_stands_once_in_its_section() {
        for program in PROGRAMS {
            let sections: Vec<&str> = program.keys.iter().map(Key::section).collect();
            let mut grouped = sections.clone();
            grouped.dedup();
            let mut once = grouped.clone();
            once.sort_unstable();
            once.dedup();
            assert_eq!(grouped.len(), once.len(), "{}: a section stands in two places", program.name);
            let names: BTreeMap<_, _> = program.keys.iter().map(|key| (key.name, ())).collect();
            assert_eq!(names.len(), program.keys.len(), "{}: a key stands twice", program.name);
        }
    }

    #[test]
    fn two_programs_that_share_a_key_agree_on_its_kind() {
        for key in EDGE.keys {
            assert!(CLOUD.find(key.name).is_none_or(|other| other.kind == key.kind), "{}", key.name);
        }
    }
}
