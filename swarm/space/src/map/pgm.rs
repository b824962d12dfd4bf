//! Portable grey maps, binary (P5) and plain (P2).

use thiserror::Error;

use super::{MAP_PIXELS_MAX, Shade};

/// Why an image was refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PgmError {
    /// The first two bytes are not those of a grey map.
    #[error("this is no PGM image: it starts with {0:?} instead of P5 or P2")]
    Magic(String),
    /// A number of the header is missing or wrong.
    #[error("the PGM header's {field} at byte {offset} is not a number from 1 to {max}")]
    Header {
        /// Name of the number.
        field: &'static str,
        /// Where it should be.
        offset: usize,
        /// The largest it may be.
        max: u32,
    },
    /// More than [`MAP_PIXELS_MAX`].
    #[error("the PGM image has {width} x {height} pixels, more than {MAP_PIXELS_MAX} in all")]
    TooLarge {
        /// Number of columns.
        width: u32,
        /// Number of rows.
        height: u32,
    },
    /// The file ends before the image does.
    #[error("the PGM image ends after {found} of {wanted} pixels")]
    Truncated {
        /// Number of pixels that are there.
        found: usize,
        /// Pixels the header promises.
        wanted: usize,
    },
    /// A plain pixel that is not a number.
    #[error("the PGM pixel in column {column} of row {row} (byte {offset}) is not a number")]
    Pixel {
        /// Column, from 0.
        column: usize,
        /// Row from the top, from 0.
        row: usize,
        /// Where in the file.
        offset: usize,
    },
    /// A pixel lighter than the header's maximum.
    #[error("the PGM pixel in column {column} of row {row} is {value}, more than the header's {max}")]
    TooLight {
        /// Column, from 0.
        column: usize,
        /// Row from the top, from 0.
        row: usize,
        /// What it is.
        value: u32,
        /// What the header allows.
        max: u16,
    },
}

/// A decoded image, row 0 at the top.
pub(super) struct Image {
    pub(super) width: u32,
    pub(super) height: u32,
    max: u16,
    pixels: Vec<u16>,
}

impl Image {
    /// The pixels from the bottom row up, as maps count them.
    pub(super) fn shades_from_south(&self) -> impl Iterator<Item = Shade> + '_ {
        let rows = self.pixels.chunks(self.width.max(1) as usize).rev();
        rows.flatten().map(|&value| Shade { value, max: self.max })
    }
}

/// Reads either kind.
pub(super) fn decode(bytes: &[u8]) -> Result<Image, PgmError> {
    let binary = match bytes.get(..2) {
        Some(b"P5") => true,
        Some(b"P2") => false,
        _ => return Err(PgmError::Magic(bytes.iter().take(8).map(|&b| printable(b)).collect())),
    };
    let mut reader = Reader { bytes, at: 2 };
    let width = reader.header("width", MAP_PIXELS_MAX as u32)?;
    let height = reader.header("height", MAP_PIXELS_MAX as u32)?;
    let max = u16::try_from(reader.header("maximum", 65_535)?).unwrap_or(u16::MAX);
    if u64::from(width) * u64::from(height) > MAP_PIXELS_MAX {
        return Err(PgmError::TooLarge { width, height });
    }
    let (columns, wanted) = (width as usize, width as usize * height as usize);
    let pixels = if binary { reader.binary(max, columns, wanted)? } else { reader.plain(max, columns, wanted)? };
    Ok(Image { width, height, max, pixels })
}

fn printable(byte: u8) -> char {
    if byte.is_ascii_graphic() || byte == b' ' { char::from(byte) } else { '.' }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn header(&mut self, field: &'static str, max: u32) -> Result<u32, PgmError> {
        self.skip_blank();
        let offset = self.at;
        self.number().filter(|n| (1..=max).contains(n)).ok_or(PgmError::Header { field, offset, max })
    }

    /// White space and comments, which run from `#` to the end of the line.
    fn skip_blank(&mut self) {
        while let Some(&byte) = self.bytes.get(self.at) {
            if byte == b'#' {
                let rest = self.bytes.get(self.at..).unwrap_or_default();
                self.at += rest.iter().position(|&b| b == b'\n' || b == b'\r').unwrap_or(rest.len());
            } else if byte.is_ascii_whitespace() {
                self.at += 1;
            } else {
                break;
            }
        }
    }

    /// Digits up to white space, a comment or the end; anything else is refused.
    fn number(&mut self) -> Option<u32> {
        let mut value: Option<u32> = None;
        while let Some(&byte) = self.bytes.get(self.at) {
            match byte {
                b'0'..=b'9' => {
                    value = Some(value.unwrap_or(0).checked_mul(10)?.checked_add(u32::from(byte - b'0'))?);
                    self.at += 1;
                }
                b'#' => break,
                _ if byte.is_ascii_whitespace() => break,
                _ => return None,
            }
        }
        value
    }

    /// One white-space byte, then one byte a pixel, or two (high first) when the maximum needs them.
    fn binary(&mut self, max: u16, columns: usize, wanted: usize) -> Result<Vec<u16>, PgmError> {
        // A comment straight after the maximum still ends with the one byte that starts the pixels.
        if self.bytes.get(self.at) == Some(&b'#') {
            self.skip_comment();
        }
        let data = self.bytes.get(self.at + 1..).unwrap_or_default();
        let wide = max > 255;
        let found = if wide { data.len() / 2 } else { data.len() };
        if found < wanted {
            return Err(PgmError::Truncated { found, wanted });
        }
        let pixels: Vec<u16> = if wide {
            data.chunks_exact(2).take(wanted).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect()
        } else {
            data.iter().take(wanted).map(|&b| u16::from(b)).collect()
        };
        match pixels.iter().position(|&p| p > max) {
            Some(i) => Err(too_light(i, columns, u32::from(pixels[i]), max)),
            None => Ok(pixels),
        }
    }

    fn skip_comment(&mut self) {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        self.at += rest.iter().position(|&b| b == b'\n' || b == b'\r').unwrap_or(rest.len());
    }

    fn plain(&mut self, max: u16, columns: usize, wanted: usize) -> Result<Vec<u16>, PgmError> {
        // Two bytes a pixel is the least a plain image needs, so a short file never reserves much.
        let mut pixels = Vec::with_capacity(wanted.min(self.bytes.len() / 2 + 1));
        for i in 0..wanted {
            self.skip_blank();
            let offset = self.at;
            if offset >= self.bytes.len() {
                return Err(PgmError::Truncated { found: i, wanted });
            }
            let value = self.number().ok_or(PgmError::Pixel { column: i % columns, row: i / columns, offset })?;
            match u16::try_from(value) {
                Ok(value) if value <= max => pixels.push(value),
                _ => return Err(too_light(i, columns, value, max)),
            }
        }
        Ok(pixels)
    }
}

fn too_light(i: usize, columns: usize, value: u32, max: u16) -> PgmError {
    PgmError::TooLight { column: i % columns, row: i / columns, value, max }
}
