//! The server's side of HTTP/1.1, from bytes to requests and from answers to bytes.
//!
//! Nothing here does IO or looks at a clock: a [`Codec`] is fed what a peer has sent
//! and says when a request is whole. Heads are parsed by `httparse`; what a head
//! means for the body that follows (length, chunks, `Expect`) and for the connection
//! is decided here, strictly: a request that two servers could read differently is
//! refused and ends its connection. Heads, headers and bodies have limits.
//!
//! Left out: TLS, HTTP/2, compression, ranges, trailers (passed over), upgrades.

mod answer;
mod codec;
mod request;
#[cfg(test)]
mod tests;

pub use answer::{Answer, Status};
pub use codec::{Codec, Limits, Read, Refusal};
pub use request::{Request, Version};
