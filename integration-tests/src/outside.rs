//! Plugins from outside: crates that are no part of the workspace and know
//! nothing of the host but `fantail-sdk`, built by another compiler than the host.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use crate::{Workdir, build_dir, command::run, repository};

/// One of the libraries.
struct Source {
    name: &'static str,
    /// Its file in `plugins-src`.
    file: &'static str,
    /// The lines of `[dependencies]`, `$REPOSITORY` not filled in.
    dependencies: &'static str,
}

const SDK: &str = "fantail-sdk = { path = \"$REPOSITORY/sdk\" }";
const ABI_STABLE: &str = "abi_stable = { version = \"=0.11.3\", default-features = false }";

const SOURCES: &[Source] = &[
    Source { name: "notebook", file: "notebook.rs", dependencies: SDK },
    Source { name: "faulty-driver", file: "faulty-driver.rs", dependencies: SDK },
    Source { name: "faulty-format", file: "faulty-format.rs", dependencies: SDK },
    Source { name: "other-root", file: "other-root.rs", dependencies: ABI_STABLE },
    Source { name: "other-mechanism", file: "other-mechanism.rs", dependencies: "" },
    Source { name: "no-plugin", file: "no-plugin.rs", dependencies: "" },
    Source { name: "tell-tale", file: "tell-tale.rs", dependencies: "" },
    Source {
        name: "later-minor",
        file: "notebook.rs",
        dependencies: "fantail-sdk = { path = \"../../sdk-1.1.0/sdk\" }",
    },
    Source {
        name: "later-major",
        file: "notebook.rs",
        dependencies: "fantail-sdk = { path = \"../../sdk-2.0.0/sdk\" }",
    },
];

/// Versions that the SDK may have one day: copies of it that say so.
const LATER_SDKS: &[&str] = &["1.1.0", "2.0.0"];

/// The other compiler: what `FANTAIL_OTHER_RUSTC` names, or the one that Debian's
/// packages install.
pub fn other_compiler() -> PathBuf {
    env::var_os("FANTAIL_OTHER_RUSTC").map_or_else(|| "/usr/bin/rustc".into(), PathBuf::from)
}

/// What a compiler says of itself.
///
/// # Panics
///
/// When it can't be run.
pub fn compiler_version(compiler: &Path) -> String {
    let said = Command::new(compiler).arg("-V").output().unwrap_or_else(|error| {
        let compiler = compiler.display();
        panic!("{compiler}: {error}: another compiler is needed, see integration-tests/run")
    });
    String::from_utf8(said.stdout).unwrap()
}

/// The library of one of the crates in `plugins-src`. The first call builds all.
pub fn library(name: &str) -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let libraries = BUILT.get_or_init(build);
    libraries.join(format!("libfantail_test_{}.so", name.replace('-', "_")))
}

/// Installs such a library in `$DIR/plugins` as administrators should: beside its
/// place, and then renamed.
pub fn install(dir: &Workdir, name: &str) -> PathBuf {
    let directory = dir.path("plugins");
    fs::create_dir_all(&directory).unwrap();
    let (coming, place) = (directory.join("coming"), directory.join(format!("{name}.so")));
    fs::copy(library(name), &coming).unwrap();
    fs::rename(&coming, &place).unwrap();
    place
}

/// Writes a workspace beside ours and builds it. What has not changed since the
/// last time is not built again.
fn build() -> PathBuf {
    let place = build_dir().join("other-compiler");
    let write = |name: &str, content: &[u8]| write_changed(&place.join(name), content);
    let members: Vec<_> = SOURCES.iter().map(|source| format!("{:?}", source.name)).collect();
    let workspace = format!(
        "[workspace]\nresolver = \"2\"\nmembers = [{}]\n[profile.dev]\ndebug = false\n",
        members.join(", ")
    );
    write("crates/Cargo.toml", workspace.as_bytes());
    for version in LATER_SDKS {
        let workspace = format!("[workspace]\nmembers = [\"sdk\"]\n{}", inherited_by_the_sdk());
        write(&format!("sdk-{version}/Cargo.toml"), workspace.as_bytes());
        for (name, content) in sdk_of_version(version) {
            write(&format!("sdk-{version}/sdk/{name}"), &content);
        }
    }
    // The versions that the repository builds with, which are on this machine. What
    // Cargo then strikes out of it is struck out again next time.
    fs::write(place.join("crates/Cargo.lock"), read(&repository().join("Cargo.lock"))).unwrap();
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("plugins-src");
    let root = repository().canonicalize().unwrap().display().to_string();
    for Source { name, file, dependencies } in SOURCES {
        let dependencies = dependencies.replace("$REPOSITORY", &root);
        let manifest = format!(
            "[package]\nname = \"fantail-test-{name}\"\nversion = \"0.7.0\"\n\
             edition = \"2021\"\ndescription = \"The plugin {name}, from outside\"\n\
             [lib]\npath = \"lib.rs\"\ncrate-type = [\"cdylib\"]\n\
             [dependencies]\n{dependencies}\n"
        );
        write(&format!("crates/{name}/Cargo.toml"), manifest.as_bytes());
        write(&format!("crates/{name}/lib.rs"), &read(&sources.join(file)));
    }
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--offline", "--target-dir"]).arg(place.join("target"));
    cargo.current_dir(place.join("crates")).env("RUSTC", other_compiler());
    for variable in ["RUSTFLAGS", "RUSTC_WRAPPER", "RUSTUP_TOOLCHAIN"] {
        cargo.env_remove(variable);
    }
    let built = run(&mut cargo, b"");
    assert_eq!(built.status, Some(0), "{}", built.stderr);
    place.join("target/debug")
}

/// The sections of our own workspace that the SDK's manifest refers to.
fn inherited_by_the_sdk() -> String {
    let manifest = String::from_utf8(read(&repository().join("Cargo.toml"))).unwrap();
    let start = manifest.find("[workspace.package]").unwrap();
    let end = manifest.find("[profile.").unwrap();
    manifest[start..end].to_owned()
}

/// The SDK's files, with another version in the manifest.
fn sdk_of_version(version: &str) -> Vec<(String, Vec<u8>)> {
    let sdk = repository().join("sdk");
    let mut files = Vec::new();
    let mut paths = vec![sdk.join("Cargo.toml"), sdk.join("README.md"), sdk.join("src")];
    while let Some(path) = paths.pop() {
        if path.is_dir() {
            paths.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        let name = path.strip_prefix(&sdk).unwrap().display().to_string();
        let mut content = read(&path);
        if name == "Cargo.toml" {
            let manifest = String::from_utf8(content).unwrap();
            let ours = manifest.lines().find(|line| line.starts_with("version = ")).unwrap();
            content = manifest.replace(ours, &format!("version = {version:?}")).into_bytes();
        }
        files.push((name, content));
    }
    files
}

fn read(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Writes a file unless that is what it holds: Cargo goes by its time.
fn write_changed(path: &Path, content: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    if fs::read(path).ok().as_deref() != Some(content) {
        fs::write(path, content).unwrap();
    }
}
