//! The robots that are known without asking the supervisor: those of the run directory.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use skein_types::ids::AgentId;

use crate::run::RunRecord;

/// Variable that holds the token of the robots' debug APIs, for robots that were started with it.
const TOKEN_VARIABLE: &str = "SKEIN_OVERRIDE_TOKEN";

/// A robot and how to reach its debug API.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct DebugEndpoint {
    /// `host:port`.
    pub address: String,
    /// File that holds the token.
    pub token_file: Option<PathBuf>,
}

impl DebugEndpoint {
    /// The token, when this person may read it.
    pub(crate) fn token(&self) -> Option<String> {
        let from_file = self.token_file.as_ref().and_then(|file| fs::read_to_string(file).ok());
        let text = from_file.or_else(|| std::env::var(TOKEN_VARIABLE).ok())?;
        Some(text.trim().to_owned()).filter(|token| !token.is_empty())
    }
}

/// Robots that `up` or `demo` started here, with their debug APIs.
pub(crate) fn of_record(record: Option<&RunRecord>) -> BTreeMap<AgentId, DebugEndpoint> {
    let processes = record.map(|record| record.processes.as_slice()).unwrap_or_default();
    let endpoint = |process: &crate::run::ProcessRecord| {
        let robot = AgentId::new(process.name.as_str()).ok()?;
        let address = process.debug?.to_string();
        Some((robot, DebugEndpoint { address, token_file: process.token_file() }))
    };
    processes.iter().filter_map(endpoint).collect()
}
