//! Small readers that every conversion is made of.

use skein_types::geometry::Point;
use skein_types::mission::TEXT_BYTES_MAX;
use uuid::Uuid;

use crate::error::{At, Fault, WireError};

/// A message inside a message that must be there.
pub(crate) fn nested<M, D>(message: Option<M>, field: &str) -> Result<D, WireError>
where
    D: TryFrom<M, Error = WireError>,
{
    message.ok_or(Fault::Missing).at(field).and_then(|message| D::try_from(message).at(field))
}

/// A message inside a message that may be missing.
pub(crate) fn nested_option<M, D>(message: Option<M>, field: &str) -> Result<Option<D>, WireError>
where
    D: TryFrom<M, Error = WireError>,
{
    message.map(D::try_from).transpose().at(field)
}

/// Messages inside a message, at most `max` of them.
pub(crate) fn list<M, D>(messages: Vec<M>, max: usize, field: &str) -> Result<Vec<D>, WireError>
where
    D: TryFrom<M, Error = WireError>,
{
    count(messages.len(), max).at(field)?;
    messages.into_iter().enumerate().map(|(i, message)| D::try_from(message).at_index(field, i)).collect()
}

/// Names, at most `max` of them.
pub(crate) fn names<D>(texts: Vec<String>, max: usize, field: &str) -> Result<Vec<D>, WireError>
where
    D: TryFrom<String>,
    D::Error: Into<WireError>,
{
    count(texts.len(), max).at(field)?;
    texts.into_iter().enumerate().map(|(i, text)| D::try_from(text).at_index(field, i)).collect()
}

/// A name that may be missing: empty text.
pub(crate) fn name_option<D>(text: String) -> Result<Option<D>, D::Error>
where
    D: TryFrom<String>,
{
    if text.is_empty() { Ok(None) } else { D::try_from(text).map(Some) }
}

/// A value of an enumeration `W` of the wire as the domain's `D`.
pub(crate) fn one_of<W, D>(value: i32) -> Result<D, Fault>
where
    W: TryFrom<i32>,
    D: TryFrom<W, Error = Fault>,
{
    W::try_from(value).map_err(|_| Fault::UnknownValue(value)).and_then(D::try_from)
}

pub(crate) fn count(count: usize, max: usize) -> Result<(), Fault> {
    if count > max { Err(Fault::TooMany { count, max }) } else { Ok(()) }
}

pub(crate) fn finite(value: f64) -> Result<f64, Fault> {
    if value.is_finite() { Ok(value) } else { Err(Fault::NotFinite) }
}

pub(crate) fn not_negative(value: f64) -> Result<f64, Fault> {
    if finite(value)? < 0.0 { Err(Fault::Negative(value)) } else { Ok(value) }
}

/// A number from zero to a bound.
pub(crate) fn at_most(value: f64, max: f64) -> Result<f64, Fault> {
    let value = not_negative(value)?;
    if value > max { Err(Fault::TooGreat { value, max }) } else { Ok(value) }
}

pub(crate) fn text(text: String) -> Result<String, Fault> {
    text_up_to(text, TEXT_BYTES_MAX)
}

pub(crate) fn text_up_to(text: String, max: usize) -> Result<String, Fault> {
    if text.len() > max { Err(Fault::TooLong { bytes: text.len(), max }) } else { Ok(text) }
}

/// Free text as the sender may say it: what is too long loses its end.
pub(crate) fn cut(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX));
    text
}

pub(crate) fn uuid(text: &str) -> Result<Uuid, uuid::Error> {
    Uuid::try_parse(text)
}

pub(crate) fn uuid_option(text: &str) -> Result<Option<Uuid>, uuid::Error> {
    if text.is_empty() { Ok(None) } else { Uuid::try_parse(text).map(Some) }
}

/// Points from x and y in turn, at most `max` points.
pub(crate) fn points(xy: &[f64], max: usize, field: &str) -> Result<Vec<Point>, WireError> {
    count(xy.len() / 2, max).at(field)?;
    let (pairs, rest) = xy.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(Fault::NoPairs(xy.len())).at(field);
    }
    if let Some(bad) = xy.iter().position(|value| !value.is_finite()) {
        return Err(Fault::NotFinite).at_index(field, bad);
    }
    Ok(pairs.iter().map(|[x, y]| Point::new(*x, *y)).collect())
}

/// The way back of [`points`].
pub(crate) fn xy(points: &[Point]) -> Vec<f64> {
    points.iter().flat_map(|point| [point.x, point.y]).collect()
}

/// A span in nanoseconds; what does not fit (584 years) becomes the longest that does.
pub(crate) fn nanos(span: core::time::Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

/// Declares an enumeration's counterparts, variant by variant under the same names.
macro_rules! same_variants {
    ($wire:ty, $domain:ty: $($variant:ident),+ $(,)?) => {
        impl From<$domain> for $wire {
            fn from(value: $domain) -> Self {
                match value { $(<$domain>::$variant => Self::$variant),+ }
            }
        }

        impl TryFrom<$wire> for $domain {
            type Error = $crate::error::Fault;
            fn try_from(value: $wire) -> Result<Self, $crate::error::Fault> {
                match value {
                    $(<$wire>::$variant => Ok(Self::$variant),)+
                    <$wire>::Unspecified => Err($crate::error::Fault::UnknownValue(0)),
                }
            }
        }
    };
}
pub(crate) use same_variants;
