//! Where events may be delivered to: an allow-list, asked when a webhook is made and again for the
//! address that is connected to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use reqwest::Url;

const MAX_URL: usize = 2048;

/// The allow-list of an operator. Empty, it lets nothing through.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WebhookTargets(Vec<Entry>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    scheme: &'static str,
    host: Host,
    /// `None`: any.
    port: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Host {
    Name(String),
    /// Every name that ends so.
    Below(String),
    Net(IpNet),
}

/// Why a target is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// Not a URL that can be delivered to.
    #[error("not an http or https URL without user name and fragment, of at most 2048 bytes")]
    Url,
    /// Nothing on the list lets it through.
    #[error("the operator of this gateway has not allowed deliveries to this target")]
    Target,
    /// Its name leads to an address that is not public and has no entry of its own.
    #[error("the name leads to an address that the operator of this gateway has not allowed")]
    Address,
}

impl WebhookTargets {
    /// Reads entries: `https://name`, `https://*.name`, `http://address`, `http://net/bits`, each
    /// with `:port` or for any port. Without a scheme `https` is meant.
    ///
    /// # Errors
    /// Which entry is wrong, and how.
    pub fn parse(entries: &[String]) -> Result<Self, String> {
        let parse = |text: &String| {
            entry(text.trim()).ok_or_else(|| {
                format!(
                    "`{text}` is none of https://NAME, https://*.NAME, https://ADDRESS or \
                     https://NET/BITS, with or without :PORT"
                )
            })
        };
        entries.iter().map(parse).collect::<Result<_, _>>().map(Self)
    }

    /// Reads a target that may be delivered to.
    ///
    /// # Errors
    /// Why it may not.
    pub(crate) fn check(&self, text: &str) -> Result<Url, Refusal> {
        let url: Url = text.parse().map_err(|_| Refusal::Url)?;
        let credentials = !url.username().is_empty() || url.password().is_some();
        let http = matches!(url.scheme(), "http" | "https");
        let (true, Some(host)) = (http, url.host_str()) else { return Err(Refusal::Url) };
        if credentials || url.fragment().is_some() || text.len() > MAX_URL {
            return Err(Refusal::Url);
        }
        let allowed = match address_of(host) {
            Some(address) => self.lists_address(&url, address),
            None => self.lists_name(&url, host),
        };
        if allowed { Ok(url) } else { Err(Refusal::Target) }
    }

    /// Whether an address, to which the name of a target leads, may be connected to.
    pub(crate) fn lets(&self, url: &Url, address: IpAddr) -> bool {
        is_public(address) || self.lists_address(url, address)
    }

    fn lists_address(&self, url: &Url, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.fitting(url)
            .any(|entry| matches!(&entry.host, Host::Net(net) if net.contains(&address)))
    }

    fn lists_name(&self, url: &Url, host: &str) -> bool {
        let host = host.trim_end_matches('.');
        self.fitting(url).any(|entry| match &entry.host {
            Host::Name(name) => name == host,
            Host::Below(name) => {
                host.strip_suffix(name.as_str()).is_some_and(|rest| rest.ends_with('.'))
            }
            Host::Net(_) => false,
        })
    }

    fn fitting(&self, url: &Url) -> impl Iterator<Item = &Entry> {
        let (scheme, port) = (url.scheme().to_owned(), url.port_or_known_default());
        self.0.iter().filter(move |entry| {
            entry.scheme == scheme && entry.port.is_none_or(|own| Some(own) == port)
        })
    }
}

/// The address that a host is, if it is none that must be looked up.
pub(crate) fn address_of(host: &str) -> Option<IpAddr> {
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

fn entry(text: &str) -> Option<Entry> {
    let (scheme, rest) = match text.split_once("://") {
        Some(("http", rest)) => ("http", rest),
        Some(("https", rest)) => ("https", rest),
        Some(_) => return None,
        None => ("https", text),
    };
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    // The port comes behind the bracket of an IPv6 address.
    let colon = rest.rfind(':').filter(|at| !rest[*at..].contains(']'));
    let v6 = rest.matches(':').count() > 1 && !rest.starts_with('[');
    let (host, port) = match colon.filter(|_| !v6) {
        Some(at) => (&rest[..at], Some(rest[at + 1..].parse().ok()?)),
        None => (rest, None),
    };
    Some(Entry { scheme, host: parse_host(host)?, port })
}

fn parse_host(host: &str) -> Option<Host> {
    let plain = host.replace(['[', ']'], "");
    if let Ok(net) = plain.parse::<IpNet>() {
        return Some(Host::Net(net));
    }
    if let Ok(address) = plain.parse::<IpAddr>() {
        return Some(Host::Net(address.into()));
    }
    let name = host.strip_prefix("*.").unwrap_or(host).to_ascii_lowercase();
    let letters = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    // What looks like an address and is none would never be met as a name.
    let numeric =
        name.rsplit('.').next().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()));
    if name.is_empty() || numeric || !name.bytes().all(letters) {
        return None;
    }
    Some(if host.starts_with("*.") { Host::Below(name) } else { Host::Name(name) })
}

