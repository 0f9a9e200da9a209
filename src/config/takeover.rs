//! How data of devpi-server come here.

use std::num::NonZero;
use std::thread::available_parallelism;

use clap::Args;

/// What a server does about the data of devpi-server that it finds in its directory.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Taking over from devpi-server")]
pub struct TakeoverOptions {
    /// Say what a takeover of the data of devpi-server in the serverdir would bring and every problem with it, and
    /// end: with status 1 if it would fail. Nothing is written.
    #[arg(long)]
    pub check_takeover: bool,

    /// Remove the data of devpi-server that were taken over, and end. There is no way back to devpi-server then.
    #[arg(long, conflicts_with = "check_takeover")]
    pub drop_old_state: bool,

    /// How files are taken in.
    #[command(flatten)]
    pub intake: IntakeOptions,
}

/// How files of devpi-server are taken in.
#[derive(Args, Clone, Debug)]
pub struct IntakeOptions {
    /// Leave out files that are missing or damaged, with a warning for each, instead of giving up.
    #[arg(long)]
    pub skip_damaged: bool,

    /// How they are read.
    #[command(flatten)]
    pub reading: ReadingOptions,
}

/// How files are read.
#[derive(Args, Clone, Debug)]
pub struct ReadingOptions {
    /// How many files are read at once; by default two for each processor.
    #[arg(long, value_name = "COUNT")]
    parallel_files: Option<usize>,
}

impl ReadingOptions {
    /// How many files are read at once.
    pub fn parallel(&self) -> usize {
        self.parallel_files.unwrap_or_else(|| 2 * available_parallelism().map_or(2, NonZero::get)).max(1)
    }
}
