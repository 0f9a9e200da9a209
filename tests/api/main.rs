//! The server as clients see it: real stores, real HTTP, and callers as values.
//!
//! Each test starts a server of its own on a free port; see [`support`].

#[cfg(test)]
mod caching;
#[cfg(test)]
mod connections;
#[cfg(test)]
mod deletion;
#[cfg(test)]
mod docs;
#[cfg(test)]
mod files;
#[cfg(test)]
mod forms;
#[cfg(test)]
mod freshness;
#[cfg(test)]
mod indexes;
#[cfg(test)]
mod inheritance;
#[cfg(test)]
mod large_projects;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod metadata;
#[cfg(test)]
mod mirror_files;
#[cfg(test)]
mod mirror_pages;
#[cfg(test)]
mod mirror_trouble;
#[cfg(test)]
mod pages;
#[cfg(test)]
mod projects;
#[cfg(test)]
mod proxies;
#[cfg(test)]
mod publishing;
#[cfg(test)]
mod pushes;
#[cfg(test)]
mod races;
#[cfg(test)]
mod repeats;
#[cfg(test)]
mod requests;
#[cfg(test)]
mod support;
#[cfg(test)]
mod tox_results;
#[cfg(test)]
mod uploads;
#[cfg(test)]
mod users;
