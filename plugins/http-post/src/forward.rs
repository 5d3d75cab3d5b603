//! The way of plain HTTP through a proxy: requests name their whole URL (RFC 9112, 3.2.2)
//! and go to the proxy, which many let through where they refuse a tunnel to port 80.
//! What goes to https:// has a tunnel, by CONNECT, which is ureq's affair.

use std::io;

use ureq::{
    Error, Proxy,
    http::Uri,
    unversioned::transport::{Buffers, ConnectionDetails, Connector, NextTimeout, Transport},
};

/// Makes the requests of a connection name their whole URL.
#[derive(Debug)]
pub(crate) struct WholeUrls {
    /// `http://host:port`
    origin: String,
}

/// A connection to a proxy.
#[derive(Debug)]
pub(crate) struct ProxyTransport<T> {
    inner: T,
    origin: String,
    /// Whether what is written next begins a request.
    begins: bool,
}

impl WholeUrls {
    /// For requests to the server of this URL.
    pub(crate) fn to(url: &Uri) -> Self {
        let authority = url.authority().map_or("", |authority| authority.as_str());
        // The user is told by a header.
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        WholeUrls { origin: format!("http://{host}") }
    }
}

/// Where a proxy is: what is to be looked up in the place of the server's name.
pub(crate) fn address(proxy: &Proxy) -> String {
    format!("{}:{}", proxy.host(), proxy.port())
}

impl<In: Transport> Connector<In> for WholeUrls {
    type Out = ProxyTransport<In>;

    fn connect(
        &self,
        _: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, Error> {
        Ok(chained.map(|inner| ProxyTransport { inner, origin: self.origin.clone(), begins: true }))
    }
}

impl<T: Transport> Transport for ProxyTransport<T> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.inner.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        if !std::mem::take(&mut self.begins) {
            return self.inner.transmit_output(amount, timeout);
        }
        // The first thing written after a response is a request's head, its line first.
        let written = &self.inner.buffers().output()[..amount];
        let method = written.iter().position(|&byte| byte == b' ').map(|blank| blank + 1);
        let Some((method, rest)) = method.and_then(|end| written.split_at_checked(end)) else {
            let error = io::Error::other("a request begins without a method");
            return Err(Error::Io(error));
        };
        let whole = [method, self.origin.as_bytes(), rest].concat();
        let mut left = whole.as_slice();
        while !left.is_empty() {
            let output = self.inner.buffers().output();
            let (now, later) = left.split_at(left.len().min(output.len()));
            output[..now.len()].copy_from_slice(now);
            self.inner.transmit_output(now.len(), timeout)?;
            left = later;
        }
        Ok(())
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.begins = true;
        self.inner.await_input(timeout)
    }

    fn is_open(&mut self) -> bool {
        self.inner.is_open()
    }

    fn is_tls(&self) -> bool {
        self.inner.is_tls()
    }
}
