//! The configuration reader that all processes share.
//!
//! ```text
//! defaults < /etc/skein/PROGRAM.toml < ~/.config/skein/PROGRAM.toml < --config FILE < SKEIN_SECTION__KEY < flag
//! ```
//!
//! Each layer is checked where it is read, so that an error names the line, the variable or the flag. [`EDGE`] and
//! [`CLOUD`] are the tables of keys: a new key is one row there and one field to the process's own `Config`.
//!
//! ```
//! use skein_settings::{CLOUD, Layers, Origin};
//! use serde::Deserialize;
//!
//! #[derive(Deserialize)]
//! struct Config { cloud: Cloud }
//! #[derive(Deserialize)]
//! struct Cloud { listen: std::net::SocketAddr, fleet: String }
//!
//! let mut layers = Layers::defaults(&CLOUD);
//! layers.set("cloud.fleet", "harbour", Origin::Flag("--fleet".into()))?;
//! let config: Config = layers.extract()?;
//! assert_eq!((config.cloud.listen.port(), config.cloud.fleet.as_str()), (8000, "harbour"));
//! assert!(layers.view().contains("fleet = \"harbour\"  # --fleet:"));
//! # Ok::<(), skein_settings::SettingsError>(())
//! ```

mod file;
mod folders;
mod keys;
mod kind;
mod layers;
mod problem;

pub use folders::state_folder;
pub use keys::{CLOUD, EDGE, Key, PROGRAMS, Program};
pub use kind::Kind;
pub use layers::{Layers, Origin};
pub use problem::SettingsError;
