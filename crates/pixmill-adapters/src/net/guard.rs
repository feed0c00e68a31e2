//! Which addresses may be called: globally routable ones on ports 80 and 443, and what the user opened.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

pub use ipnet::IpNet;
use ipnet::{Ipv4Net, Ipv6Net};

/// The ports that may be called on any permitted address.
const WEB_PORTS: [u16; 2] = [80, 443];

/// IPv4 ranges that are not the public internet, from the IANA IPv4 Special-Purpose Address Registry,
/// with multicast and the reserved class E. The few anycast services inside `192.0.0.0/24` that the
/// registry calls globally reachable hold no pictures, so that range stays whole.
const SPECIAL_V4: [Ipv4Net; 15] = [
    v4(0, 0, 0, 0, 8),
    v4(10, 0, 0, 0, 8),
    v4(100, 64, 0, 0, 10),
    v4(127, 0, 0, 0, 8),
    v4(169, 254, 0, 0, 16),
    v4(172, 16, 0, 0, 12),
    v4(192, 0, 0, 0, 24),
    v4(192, 0, 2, 0, 24),
    v4(192, 88, 99, 0, 24),
    v4(192, 168, 0, 0, 16),
    v4(198, 18, 0, 0, 15),
    v4(198, 51, 100, 0, 24),
    v4(203, 0, 113, 0, 24),
    v4(224, 0, 0, 0, 4),
    v4(240, 0, 0, 0, 4),
];

/// The only block of IPv6 from which global unicast is handed out (RFC 4291, section 2.4).
const GLOBAL_UNICAST_V6: Ipv6Net = v6([0x2000, 0, 0, 0, 0, 0, 0, 0], 3);

/// Ranges inside it that are not the public internet, from the IANA IPv6 Special-Purpose Address
/// Registry: protocol assignments with Teredo and ORCHID, documentation, and 6to4, which would carry
/// packets to any IPv4 address.
const SPECIAL_V6: [Ipv6Net; 4] = [
    v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 23),
    v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32),
    v6([0x2002, 0, 0, 0, 0, 0, 0, 0], 16),
    v6([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20),
];

/// NAT64's well-known prefix (RFC 6052): hosts of IPv6-only networks reach the public IPv4 internet by it.
const NAT64: Ipv6Net = v6([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96);

const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

const fn v6(s: [u16; 8], prefix: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7]), prefix)
}

/// Judges addresses. It never connects, resolves or parses: what it is given is what would be called.
#[derive(Debug, Clone, Default)]
pub struct Guard {
    allowed: Vec<IpNet>,
}

impl Guard {
    /// A guard that opens `allowed` besides the public internet.
    pub fn new(allowed: impl IntoIterator<Item = IpNet>) -> Self {
        Guard { allowed: allowed.into_iter().map(unmapped_range).collect() }
    }

    /// Whether the address may be called at all: it is globally routable, or in an allowed range.
    ///
    /// An IPv4-mapped IPv6 address is judged as the IPv4 address that it would reach.
    pub fn permits(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.allows(address) || is_global(address)
    }

    /// Whether this port of the address may be called: any in an allowed range, else 80 and 443.
    pub fn permits_socket(&self, socket: SocketAddr) -> bool {
        let address = socket.ip().to_canonical();
        self.allows(address) || (WEB_PORTS.contains(&socket.port()) && is_global(address))
    }

    fn allows(&self, canonical: IpAddr) -> bool {
        self.allowed.iter().any(|range| range.contains(&canonical))
    }
}

/// `::ffff:10.0.0.0/104` as `10.0.0.0/8`, so that an allowed range matches in either spelling.
fn unmapped_range(range: IpNet) -> IpNet {
    let IpNet::V6(v6) = range else { return range };
    let Some(v4) = v6.addr().to_ipv4_mapped() else { return range };
    let prefix = v6.prefix_len().checked_sub(96);
    prefix.and_then(|prefix| Ipv4Net::new(v4, prefix).ok()).map_or(range, IpNet::V4)
}

fn is_global(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_global_v4(v4),
        IpAddr::V6(v6) => is_global_v6(v6),
    }
}

