//! What all requests to other servers have in common: who says so, and whom it trusts.
//!
//! Proxies come from the usual variables (`HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY`), as in devpi.

use std::path::Path;

use anyhow::Context;
use reqwest::{Certificate, Client, ClientBuilder};

use crate::version::{DEVPI_VERSION, VERSION};

/// The beginnings of a client that trusts the certificate authorities of the system, and those in the PEM file
/// `more_authorities`. Blocks: certificates are read from files.
pub fn client_builder(more_authorities: Option<&Path>) -> anyhow::Result<ClientBuilder> {
    // For all clients of this process. Somebody else may have installed it before; it is the same one.
    let _installed = rustls::crypto::ring::default_provider().install_default();
    let mut builder =
        Client::builder().user_agent(format!("devpi-server/{DEVPI_VERSION} (wheelhouse {VERSION})"));
    // URLs may have tokens in them, which are not for the next host.
    builder = builder.referer(false);
    if let Some(path) = more_authorities {
        let pem = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        for certificate in Certificate::from_pem_bundle(&pem)? {
            builder = builder.add_root_certificate(certificate);
        }
    }
    Ok(builder)
}
