//! The subset of HTTP/1.1 that a client of the store uses: requests and answers with a length,
//! persistent connections.

use std::io::{self, BufRead, Read, Write};

/// A request as it arrived.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// `GET`, `PUT`, `PATCH`, …
    pub method: String,
    /// The path, with its leading slash.
    pub path: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The complete body.
    pub body: Vec<u8>,
}

impl Request {
    /// Returns the value of this header, if it was sent.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Reads the next request of a connection; `None` if the client closed it.
    pub(super) fn read(stream: &mut impl BufRead) -> io::Result<Option<Self>> {
        let mut line = String::new();
        if stream.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let mut words = line.split_whitespace().map(str::to_owned);
        let mut request = Self {
            method: words.next().unwrap_or_default(),
            path: words.next().unwrap_or_default(),
            ..Self::default()
        };
        loop {
            let mut line = String::new();
            stream.read_line(&mut line)?;
            let Some((name, value)) = line.trim_end().split_once(':') else { break };
            request.headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let length = request.header("content-length").and_then(|value| value.parse().ok()).unwrap_or(0);
        stream.take(length).read_to_end(&mut request.body)?;
        Ok(Some(request))
    }
}

/// An answer.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// Headers besides the length and the type.
    pub headers: Vec<(&'static str, String)>,
    /// The complete body.
    pub body: Vec<u8>,
}

impl Answer {
    /// Returns an answer with this status and body.
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: Vec::new(), body: body.into() }
    }

    /// Adds a header.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(super) fn head(&self) -> String {
        let mut head = format!("HTTP/1.1 {} fake\r\nContent-Length: {}\r\n", self.status, self.body.len());
        head.push_str("Content-Type: application/json\r\n");
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        head
    }

    pub(super) fn write(&self, stream: &mut impl Write) -> io::Result<()> {
        // In one piece: two small ones would wait for acknowledgements.
        stream.write_all(&[self.head().as_bytes(), &self.body].concat())
    }
}
