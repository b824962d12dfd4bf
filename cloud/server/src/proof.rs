//! Proof of a robot's name: it signs a challenge that is drawn for its stream.

use std::fs::File;
use std::io::Read;
use std::sync::Arc;

use ed25519_dalek::{Signature, VerifyingKey};
use skein_types::authority::hello_message;
use skein_types::link::Hello;
use tonic::Status;

/// Unpredictable, drawn anew for each stream, so that a recorded Hello proves nothing.
pub(crate) type Challenge = [u8; 32];

/// Where challenges come from: the system's generator, opened once so that a lack of descriptors does not matter.
#[derive(Clone)]
pub(crate) struct Challenges {
    source: Arc<File>,
}

impl Challenges {
    pub(crate) fn open() -> std::io::Result<Self> {
        File::open("/dev/urandom").map(|source| Self { source: Arc::new(source) })
    }

    pub(crate) fn draw(&self) -> std::io::Result<Challenge> {
        let mut challenge = [0; 32];
        (&*self.source).read_exact(&mut challenge)?;
        Ok(challenge)
    }
}

/// Checks the proof of a Hello, if it has one. Whether one is needed is for the core to decide.
pub(crate) fn verify(challenge: &Challenge, hello: &Hello) -> Result<(), Status> {
    let Some(proof) = &hello.proof else { return Ok(()) };
    let message = hello_message(challenge, &hello.fleet, &hello.agent, hello.boot, &proof.public_key);
    let refused = |_| Status::unauthenticated("the signature of the Hello does not fit its key and the challenge");
    let key = VerifyingKey::from_bytes(&proof.public_key).map_err(refused)?;
    key.verify_strict(&message, &Signature::from_bytes(&proof.signature)).map_err(refused)
}
