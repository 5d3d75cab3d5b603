//! What crosses between host and plugin, byte by byte.
//!
//! Plugin authors need nothing from here; the host does. Three kinds of things
//! cross, and each grows in its own way:
//!
//! * *tables* of functions ([`PluginTable`], [`FormatTable`], [`DriverTable`],
//!   [`HostTable`]): abi_stable prefix types. A later minor version adds entries
//!   behind the last one, and whoever calls a new entry asks first whether it is there.
//! * *views* ([`RawEvent`], [`RawField`], [`RawBuffer`], [`RawBatch`], [`RawSent`]):
//!   frozen `repr(C)` structs. What they hold can't change within a major version; a bit of a field's
//!   flags that a plugin does not know says nothing that it has to know.
//! * *texts*: settings, schemas and contexts cross as JSON, so both sides can
//!   learn new names; a name that is not known is ignored there.
//!
//! `unsafe` is allowed in this folder and in the host's `plugin` folder only.

#![allow(unsafe_code, reason = "this is the plugin boundary; each block argues for itself")]

mod buffer;
mod handle;
mod piece;
mod shim;
mod table;
mod view;

pub(crate) use buffer::lend_buffer;
pub use buffer::{RawBuffer, Tail};
pub use handle::{DriverInstance, FormatFailure, FormatInstance, Payloads};
pub(crate) use piece::{Digits, Either};
pub use piece::{Piece, Prefix};
pub use shim::{driver_table, format_table, header, plugin_table, start, RootResult};
pub use table::{
    format_status, send_status, DriverTable, DriverTableRef, FormatTable, FormatTableRef,
    HostTable, HostTableRef, Instance, PluginTable, PluginTableRef, RawGivenUp, RawSent,
};
pub use view::{outcome, part, value_kind, RawBatch, RawEvent, RawField, RawText, BLOCK};

/// The version of this SDK.
pub const SDK_VERSION: &str = env!("CARGO_PKG_VERSION");

/// The types of abi_stable that views and tables are made of.
pub use abi_stable::{
    library::{LibHeader, ROOT_MODULE_LOADER_NAME, ROOT_MODULE_LOADER_NAME_WITH_NUL},
    std_types::{RResult, RSlice, RSliceMut, RStr, RString, RVec},
};
