//! ICE candidates as text: <https://www.rfc-editor.org/rfc/rfc8839#section-5.1>.

use std::net::{IpAddr, SocketAddr};

use rtc::ice::candidate::candidate_host::CandidateHostConfig;
use rtc::ice::candidate::{Candidate, CandidateConfig, unmarshal_candidate};
use rtc::shared::error::Error;

/// A remote candidate that could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct InvalidCandidate;

/// A remote candidate that can be checked.
#[derive(Clone)]
pub(crate) struct RemoteCandidate(pub(super) Candidate);

/// Reads a `candidate` attribute's value. `None` when it is valid but of a kind that is skipped:
/// TCP, another component, names, and addresses to which no check may be sent.
pub(crate) fn parse_candidate(value: &str) -> Result<Option<RemoteCandidate>, InvalidCandidate> {
    let value = value.strip_prefix("candidate:").unwrap_or(value);
    let fields: Vec<&str> = value.split_ascii_whitespace().collect();
    let [_, component, transport, priority, address, port, "typ", kind, ..] = fields[..] else {
        return Err(InvalidCandidate);
    };
    let component: u16 = component.parse().map_err(|_| InvalidCandidate)?;
    priority.parse::<u32>().map_err(|_| InvalidCandidate)?;
    let port: u16 = port.parse().map_err(|_| InvalidCandidate)?;
    if !matches!(kind, "host" | "srflx" | "prflx" | "relay") {
        return Err(InvalidCandidate);
    }
    let Ok(ip) = address.parse::<IpAddr>() else {
        return Ok(None);
    };
    if component != 1 || !transport.eq_ignore_ascii_case("udp") || port == 0 || !is_checkable(ip) {
        return Ok(None);
    }
    unmarshal_candidate(value)
        .map(|candidate| Some(RemoteCandidate(candidate)))
        .map_err(|_| InvalidCandidate)
}

fn is_checkable(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => !(ip.is_unspecified() || ip.is_multicast() || ip.is_broadcast()),
        // Link-local addresses need a scope, which candidates do not carry.
        IpAddr::V6(ip) => {
            !(ip.is_unspecified() || ip.is_multicast() || ip.is_unicast_link_local() || ip.to_ipv4_mapped().is_some())
        }
    }
}

/// The candidate as an attribute's value.
pub(super) fn attribute(candidate: &Candidate) -> String {
    format!("candidate:{}", candidate.marshal())
}

/// A host candidate whose local preference falls with its index, since the crate gives all the same.
pub(super) fn host_candidate(index: usize, base: SocketAddr) -> Result<Candidate, Error> {
    let preference = u32::from(u16::MAX) - index as u32;
    let base_config = CandidateConfig {
        network: "udp".into(),
        address: base.ip().to_string(),
        port: base.port(),
        component: 1,
        priority: (126 << 24) | (preference << 8) | 255,
        ..CandidateConfig::default()
    };
    CandidateHostConfig {
        base_config,
        ..CandidateHostConfig::default()
    }
    .new_candidate_host()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candidates_that_must_not_be_checked_are_skipped() {
        let checked = "candidate:1 1 udp 2113937151 192.0.2.1 5000 typ host generation 0 ufrag abcd";
        assert!(matches!(parse_candidate(checked), Ok(Some(_))));
        let reflexive = "1 1 UDP 1677729535 2001:db8::1 5000 typ srflx raddr 192.0.2.1 rport 5000";
        assert!(matches!(parse_candidate(reflexive), Ok(Some(_))));
        for skipped in [
            "candidate:1 1 tcp 1 192.0.2.1 9 typ host tcptype active",
            "candidate:1 2 udp 1 192.0.2.1 5000 typ host",
            "candidate:1 1 udp 1 192.0.2.1 0 typ host",
            "candidate:1 1 udp 1 0.0.0.0 5000 typ host",
            "candidate:1 1 udp 1 224.0.0.1 5000 typ host",
            "candidate:1 1 udp 1 255.255.255.255 5000 typ host",
            "candidate:1 1 udp 1 :: 5000 typ host",
            "candidate:1 1 udp 1 fe80::1 5000 typ host",
            "candidate:1 1 udp 1 ::ffff:192.0.2.1 5000 typ host",
            "candidate:1 1 udp 1 0e2f.local 5000 typ host",
        ] {
            assert!(matches!(parse_candidate(skipped), Ok(None)), "{skipped}");
        }
        for invalid in [
            "",
            "candidate:",
            "candidate:1 1 udp 1 192.0.2.1 65536 typ host",
            "candidate:1 1 udp x 192.0.2.1 5000 typ host",
            "candidate:1 1 udp 1 192.0.2.1 5000 typ other",
            "candidate:1 1 udp 1 192.0.2.1 5000 host typ",
            "candidate:1 1 udp 1 192.0.2.1 5000 typ srflx raddr",
        ] {
            assert!(matches!(parse_candidate(invalid), Err(InvalidCandidate)), "{invalid}");
        }
    }
}
