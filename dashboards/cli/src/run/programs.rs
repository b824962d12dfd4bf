//! The other programs: beside this one, else on the path.

use std::env;
use std::path::{Path, PathBuf};

use crate::failure::{Exit, Failure};

/// Serves one simulated place to many robots.
pub(crate) const SIM: &str = "skein-sim";
/// Executable of the supervisor.
pub(crate) const CLOUD: &str = "skein-cloud";
/// Executable of a robot's process.
pub(crate) const EDGE: &str = "skein-edge";
/// Everything `up` and `demo` start.
pub(crate) const ALL: [&str; 3] = [SIM, CLOUD, EDGE];

/// Finds a program.
pub(crate) fn find(name: &str) -> Result<PathBuf, Failure> {
    let beside = env::current_exe().ok().and_then(|exe| exe.parent().map(Path::to_owned));
    let on_path = env::var_os("PATH").map(|path| env::split_paths(&path).collect::<Vec<_>>()).unwrap_or_default();
    let found = beside.into_iter().chain(on_path).map(|folder| folder.join(name)).find(|file| is_program(file));
    found.ok_or_else(|| {
        Failure::new(Exit::NotFound, format!("{name} is neither beside this program nor on PATH"))
            .help("build the programs with `make build`, or put their folder on PATH")
    })
}

fn is_program(file: &Path) -> bool {
    rustix::fs::access(file, rustix::fs::Access::EXEC_OK).is_ok() && file.is_file()
}
