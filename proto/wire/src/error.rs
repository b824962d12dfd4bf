//! Why a message was refused, and where in it the reason lies.

use core::fmt;

use skein_types::authority::PrincipalError;
use skein_types::ids::NameError;
use skein_types::mission::PriorityError;
use skein_types::polygon::PolygonError;
use skein_types::region::RegionError;
use thiserror::Error;

/// A message that is not what it should be. Names the field from the outside in: `assignment.task.survey.region.runs[3]`.
#[derive(Clone, Debug, PartialEq)]
pub struct WireError {
    path: String,
    fault: Fault,
}

/// What is wrong with a field.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum Fault {
    /// The bytes are no message of this kind.
    #[error("cannot be decoded: {0}")]
    Malformed(#[from] prost::DecodeError),
    /// The encoded message is larger than its bound.
    #[error("has {bytes} bytes, more than {max}")]
    TooLarge {
        /// Its size, bytes.
        bytes: usize,
        /// How many it may have.
        max: usize,
    },
    /// Needed and not there.
    #[error("is missing")]
    Missing,
    /// A value this build has no meaning for; zero is "nothing was said".
    #[error("has the unknown value {0}")]
    UnknownValue(i32),
    /// A name this build has no meaning for.
    #[error("has the unknown value {0:?}")]
    UnknownWord(String),
    /// Bits this build has no meaning for.
    #[error("has bits without a meaning: {0:#b}")]
    UnknownBits(u32),
    /// Infinite or NaN.
    #[error("is not finite")]
    NotFinite,
    /// A quantity that cannot be negative.
    #[error("is {0}, below zero")]
    Negative(f64),
    /// Above its bound.
    #[error("is {value}, more than {max}")]
    OutOfRange {
        /// What it is.
        value: u64,
        /// What it may be.
        max: u64,
    },
    /// Too many of them.
    #[error("has {count} entries, more than {max}")]
    TooMany {
        /// Number of elements.
        count: usize,
        /// How many it may have.
        max: usize,
    },
    /// Text longer than its bound.
    #[error("has {bytes} bytes of text, more than {max}")]
    TooLong {
        /// Its size, bytes.
        bytes: usize,
        /// How many it may have.
        max: usize,
    },
    /// Coordinates or runs come in pairs.
    #[error("has {0} numbers, which are no pairs")]
    NoPairs(usize),
    /// A hash of another length.
    #[error("has {0} bytes, not 32")]
    HashLength(usize),
    /// No usable name.
    #[error("{0}")]
    Name(#[from] NameError),
    /// A text that names no principal.
    #[error("{0}")]
    Principal(#[from] PrincipalError),
    /// Larger than its bound.
    #[error("is {value}, more than {max}")]
    TooGreat {
        /// What it is.
        value: f64,
        /// What it may be.
        max: f64,
    },
    /// A key or a signature of another length.
    #[error("has {bytes} bytes, not {expected}")]
    KeyLength {
        /// How many it has.
        bytes: usize,
        /// How many it must have.
        expected: usize,
    },
    /// No UUID.
    #[error("is no UUID: {0}")]
    Uuid(#[from] uuid::Error),
    /// A number that is no priority.
    #[error("{0}")]
    Priority(#[from] PriorityError),
    /// No simple polygon.
    #[error("is no usable polygon: {0}")]
    Polygon(#[from] PolygonError),
    /// No set of cells.
    #[error("is no usable region: {0}")]
    Region(#[from] RegionError),
    /// Figures of a body that no body can have.
    #[error("is no sound body: every figure must be finite and, the payload aside, above zero")]
    Body,
    /// Two fields that exclude or need each other.
    #[error("{0}")]
    Contradiction(&'static str),
}

impl WireError {
    /// The field, from the outside in; empty when it is the message as a whole.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What is wrong with it.
    #[must_use]
    pub const fn fault(&self) -> &Fault {
        &self.fault
    }

    pub(crate) fn within(mut self, outer: &str) -> Self {
        if !self.path.is_empty() {
            self.path.insert(0, '.');
        }
        self.path.insert_str(0, outer);
        self
    }
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            return write!(f, "the message {}", self.fault);
        }
        write!(f, "field {} {}", self.path, self.fault)
    }
}

impl core::error::Error for WireError {}

impl From<Fault> for WireError {
    fn from(fault: Fault) -> Self {
        Self { path: String::new(), fault }
    }
}

macro_rules! faults {
    ($($error:ty),*) => {
        $(impl From<$error> for WireError {
            fn from(error: $error) -> Self {
                Fault::from(error).into()
            }
        })*
    };
}

faults!(prost::DecodeError, NameError, PrincipalError, uuid::Error, PriorityError, PolygonError, RegionError);

impl From<WireError> for tonic::Status {
    fn from(error: WireError) -> Self {
        Self::invalid_argument(error.to_string())
    }
}

/// Says in which field something went wrong.
pub(crate) trait At<T> {
    fn at(self, field: &str) -> Result<T, WireError>;
    fn at_index(self, field: &str, index: usize) -> Result<T, WireError>;
}

impl<T, E: Into<WireError>> At<T> for Result<T, E> {
    fn at(self, field: &str) -> Result<T, WireError> {
        self.map_err(|error| error.into().within(field))
    }

    fn at_index(self, field: &str, index: usize) -> Result<T, WireError> {
        self.map_err(|error| error.into().within(&format!("{field}[{index}]")))
    }
}
