//! Against web pages: the exact `Host`, the `Origin`, `Sec-Fetch-Site`.
//!
//! A page that rebinds its name to 127.0.0.1 sends its own name in `Host`; a page of another site
//! is named by `Origin` or `Sec-Fetch-Site`. Bots send neither of the latter two.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{HOST, ORIGIN};
use http::{HeaderMap, Uri};

use crate::config::GatewayConfig;
use crate::door::Peer;
use crate::matrix;
use crate::problem::{Kind, Problem};

/// Which hosts and origins are answered.
#[derive(Debug, Clone)]
pub(crate) struct Guard {
    hosts: HashSet<String>,
    origins: HashSet<String>,
    /// Those whose pages may use the Matrix routes.
    matrix_origins: HashSet<String>,
}

impl Guard {
    /// Answers to the bound address, to `localhost`, and to what is configured.
    pub(crate) fn new(bound: SocketAddr, config: &GatewayConfig) -> Self {
        let port = bound.port();
        let mut hosts: HashSet<String> = ["localhost", "127.0.0.1", "[::1]"]
            .iter()
            .map(|name| format!("{name}:{port}"))
            .chain([bound.to_string()])
            .chain(config.allowed_hosts.iter().map(|host| host.to_ascii_lowercase()))
            .collect();
        if port == 80 {
            // Clients leave the scheme's own port out.
            hosts.extend(["localhost", "127.0.0.1", "[::1]"].map(str::to_owned));
        }
        let origins = hosts
            .iter()
            .flat_map(|host| [format!("http://{host}"), format!("https://{host}")])
            .chain(config.allowed_origins.iter().map(|origin| origin.to_ascii_lowercase()))
            .collect();
        let matrix_origins =
            config.matrix.iter().flat_map(|matrix| &matrix.allowed_origins).cloned().collect();
        Self { hosts, origins, matrix_origins }
    }

    /// A Unix socket is no address that a page could reach: there `localhost` needs no port.
    fn check(&self, peer: Option<Peer>, uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let mut hosts = headers.get_all(HOST).iter();
        let host = hosts.next().and_then(|value| value.to_str().ok()).unwrap_or_default();
        let local = |host: &str| peer == Some(Peer::Local) && host == "localhost";
        let known = |host: &str| self.hosts.contains(&host.to_ascii_lowercase()) || local(host);
        let absolute = uri.authority().is_none_or(|authority| known(authority.as_str()));
        if hosts.next().is_some() || !known(host) || !absolute {
            return Err(Problem::new(Kind::HostRefused));
        }
        if headers.contains_key(ORIGIN) {
            let origin = text(ORIGIN.as_str()).unwrap_or_default().to_ascii_lowercase();
            let matrix = || matrix::is_route(uri.path()) && self.matrix_origins.contains(&origin);
            if !self.origins.contains(&origin) && !matrix() {
                return Err(Problem::new(Kind::OriginRefused));
            }
        }
        // A configured origin may be another site: its Origin was looked at above.
        if headers.contains_key(ORIGIN) {
            return Ok(());
        }
        match text("sec-fetch-site") {
            Some("cross-site") => Err(Problem::new(Kind::OriginRefused)),
            // A page at another port of this machine may lead here, and use nothing of it.
            Some("same-site") if text("sec-fetch-mode") != Some("navigate") => {
                Err(Problem::new(Kind::OriginRefused))
            }
            _ => Ok(()),
        }
    }
}

