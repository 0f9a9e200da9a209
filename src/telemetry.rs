//! Setting up logs.
//!
//! Lines go to standard output, as devpi's do. One span surrounds each request; one line at level INFO ends it.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::LogFormat;

/// Starts logging. To be called once; later calls change nothing.
pub fn start(debug: bool, format: LogFormat) {
    let level = if debug { "debug" } else { "info" };
    // The framework's own start-up lines say nothing that ours do not.
    let filter = EnvFilter::new(format!("{level},actix_server=warn"));
    let registry = tracing_subscriber::registry().with(filter);
    let started = match format {
        LogFormat::Text => {
            let lines = tracing_subscriber::fmt::layer().with_target(false).with_ansi(false);
            registry.with(lines).try_init()
        }
        LogFormat::Json => registry.with(tracing_subscriber::fmt::layer().json()).try_init(),
    };
    if started.is_err() {
        tracing::debug!("logging was set up before");
    }
}
