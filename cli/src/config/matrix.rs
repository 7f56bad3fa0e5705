//! `[http.matrix]`: the facade for bots written for Matrix.

use std::net::SocketAddr;

use clap::Args;
use quicproquo_gateway::{GatewayConfig, MatrixConfig};
use serde::{Deserialize, Serialize};

use super::layers::address;
use crate::exit::Failure;

/// Longest name of a server in Matrix ids, in bytes.
const MAX_NAME: usize = 128;

/// The facade for bots written for Matrix.
#[derive(Debug, Clone, Default, Args, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct MatrixLayer {
    /// Whether bots written for Matrix are served, below /_matrix [default: true].
    #[arg(
        id = "http_matrix_enabled",
        long = "matrix",
        env = "QPQ_HTTP_MATRIX_ENABLED",
        value_name = "BOOL",
        num_args = 0..=1,
        default_missing_value = "true"
    )]
    pub(super) enabled: Option<bool>,
    /// What Matrix ids have behind their colon; clients keep it [default: localhost].
    #[arg(
        id = "http_matrix_server_name",
        long = "matrix-server-name",
        env = "QPQ_HTTP_MATRIX_SERVER_NAME",
        value_name = "NAME"
    )]
    pub(super) server_name: Option<String>,
    /// An address for Matrix alone; needs a certificate unless it is loopback [default: none, it
    /// is served where the API is].
    #[arg(
        id = "http_matrix_listen",
        long = "matrix-listen",
        env = "QPQ_HTTP_MATRIX_LISTEN",
        value_name = "ADDR",
        value_parser = address
    )]
    pub(super) listen: Option<SocketAddr>,
    /// Origins whose pages may use the Matrix routes (CORS) [default: none].
    #[arg(
        id = "http_matrix_allowed_origins",
        long = "matrix-allowed-origin",
        env = "QPQ_HTTP_MATRIX_ALLOWED_ORIGINS",
        value_name = "ORIGIN",
        value_delimiter = ','
    )]
    pub(super) allowed_origins: Option<Vec<String>>,
    /// Whether files are given without a token to whoever knows their id, as old clients want
    /// it [default: false].
    #[arg(
        id = "http_matrix_open_media",
        long = "matrix-open-media",
        env = "QPQ_HTTP_MATRIX_OPEN_MEDIA",
        value_name = "BOOL",
        num_args = 0..=1,
        default_missing_value = "true"
    )]
    pub(super) open_media: Option<bool>,
}

/// The result.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Matrix {
    enabled: bool,
    server_name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) listen: Option<SocketAddr>,
    allowed_origins: Vec<String>,
    open_media: bool,
}

impl Matrix {
    /// Defaults, then the file, then environment and flags.
    pub(super) fn load(flags: MatrixLayer, file: MatrixLayer) -> Result<Self, Failure> {
        let MatrixConfig { server_name, .. } = MatrixConfig::default();
        let server_name = flags.server_name.or(file.server_name).unwrap_or(server_name);
        let fits = |b: u8| b.is_ascii_alphanumeric() || b".-:[]".contains(&b);
        if !(1..=MAX_NAME).contains(&server_name.len()) || !server_name.bytes().all(fits) {
            let message = format!("http.matrix.server_name {server_name:?} is no name of a server");
            return Err(Failure::usage(message));
        }
        let origins = flags.allowed_origins.or(file.allowed_origins).unwrap_or_default();
        let origins = origins.iter().map(|origin| origin.to_ascii_lowercase());
        let allowed_origins: Vec<_> = origins.collect();
        let whole = |origin: &String| {
            origin
                .split_once("://")
                .is_some_and(|(_, host)| !host.is_empty() && !host.contains('/'))
        };
        if let Some(origin) = allowed_origins.iter().find(|origin| !whole(origin)) {
            return Err(Failure::usage(format!(
                "http.matrix.allowed_origins: {origin:?} is no origin, like https://bots.example"
            )));
        }
        let enabled = flags.enabled.or(file.enabled).unwrap_or(true);
        let listen = flags.listen.or(file.listen);
        if listen.is_some() && !enabled {
            return Err(Failure::usage(
                "http.matrix.enabled is false, and http.matrix.listen is for it",
            ));
        }
        let open_media = flags.open_media.or(file.open_media).unwrap_or(false);
        Ok(Self { enabled, server_name, listen, allowed_origins, open_media })
    }

    /// Puts the settings into what the gateway takes.
    pub(super) fn apply(&self, config: &mut GatewayConfig) {
        let Self { enabled, server_name, listen, allowed_origins, open_media } = self.clone();
        let matrix = MatrixConfig { server_name, listen, allowed_origins, open_media };
        config.matrix = enabled.then_some(matrix);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<Matrix, String> {
        let file = toml::from_str(text).unwrap();
        Matrix::load(MatrixLayer::default(), file).map_err(|failure| failure.to_string())
    }

    #[test]
    fn it_is_on_and_can_be_off() {
        let mut config = GatewayConfig::new("/nowhere");
        load("").unwrap().apply(&mut config);
        assert_eq!(config.matrix, Some(MatrixConfig::default()));
        load("enabled = false").unwrap().apply(&mut config);
        assert_eq!(config.matrix, None);
        let off = load("enabled = false\nlisten = \"127.0.0.1:1\"").unwrap_err();
        assert!(off.contains("http.matrix.listen"), "{off}");
    }

    #[test]
    fn names_and_origins_have_a_form() {
        for good in ["bots.example", "localhost:8080", "[::1]"] {
            load(&format!("server_name = {good:?}")).unwrap();
        }
        for bad in ["", "a b", "a/b", "@a"] {
            assert!(load(&format!("server_name = {bad:?}")).is_err(), "{bad}");
        }
        load("allowed_origins = [\"https://Bots.example\"]").unwrap();
        for bad in ["*", "bots.example", "https://bots.example/"] {
            assert!(load(&format!("allowed_origins = [{bad:?}]")).is_err(), "{bad}");
        }
    }
}
