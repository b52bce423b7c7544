//! Which local addresses become host candidates: <https://www.rfc-editor.org/rfc/rfc8445#section-5.1.1.1>.

use std::net::IpAddr;

use super::udp::Udp;

/// More addresses than this only multiply the pairs to check.
const MAX_ADDRESSES: usize = 16;

/// Binds a socket on each usable address of the machine. Addresses on which that fails are left out.
pub(super) fn gather() -> Vec<Udp> {
    let interfaces = if_addrs::get_if_addrs().unwrap_or_default();
    let addresses = usable(interfaces.iter().map(|interface| interface.ip()));
    addresses
        .into_iter()
        .filter_map(|address| Udp::bind(address).ok())
        .collect()
}

/// All addresses but link-local ones; loopback only where there is nothing else.
fn usable(addresses: impl Iterator<Item = IpAddr>) -> Vec<IpAddr> {
    let mut usable: Vec<IpAddr> = Vec::new();
    let mut loopback: Vec<IpAddr> = Vec::new();
    for address in addresses {
        let link_local = match address {
            // RFC 3927 addresses work without a scope.
            IpAddr::V4(_) => false,
            IpAddr::V6(address) => address.is_unicast_link_local(),
        };
        let list = if address.is_loopback() {
            &mut loopback
        } else {
            &mut usable
        };
        if !link_local && !address.is_unspecified() && !list.contains(&address) {
            list.push(address);
        }
    }
    if usable.is_empty() {
        usable = loopback;
    }
    usable.truncate(MAX_ADDRESSES);
    usable
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(addresses: &[&str]) -> Vec<String> {
        let parsed = addresses.iter().map(|address| address.parse().expect("an address"));
        usable(parsed).iter().map(IpAddr::to_string).collect()
    }

    #[test]
    fn loopback_is_the_last_resort() {
        assert_eq!(
            of(&["127.0.0.1", "::1", "192.0.2.1", "fe80::1", "2001:db8::1"]),
            ["192.0.2.1", "2001:db8::1"]
        );
        assert_eq!(of(&["127.0.0.1", "::1", "fe80::1"]), ["127.0.0.1", "::1"]);
        assert_eq!(of(&["192.0.2.1", "192.0.2.1"]), ["192.0.2.1"]);
        assert_eq!(of(&[]), Vec::<String>::new());
    }
}
