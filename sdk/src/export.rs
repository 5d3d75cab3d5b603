//! The macros that make a crate into a plugin library.

/// Makes the crate a format plugin: `export_format!(MyFormat, "my-format");`
///
/// The name is the one that configurations use. Version and description are the
/// package's own, from its `Cargo.toml`. Once in a crate.
#[macro_export]
macro_rules! export_format {
    ($format:ty, $name:literal) => {
        $crate::__export!(
            $name,
            ::core::option::Option::Some($crate::abi::format_table::<$format>()),
            ::core::option::Option::None
        );
    };
}

/// Makes the crate a driver plugin: `export_driver!(MyDriver, "my-driver");`
///
/// The name is the one that configurations use. Version and description are the
/// package's own, from its `Cargo.toml`. Once in a crate.
#[macro_export]
macro_rules! export_driver {
    ($driver:ty, $name:literal) => {
        $crate::__export!(
            $name,
            ::core::option::Option::None,
            ::core::option::Option::Some($crate::abi::driver_table::<$driver>())
        );
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __export {
    ($name:literal, $format:expr, $driver:expr) => {
        const _: () = {
            fn table() -> $crate::abi::PluginTableRef {
                $crate::abi::plugin_table(
                    $name,
                    ::core::env!("CARGO_PKG_VERSION"),
                    ::core::env!("CARGO_PKG_DESCRIPTION"),
                    $format,
                    $driver,
                )
            }

            extern "C" fn root() -> $crate::abi::RootResult {
                $crate::abi::start(table)
            }

            // The symbol that abi_stable looks for, "_as.lib_header.root module loader"
            // in its mangling; a test of the SDK compares the two.
            #[allow(unsafe_code, reason = "the name is one that nothing else can have")]
            #[unsafe(export_name = "_1as_0lib_1header_0root_bmodule_bloader")]
            #[used]
            static FANTAIL_PLUGIN: $crate::abi::LibHeader = $crate::abi::header(root);
        };
    };
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_exported_symbol_is_the_one_that_is_looked_for() {
        assert_eq!(crate::abi::ROOT_MODULE_LOADER_NAME, "_1as_0lib_1header_0root_bmodule_bloader");
    }
}
