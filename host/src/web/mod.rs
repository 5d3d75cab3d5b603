//! Pages of a running host, over HTTP: `/metrics` for Prometheus, `/healthz` and
//! `/readyz` for load balancers and supervisors.
//!
//! A [`Session`] is one connection; it does no IO. The host's own figures are told of
//! in `docs/metrics.md`, name by name.

mod own;
mod process;
mod session;
mod text;

pub use session::Session;