fn is_global_v4(address: Ipv4Addr) -> bool {
    !SPECIAL_V4.iter().any(|range| range.contains(&address))
}

fn is_global_v6(address: Ipv6Addr) -> bool {
    if NAT64.contains(&address) {
        let [.., a, b, c, d] = address.octets();
        return is_global_v4(Ipv4Addr::new(a, b, c, d));
    }
    GLOBAL_UNICAST_V6.contains(&address)
        && !SPECIAL_V6.iter().any(|range| range.contains(&address))
        && !is_isatap(address)
}

/// ISATAP (RFC 5214, section 6.1): an interface identifier of `0000:5efe` or `0200:5efe` and an IPv4
/// address, to which a router on the way would tunnel.
fn is_isatap(address: Ipv6Addr) -> bool {
    matches!(address.segments(), [_, _, _, _, 0 | 0x0200, 0x5efe, _, _])
}

#[cfg(test)]
mod tests {
    use url::{Host, Url};

    use super::*;

    fn guard(allowed: &[&str]) -> Guard {
        Guard::new(allowed.iter().map(|range| range.parse::<IpNet>().unwrap()))
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    /// The address that a URL's host is, when it is one.
    fn literal(url: &str) -> Option<IpAddr> {
        match Url::parse(url).unwrap().host()? {
            Host::Ipv4(v4) => Some(v4.into()),
            Host::Ipv6(v6) => Some(v6.into()),
            Host::Domain(_) => None,
        }
    }

    const BLOCKED: &[&str] = &[
        "0.0.0.0",
        "0.255.255.255",
        "10.0.0.1",
        "10.255.255.255",
        "100.64.0.1",
        "100.127.255.255",
        "127.0.0.1",
        "127.255.255.254",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.8",
        "192.0.0.9",
        "192.0.0.10",
        "192.0.0.170",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.0.1",
        "192.168.255.255",
        "198.18.0.1",
        "198.19.255.255",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "::8.8.8.8",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:0:127.0.0.1",
        "64:ff9b::127.0.0.1",
        "64:ff9b::10.0.0.1",
        "64:ff9b::169.254.169.254",
        "64:ff9b:1::8.8.8.8",
        "64:ff9b:1::7f00:1",
        "64:ff9b:0:1::8.8.8.8",
        "100::1",
        "100:0:0:1::1",
        "2001::1",
        "2001:0:7f00:1::",
        "2001:0:4136:e378:8000:63bf:80ff:fffe",
        "2001:2::1",
        "2001:10::1",
        "2001:20::1",
        "2001:1ff:ffff::1",
        "2001:db8::1",
        "2001:db8::5efe:127.0.0.1",
        "2002:7f00:1::",
        "2002:808:808::1",
        "2a00:1450::5efe:10.0.0.1",
        "2a00:1450::200:5efe:10.0.0.1",
        "3fff::1",
        "3fff:fff::1",
        "4000::1",
        "5f00::1",
        "fc00::1",
        "fd12:3456:789a::1",
        "fe80::1",
        "fe80::5efe:7f00:1",
        "fec0::1",
        "ff02::1",
        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    ];

    const OPEN: &[&str] = &[
        "1.1.1.1",
        "8.8.8.8",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "126.255.255.255",
        "128.0.0.0",
        "169.253.255.255",
        "172.15.255.255",
        "172.32.0.0",
        "192.0.1.1",
        "192.167.255.255",
        "192.169.0.0",
        "198.17.255.255",
        "198.20.0.0",
        "223.255.255.255",
        "::ffff:8.8.8.8",
        "64:ff9b::8.8.8.8",
        "2001:200::1",
        "2001:4860:4860::8888",
        "2001:db7::1",
        "2001:db9::1",
        "2003::1",
        "2606:4700:4700::1111",
        "3fff:1000::1",
    ];

    #[test]
    fn addresses_that_are_not_globally_routable_are_blocked() {
        for text in BLOCKED {
            assert!(!guard(&[]).permits(address(text)), "{text}");
            assert!(!guard(&[]).permits_socket(SocketAddr::new(address(text), 80)), "{text}");
        }
    }

    #[test]
    fn public_addresses_are_open_on_the_web_ports_alone() {
        for text in OPEN {
            assert!(guard(&[]).permits(address(text)), "{text}");
            for (port, open) in [(80, true), (443, true), (22, false), (8080, false), (0, false)] {
                let socket = SocketAddr::new(address(text), port);
                assert_eq!(guard(&[]).permits_socket(socket), open, "{socket}");
            }
        }
    }

    #[test]
    fn every_spelling_of_a_private_host_in_a_url_is_blocked() {
        let spellings = [
            "127.0.0.1",
            "127.0.0.2",
            "127.255.255.254",
            "127.1",
            "127.0.1",
            "2130706433",
            "017700000001",
            "0177.0.0.1",
            "0x7f000001",
            "0x7f.0.0.1",
            "0x7f.1",
            "127.0.0.1.",
            "127.0.0.0x1",
            "0",
            "0.0.0.0",
            "user:pass@127.0.0.1",
            "images.example.com@127.0.0.1",
            "127。0。0。1",
            "①②⑦.⓪.⓪.①",
            "%31%32%37.0.0.1",
            "[::1]",
            "[0:0:0:0:0:0:0:1]",
            "[::]",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "[::127.0.0.1]",
            "[64:ff9b::7f00:1]",
            "[64:ff9b::127.0.0.1]",
            "[64:ff9b:1::7f00:1]",
            "[2002:7f00:1::]",
            "[2001:0:7f00:1::]",
            "[2001:0:4136:e378:8000:63bf:80ff:fffe]",
            "[fe80::5efe:7f00:1]",
            "[2001:db8::5efe:127.0.0.1]",
            "[fe80::1]",
            "[fc00::1]",
            "[ff02::1]",
            "[100::1]",
            "10.0.0.1",
            "172.16.0.1",
            "192.168.0.1",
            "169.254.169.254",
            "100.64.0.1",
            "192.0.0.8",
            "192.0.2.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
        ];
        for spelling in spellings {
            for port in ["", ":80", ":9000"] {
                let url = format!("http://{spelling}{port}/a.jpg");
                let address = literal(&url).unwrap_or_else(|| panic!("{url} is not read as an address"));
                assert!(!guard(&[]).permits(address), "{url}");
            }
        }
    }

    #[test]
    fn an_allowed_range_opens_every_port_of_itself_and_nothing_beside() {
        let guard = guard(&["127.0.0.1/32", "10.1.0.0/16", "fd00::/8"]);
        for open in ["127.0.0.1:9000", "127.0.0.1:22", "10.1.2.3:1", "[fd00::1]:8080"] {
            assert!(guard.permits_socket(open.parse().unwrap()), "{open}");
        }
        for shut in ["127.0.0.2:80", "10.2.0.1:80", "[fc00::1]:80", "[::1]:80", "8.8.8.8:8080"] {
            assert!(!guard.permits_socket(shut.parse().unwrap()), "{shut}");
        }
    }

    #[test]
    fn a_mapped_address_is_judged_as_the_ipv4_address_it_reaches() {
        let guard = guard(&["127.0.0.1/32", "::/0"]);
        assert!(guard.permits_socket("[::ffff:127.0.0.1]:9000".parse().unwrap()));
        assert!(!guard.permits_socket("[::ffff:127.0.0.2]:9000".parse().unwrap()));
    }

    #[test]
    fn a_range_written_in_mapped_form_opens_the_ipv4_range() {
        let guard = guard(&["::ffff:10.0.0.0/104"]);
        assert!(guard.permits(address("10.9.9.9")));
        assert!(guard.permits(address("::ffff:10.9.9.9")));
        assert!(!guard.permits(address("172.16.0.1")));
    }

    #[test]
    fn leave_for_a_private_ipv4_range_is_no_leave_to_reach_it_through_a_translator() {
        let guard = guard(&["10.0.0.0/8"]);
        assert!(!guard.permits(address("64:ff9b::10.0.0.1")));
        assert!(!guard.permits(address("2002:a00:1::1")));
    }
}
