//! Setting up logs.
//!
//! Lines go to standard output, as devpi's do, by way of a thread of their own: whoever reads them must not be able to
//! stop the server by reading slowly. One line at level INFO ends each request; at level DEBUG a span surrounds it.

use std::fmt;
use std::io::{BufWriter, Write};
use std::thread::sleep;
use std::time::Duration;

use jiff::Timestamp;
use tracing::{debug, warn};
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::LogFormat;

/// How many lines may wait for the reader; further ones are dropped.
const PENDING_LINES: usize = 10_000;

/// How many bytes of lines are written at once at the most.
const BATCH_BYTES: usize = 64 * 1024;

/// How long lines gather after those before them were written: at thousands in a second, waking a thread and a call of
/// the system for each costs a tenth of all that the server does.
const GATHERING: Duration = Duration::from_millis(5);

/// Starts logging, until the returned guard is dropped, with the warnings of those who came before there was a log. To
/// be called once; later calls change nothing.
pub fn start(debug: bool, format: LogFormat, warnings: &[String]) -> WorkerGuard {
    let level = if debug { LevelFilter::DEBUG } else { LevelFilter::INFO };
    // The framework's own start-up lines say nothing that ours do not.
    let filter = Targets::new().with_default(level).with_target("actix_server", LevelFilter::WARN);
    let (writer, guard) = NonBlockingBuilder::default()
        .lossy(true)
        .buffered_lines_limit(PENDING_LINES)
        .finish(Batches { format, lines: BufWriter::with_capacity(BATCH_BYTES, std::io::stdout()) });
    let registry = tracing_subscriber::registry().with(filter);
    // What must be escaped is escaped in batches.
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(writer)
        .with_timer(UtcTime)
        .with_ansi(false)
        .with_ansi_sanitization(false);
    let started = match format {
        LogFormat::Text => registry.with(lines.with_target(false)).try_init(),
        LogFormat::Json => registry.with(lines.json()).try_init(),
    };
    if started.is_err() {
        debug!("logging was set up before");
    }
    for text in warnings {
        warn!("{text}");
    }
    guard
}

/// The time of a line as in `2026-11-30T17:04:05.123456Z`. The library's own clock writes the same with three times the
/// work.
struct UtcTime;

impl FormatTime for UtcTime {
    fn format_time(&self, writer: &mut Writer<'_>) -> fmt::Result {
        write!(writer, "{:.6}", Timestamp::now())
    }
}

/// Standard output in batches. It is flushed when no line waits any more, and then lets further ones come together.
///
/// Texts of clients and upstreams stand in lines. What would end a line there, or steer a terminal, is escaped here, where
/// nobody waits for it.
struct Batches<W: Write> {
    format: LogFormat,
    lines: BufWriter<W>,
}

impl<W: Write> Write for Batches<W> {
    /// Takes one whole line.
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        let text = line.strip_suffix(b"\n").unwrap_or(line);
        // To the end, as that is done for many bytes at once.
        if text.iter().fold(true, |is_plain, byte| is_plain & (b' '..=b'~').contains(byte)) {
            self.lines.write_all(line)?;
        } else {
            writeln!(self.lines, "{}", escape(&String::from_utf8_lossy(text), self.format))?;
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.lines.flush()?;
        sleep(GATHERING);
        Ok(())
    }
}

/// `text` with escapes for control characters and all that ends lines. All of these have four digits, as JSON needs it.
fn escape(text: &str, format: LogFormat) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if !character.is_control() && !matches!(character, '\u{2028}' | '\u{2029}') {
            escaped.push(character);
            continue;
        }
        match format {
            LogFormat::Text => escaped.extend(character.escape_default()),
            LogFormat::Json => escaped.extend(format!("\\u{:04x}", u32::from(character)).chars()),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_stays_one_line() {
        let plain = "plain\nc\u{e4}rol\none\\nINFO two\\r\\u{85}\\u{2028}\\u{1b}[31m\n\n";
        let json = "plain\nc\u{e4}rol\none\\u000aINFO two\\u000d\\u0085\\u2028\\u001b[31m\n\n";
        for (format, expected) in [(LogFormat::Text, plain), (LogFormat::Json, json)] {
            let mut written = Vec::new();
            let mut batches = Batches { format, lines: BufWriter::new(&mut written) };
            for line in ["plain\n", "c\u{e4}rol\n", "one\nINFO two\r\u{85}\u{2028}\u{1b}[31m\n", "\n"] {
                batches.write_all(line.as_bytes()).unwrap();
            }
            batches.flush().unwrap();
            drop(batches);
            assert_eq!(String::from_utf8(written).unwrap(), expected);
        }
    }
}
