//! The host's own event: what every decoder makes and every later room reads.
//!
//! An event borrows everything: its own fields from the line it came in, its
//! ancestors from its connection's open events. Once decoded it never changes.

pub mod builder;
pub mod category;
#[expect(clippy::module_inception, reason = "one noun, one file: the folder is the room")]
pub mod event;
pub mod flatten;
pub mod key_index;
pub mod list;
pub mod log_type;
pub mod mark;
pub mod open;
pub mod slot;
pub mod symbol;

pub use category::{CategoryError, CategoryId, CategoryRegistry};
pub use event::{Ancestors, Categories, Event, Layer, Parts, Source};
pub use flatten::{Export, Flattener};
pub use log_type::LogType;
pub use mark::Mark;
pub use open::{OpenContent, OpenError, OpenEvents, OpenId, OpenLimits};
pub use slot::{Bytes, Field, Slot, SlotValue, Span};
pub use symbol::{CategorySymbol, Symbol, Symbols, Wanted};
