//! The plugin boundary: shared libraries found, checked, loaded and held.
//!
//! Plugins are found by path and name at run time; no plugin crate is named
//! here. A library that is loaded stays loaded until the process exits, and is
//! never loaded from the file that somebody may overwrite while the host runs.
//! Besides the SDK's `abi` folder this is the only place with `unsafe`.

#![allow(unsafe_code, reason = "this is the plugin boundary; each block argues for itself")]

mod damage;
mod error;
mod library;
mod registry;

pub use error::Refusal;
pub use library::{Library, Placement};
pub use registry::{Pins, Registry, default_directories};
