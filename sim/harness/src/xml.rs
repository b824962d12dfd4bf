//! Text inside XML.

use std::borrow::Cow;

/// Text as it may stand between tags and in attributes. Characters that XML 1.0 cannot hold become a question mark.
#[must_use]
pub fn escape(text: &str) -> Cow<'_, str> {
    let is_plain = |c: char| !matches!(c, '&' | '<' | '>' | '"' | '\'') && is_allowed(c);
    if text.chars().all(is_plain) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&apos;"),
            c if is_allowed(c) => safe.push(c),
            _ => safe.push('?'),
        }
    }
    Cow::Owned(safe)
}

/// The characters of XML 1.0, section 2.2.
const fn is_allowed(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

/// A reader strict enough for tests: balanced tags, quoted attributes, known entities; gives the names of all elements.
#[cfg(test)]
pub(crate) fn elements(text: &str) -> Result<Vec<String>, String> {
    let (mut open, mut all, mut rest) = (Vec::new(), Vec::new(), text);
    while let Some(at) = rest.find('<') {
        check_text(&rest[..at])?;
        rest = &rest[at + 1..];
        let end = rest.find('>').ok_or("a tag has no end")?;
        let (tag, after) = (&rest[..end], &rest[end + 1..]);
        rest = after;
        if tag.starts_with('?') {
            continue;
        }
        if let Some(name) = tag.strip_prefix('/') {
            let opened = open.pop();
            if opened.as_deref() != Some(name) {
                return Err(format!("</{name}> closes {opened:?}"));
            }
            continue;
        }
        let inner = tag.strip_suffix('/').unwrap_or(tag);
        let (name, attributes) = inner.split_once(' ').unwrap_or((inner, ""));
        check_attributes(attributes)?;
        all.push(name.to_owned());
        if inner.len() == tag.len() {
            open.push(name.to_owned());
        }
    }
    check_text(rest)?;
    if open.is_empty() { Ok(all) } else { Err(format!("{open:?} stay open")) }
}

#[cfg(test)]
fn check_text(text: &str) -> Result<(), String> {
    let known = ["amp;", "lt;", "gt;", "quot;", "apos;"];
    let wrong = text.split('&').skip(1).find(|after| !known.iter().any(|entity| after.starts_with(entity)));
    if let Some(after) = wrong {
        return Err(format!("&{after} is no entity"));
    }
    if text.contains(['<', '>']) || !text.chars().all(is_allowed) {
        return Err(format!("{text:?} is not escaped"));
    }
    Ok(())
}

#[cfg(test)]
fn check_attributes(text: &str) -> Result<(), String> {
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (name, after) = rest.split_once("=\"").ok_or_else(|| format!("{rest:?} is no attribute"))?;
        let (value, after) = after.split_once('"').ok_or_else(|| format!("{name} is not closed"))?;
        if name.is_empty() || name.contains(char::is_whitespace) {
            return Err(format!("{name:?} names no attribute"));
        }
        check_text(value)?;
        rest = after.trim_start();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_said_stays_text() {
        assert_eq!(escape("rover-1 waits"), "rover-1 waits");
        let nasty = "a<b> & \"c\" 'd'\u{0}\u{1b}";
        assert_eq!(escape(nasty), "a&lt;b&gt; &amp; &quot;c&quot; &apos;d&apos;??");
        assert_eq!(elements(&format!("<a b=\"{0}\">{0}<c/></a>", escape(nasty))).unwrap(), ["a", "c"]);
    }

    #[test]
    fn the_reader_of_the_tests_sees_what_is_broken() {
        for broken in ["<a>", "<a></b>", "<a b=c/>", "<a b=\"<\"/>", "<a>&</a>", "<a b=\"1/>", "a>b", "<a"] {
            assert!(elements(broken).is_err(), "{broken}");
        }
    }
}
