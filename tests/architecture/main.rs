//! Who may import whom, and other promises of the source that a compiler does not check.
//!
//! The rules read every file below `src` and `tests`. They are functions of made-up sources as well as of the real
//! ones, so the tests beside them show that each can fail.

#[cfg(test)]
mod layers;
#[cfg(test)]
mod lexer;
#[cfg(test)]
mod paths;
#[cfg(test)]
mod source;
#[cfg(test)]
mod texts;
