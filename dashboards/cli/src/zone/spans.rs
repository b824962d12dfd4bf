//! Where in a JSON text a value stands, so that an error can point at its line.

use crate::failure::Span;

/// One step into a JSON value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The member of an object.
    Key(&'static str),
    /// The entry of an array.
    Index(usize),
}

/// The bytes of the value at a path, or of the deepest part of it that is there. The text is known to be JSON.
pub(crate) fn span_of(text: &str, path: &[Step]) -> Span {
    let mut scanner = Scanner { bytes: text.as_bytes(), at: 0 };
    scanner.blank();
    let mut found = scanner.at;
    for step in path {
        let inside = match step {
            Step::Key(key) => scanner.enter_object(key),
            Step::Index(index) => scanner.enter_array(*index),
        };
        if !inside {
            break;
        }
        found = scanner.at;
    }
    scanner.at = found;
    scanner.value();
    found..scanner.at
}

struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Scanner<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn blank(&mut self) {
        while self.peek().is_some_and(|byte| byte.is_ascii_whitespace()) {
            self.at += 1;
        }
    }

    fn eat(&mut self, byte: u8) -> bool {
        self.blank();
        let here = self.peek() == Some(byte);
        if here {
            self.at += 1;
            self.blank();
        }
        here
    }

    /// Goes to the member's value; false when it is not there.
    fn enter_object(&mut self, key: &str) -> bool {
        if !self.eat(b'{') {
            return false;
        }
        while self.peek() == Some(b'"') {
            let start = self.at;
            self.string();
            let is_it = self.bytes.get(start + 1..self.at.saturating_sub(1)) == Some(key.as_bytes());
            self.eat(b':');
            if is_it {
                return true;
            }
            self.value();
            if !self.eat(b',') {
                return false;
            }
        }
        false
    }

    fn enter_array(&mut self, index: usize) -> bool {
        if !self.eat(b'[') {
            return false;
        }
        for _ in 0..index {
            self.value();
            if !self.eat(b',') {
                return false;
            }
        }
        self.peek().is_some_and(|byte| byte != b']')
    }

    fn string(&mut self) {
        self.at += 1;
        while let Some(byte) = self.peek() {
            self.at += if byte == b'\\' { 2 } else { 1 };
            if byte == b'"' {
                return;
            }
        }
    }

    /// Goes past a value: brackets are counted, so depth costs nothing.
    fn value(&mut self) {
        let mut depth = 0_usize;
        while let Some(byte) = self.peek() {
            match byte {
                b'"' => {
                    self.string();
                    if depth == 0 {
                        return;
                    }
                    continue;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' if depth == 0 => return,
                b'}' | b']' => {
                    depth -= 1;
                    if depth == 0 {
                        self.at += 1;
                        return;
                    }
                }
                b',' if depth == 0 => return,
                other if depth == 0 && other.is_ascii_whitespace() => return,
                _ => {}
            }
            self.at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Step::{Index, Key};
    use super::*;

    const TEXT: &str = r#"{ "a\"b": {"x": 1}, "geometry" : {"coordinates":[ [[1, 2], [3.5,4] ], []]}, "n": null }"#;

    fn found(path: &[Step]) -> &'static str {
        &TEXT[span_of(TEXT, path)]
    }

    #[test]
    fn a_path_leads_to_its_text() {
        let coordinates = [Key("geometry"), Key("coordinates")];
        assert_eq!(found(&[coordinates[0], coordinates[1], Index(0), Index(1)]), "[3.5,4]");
        assert_eq!(found(&[coordinates[0], coordinates[1], Index(0), Index(1), Index(0)]), "3.5");
        assert_eq!(found(&[coordinates[0], coordinates[1], Index(1)]), "[]");
        assert_eq!(found(&[Key("n")]), "null");
    }

    #[test]
    fn a_path_that_ends_early_leads_to_what_is_there() {
        assert_eq!(found(&[Key("n"), Key("x")]), "null");
        assert_eq!(found(&[Key("geometry"), Key("coordinates"), Index(1), Index(0)]), "[]");
        assert_eq!(found(&[Key("missing")]), TEXT);
        assert_eq!(span_of("", &[Key("x")]), 0..0);
    }
}
