//! Whether a request got as far as its server.
//!
//! What fails while a connection is made, TLS and tunnels included, has not been sent; the
//! error alone does not tell, since a request's whole time may be over by then.

use std::cell::Cell;

use ureq::{
    Error,
    unversioned::transport::{ConnectionDetails, Connector, Transport},
};

thread_local! {
    /// How many connections this thread's request is making: a tunnel is one within
    /// another. ureq makes them on the thread that asks.
    static CONNECTING: Cell<u32> = const { Cell::new(0) };
}

/// Makes connections as `C` does, and remembers when it could not.
#[derive(Debug)]
pub(crate) struct Watched<C>(pub(crate) C);

impl<C, T> Connector<()> for Watched<C>
where
    C: Connector<(), Out = T>,
    T: Transport,
{
    type Out = T;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<()>,
    ) -> Result<Option<T>, Error> {
        CONNECTING.set(CONNECTING.get() + 1);
        let made = self.0.connect(details, chained)?;
        CONNECTING.set(CONNECTING.get().saturating_sub(1));
        Ok(made)
    }
}

/// Begins a request.
pub(crate) fn begin() {
    CONNECTING.set(0);
}

/// Whether this thread's last request ended before it had a connection.
pub(crate) fn is_connecting() -> bool {
    CONNECTING.get() > 0
}
