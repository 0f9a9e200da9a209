//! What is found on the way: problems, told as they are found, and how far the work has come.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The result differs from what was there, in a way that its owner should know of.
    Warning,
    /// The work cannot be done.
    Error,
}

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// What it is, with the name of the thing.
    pub text: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.severity {
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        write!(formatter, "{word}: {}", self.text)
    }
}

/// Is told of problems and progress.
pub trait Listener: Send + Sync {
    /// A line for whoever watches: what devpi's programs print.
    fn line(&self, line: &str);

    /// A problem was found.
    fn problem(&self, problem: &Problem);

    /// So much of the work is done, in files.
    fn progress(&self, done: u64, total: u64);
}

/// What was found so far.
pub struct Report {
    listener: Box<dyn Listener>,
    warnings: AtomicU64,
    errors: AtomicU64,
    done: AtomicU64,
    total: AtomicU64,
}

impl Report {
    /// A report that tells `listener` of everything at once.
    pub fn new(listener: Box<dyn Listener>) -> Self {
        Self {
            listener,
            warnings: AtomicU64::default(),
            errors: AtomicU64::default(),
            done: AtomicU64::default(),
            total: AtomicU64::default(),
        }
    }

    /// Tells whoever watches what is being done.
    pub fn say(&self, line: impl fmt::Display) {
        self.listener.line(&line.to_string());
    }

    /// Something differs from what was there.
    pub fn warn(&self, text: impl fmt::Display) {
        self.warnings.fetch_add(1, Ordering::Relaxed);
        self.listener.problem(&Problem { severity: Severity::Warning, text: text.to_string() });
    }

    /// Something makes the work impossible.
    pub fn fail(&self, text: impl fmt::Display) {
        self.errors.fetch_add(1, Ordering::Relaxed);
        self.listener.problem(&Problem { severity: Severity::Error, text: text.to_string() });
    }

    /// How many files there will be, about.
    pub fn expect(&self, total: u64) {
        self.total.store(total, Ordering::Relaxed);
        self.listener.progress(0, total);
    }

    /// So many files more are done.
    pub fn advance(&self, count: u64) {
        let done = self.done.fetch_add(count, Ordering::Relaxed) + count;
        self.listener.progress(done, self.total.load(Ordering::Relaxed).max(done));
    }

    /// How many files are done.
    pub fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    /// How many warnings there were.
    pub fn warnings(&self) -> u64 {
        self.warnings.load(Ordering::Relaxed)
    }

    /// How many errors there were.
    pub fn errors(&self) -> u64 {
        self.errors.load(Ordering::Relaxed)
    }
}
