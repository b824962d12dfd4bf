//! One child process, ended with the test.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// Longest wait for a process to start or to end.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The folder of the built binaries: `SKEIN_BIN_DIR`, or that of the running program, or the one above a test's `deps`.
///
/// # Errors
/// When the running program does not know where it is.
pub fn binaries() -> Result<PathBuf> {
    if let Some(folder) = std::env::var_os("SKEIN_BIN_DIR") {
        return Ok(folder.into());
    }
    let program = std::env::current_exe()?;
    let folder = program.parent().context("the folder of the running program")?;
    let is_test = folder.ends_with("deps");
    Ok(folder.parent().filter(|_| is_test).unwrap_or(folder).to_owned())
}

/// A binary of ours, ready for arguments.
///
/// # Errors
/// When it was not built.
pub fn command(name: &str) -> Result<Command> {
    let path = binaries()?.join(name);
    ensure!(path.exists(), "{} is not there: build it first with `make debug-build`", path.display());
    Ok(Command::new(path))
}

/// A running binary whose output goes to files.
pub struct Process {
    name: String,
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
}

impl Process {
    /// Starts it; its output goes to `NAME.out` and `NAME.err` in the folder.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(mut command: Command, name: &str, folder: &Path) -> Result<Self> {
        let (stdout, stderr) = (folder.join(format!("{name}.out")), folder.join(format!("{name}.err")));
        let child = command
            .stdin(Stdio::null())
            .stdout(File::create(&stdout)?)
            .stderr(File::create(&stderr)?)
            .spawn()
            .with_context(|| format!("starting {name}"))?;
        Ok(Self { name: name.to_owned(), child, stdout, stderr })
    }

    /// The first JSON line of its output.
    ///
    /// # Errors
    /// When it ended or stayed silent.
    pub fn ready(&mut self) -> Result<Value> {
        let (out, name) = (self.stdout.clone(), self.name.clone());
        wait_for(PATIENCE, &format!("{name} to be ready"), || {
            if let Some(status) = self.child.try_wait()? {
                bail!("{name} ended with {status}: {}", self.errors());
            }
            let text = fs::read_to_string(&out)?;
            Ok(text.split_once('\n').and_then(|(line, _)| serde_json::from_str(line).ok()))
        })
    }

    /// What it said on stderr.
    #[must_use]
    pub fn errors(&self) -> String {
        fs::read_to_string(&self.stderr).unwrap_or_default()
    }

    /// What it said on stdout.
    #[must_use]
    pub fn output(&self) -> String {
        fs::read_to_string(&self.stdout).unwrap_or_default()
    }

    /// Process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Standard output, as a file.
    #[must_use]
    pub fn stdout(&self) -> &Path {
        &self.stdout
    }

    /// Whether it has ended, by itself or not.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn has_ended(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_some())
    }

    /// SIGSTOP: every thread hangs, connections stay open.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn hang(&self) -> Result<()> {
        self.signal(Signal::STOP)
    }

    /// SIGCONT: goes on after [`Self::hang`].
    ///
    /// # Errors
    /// When the process is gone.
    pub fn wake(&self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).context("a process id")?;
        kill_process(pid, signal).with_context(|| format!("{signal:?} to {}", self.name))
    }

    /// SIGKILL: gone at once.
    ///
    /// # Errors
    /// When it cannot be reaped.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// SIGTERM, and how it ended.
    ///
    /// # Errors
    /// When it does not end in time.
    pub fn end(&mut self) -> Result<ExitStatus> {
        self.signal(Signal::TERM)?;
        self.wait(PATIENCE)
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When it does not end in time.
    pub fn wait(&mut self, patience: Duration) -> Result<ExitStatus> {
        let name = self.name.clone();
        wait_for(patience, &format!("{name} to end"), || Ok(self.child.try_wait()?))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Asks again and again until there is an answer.
///
/// # Errors
/// When there is none in time, or the question fails.
#[expect(
    clippy::disallowed_methods,
    reason = "other processes cannot be waited for but by looking; nothing is assumed after a pause"
)]
pub fn wait_for<T>(patience: Duration, what: &str, mut ask: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask()? {
            return Ok(answer);
        }
        ensure!(start.elapsed() < patience, "waited {patience:?} for {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
