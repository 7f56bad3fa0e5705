//! Logs, on standard error; and traces, to a collector, where the settings name one.

use std::io::IsTerminal;
use std::sync::OnceLock;
use std::time::Duration;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::filter::{EnvFilter, filter_fn};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer, Registry, fmt};

use crate::config::{LogFormat, Settings};
use crate::exit::Failure;

/// Of the store's own libraries only what is wrong, unless the filter names them.
const QUIET: &str = "fjall=warn,lsm_tree=warn";

/// How long the last traces may take to leave.
const FLUSH: Duration = Duration::from_secs(2);

/// Where the traces of this process go.
static TRACES: OnceLock<SdkTracerProvider> = OnceLock::new();

/// Starts logging, and tracing, as the settings say.
pub(crate) fn start(settings: &Settings) -> Result<(), Failure> {
    let filter = EnvFilter::builder()
        .parse(format!("{QUIET},{}", settings.log))
        .map_err(|error| Failure::usage(format!("the log filter {:?}: {error}", settings.log)))?;
    let logs = fmt::layer().with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal());
    let logs = match settings.log_format {
        LogFormat::Text => logs.boxed(),
        LogFormat::Json => logs.json().boxed(),
    };
    let traces = settings.otlp_endpoint.as_deref().map(traces).transpose()?;
    let layers = match traces {
        // A filter of both is cheaper than one of each.
        None => filter.and_then(logs).boxed(),
        Some(traces) => logs.with_filter(filter).and_then(traces).boxed(),
    };
    let started = tracing_subscriber::registry().with(layers).try_init();
    started.map_err(|error| Failure::other(format!("logging: {error}")))
}

/// Our own spans, without what is logged inside of them.
fn traces(endpoint: &str) -> Result<Box<dyn Layer<Registry> + Send + Sync>, Failure> {
    let url = format!("{}/v1/traces", endpoint.trim_end_matches('/'));
    let failed = |error: &dyn std::fmt::Display| {
        Failure::usage(format!("the collector of traces {endpoint:?}: {error}"))
    };
    if !endpoint.starts_with("http://") && !endpoint.starts_with("https://") {
        return Err(failed(&"not an http:// or https:// address"));
    }
    let exporter = SpanExporter::builder().with_http().with_endpoint(url).build();
    let exporter = exporter.map_err(|error| failed(&error))?;
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

/// Sends the traces that are left; outside of the runtime, for it blocks.
pub(crate) fn stop() {
    if let Some(provider) = TRACES.get() {
        // What cannot be sent was complained about.
        let _ = provider.shutdown_with_timeout(FLUSH);
    }
}
