//! Ways through a proxy: HTTP CONNECT ([RFC 9110 section 9.3.6](https://www.rfc-editor.org/rfc/rfc9110#section-9.3.6))
//! and SOCKS5 ([RFC 1928](https://www.rfc-editor.org/rfc/rfc1928)). The proxy resolves the server's name.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_socks::tcp::Socks5Stream;

use super::cause::{Cause, Phase};
use super::dial::Tls;
use super::head::HeadSearch;
use super::transport::ByteStream;

/// Bytes that the answer to CONNECT may have.
const MAX_ANSWER: usize = 8192;
/// Header lines that it may have.
const MAX_HEADERS: usize = 100;

/// A proxy, and how to speak to it.
pub(crate) struct Proxy {
    /// Name or address, without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// TLS to the proxy itself: the configuration, and the name to check.
    pub(crate) tls: Option<Tls>,
    pub(crate) protocol: Protocol,
}

/// What a proxy speaks.
pub(crate) enum Protocol {
    /// HTTP CONNECT; perhaps with a value for `Proxy-Authorization`.
    Connect { authorization: Option<String> },
    /// SOCKS5; perhaps with user name and password, both of 1 to 255 bytes.
    Socks5 { credentials: Option<(String, String)> },
}

impl Protocol {
    /// Makes `stream`, which leads to the proxy, lead to the server. Not cancel safe: the stream is spent then.
    pub(crate) async fn open<S: ByteStream>(&self, stream: S, host: &str, port: u16) -> Result<S, Cause> {
        match self {
            Self::Connect { authorization } => connect(stream, host, port, authorization.as_deref()).await,
            Self::Socks5 { credentials } => {
                let target = (host, port);
                let opened = match credentials {
                    Some((user, password)) => {
                        Socks5Stream::connect_with_password_and_socket(stream, target, user, password).await
                    }
                    None => Socks5Stream::connect_with_socket(stream, target).await,
                };
                opened.map(Socks5Stream::into_inner).map_err(|error| socks(&error))
            }
        }
    }
}

async fn connect<S: ByteStream>(mut stream: S, host: &str, port: u16, authorization: Option<&str>) -> Result<S, Cause> {
    let request = connect_request(host, port, authorization);
    let written = async {
        stream.write_all(request.as_bytes()).await?;
        stream.flush().await
    };
    written
        .await
        .map_err(|error| Cause::system(Phase::Proxy, "write", &error))?;
    let mut head = HeadSearch::default();
    let mut answer = Vec::with_capacity(1024);
    loop {
        match stream.read_buf(&mut answer).await {
            Ok(0) => return Err(Cause::read(Phase::Proxy, None)),
            Ok(_) => {}
            Err(error) => return Err(Cause::read(Phase::Proxy, Some(&error))),
        }
        if check_answer(&mut head, &answer)? == Answer::Open {
            return Ok(stream);
        }
    }
}

/// The bytes of the request. All parts are valid for a header.
fn connect_request(host: &str, port: u16, authorization: Option<&str>) -> String {
    let authority = if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    };
    let authorization = match authorization {
        Some(value) => format!("Proxy-Authorization: {value}\r\n"),
        None => String::new(),
    };
    format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n{authorization}\r\n")
}

/// What the bytes so far say.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    /// The way is open.
    Open,
    /// More is needed.
    Partial,
}

/// Reads the answer's head in `input`, which is all that has come. It may not be followed by anything: the server speaks after
/// the client only.
fn check_answer(head: &mut HeadSearch, input: &[u8]) -> Result<Answer, Cause> {
    // Another protocol is known by its first bytes; its other end may wait for ours.
    if !input.iter().zip(b"HTTP/1.").all(|(byte, expected)| byte == expected) {
        return Err(Cause::proxy_malformed());
    }
    let Some(end) = head.end(input.get(..MAX_ANSWER).unwrap_or(input)) else {
        return if input.len() < MAX_ANSWER {
            Ok(Answer::Partial)
        } else {
            Err(Cause::proxy_malformed())
        };
    };
    let mut lines = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut parsed = httparse::Response::new(&mut lines);
    match parsed.parse(&input[..end]) {
        Ok(httparse::Status::Complete(length)) if length == end => {}
        Ok(_) | Err(_) => return Err(Cause::proxy_malformed()),
    }
    match parsed.code {
        Some(200..=299) if end == input.len() => Ok(Answer::Open),
        Some(200..=299) | None => Err(Cause::proxy_malformed()),
        Some(status) => Err(Cause::proxy_status(status)),
    }
}

