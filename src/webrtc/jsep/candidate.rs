//! A candidate's attribute: [RFC 8839, section 5.1](https://www.rfc-editor.org/rfc/rfc8839#section-5.1), as
//! [`RTCIceCandidate`](https://w3c.github.io/webrtc-pc/#rtcicecandidate-interface) reads it.

use super::parse::is_ice_char;

/// What a `candidate:` text says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Candidate<'a> {
    pub(crate) foundation: &'a str,
    pub(crate) component: Component,
    pub(crate) protocol: Protocol,
    pub(crate) priority: u32,
    /// An address, an FQDN or an mDNS name.
    pub(crate) address: &'a str,
    pub(crate) port: u16,
    pub(crate) kind: CandidateKind,
    pub(crate) related_address: Option<&'a str>,
    pub(crate) related_port: Option<u16>,
    pub(crate) tcp_type: Option<TcpKind>,
    pub(crate) username_fragment: Option<&'a str>,
}

/// RTP (1, also data) or RTCP (2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Component {
    Rtp,
    Rtcp,
}

/// The transport protocol of a candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Udp,
    Tcp,
}

/// The type of a candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CandidateKind {
    Host,
    Srflx,
    Prflx,
    Relay,
}

/// RFC 6544's tcptype.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TcpKind {
    Active,
    Passive,
    So,
}

impl Component {
    /// The value of `RTCIceComponent`.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Rtp => "rtp",
            Self::Rtcp => "rtcp",
        }
    }
}

impl Protocol {
    /// The value of `RTCIceProtocol`.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
        }
    }
}

impl CandidateKind {
    /// The value of `RTCIceCandidateType`.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Srflx => "srflx",
            Self::Prflx => "prflx",
            Self::Relay => "relay",
        }
    }
}

impl TcpKind {
    /// The value of `RTCIceTcpCandidateType`.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Passive => "passive",
            Self::So => "so",
        }
    }
}

/// The longest candidate that is read, in bytes.
const MAX_BYTES: usize = 2048;

/// Parses `candidate:…`; a leading `a=` is forgiven, as browsers do. `None` when it does not follow the grammar or names
/// a component, protocol or type that the interface has no word for.
pub(crate) fn parse(text: &str) -> Option<Candidate<'_>> {
    if text.len() > MAX_BYTES || text.bytes().any(|byte| byte.is_ascii_control()) {
        return None;
    }
    let text = text.strip_prefix("a=").unwrap_or(text).strip_prefix("candidate:")?;
    let mut words = text.split(' ').filter(|word| !word.is_empty());
    let foundation = words.next().filter(|f| f.len() <= 32 && f.bytes().all(is_ice_char))?;
    let component = match words.next()? {
        "1" => Component::Rtp,
        "2" => Component::Rtcp,
        _ => return None,
    };
    let protocol = match words.next()? {
        p if p.eq_ignore_ascii_case("udp") => Protocol::Udp,
        p if p.eq_ignore_ascii_case("tcp") => Protocol::Tcp,
        _ => return None,
    };
    let priority = digits(words.next()?)?.parse().ok()?;
    let address = words.next().filter(|address| address.bytes().all(is_address_char))?;
    let port = digits(words.next()?)?.parse().ok()?;
    if words.next()? != "typ" {
        return None;
    }
    let kind = match words.next()? {
        "host" => CandidateKind::Host,
        "srflx" => CandidateKind::Srflx,
        "prflx" => CandidateKind::Prflx,
        "relay" => CandidateKind::Relay,
        _ => return None,
    };
    let mut candidate = Candidate {
        foundation,
        component,
        protocol,
        priority,
        address,
        port,
        kind,
        related_address: None,
        related_port: None,
        tcp_type: None,
        username_fragment: None,
    };
    while let (Some(name), Some(value)) = (words.next(), words.next()) {
        match name {
            "raddr" if value.bytes().all(is_address_char) => candidate.related_address = Some(value),
            "raddr" => return None,
            "rport" => candidate.related_port = Some(digits(value)?.parse().ok()?),
            "tcptype" => {
                candidate.tcp_type = Some(match value {
                    "active" => TcpKind::Active,
                    "passive" => TcpKind::Passive,
                    "so" => TcpKind::So,
                    _ => return None,
                });
            }
            "ufrag" => candidate.username_fragment = Some(value),
            // Extensions of others (generation, network-id, network-cost) say nothing to us.
            _ => {}
        }
    }
    // RFC 6544, section 4.5: a TCP candidate names its type, no other does.
    match (protocol, candidate.tcp_type) {
        (Protocol::Tcp, None) | (Protocol::Udp, Some(_)) => None,
        (Protocol::Tcp, Some(_)) | (Protocol::Udp, None) => Some(candidate),
    }
}

/// Only digits: `parse` alone would take a plus sign.
fn digits(text: &str) -> Option<&str> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then_some(text)
}

/// Characters of an IPv4 or IPv6 address (with a zone) or of a host name.
const fn is_address_char(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b':' | b'-' | b'_' | b'%')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_candidates_of_all_kinds() {
        let host = parse(
            "candidate:685846013 1 udp 2113937151 192.0.2.2 35320 typ host generation 0 ufrag a5i5 network-cost 999",
        );
        let host = host.expect("valid");
        assert_eq!(
            (host.foundation, host.component, host.priority),
            ("685846013", Component::Rtp, 2_113_937_151)
        );
        assert_eq!(
            (host.address, host.port, host.username_fragment),
            ("192.0.2.2", 35_320, Some("a5i5"))
        );
        let relay = "a=candidate:4 2 UDP 1 2001:db8::1 1 typ relay raddr 0.0.0.0 rport 0";
        let relay = parse(relay).expect("valid");
        assert_eq!((relay.kind, relay.component), (CandidateKind::Relay, Component::Rtcp));
        assert_eq!((relay.related_address, relay.related_port), (Some("0.0.0.0"), Some(0)));
        let tcp = parse("candidate:1 1 tcp 1 name.local 9 typ host tcptype active").expect("valid");
        assert_eq!(
            (tcp.protocol, tcp.tcp_type, tcp.address),
            (Protocol::Tcp, Some(TcpKind::Active), "name.local")
        );
    }

    #[test]
    fn refuses_what_is_none() {
        for text in [
            "",
            "candidate:",
            "candidate:1 1 udp 1 192.0.2.1 1 typ",
            "candidate:1 1 udp 1 192.0.2.1 1 host",
            "candidate:1 1 udp 1 192.0.2.1 65536 typ host",
            "candidate:1 1 udp 1 192.0.2.1 -1 typ host",
            "candidate:1 1 udp +1 192.0.2.1 1 typ host",
            "candidate:1 1 udp 4294967296 192.0.2.1 1 typ host",
            "candidate:1 3 udp 1 192.0.2.1 1 typ host",
            "candidate:1 1 sctp 1 192.0.2.1 1 typ host",
            "candidate:1 1 udp 1 192.0.2.1 1 typ guess",
            "candidate:1 1 udp 1 192.0.2.1/a 1 typ host",
            "candidate:1 1 tcp 1 192.0.2.1 1 typ host",
            "candidate:1 1 udp 1 192.0.2.1 1 typ host tcptype so",
            "candidate:1 1 udp 1 192.0.2.1 1 typ srflx raddr 192.0.2.1 rport 70000",
            "candidate:a%b 1 udp 1 192.0.2.1 1 typ host",
            "candidate:1 1 udp 1 192.0.2.1 1 typ host\r\na=fingerprint:x",
            "1 1 udp 1 192.0.2.1 1 typ host",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
