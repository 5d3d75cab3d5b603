#![doc = include_str!("../README.md")]
#![deny(unsafe_code)]

#[cfg(not(panic = "unwind"))]
compile_error!(
    "a Fantail plugin must be built with panic = \"unwind\": \
     a panic is caught at the plugin's edge, and aborting would end the host"
);

pub mod abi;
mod batch;
mod buffer;
mod context;
mod driver;
mod error;
mod event;
mod export;
mod field;
mod format;
mod integer;
mod label;
mod list;
pub mod log;
#[cfg(feature = "runner")]
pub mod runner;
mod settings;
pub mod tab_escape;
mod template;
mod time;
mod time_format;

pub use abi::{Piece, Prefix, Tail, BLOCK};
pub use batch::Batch;
pub use buffer::Buffer;
pub use context::{DriverContext, FormatContext};
pub use driver::Driver;
pub use error::{FormatError, PluginError, SendError};
pub use event::{Event, Parts};
pub use field::{Field, FieldValue};
pub use format::Format;
pub use integer::integer;
pub use label::LabelPart;
pub use list::List;
pub use settings::{Bytes, Millis, NoSettings, Settings};
pub use template::{Template, TemplateError};
pub use time::Timestamp;
pub use time_format::{TimeFormat, TimeWriter};

#[doc(hidden)]
pub use {schemars, serde, serde_json};
