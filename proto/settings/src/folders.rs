//! Where files are looked for and kept when no key says otherwise.

use std::path::PathBuf;

/// The folder for data that must survive a restart: `$STATE_DIRECTORY` (systemd), else `$XDG_STATE_HOME/skein`, else
/// `~/.local/state/skein`, else `/var/lib/skein`.
#[must_use]
pub fn state_folder() -> PathBuf {
    variable("STATE_DIRECTORY")
        .or_else(|| variable("XDG_STATE_HOME").map(|folder| folder.join("skein")))
        .or_else(|| variable("HOME").map(|home| home.join(".local/state/skein")))
        .unwrap_or_else(|| PathBuf::from("/var/lib/skein"))
}

/// The configuration files of a program that may exist, the lowest layer first.
pub(crate) fn files_of(program: &str) -> Vec<PathBuf> {
    let name = format!("{program}.toml");
    let user = variable("XDG_CONFIG_HOME").or_else(|| variable("HOME").map(|home| home.join(".config")));
    let folders = std::iter::once(PathBuf::from("/etc/skein")).chain(user.map(|folder| folder.join("skein")));
    folders.map(|folder| folder.join(&name)).collect()
}

fn variable(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}