fn socks(error: &tokio_socks::Error) -> Cause {
    use tokio_socks::Error as Socks;
    let code = match error {
        Socks::Io(error) => return Cause::read(Phase::Proxy, Some(error)),
        Socks::NoAcceptableAuthMethods | Socks::PasswordAuthFailure(_) | Socks::AuthorizationRequired => {
            "ERR_PROXY_AUTHENTICATION"
        }
        Socks::ConnectionNotAllowedByRuleset => "EACCES",
        Socks::NetworkUnreachable => "ENETUNREACH",
        Socks::HostUnreachable => "EHOSTUNREACH",
        Socks::ConnectionRefused => "ECONNREFUSED",
        Socks::TtlExpired => "ETIMEDOUT",
        Socks::GeneralSocksServerFailure | Socks::CommandNotSupported | Socks::AddressTypeNotSupported => {
            "ERR_PROXY_REFUSED"
        }
        _ => "ERR_PROXY_MALFORMED",
    };
    Cause::new(Phase::Proxy, code, error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_name_the_server_twice() {
        assert_eq!(
            connect_request("example.com", 80, None),
            "CONNECT example.com:80 HTTP/1.1\r\nHost: example.com:80\r\n\r\n"
        );
        assert_eq!(
            connect_request("::1", 443, Some("Basic eA==")),
            "CONNECT [::1]:443 HTTP/1.1\r\nHost: [::1]:443\r\nProxy-Authorization: Basic eA==\r\n\r\n"
        );
    }

    /// The answer to all of `input` at once.
    fn answer(input: &[u8]) -> Result<Answer, Cause> {
        check_answer(&mut HeadSearch::default(), input)
    }

    #[test]
    fn answers() {
        for good in ["HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.0 299 \r\nContent-Length: 5\r\n\r\n"] {
            for end in 0..good.len() {
                assert_eq!(answer(&good.as_bytes()[..end]), Ok(Answer::Partial));
            }
            assert_eq!(answer(good.as_bytes()), Ok(Answer::Open));
        }
        let refused = answer(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\nbody");
        assert_eq!(refused, Err(Cause::proxy_status(407)));
        let endless = format!("HTTP/1.1 200 OK\r\nA: {}", "b".repeat(MAX_ANSWER));
        let newlines = "\n".repeat(MAX_ANSWER);
        for bad in [
            "HTTP/1.1 200 OK\r\n\r\nx",
            "HTTP/1.1 two hundred\r\n\r\n",
            "HTTP/2 200\r\n\r\n",
            "SSH-2.0\r\n",
            &endless,
            &newlines,
        ] {
            assert_eq!(answer(bad.as_bytes()), Err(Cause::proxy_malformed()));
        }
    }

    #[test]
    fn of_an_answer_in_pieces_only_the_first_bytes_are_looked_at_again() {
        let bytes = b"HTTP/1.1 200 OK\r\nA: b\r\n\r\n";
        let mut head = HeadSearch::default();
        for end in 1..bytes.len() {
            let mut shown = bytes[..end].to_vec();
            shown[..end - 1].iter_mut().skip(7).for_each(|known| *known = b'\n');
            assert_eq!(check_answer(&mut head, &shown), Ok(Answer::Partial), "at {end}");
        }
        assert_eq!(check_answer(&mut head, bytes), Ok(Answer::Open));
    }
}
