//! What a value must look like, and how it is read from text without quotes.

use std::net::SocketAddr;

use skein_types::ids::AgentId;
use toml::Value;

/// What a value must look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Any text in quotes.
    Text,
    /// One of these texts.
    Choice(&'static [&'static str]),
    /// An id that is safe in keys, files and labels.
    Name,
    /// `host:port` with a numeric host.
    Address,
    /// As [`Self::Address`], or `none`.
    AddressOrNone,
    /// `http://host:port`, or `none`.
    Url,
    /// `unix:PATH`.
    Body,
    /// `true` or `false`.
    Flag,
    /// A whole number, both bounds included.
    Whole(i64, i64),
    /// A list of texts; separated by commas outside files.
    Texts,
}

impl Kind {
    /// Whether a value fits.
    ///
    /// # Errors
    /// A lowercase fragment that says what the value must be.
    pub fn check(self, value: &Value) -> Result<(), String> {
        if self.fits(value)? { Ok(()) } else { Err(self.expected()) }
    }

    fn fits(self, value: &Value) -> Result<bool, String> {
        Ok(match (self, value) {
            (Self::Text, Value::String(_)) | (Self::Flag, Value::Boolean(_)) => true,
            (Self::Name, Value::String(text)) => {
                return AgentId::new(text.as_str()).map(|_| true).map_err(|e| e.to_string());
            }
            (Self::Choice(choices), Value::String(text)) => choices.contains(&text.as_str()),
            (Self::Address, Value::String(text)) => text.parse::<SocketAddr>().is_ok(),
            (Self::AddressOrNone, Value::String(text)) => text == "none" || text.parse::<SocketAddr>().is_ok(),
            (Self::Url, Value::String(text)) => text == "none" || is_plain_http(text),
            (Self::Body, Value::String(text)) => text.strip_prefix("unix:").is_some_and(|path| !path.is_empty()),
            (Self::Whole(low, high), Value::Integer(n)) => (low..=high).contains(n),
            (Self::Texts, Value::Array(items)) => items.iter().all(Value::is_str),
            _ => false,
        })
    }

    fn expected(self) -> String {
        match self {
            Self::Text | Self::Name => "must be a text in quotes".into(),
            Self::Choice(choices) => format!("must be one of: {}", choices.join(", ")),
            Self::Address => "must be an address and a port such as \"127.0.0.1:8000\"".into(),
            Self::AddressOrNone => "must be an address and a port such as \"127.0.0.1:8080\", or \"none\"".into(),
            Self::Url => "must be like \"http://127.0.0.1:8000\", or \"none\"".into(),
            Self::Body => "must be \"unix:\" and the path of a socket".into(),
            Self::Flag => "must be true or false".into(),
            Self::Whole(low, i64::MAX) => format!("must be a whole number from {low}"),
            Self::Whole(low, high) => format!("must be a whole number from {low} to {high}"),
            Self::Texts => "must be a list of texts such as [\"a\", \"b\"]".into(),
        }
    }

    /// The value of a text that came without quotes, from the environment or a flag.
    ///
    /// # Errors
    /// As [`Self::check`].
    pub fn read(self, text: &str) -> Result<Value, String> {
        let value = match self {
            Self::Flag => text.parse().map_or(Value::String(text.into()), Value::Boolean),
            Self::Whole(..) => text.parse().map_or(Value::String(text.into()), Value::Integer),
            Self::Texts => Value::Array(
                text.split(',').map(str::trim).filter(|t| !t.is_empty()).map(|t| Value::String(t.into())).collect(),
            ),
            _ => Value::String(text.into()),
        };
        self.check(&value)?;
        Ok(value)
    }
}

fn is_plain_http(text: &str) -> bool {
    text.parse::<http::Uri>().is_ok_and(|uri| uri.scheme_str() == Some("http") && uri.authority().is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_from_outside_files_are_read_by_their_kind() {
        let good: &[(Kind, &str)] = &[
            (Kind::Whole(0, 99), "50"),
            (Kind::Flag, "true"),
            (Kind::Texts, "a, b"),
            (Kind::Texts, ""),
            (Kind::Address, "[::1]:0"),
            (Kind::AddressOrNone, "none"),
            (Kind::Url, "http://host:8000"),
            (Kind::Body, "unix:/run/world.sock"),
            (Kind::Choice(&["text", "json"]), "json"),
            (Kind::Name, "rover-1"),
        ];
        for (kind, text) in good {
            assert!(kind.read(text).is_ok(), "{kind:?} {text:?}");
        }
    }

    #[test]
    fn values_that_do_not_fit_say_what_was_expected() {
        let wrong: &[(Kind, &str, &str)] = &[
            (Kind::Whole(0, 99), "100", "whole number from 0 to 99"),
            (Kind::Whole(0, i64::MAX), "-1", "whole number from 0"),
            (Kind::Flag, "yes", "true or false"),
            (Kind::Address, "none", "such as \"127.0.0.1:8000\""),
            (Kind::AddressOrNone, "everywhere", "or \"none\""),
            (Kind::Url, "https://x", "http://127.0.0.1:8000"),
            (Kind::Body, "unix:", "path of a socket"),
            (Kind::Choice(&["text", "json"]), "xml", "one of: text, json"),
            (Kind::Name, "Rover 1", "lower-case"),
        ];
        for (kind, text, part) in wrong {
            let expected = kind.read(text).unwrap_err();
            assert!(expected.contains(part), "{kind:?} {text:?}: {expected}");
        }
    }
}
