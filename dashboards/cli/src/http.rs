//! Requests to the robots' debug APIs: JSON over HTTP/1.1.

use core::fmt;
use core::time::Duration;

use http::{Method, Request, header};
use http_body_util::BodyExt;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use uuid::Uuid;

/// A debug API on the same network answers a connection within this time, or not at all.
const CONNECT_WITHIN: Duration = Duration::from_millis(800);

/// A client that keeps its connections.
#[derive(Clone)]
pub(crate) struct Http {
    client: Client<HttpConnector, String>,
}

/// What allows a request: the robot's token and the supervisor's lease.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Credentials {
    pub token: Option<String>,
    pub lease: Option<Uuid>,
}

/// What a debug API answered.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Answer {
    pub status: u16,
    /// Null when the body is not JSON.
    pub body: Value,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HttpError {
    /// The address does not make a URL.
    #[error("\"{0}\" is not an address")]
    Address(String),
    /// No connection, or it broke.
    #[error("{0}")]
    Connection(String),
    /// No answer in time.
    #[error("no answer within {} ms", .0.as_millis())]
    Late(Duration),
}

impl Answer {
    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The text of a field of the body; empty when there is none.
    pub(crate) fn text(&self, field: &str) -> &str {
        self.body.get(field).and_then(Value::as_str).unwrap_or_default()
    }

    /// What a refusal says: the detail of the problem document.
    pub(crate) fn problem(&self) -> String {
        match (self.text("detail"), self.text("title")) {
            ("", "") => format!("status {}", self.status),
            ("", title) => title.to_owned(),
            (detail, _) => detail.to_owned(),
        }
    }
}

impl Http {
    pub(crate) fn new() -> Self {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT_WITHIN));
        connector.set_nodelay(true);
        Self { client: Client::builder(TokioExecutor::new()).build(connector) }
    }

    pub(crate) async fn get(&self, address: &str, path: &str, within: Duration) -> Result<Answer, HttpError> {
        self.request(Method::GET, address, path, &Credentials::default(), None, within).await
    }

    pub(crate) async fn post(
        &self,
        address: &str,
        path: &str,
        credentials: &Credentials,
        body: &Value,
        within: Duration,
    ) -> Result<Answer, HttpError> {
        self.request(Method::POST, address, path, credentials, Some(body), within).await
    }

    pub(crate) async fn delete(
        &self,
        address: &str,
        path: &str,
        credentials: &Credentials,
        within: Duration,
    ) -> Result<Answer, HttpError> {
        self.request(Method::DELETE, address, path, credentials, None, within).await
    }

    async fn request(
        &self,
        method: Method,
        address: &str,
        path: &str,
        credentials: &Credentials,
        body: Option<&Value>,
        within: Duration,
    ) -> Result<Answer, HttpError> {
        let request = request(method, address, path, credentials, body)?;
        match tokio::time::timeout(within, self.answer(request)).await {
            Ok(answer) => answer,
            Err(_) => Err(HttpError::Late(within)),
        }
    }

    async fn answer(&self, request: Request<String>) -> Result<Answer, HttpError> {
        let response = self.client.request(request).await.map_err(|error| HttpError::Connection(root(&error)))?;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await;
        let bytes = body.map_err(|error| HttpError::Connection(root(&error)))?.to_bytes();
        Ok(Answer { status, body: serde_json::from_slice(&bytes).unwrap_or(Value::Null) })
    }
}

fn request(
    method: Method,
    address: &str,
    path: &str,
    credentials: &Credentials,
    body: Option<&Value>,
) -> Result<Request<String>, HttpError> {
    let mut request = Request::builder().method(method).uri(format!("http://{address}{path}"));
    if let Some(token) = &credentials.token {
        request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
    }
    if let Some(lease) = credentials.lease {
        request = request.header("skein-lease", lease.to_string());
    }
    if body.is_some() {
        request = request.header(header::CONTENT_TYPE, "application/json");
    }
    let body = body.map(Value::to_string).unwrap_or_default();
    request.body(body).map_err(|_| HttpError::Address(address.to_owned()))
}

/// The innermost cause: "Connection refused" rather than "client error (Connect)".
fn root(error: &dyn core::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Http")
    }
}
