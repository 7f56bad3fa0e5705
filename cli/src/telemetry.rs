//! Logs, on standard error; and traces, to a collector, where the settings name one.

use std::fs::File;
use std::io::IsTerminal;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{
    OTEL_EXPORTER_OTLP_TIMEOUT_DEFAULT, SpanExporter, WithExportConfig as _, WithHttpConfig as _,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use reqwest::blocking::Client as HttpClient;
use tracing_subscriber::filter::{EnvFilter, filter_fn};
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer, Registry, fmt};

use crate::config::{LogFormat, Settings};
use crate::exit::Failure;
use crate::output::wants_colour;

/// Of the store's own libraries only what is wrong, unless the filter names them; and nothing of
/// certificates that do not verify, which who asks says.
const QUIET: &str = "fjall=warn,lsm_tree=warn,rustls_platform_verifier=off";

/// How long the last traces may take to leave.
const FLUSH: Duration = Duration::from_secs(2);

/// Where the traces of this process go.
static TRACES: OnceLock<SdkTracerProvider> = OnceLock::new();

/// Starts logging, and tracing, as the settings say.
pub(crate) fn start(settings: &Settings) -> Result<(), Failure> {
    let colour = std::io::stderr().is_terminal() && wants_colour();
    start_with(settings, BoxMakeWriter::new(std::io::stderr), colour)
}

/// The same into a file, which only its owner reads, for a command that has the whole terminal.
pub(crate) fn start_in(settings: &Settings, path: &Path) -> Result<(), Failure> {
    let file = File::options().create(true).append(true).mode(0o600).open(path);
    let file = file.map_err(|error| Failure::other(format!("{}: {error}", path.display())))?;
    start_with(settings, BoxMakeWriter::new(Mutex::new(file)), false)
}

fn start_with(settings: &Settings, writer: BoxMakeWriter, colour: bool) -> Result<(), Failure> {
    let filter = EnvFilter::builder()
        .parse(format!("{QUIET},{}", settings.log))
        .map_err(|error| Failure::usage(format!("the log filter {:?}: {error}", settings.log)))?;
    let logs = fmt::layer().with_writer(writer).with_ansi(colour);
    let logs = match settings.log_format {
        LogFormat::Text => logs.boxed(),
        LogFormat::Json => logs.json().boxed(),
    };
    let traces = settings.otlp_endpoint.as_deref().map(traces).transpose()?;
    let started = tracing_subscriber::registry().with(layers(filter, logs, traces)).try_init();
    started.map_err(|error| Failure::other(format!("logging: {error}")))
}

type BoxedLayer = Box<dyn Layer<Registry> + Send + Sync>;

fn layers(filter: EnvFilter, logs: BoxedLayer, traces: Option<BoxedLayer>) -> BoxedLayer {
    match traces {
        // A filter of both is cheaper than one of each. It is the outer layer, whose level the
        // registry asks for: below it, nothing is made at all.
        None => logs.and_then(filter).boxed(),
        Some(traces) => logs.with_filter(filter).and_then(traces).boxed(),
    }
}

/// Our own spans, without what is logged inside of them.
fn traces(endpoint: &str) -> Result<BoxedLayer, Failure> {
    let url = format!("{}/v1/traces", endpoint.trim_end_matches('/'));
    let failed = |error: &dyn std::fmt::Display| {
        Failure::usage(format!("the collector of traces {endpoint:?}: {error}"))
    };
    if !endpoint.starts_with("http://") && !endpoint.starts_with("https://") {
        return Err(failed(&"not an http:// or https:// address"));
    }
    let client = collector(endpoint.starts_with("https://")).map_err(|error| failed(&error))?;
    let exporter = SpanExporter::builder().with_http().with_http_client(client).with_endpoint(url);
    let exporter = exporter.build().map_err(|error| failed(&error))?;
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(Resource::builder().with_service_name("quicproquo").build())
        .build();
    let layer = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("quicproquo"))
        .with_location(false)
        .with_threads(false)
        .with_filter(filter_fn(|about| {
            about.is_span() && about.target().starts_with("quicproquo")
        }));
    let _ = TRACES.set(provider);
    Ok(layer.boxed())
}

/// Who speaks to the collector. Nothing is verified without TLS, and a machine may have no roots.
fn collector(tls: bool) -> Result<HttpClient, String> {
    // It has a runtime of its own, which must not begin inside of another.
    let build = std::thread::spawn(move || {
        let builder = HttpClient::builder().timeout(OTEL_EXPORTER_OTLP_TIMEOUT_DEFAULT);
        if tls { builder } else { builder.tls_certs_only([]) }.build()
    });
    let built = build.join().map_err(|_| "its thread ended early".to_owned())?;
    built.map_err(|error| match std::error::Error::source(&error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    })
}

/// Sends the traces that are left; outside of the runtime, for it blocks.
pub(crate) fn stop() {
    if let Some(provider) = TRACES.get() {
        // What cannot be sent was complained about.
        let _ = provider.shutdown_with_timeout(FLUSH);
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::filter::LevelFilter;

    use super::*;

    fn logs() -> BoxedLayer {
        fmt::layer().with_writer(std::io::sink).boxed()
    }

    #[test]
    fn what_no_filter_lets_pass_is_not_made() {
        let warn = || EnvFilter::builder().parse_lossy("warn");
        assert_eq!(layers(warn(), logs(), None).max_level_hint(), Some(LevelFilter::WARN));
        // The control: within, its level is not seen.
        let within: BoxedLayer = warn().and_then(logs()).boxed();
        assert_eq!(within.max_level_hint(), None);
    }

    #[test]
    fn traces_do_not_take_logs_from_the_filter() {
        let debug = EnvFilter::builder().parse_lossy("debug");
        let traces =
            fmt::layer().with_filter(filter_fn(|about| about.is_span() && about.target() == "x"));
        let traces = traces.boxed();
        assert_eq!(layers(debug, logs(), Some(traces)).max_level_hint(), None);
    }
}
