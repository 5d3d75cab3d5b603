//! A library that exports the symbol of a plugin, but something else behind it: as
//! one would that was built with another version of the mechanism.

#[repr(align(16))]
pub struct Header([u8; 512]);

#[unsafe(export_name = "_1as_0lib_1header_0root_bmodule_bloader")]
pub static HEADER: Header = Header([b'x'; 512]);
