//! The time, as rules see it.

use jiff::Timestamp;

/// Tells the time. Tests put another one in the place of [`Clock::system`].
#[derive(Clone, Copy)]
pub struct Clock(fn() -> Timestamp);

impl Clock {
    /// The system's clock.
    pub fn system() -> Self {
        Self(Timestamp::now)
    }

    /// A clock that shows what `tell` returns.
    pub fn new(tell: fn() -> Timestamp) -> Self {
        Self(tell)
    }

    /// The time now.
    pub fn now(self) -> Timestamp {
        (self.0)()
    }
}