/// Refuses requests that a foreign page may have sent.
pub(crate) async fn guard(
    State(hosts): State<Arc<Guard>>,
    request: Request,
    next: Next,
) -> Response {
    let peer = request.extensions().get().copied();
    match hosts.check(peer, request.uri(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::MatrixConfig;

    fn guard() -> Guard {
        let mut config = GatewayConfig::new("/nowhere");
        config.allowed_hosts = vec!["Bots.example".to_owned()];
        config.allowed_origins = vec!["https://panel.example".to_owned()];
        let allowed_origins = vec!["https://pages.example".to_owned()];
        config.matrix = Some(MatrixConfig { allowed_origins, ..MatrixConfig::default() });
        Guard::new("127.0.0.1:8080".parse().unwrap(), &config)
    }

    fn check(pairs: &[(&str, &str)]) -> Option<Kind> {
        let headers: HeaderMap = pairs
            .iter()
            .map(|(name, value)| {
                (name.parse::<http::HeaderName>().unwrap(), value.parse().unwrap())
            })
            .collect();
        check_from(None, &headers)
    }

    fn check_from(peer: Option<Peer>, headers: &HeaderMap) -> Option<Kind> {
        let uri = "/v1/me".parse().unwrap();
        guard().check(peer, &uri, headers).err().map(|problem| problem.kind())
    }

    #[test]
    fn only_known_hosts_are_answered() {
        for host in ["localhost:8080", "127.0.0.1:8080", "[::1]:8080", "BOTS.example"] {
            assert_eq!(check(&[("host", host)]), None, "{host}");
        }
        for host in ["", "localhost", "localhost:81", "evil.example:8080", "127.0.0.1:8080.evil"] {
            assert_eq!(check(&[("host", host)]), Some(Kind::HostRefused), "{host}");
        }
        assert_eq!(check(&[]), Some(Kind::HostRefused));
    }

    #[test]
    fn foreign_pages_are_refused() {
        let host = ("host", "localhost:8080");
        assert_eq!(check(&[host, ("origin", "http://localhost:8080")]), None);
        assert_eq!(check(&[host, ("origin", "https://panel.example")]), None);
        for origin in ["null", "http://evil.example", "http://localhost:8081"] {
            assert_eq!(check(&[host, ("origin", origin)]), Some(Kind::OriginRefused), "{origin}");
        }
        let cross = ("sec-fetch-site", "cross-site");
        assert_eq!(check(&[host, cross]), Some(Kind::OriginRefused));
        assert_eq!(check(&[host, ("sec-fetch-site", "same-origin")]), None);
        let near = ("sec-fetch-site", "same-site");
        assert_eq!(check(&[host, near, ("sec-fetch-mode", "navigate")]), None);
        let script = check(&[host, near, ("sec-fetch-mode", "no-cors")]);
        assert_eq!(script, Some(Kind::OriginRefused));
        let panel = ("origin", "https://panel.example");
        assert_eq!(check(&[host, cross, panel]), None);
    }

    #[test]
    fn pages_of_matrix_clients_see_the_matrix_routes_only() {
        let pairs = [("host", "localhost:8080"), ("origin", "https://pages.example")];
        assert_eq!(check(&pairs), Some(Kind::OriginRefused));
        let headers = |(name, value): &(&'static str, &str)| {
            (http::HeaderName::from_static(name), value.parse().unwrap())
        };
        let headers: HeaderMap = pairs.iter().map(headers).collect();
        let uri = "/_matrix/client/v3/sync".parse().unwrap();
        assert!(guard().check(None, &uri, &headers).is_ok());
    }

    #[test]
    fn an_absolute_target_is_looked_at_too() {
        let headers: HeaderMap = [(HOST, "localhost:8080".parse().unwrap())].into_iter().collect();
        let uri = "http://evil.example/v1/me".parse().unwrap();
        assert!(guard().check(None, &uri, &headers).is_err());
    }

    #[test]
    fn localhost_needs_no_port_at_the_socket_only() {
        let headers = |host: &'static str| [(HOST, host.parse().unwrap())].into_iter().collect();
        let local = Some(Peer::Local);
        assert_eq!(check_from(local, &headers("localhost")), None);
        assert_eq!(check_from(local, &headers("evil.example")), Some(Kind::HostRefused));
        let tcp = Some(Peer::Tcp("127.0.0.1:5".parse().unwrap()));
        assert_eq!(check_from(tcp, &headers("localhost")), Some(Kind::HostRefused));
    }
}
