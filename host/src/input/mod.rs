//! Where events come in.
//!
//! Every reading thread has a lane of its own. A worker thread owns a set of
//! connections and waits for all of them at once; a connection lives and dies on
//! its worker, so its events keep their order. `stdin` and each `file` input,
//! which can't be waited for together with others, have a reader thread each.
//! One thread listens and hands new connections to the worker with the fewest.

mod buffer;
mod connection;
mod greeting;
mod http;
mod listener;
mod outgoing;
mod peer;
mod reader;
mod seat;
mod session;
mod share;
mod worker;

pub use greeting::Greeting;
pub use http::{HTTP_HEAD_MAX, HttpPlan, HttpSession, Memory, SecretFiles, Secrets};
pub use listener::{Listener, ListenerThread};
pub use reader::{Reader, Source};
pub use seat::Seat;
pub use session::{Fed, Input, InputKind, Session};
pub use worker::{Command, WorkerHandle, WorkerThread};
