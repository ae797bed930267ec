//! The subset of HTTP/1.1 for one request and one answer on a connection.

use std::io::{self, BufRead, BufReader, Read, Write};

use serde_json::Value;

/// Far above what the client sends: its longest request is the system prompt of an interactive
/// session.
const MAX_BODY: usize = 32 << 20;
const MAX_HEAD: u64 = 256 << 10;

/// A request as it was read.
pub(super) struct Request {
    pub(super) method: String,
    /// Without the query.
    pub(super) path: String,
    pub(super) body: Vec<u8>,
    headers: Vec<(String, String)>,
}

impl Request {
    /// Reads one request; `None` when the peer closed the connection instead.
    pub(super) fn read(stream: impl Read) -> io::Result<Option<Self>> {
        let mut stream = BufReader::new(stream);
        let mut head = (&mut stream).take(MAX_HEAD);
        let mut first = String::new();
        if head.read_line(&mut first)? == 0 {
            return Ok(None);
        }
        let mut words = first.split_ascii_whitespace();
        let (Some(method), Some(target)) = (words.next(), words.next()) else {
            return Err(malformed("no request line"));
        };
        let headers = read_headers(&mut head)?;
        let path = target.split('?').next().unwrap_or_default().to_owned();
        let mut request = Self { method: method.to_owned(), path, body: Vec::new(), headers };
        request.body = read_body(&mut stream, &request)?;
        Ok(Some(request))
    }

    /// Returns the first header of this name, in any case.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Returns the token of `Authorization: Bearer …`.
    pub(super) fn bearer(&self) -> Option<&str> {
        self.header("authorization")?.strip_prefix("Bearer ")
    }

    /// Returns the name of the requested host, without a port.
    pub(super) fn host(&self) -> &str {
        self.header("host").and_then(|host| host.split(':').next()).unwrap_or_default()
    }

    /// Returns the body as JSON, or null if it is not JSON.
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

fn read_headers(head: &mut impl BufRead) -> io::Result<Vec<(String, String)>> {
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        head.read_line(&mut line)?;
        if !line.ends_with('\n') {
            return Err(malformed("headers without an end"));
        }
        let Some((name, value)) = line.split_once(':') else { return Ok(headers) };
        headers.push((name.trim().to_owned(), value.trim().to_owned()));
    }
}

fn read_body(stream: &mut impl BufRead, request: &Request) -> io::Result<Vec<u8>> {
    if request.header("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
        return read_chunks(stream);
    }
    let length = request.header("content-length").unwrap_or("0");
    let length = length.parse().ok().filter(|length| *length <= MAX_BODY);
    let mut body = vec![0; length.ok_or_else(|| malformed("content-length"))?];
    stream.read_exact(&mut body)?;
    Ok(body)
}

fn read_chunks(stream: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut line = String::new();
        stream.take(1024).read_line(&mut line)?;
        let size = line.trim().split(';').next().and_then(|digits| usize::from_str_radix(digits, 16).ok());
        let size =
            size.filter(|size| *size <= MAX_BODY - body.len()).ok_or_else(|| malformed("chunk size"))?;
        let start = body.len();
        body.resize(start + size + 2, 0);
        stream.read_exact(&mut body[start..])?;
        body.truncate(start + size);
        if size == 0 {
            return Ok(body);
        }
    }
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("not an HTTP request: {what}"))
}

/// An answer; the connection ends with it.
#[derive(Clone, Debug)]
pub(super) struct Response {
    pub(super) status: u16,
    pub(super) content_type: &'static str,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: String,
}

impl Response {
    pub(super) fn json(status: u16, body: &Value) -> Self {
        Self { status, content_type: "application/json", headers: Vec::new(), body: body.to_string() }
    }

    pub(super) fn html(status: u16) -> Self {
        let body =
            format!("<html><head><title>{status}</title></head><body>The proxy says {status}</body></html>");
        Self { status, content_type: "text/html", headers: Vec::new(), body }
    }

    pub(super) fn events(body: String) -> Self {
        Self { status: 200, content_type: "text/event-stream", headers: Vec::new(), body }
    }

    pub(super) fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        self.headers.push((name, value.to_string()));
        self
    }

    /// Sends everything.
    pub(super) fn write(&self, stream: &mut impl Write) -> io::Result<()> {
        self.write_head(stream, Some(self.body.len()))?;
        stream.write_all(self.body.as_bytes())?;
        stream.flush()
    }

    /// Sends head and body but announces no length, so that the client waits for more.
    pub(super) fn write_unfinished(&self, stream: &mut impl Write) -> io::Result<()> {
        self.write_head(stream, None)?;
        stream.write_all(self.body.as_bytes())?;
        stream.flush()
    }

    fn write_head(&self, stream: &mut impl Write, length: Option<usize>) -> io::Result<()> {
        let mut head = format!("HTTP/1.1 {} Answer\r\ncontent-type: {}\r\n", self.status, self.content_type);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if let Some(length) = length {
            head.push_str(&format!("content-length: {length}\r\n"));
        }
        head.push_str("request-id: req_test\r\nconnection: close\r\n\r\n");
        stream.write_all(head.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_is_read_completely_or_refused() {
        let text = "POST /v1/messages?beta=true HTTP/1.1\r\nHost: api.anthropic.com:443\r\n\
                    authorization: Bearer abc\r\nContent-Length: 2\r\n\r\n{}";
        let request = Request::read(text.as_bytes()).expect("well-formed").expect("a request");
        assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/v1/messages"));
        assert_eq!((request.host(), request.bearer()), ("api.anthropic.com", Some("abc")));
        assert_eq!(request.json(), serde_json::json!({}));

        let chunked = "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n3\r\n[1,\r\n2\r\n2]\r\n0\r\n\r\n";
        let request = Request::read(chunked.as_bytes()).expect("well-formed").expect("a request");
        assert_eq!(request.body, b"[1,2]");

        assert!(Request::read(&b""[..]).expect("closed").is_none());
        for text in
            ["GET\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\n", "POST / HTTP/1.1\r\ncontent-length: 3\r\n\r\nab"]
        {
            assert!(Request::read(text.as_bytes()).is_err(), "{text:?}");
        }
    }
}
