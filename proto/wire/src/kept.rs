//! A message together with the bytes it came in.

use crate::{Wire, WireError};

/// A checked value that still has its encoding, so that fields which this build does not know go on to the next reader
/// the bytes next: what is stored or forwarded is [`Kept::bytes`], never a second encoding of the value.
#[derive(Clone, Debug, PartialEq)]
pub struct Kept<T> {
    value: T,
    bytes: Vec<u8>,
}

impl<T: Wire> Kept<T> {
    /// Decodes and checks it.
    ///
    /// # Errors
    /// [`WireError`] names the field and what is wrong with it.
    pub fn new(bytes: Vec<u8>) -> Result<Self, WireError> {
        Ok(Self { value: T::from_bytes(&bytes)?, bytes })
    }

    /// What it says, as far as this build knows.
    pub const fn value(&self) -> &T {
        &self.value
    }

    /// As it came.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The value, and the bytes it was decoded from.
    #[must_use]
    pub fn into_parts(self) -> (T, Vec<u8>) {
        (self.value, self.bytes)
    }
}
