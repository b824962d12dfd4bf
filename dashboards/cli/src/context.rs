//! Which fleet a command acts on.
//!
//! The fleet of the run directory (`--dir`, `SKEIN_DIR`, else `.skein`), or the supervisor that `--cloud` or
//! `SKEIN_CLOUD` names: never a supervisor that happens to listen somewhere.

use core::time::Duration;
use std::path::{Path, PathBuf};

use skein_types::ids::OperatorId;

use crate::args::Common;
use crate::client::{ANSWER_WITHIN, Cloud};
use crate::failure::{Exit, Failure};
use crate::latch_request::Caller;
use crate::output::{Format, talk};
use crate::run::{RunDirectory, RunRecord};

/// Run directory when none is named.
const DEFAULT_DIR: &str = ".skein";

/// What every command works with.
pub(crate) struct Context {
    common: Common,
    pub directory: RunDirectory,
}

/// The fleet a command acts on.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// Address of the supervisor.
    pub cloud: String,
    /// What `up` or `demo` recorded, when the fleet was started from the run directory.
    pub record: Option<RunRecord>,
}

impl Context {
    pub(crate) fn new(common: Common) -> Result<Self, Failure> {
        let directory = RunDirectory::new(common.dir.as_deref().unwrap_or(Path::new(DEFAULT_DIR)))?;
        Ok(Self { common, directory })
    }

    pub(crate) fn format(&self) -> Format {
        self.common.output
    }

    /// The run directory as the person wrote it.
    pub(crate) fn dir(&self) -> PathBuf {
        self.common.dir.clone().unwrap_or_else(|| PathBuf::from(DEFAULT_DIR))
    }

    /// The fleet that is up in the run directory, whatever `--cloud` says.
    pub(crate) fn current(&self) -> Result<Option<RunRecord>, Failure> {
        self.directory.current()
    }

    /// The fleet to act on.
    ///
    /// # Errors
    /// When nothing is up and no supervisor is named, or when two different fleets are named.
    pub(crate) fn target(&self) -> Result<Target, Failure> {
        let named = self.common.cloud.as_ref().map(|url| url.trim_end_matches('/').to_owned());
        match (named, self.current()?) {
            (Some(cloud), Some(record)) if record.cloud == cloud => Ok(Target { cloud, record: Some(record) }),
            (Some(cloud), current) if self.common.dir.is_some() => Err(self.two_fleets(&cloud, current.as_ref())),
            (Some(cloud), _) => Ok(Target { cloud, record: None }),
            (None, Some(record)) => Ok(Target { cloud: record.cloud.clone(), record: Some(record) }),
            (None, None) => Err(self.nothing_is_up()),
        }
    }

    fn two_fleets(&self, cloud: &str, current: Option<&RunRecord>) -> Failure {
        let dir = self.dir();
        let message = match current {
            Some(record) => format!("the supervisor of {} is {}, not {cloud}", dir.display(), record.cloud),
            None => format!("nothing is up in {}, and another fleet is named: {cloud}", dir.display()),
        };
        Failure::usage(message).help("name one fleet: leave out --dir (SKEIN_DIR) or --cloud (SKEIN_CLOUD)")
    }

    fn nothing_is_up(&self) -> Failure {
        Failure::new(Exit::NotFound, format!("nothing is up in {}", self.dir().display()))
            .help("start a simulated fleet with `skein up`, or name a supervisor with --cloud http://ADDRESS")
    }

    /// A connection to the target's supervisor.
    pub(crate) async fn cloud(&self) -> Result<Cloud, Failure> {
        Cloud::connect(&self.target()?.cloud, self.answer_within()).await
    }

    /// As [`Self::cloud`], for a command that changes something: says on stderr which fleet it changes.
    pub(crate) async fn cloud_to_change(&self) -> Result<Cloud, Failure> {
        let target = self.target()?;
        self.announce(&target);
        let cloud = Cloud::connect(&target.cloud, self.answer_within()).await?;
        Ok(cloud.called_by(self.caller()?))
    }

    /// Says which fleet is about to be changed.
    pub(crate) fn announce(&self, target: &Target) {
        match &target.record {
            Some(record) => {
                let dir = self.dir();
                talk(&format!("fleet {} in {}, supervisor at {}", record.fleet, dir.display(), target.cloud));
            }
            None => talk(&format!("fleet of the supervisor at {}", target.cloud)),
        }
    }

    /// The person who gives the command.
    pub(crate) fn caller(&self) -> Result<Caller, Failure> {
        let user = || std::env::var("USER").ok().and_then(|name| OperatorId::new(name.to_lowercase()).ok());
        Ok(Caller { operator: self.common.operator.clone().or_else(user), lease: self.common.lease })
    }

    /// The name of the person who gives the command, for commands that need it.
    pub(crate) fn operator(&self) -> Result<OperatorId, Failure> {
        self.caller()?.operator.ok_or_else(|| {
            Failure::usage("this command needs your name")
                .help("give it with --operator NAME or SKEIN_OPERATOR; $USER is not set, or not a usable name")
        })
    }

    /// Longest time to wait for an answer.
    pub(crate) fn answer_within(&self) -> Duration {
        self.timeout().unwrap_or(ANSWER_WITHIN)
    }

    /// What `--timeout` says.
    pub(crate) fn timeout(&self) -> Option<Duration> {
        self.common.timeout.map(|span| span.0)
    }
}