/// Whether an address is one of the public internet (IANA's special-purpose registries).
fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = match a {
        0 | 10 | 127 | 224.. => true,
        100 => (64..=127).contains(&b),
        169 => b == 254,
        172 => (16..=31).contains(&b),
        192 => b == 168 || (b == 0 && matches!(c, 0 | 2)) || (b == 88 && c == 99),
        198 => matches!(b, 18 | 19) || (b == 51 && c == 100),
        203 => b == 0 && c == 113,
        _ => false,
    };
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, ..] = address.segments();
    // Only 2000::/3 is given out; of it Teredo and 6to4 carry other addresses, 2001:db8::/32 and
    // 3fff::/20 are for examples, 2001::/23 is for protocols.
    a & 0xe000 == 0x2000
        && !(a == 0x2001 && b < 0x0200)
        && !(a == 0x2001 && b == 0x0db8)
        && a != 0x2002
        && !(a == 0x3fff && b < 0x1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn targets(entries: &[&str]) -> WebhookTargets {
        let entries: Vec<_> = entries.iter().map(ToString::to_string).collect();
        WebhookTargets::parse(&entries).unwrap()
    }

    #[test]
    fn nothing_is_allowed_unless_it_is_listed() {
        let none = WebhookTargets::default();
        assert_eq!(none.check("https://example.org/"), Err(Refusal::Target));
        let some = targets(&[
            "https://hooks.example.org",
            "*.example.net:8443",
            "http://127.0.0.1:9000",
            "http://10.0.0.0/8",
            "https://[fd00::]/8",
        ]);
        for good in [
            "https://hooks.example.org/a?b=c",
            "https://HOOKS.example.org.:444/",
            "https://a.b.example.net:8443/",
            "http://127.0.0.1:9000/",
            "http://10.1.2.3:77/",
            "https://[fd00::1]/",
        ] {
            assert!(some.check(good).is_ok(), "{good}");
        }
        for bad in [
            "http://hooks.example.org/",
            "https://example.org/",
            "https://xhooks.example.org/",
            "https://hooks.example.org.evil.example/",
            "https://example.net:8443/",
            "https://xexample.net:8443/",
            "https://a.example.net/",
            "http://127.0.0.1:9001/",
            "http://127.0.0.2:9000/",
            "http://localhost:9000/",
            "https://10.1.2.3/",
            "http://11.0.0.1/",
            "http://[::1]:9000/",
        ] {
            assert_eq!(some.check(bad), Err(Refusal::Target), "{bad}");
        }
        // Other spellings of one address are that address.
        for same in ["http://2130706433:9000/", "http://0x7f.1:9000/", "http://127.1:9000/"] {
            assert!(some.check(same).is_ok(), "{same}");
        }
        for bad in [
            "ftp://hooks.example.org/",
            "https://u:p@hooks.example.org/",
            "hooks",
            "https://hooks.example.org/#x",
        ] {
            assert_eq!(some.check(bad), Err(Refusal::Url), "{bad}");
        }
    }

    #[test]
    fn a_name_does_not_lead_inside() {
        let some = targets(&["https://hooks.example.org", "https://10.0.0.0/8"]);
        let url = some.check("https://hooks.example.org/").unwrap();
        for public in ["93.184.215.14", "2606:2800:21f:cb07::1", "10.1.2.3", "::ffff:10.1.2.3"] {
            assert!(some.lets(&url, public.parse().unwrap()), "{public}");
        }
        for inside in [
            "127.0.0.1",
            "0.0.0.0",
            "169.254.169.254",
            "172.16.0.1",
            "192.168.1.1",
            "100.64.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "fe80::1",
            "fd00::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "2001:db8::1",
            "2001::1",
        ] {
            assert!(!some.lets(&url, inside.parse().unwrap()), "{inside}");
        }
    }

    #[test]
    fn entries_that_mean_nothing_are_refused() {
        for bad in [
            "",
            "ftp://a",
            "https://",
            "https://a b",
            "https://a:x",
            "https://*",
            "https://1.2.3.400",
        ] {
            assert!(WebhookTargets::parse(&[bad.to_owned()]).is_err(), "{bad}");
        }
    }
}
