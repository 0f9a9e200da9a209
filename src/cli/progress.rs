//! How far long work has come: a bar for people, lines for logs.

use std::io::IsTerminal;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use tracing::{error, info, warn};

use super::console::say;
use crate::report::{Listener, Problem, Severity};

/// How often a line is written where nobody sees a bar.
const PAUSE: Duration = Duration::from_secs(10);

/// Where problems are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Channel {
    /// In the log.
    Log,
    /// On the standard output: they are what the program was started for.
    Output,
}

/// Shows progress and problems.
pub(super) struct Progress {
    /// What is done, for the lines.
    what: &'static str,
    channel: Channel,
    bar: Option<ProgressBar>,
    told: Mutex<Instant>,
}

impl Progress {
    pub(super) fn new(what: &'static str, channel: Channel) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style =
                ProgressStyle::with_template("{msg} {bar:30} {pos}/{len} files, {per_sec}, {eta} to go");
            ProgressBar::new(0)
                .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
                .with_message(what)
        });
        Self { what, channel, bar, told: Mutex::new(Instant::now()) }
    }

    fn print(&self, print: impl FnOnce()) {
        match &self.bar {
            Some(bar) => bar.suspend(print),
            None => print(),
        }
    }
}

impl Listener for Progress {
    fn line(&self, line: &str) {
        // Whoever does not listen any more does not want to know.
        self.print(|| {
            let _unwritable = say(line);
        });
    }

    fn problem(&self, problem: &Problem) {
        self.print(|| match (self.channel, problem.severity) {
            (Channel::Output, _) => {
                let _unwritable = say(&problem.to_string());
            }
            (Channel::Log, Severity::Warning) => warn!("{}", problem.text),
            (Channel::Log, Severity::Error) => error!("{}", problem.text),
        });
    }

    fn progress(&self, done: u64, total: u64) {
        if let Some(bar) = &self.bar {
            bar.set_length(total);
            bar.set_position(done);
            return;
        }
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.elapsed() >= PAUSE {
            *told = Instant::now();
            info!(done, total, "{}: {done} of about {total} files", self.what);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
