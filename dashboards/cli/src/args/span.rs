//! Time spans as people write them.

use core::str::FromStr;
use core::time::Duration;

/// A span of time such as `500ms`, `10s` or `2m`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Span(pub Duration);

impl FromStr for Span {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let scale = match unit.trim() {
            "ms" => 0.001,
            "" | "s" => 1.0,
            "m" | "min" => 60.0,
            "h" => 3600.0,
            other => return Err(format!("\"{other}\" is not a unit of time; write 500ms, 10s, 2m or 1h")),
        };
        let seconds: f64 = number.parse().map_err(|_| "write a number and a unit, such as 10s".to_owned())?;
        Duration::try_from_secs_f64(seconds * scale).map(Self).map_err(|_| "too long".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_written_as_people_write_them() {
        let span = |text: &str| text.parse::<Span>().map(|span| span.0);
        assert_eq!(span("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(span("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(span("30"), Ok(Duration::from_secs(30)));
        assert_eq!(span("2m"), Ok(Duration::from_secs(120)));
        for wrong in ["", "s", "ten", "1 fortnight", "-3s", "1e400h"] {
            assert!(span(wrong).is_err(), "{wrong}");
        }
    }
}
