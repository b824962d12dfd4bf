//! Just enough of an HTTP client to ask what curl would ask.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(10);

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Head, as it came.
    pub head: String,
    /// Body as text.
    pub body: String,
}

impl Answer {
    /// The body as JSON.
    ///
    /// # Errors
    /// When it is none.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.body).with_context(|| format!("not JSON: {}", self.body))
    }
}

/// `GET` of a path.
///
/// # Errors
/// When nobody listens or the answer is no HTTP.
pub fn get(address: &str, path: &str) -> Result<Answer> {
    request(address, "GET", path, &[], b"")
}

/// `POST` of a JSON body with more headers.
///
/// # Errors
/// When nobody listens or the answer is no HTTP.
pub fn post(address: &str, path: &str, headers: &[(&str, &str)], body: &Value) -> Result<Answer> {
    request(address, "POST", path, headers, body.to_string().as_bytes())
}

/// Any request. A server that answers before it has read the whole body is listened to.
///
/// # Errors
/// When nobody listens or the answer is no HTTP.
pub fn request(address: &str, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<Answer> {
    let mut stream = TcpStream::connect(address).with_context(|| format!("connecting to {address}"))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n");
    head.push_str(&format!("content-type: application/json\r\ncontent-length: {}\r\n", body.len()));
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    stream.write_all(format!("{head}\r\n").as_bytes())?;
    // A refusal may close the connection under our hands; the answer is already on its way then.
    let _ = stream.write_all(body);
    let mut bytes = Vec::new();
    let mut part = [0_u8; 4096];
    while let Ok(n @ 1..) = stream.read(&mut part) {
        bytes.extend(part.iter().take(n));
    }
    parse(&String::from_utf8_lossy(&bytes)).with_context(|| format!("{method} {path} at {address}"))
}

fn parse(text: &str) -> Result<Answer> {
    let (head, rest) = text.split_once("\r\n\r\n").context("no HTTP answer")?;
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).context("no status")?;
    let chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
    let body = if chunked { unchunk(rest) } else { rest.to_owned() };
    Ok(Answer { status, head: head.to_owned(), body })
}

fn unchunk(mut rest: &str) -> String {
    let mut body = String::new();
    while let Some((size, after)) = rest.split_once("\r\n") {
        let Ok(size @ 1..) = usize::from_str_radix(size.trim(), 16) else { break };
        let (Some(chunk), Some(next)) = (after.get(..size), after.get(size + 2..)) else {
            body.push_str(after);
            break;
        };
        body.push_str(chunk);
        rest = next;
    }
    body
}
