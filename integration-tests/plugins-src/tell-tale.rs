//! A library that says so as soon as anything of it runs; otherwise it is no plugin.

#[used]
#[unsafe(link_section = ".init_array")]
static INITIALISER: extern "C" fn() = say;

extern "C" fn say() {
    eprintln!("tell-tale: I run");
}
