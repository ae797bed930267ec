//! Sends HTTP requests, bounded by the deadline. It follows no redirects, uses no proxy but the
//! configured one, never logs, and keeps one connection for all requests of a run.

use std::cell::Cell;
use std::error::Error;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, DATE, HeaderMap, HeaderValue, LOCATION, RETRY_AFTER};
use reqwest::{Method, Url, redirect};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;
use tokio::runtime::Runtime;
use zeroize::Zeroizing;

use super::peer::{CheckPeer, PeerError, Trusted};
use super::redact::single_line;
use super::response::RawResponse;
use super::token_file::Token;
use super::{Connection, tls};
use cas_core::store::StoreError;
use cas_core::time::timestamp::Timestamp;
use cas_protocol::deadline::Deadline;

/// The longest response, in bytes. A user's document is never longer.
const MAX_BODY: usize = 1 << 20;

/// The longest time for connecting, even if the deadline is later.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// One request.
pub(super) struct Request {
    pub method: Method,
    pub url: Url,
    /// The body and its content type.
    pub body: Option<(&'static str, Vec<u8>)>,
}

/// An HTTP client that keeps one connection open.
pub(super) struct Client {
    /// `None` only during drop.
    runtime: Option<Runtime>,
    http: reqwest::Client,
    headers: HeaderMap,
    /// The newest state that the server reported, and whether to require it.
    index: Option<HeaderValue>,
    requires_index: bool,
    requests: u64,
    /// The header `Date` of the last response.
    date: Option<String>,
}

impl Client {
    /// Prepares the client. No request is sent yet.
    pub(super) fn new(server: &Connection, token: &Token) -> Result<Self, StoreError> {
        let tls = tls::client_config(server.address.is_encrypted(), server.ca_cert.as_deref())?;
        let mut builder = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .redirect(redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .connect_timeout(CONNECT_TIMEOUT)
            .https_only(server.address.is_encrypted());
        if let Some(proxy) = &server.proxy {
            builder =
                builder.proxy(reqwest::Proxy::https(proxy.url().clone()).map_err(|error| unusable(&error))?);
        }
        if !server.address.is_encrypted() {
            let trusted = Trusted::with_agent(server.agent_user.as_deref()).map_err(|reason| {
                StoreError::Misconfigured {
                    reason,
                    remedy: "correct /etc/claude-auth-sync/config.toml".into(),
                }
            })?;
            // Do not resolve `localhost` with a name service.
            let loopback = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
            let loopback = loopback.map(|ip: IpAddr| SocketAddr::new(ip, 0));
            builder = builder
                .resolve_to_addrs("localhost", &loopback)
                .connector_layer(CheckPeer::new(server.address.port(), trusted));
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()
            .map_err(|error| unusable(&error))?;
        Ok(Self {
            runtime: Some(runtime),
            http: builder.build().map_err(|error| unusable(&error))?,
            headers: headers(server, token)?,
            index: None,
            requires_index: false,
            requests: 0,
            date: None,
        })
    }

    /// Returns the number of requests that were sent.
    pub(super) fn requests(&self) -> u64 {
        self.requests
    }

    /// Returns the server's time in its last response, to the second.
    pub(super) fn server_time(&self) -> Option<Timestamp> {
        let moment = OffsetDateTime::parse(self.date.as_deref()?, &Rfc2822).ok()?;
        let seconds = u64::try_from(moment.unix_timestamp()).ok()?;
        Some(Timestamp::from_millis(seconds.saturating_mul(1000)))
    }

    /// Sets the token of the following requests.
    pub(super) fn set_token(&mut self, token: &Token) -> Result<(), StoreError> {
        self.headers.insert(TOKEN, token_header(token)?);
        Ok(())
    }

    /// Requires that the following responses include every state that the server has reported. A
    /// standby that lags behind must forward the request to the active node.
    pub(super) fn require_latest_index(&mut self) {
        self.requires_index = true;
    }

    /// Sends the request for `action` ("reading X from Y") and returns the response. Fails with
    /// [`StoreError::Unreachable`], or with [`StoreError::Refused`] if the token must not be sent
    /// to the process that listens there.
    pub(super) fn send(
        &mut self,
        request: Request,
        action: &str,
        deadline: &Deadline,
    ) -> Result<RawResponse, StoreError> {
        let unreachable =
            |what: &str| StoreError::Unreachable { reason: format!("{action}: {}", single_line(what)) };
        let span = deadline.remaining();
        let Some(runtime) = self.runtime.as_ref().filter(|_| !span.is_zero()) else {
            return Err(unreachable("no time is left"));
        };
        let mut builder = self.http.request(request.method, request.url).headers(self.headers.clone());
        if let Some(index) = self.index.clone().filter(|_| self.requires_index) {
            builder = builder.header(INDEX, index).header("x-vault-inconsistent", "forward-active-node");
        }
        if let Some((kind, body)) = request.body {
            builder = builder.header(CONTENT_TYPE, kind).body(body);
        }
        self.requests += 1;
        let step = Cell::new("no response");
        let exchange = async { tokio::time::timeout(span, exchange(builder, &step)).await };
        let (received, index) = match runtime.block_on(exchange) {
            Ok(Ok(received)) => received,
            Ok(Err(NotExchanged::Untrusted(why))) => {
                return Err(StoreError::Refused {
                    reason: format!("{action}: {why}"),
                    remedy: PeerError::REMEDY.to_owned(),
                });
            }
            Ok(Err(NotExchanged::Failed(what))) => return Err(unreachable(&what)),
            Err(_) => return Err(unreachable(&format!("{} within {span:.1?}", step.get()))),
        };
        self.index = index.or(self.index.take());
        self.date = received.date.clone();
        Ok(received)
    }
}

impl Drop for Client {
    /// Does not wait for the runtime: a name lookup may keep one of its threads busy.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

const INDEX: &str = "x-vault-index";
const TOKEN: &str = "x-vault-token";

async fn exchange(
    builder: reqwest::RequestBuilder,
    step: &Cell<&str>,
) -> Result<(RawResponse, Option<HeaderValue>), NotExchanged> {
    let mut response = builder.send().await.map_err(|error| NotExchanged::from(&error))?;
    step.set("no complete response");
    let text = |name| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let index = response.headers().get(INDEX).cloned();
    let mut received = RawResponse {
        status: response.status().as_u16(),
        retry_after: text(RETRY_AFTER),
        date: text(DATE),
        location: text(LOCATION),
        body: Zeroizing::new(Vec::new()),
    };
    let announced = response.content_length().and_then(|length| usize::try_from(length).ok()).unwrap_or(0);
    received.body.reserve(announced.min(MAX_BODY));
    while let Some(chunk) = response.chunk().await.map_err(|error| NotExchanged::from(&error))? {
        if received.body.len() + chunk.len() > MAX_BODY {
            let what = "the response is longer than 1 MiB";
            return Err(NotExchanged::Failed(what.to_owned()));
        }
        received.body.extend_from_slice(&chunk);
    }
    Ok((received, index))
}

fn headers(server: &Connection, token: &Token) -> Result<HeaderMap, StoreError> {
    let mut headers = HeaderMap::new();
    headers.insert(TOKEN, token_header(token)?);
    headers.insert("x-vault-request", HeaderValue::from_static("true"));
    if let Some(namespace) = &server.namespace {
        let value = HeaderValue::from_str(&namespace.to_string()).map_err(|error| unusable(&error))?;
        headers.insert("x-vault-namespace", value);
    }
    Ok(headers)
}

fn token_header(token: &Token) -> Result<HeaderValue, StoreError> {
    let mut value = HeaderValue::from_str(token.expose()).map_err(|error| unusable(&error))?;
    value.set_sensitive(true);
    Ok(value)
}

/// Why there is no response.
enum NotExchanged {
    /// No request was sent, for this reason.
    Untrusted(String),
    /// The exchange failed.
    Failed(String),
}

impl From<&reqwest::Error> for NotExchanged {
    fn from(error: &reqwest::Error) -> Self {
        let mut cause: Option<&dyn Error> = Some(error);
        while let Some(inner) = cause {
            if let Some(untrusted) = inner.downcast_ref::<PeerError>() {
                return Self::Untrusted(untrusted.to_string());
            }
            cause = inner.source();
        }
        Self::Failed(root_cause(error))
    }
}

/// Returns the innermost cause, such as "Connection refused". The outer ones only name parts of the
/// library.
fn root_cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    let step = if error.is_connect() { "cannot connect: " } else { "" };
    let text = cause.to_string();
    let hint = if text.contains("certificate") { " (is it signed by the CA in VAULT_CACERT?)" } else { "" };
    format!("{step}{text}{hint}")
}

fn unusable(error: &dyn Error) -> StoreError {
    StoreError::Refused {
        reason: format!("cannot prepare the connection to Vault: {error}"),
        remedy: "correct the Vault settings".to_owned(),
    }
}
