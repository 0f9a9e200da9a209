//! Dumps: what an export writes, and what an import makes of it.

#[cfg(test)]
mod documents;
#[cfg(test)]
mod import;
#[cfg(test)]
mod places;
#[cfg(test)]
mod support;
