//! A library of somebody else who uses abi_stable too: its root table is not ours.

use abi_stable::{
    StableAbi, declare_root_module_statics, export_root_module, library::RootModule,
    package_version_strings, prefix_type::PrefixTypeTrait, sabi_types::VersionStrings,
};

#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = OtherRef)))]
pub struct Other {
    #[sabi(last_prefix_field)]
    pub answer: extern "C" fn() -> u32,
}

impl RootModule for OtherRef {
    declare_root_module_statics! {OtherRef}

    const BASE_NAME: &'static str = "other";
    const NAME: &'static str = "other";
    const VERSION_STRINGS: VersionStrings = package_version_strings!();
}

extern "C" fn answer() -> u32 {
    42
}

#[export_root_module]
fn root() -> OtherRef {
    Other { answer }.leak_into_prefix()
}
