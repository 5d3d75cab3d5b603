//! Sockets that somebody else opened for us, and keeps open when we end: Dovecot's master
//! process, or systemd.
//!
//! A Dovecot process whose connection is lost tries once to connect again; if it is refused then, it
//! never comes back. So the sockets must outlive the process that accepts on them.
//! [`Inherited`] is the table of them; [`dovecot`] and [`systemd`] fill it from what they
//! pass to a process, and tell them what they want to know of it. *Never:* binds or removes
//! anything; looks at the environment by itself: that is an argument.

mod descriptor;
pub mod dovecot;
mod kept;
pub mod systemd;
mod table;

pub use descriptor::Address;
pub use table::{Inherited, Offer, Purpose};

/// The environment of a process: a variable's value, if it has one.
pub type Environment<'a> = dyn Fn(&str) -> Option<String> + 'a;
