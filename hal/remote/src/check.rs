//! What every frame must survive, whatever the bytes: run by the tests and by the fuzz target in `tests/fuzz`.

use skein_types::sensing::SensorFrame;
use skein_types::time::MonoTime;
use skein_types::units::Meters;

use crate::bridge::Bridge;
use crate::codec::{self, Malformed, Raw, length_of};

const NOW: MonoTime = MonoTime::from_millis(60_000);

/// Cuts bytes into frames as a socket does, and reads each as every kind of frame. What is understood is written and
/// read again, and must be the same. Returns how many frames were understood.
///
/// # Errors
/// What differed the second time: a bug in this crate.
pub fn frames(bytes: &[u8]) -> Result<usize, String> {
    let mut rest = bytes;
    let mut understood = 0;
    while let Some((prefix, after)) = rest.split_first_chunk() {
        let Ok(length) = length_of(*prefix) else { break };
        let Some((body, next)) = after.split_at_checked(length) else { break };
        if let Ok(raw) = Raw::new(body) {
            understood += usize::from(hello(raw)?) + usize::from(answer(raw)?);
            understood += usize::from(command(raw)?) + usize::from(sensors(raw)?);
        }
        rest = next;
    }
    Ok(understood)
}

/// Writes a frame and hands its content, without the length, to a reader.
fn again<T>(write: impl FnOnce(&mut Vec<u8>), read: impl FnOnce(Raw<'_>) -> Result<T, Malformed>) -> Result<T, String> {
    let mut out = Vec::new();
    write(&mut out);
    let body = out.get(4..).unwrap_or_default();
    Raw::new(body).and_then(read).map_err(|e| format!("refused after encoding: {e}"))
}

fn same<T: PartialEq + core::fmt::Debug>(first: &T, second: &T) -> Result<bool, String> {
    if first == second { Ok(true) } else { Err(format!("{first:?} became {second:?}")) }
}

fn hello(raw: Raw<'_>) -> Result<bool, String> {
    let Ok(Ok(agent)) = codec::read_hello(raw) else { return Ok(false) };
    let second = again(|out| codec::write_hello(out, &agent), codec::read_hello)?;
    same(&Ok(agent), &second)
}

fn answer(raw: Raw<'_>) -> Result<bool, String> {
    let Ok(first) = codec::read_answer(raw) else { return Ok(false) };
    let write = |out: &mut Vec<u8>| match &first {
        Ok(welcome) => codec::write_welcome(out, welcome),
        Err(refusal) => codec::write_refusal(out, refusal),
    };
    let second = again(write, codec::read_answer)?;
    same(&first, &second)
}

/// Times are mapped between clocks, so only the second reading is compared with a third.
fn command(raw: Raw<'_>) -> Result<bool, String> {
    let read = |raw: Raw<'_>| codec::read_command(raw, NOW, &mut Bridge::default());
    let Ok(first) = read(raw) else { return Ok(false) };
    let second = again(|out| codec::write_command(out, NOW, &first), read)?;
    let third = again(|out| codec::write_command(out, NOW, &second), read)?;
    same(&second, &third)
}

/// Sensor frames may hold NaN, so their bytes are compared.
fn sensors(raw: Raw<'_>) -> Result<bool, String> {
    let read = |raw: Raw<'_>| {
        let mut sensors = SensorFrame::unknown(Meters(10.0));
        codec::read_sensors(raw, NOW, &mut Bridge::default(), &mut sensors).map(|()| sensors)
    };
    let Ok(first) = read(raw) else { return Ok(false) };
    let write = |sensors: &SensorFrame| {
        let mut out = Vec::new();
        codec::write_sensors(&mut out, NOW, sensors, true);
        out
    };
    let second = again(|out| out.extend(write(&first)), read)?;
    same(&write(&second), &write(&again(|out| out.extend(write(&second)), read)?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use skein_types::ids::AgentId;

    use super::*;

    fn real() -> Vec<u8> {
        let mut bytes = Vec::new();
        codec::write_hello(&mut bytes, &AgentId::new("rover-1").unwrap());
        codec::write_sensors(&mut bytes, NOW, &SensorFrame::unknown(Meters(10.0)), true);
        codec::write_command(&mut bytes, NOW, &codec::Command::Halt);
        bytes
    }

    #[test]
    fn real_frames_are_understood() {
        assert_eq!(frames(&real()), Ok(3));
    }

    proptest! {
        #[test]
        fn damaged_frames_never_panic(at in 0_usize..2_000, value: u8, cut in 0_usize..2_000) {
            let mut bytes = real();
            let at = at % bytes.len();
            bytes[at] = value;
            bytes.truncate(bytes.len().max(cut) - cut / 2);
            frames(&bytes).map_err(TestCaseError::fail)?;
        }

        #[test]
        fn noise_in_a_frame_never_panics(kind in 0_u8..9, fields in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut bytes = u32::try_from(fields.len() + 1).unwrap().to_le_bytes().to_vec();
            bytes.push(kind);
            bytes.extend(fields);
            frames(&bytes).map_err(TestCaseError::fail)?;
        }
    }
}
