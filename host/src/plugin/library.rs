//! One plugin library: from a file to checked tables.

use std::{
    collections::HashMap,
    fs::{self, File},
    io::{self, Read, Seek},
    os::{
        fd::AsRawFd,
        unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt},
    },
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use abi_stable::{
    StableAbi,
    abi_stability::abi_checking::{AbiInstabilityErrors, check_layout_compatibility},
    library::{
        AbiHeaderRef, LibHeader, LibraryError, ROOT_MODULE_LOADER_NAME_WITH_NUL, RootModule,
    },
    prefix_type::PrefixTypeTrait,
    type_layout::{TLFieldOrFunction, TypeLayout},
};
use fantail_sdk::abi::{
    DriverTableRef, FormatTableRef, HostTable, HostTableRef, PluginTableRef, RStr,
};
use libloading::os::unix::{Library as Handle, RTLD_LOCAL, RTLD_NOW};
use rustix::fs::OFlags;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{Refusal, damage};

/// The SDK's version that this host was built with.
const OUR_SDK: &str = fantail_sdk::abi::SDK_VERSION;

/// The largest plugin file, in bytes: far above any real one.
const SIZE_MAX: u64 = 512 << 20;

/// From where a library is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// From a private copy, named by its digest and gone at once: whatever then
    /// happens to the plugin's file, the running host keeps what it loaded.
    PrivateCopy,
    /// From the file itself: nothing is opened for writing. For commands that end soon.
    InPlace,
}

/// A loaded plugin library.
#[derive(Clone)]
pub struct Library {
    /// The file it came from.
    pub path: PathBuf,
    /// The SHA-256 digest of that file, in lower-case hexadecimal.
    pub sha256: String,
    /// The name that configurations use.
    pub name: String,
    /// The plugin's own version.
    pub version: String,
    /// The version of the SDK it was built with.
    pub sdk_version: String,
    /// One line on what it does.
    pub description: String,
    /// Its format and the schema of its settings.
    pub format: Option<(FormatTableRef, Value)>,
    /// Its driver and the schema of its settings.
    pub driver: Option<(DriverTableRef, Value)>,
}

/// The libraries loaded so far, by digest: the same file is never loaded twice.
static LOADED: Mutex<Option<HashMap<String, PluginTableRef>>> = Mutex::new(None);

impl Library {
    /// Checks and loads the plugin in `path`, whose digest must be `pin` if there is one.
    ///
    /// # Errors
    ///
    /// When the file must not or can't be used; nothing of it has run then, unless
    /// the loader itself got that far.
    pub fn load(path: &Path, pin: Option<&str>, placement: Placement) -> Result<Self, Refusal> {
        let mut file = open_trusted(path)?;
        let (sha256, table) = match placement {
            Placement::InPlace => {
                let sha256 =
                    copy_hashed(&mut file, &mut io::sink()).map_err(Refusal::Unreadable)?;
                compare_pin(pin, &sha256)?;
                // What was checked is what is loaded, whatever has its name now.
                let checked = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
                // The loader knows libraries by name, also those that are refused
                // below: the number must not be used again.
                std::mem::forget(file);
                let table = load_once(&sha256, || open_library(&checked))?;
                (sha256, table)
            }
            Placement::PrivateCopy => load_copy(&mut file, pin)?,
        };
        describe(path, sha256, table)
    }

    /// The SHA-256 digest of a file that could be loaded; nothing of it runs.
    ///
    /// # Errors
    ///
    /// When the file must not or can't be used.
    pub(super) fn digest(path: &Path) -> Result<String, Refusal> {
        copy_hashed(&mut open_trusted(path)?, &mut io::sink()).map_err(Refusal::Unreadable)
    }

    /// Why a second file of this plugin, with that digest, is refused. The same file
    /// again, by a link or in a second directory, is no mistake.
    pub(super) fn duplicate(&self, sha256: &str) -> Option<Refusal> {
        let first = self.path.display().to_string();
        (self.sha256 != sha256).then(|| Refusal::Duplicate(self.name.clone(), first))
    }
}

/// Opens a file that nobody but root and ourselves can have written.
fn open_trusted(path: &Path) -> Result<File, Refusal> {
    // A FIFO of that name must not keep us waiting for somebody to write.
    let mut options = fs::OpenOptions::new();
    options.read(true).custom_flags(OFlags::NONBLOCK.bits() as i32);
    let mut file = options.open(path).map_err(Refusal::Unreadable)?;
    // The open file is asked, not the path: they could differ a moment later.
    let status = file.metadata().map_err(Refusal::Unreadable)?;
    if !status.is_file() {
        return Err(Refusal::NotAFile);
    }
    trust(&status)?;
    let found = damage::look(&file).map_err(Refusal::Unreadable)?;
    // It has read here and there; whoever gets the file begins at its beginning.
    file.rewind().map_err(Refusal::Unreadable)?;
    match found {
        Ok(()) => Ok(file),
        Err(what) => Err(Refusal::NotLoadable(format!("it is cut off or damaged: {what}"))),
    }
}

/// Whether only root and ourselves could have written to this file or directory.
/// Its group may if it is root's, or the owner's private one (of the same number).
pub(super) fn trust(status: &fs::Metadata) -> Result<(), Refusal> {
    let own_user = rustix::process::geteuid().as_raw();
    if status.uid() != 0 && status.uid() != own_user {
        return Err(Refusal::ForeignOwner(status.uid()));
    }
    let private_group = status.gid() == 0 || status.gid() == status.uid();
    let foreign_writers = if private_group { 0o002 } else { 0o022 };
    // In a directory with the sticky bit nobody can replace what is not theirs.
    let sticky = status.is_dir() && status.mode() & 0o1000 != 0;
    if status.mode() & foreign_writers != 0 && !sticky {
        return Err(Refusal::WritableByOthers(status.mode() & 0o7777));
    }
    Ok(())
}

/// Copies a file and returns the SHA-256 digest of what was copied.
fn copy_hashed(file: &mut File, copy: &mut dyn io::Write) -> io::Result<String> {
    let mut hash = Sha256::new();
    let mut piece = vec![0; 64 << 10];
    let mut rest = file.take(SIZE_MAX);
    loop {
        match rest.read(&mut piece)? {
            0 => return Ok(hex(&hash.finalize())),
            count => {
                hash.update(&piece[..count]);
                copy.write_all(&piece[..count])?;
            }
        }
    }
}

fn compare_pin(pin: Option<&str>, sha256: &str) -> Result<(), Refusal> {
    match pin {
        Some(pin) if !pin.eq_ignore_ascii_case(sha256) => {
            Err(Refusal::WrongDigest(pin.to_owned(), sha256.to_owned()))
        }
        _ => Ok(()),
    }
}

/// The tables of the library with this digest: the one that is loaded, or what
/// `open` loads, which is compared and told about the host once.
fn load_once(
    sha256: &str,
    open: impl FnOnce() -> Result<&'static LibHeader, Refusal>,
) -> Result<PluginTableRef, Refusal> {
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    let loaded = loaded.get_or_insert_with(HashMap::new);
    if let Some(table) = loaded.get(sha256) {
        return Ok(*table);
    }
    let table = checked_table(open()?)?;
    table.start()(host_table(), table.name());
    loaded.insert(sha256.to_owned(), table);
    Ok(table)
}

/// Loads a copy in a place of our own, which is gone when this returns.
fn load_copy(file: &mut File, pin: Option<&str>) -> Result<(String, PluginTableRef), Refusal> {
    let mut first_refusal = None;
    for directory in private_places() {
        let (place, sha256) = match write_copy(&directory, file) {
            Ok(written) => written,
            Err(error) => {
                let reason = format!("no copy in {}: {error}", directory.display());
                first_refusal.get_or_insert(Refusal::NotLoadable(reason));
                continue;
            }
        };
        compare_pin(pin, &sha256)?;
        let copy = place.path().join(format!("{sha256}.so"));
        match load_once(&sha256, || open_library(&copy)) {
            // A directory mounted `noexec` is no place for libraries: try the next.
            Err(Refusal::NotLoadable(reason)) if reason.contains("map segment") => {
                first_refusal.get_or_insert(Refusal::NotLoadable(reason));
            }
            done => return done.map(|table| (sha256, table)),
        }
    }
    Err(first_refusal.unwrap_or_else(|| Refusal::NotLoadable("no place for a copy".into())))
}

/// Where private copies may go, the best place first: a service's own runtime
/// directory (as systemd and logins name it), then the temporary directory.
fn private_places() -> impl Iterator<Item = PathBuf> {
    let named = ["RUNTIME_DIRECTORY", "XDG_RUNTIME_DIR"];
    let named = named.into_iter().filter_map(std::env::var_os).map(PathBuf::from);
    named.chain([std::env::temp_dir(), PathBuf::from("/var/tmp")])
}

/// Copies the library into a new directory that only we can look into, under its
/// digest as its name; returns both.
fn write_copy(directory: &Path, file: &mut File) -> io::Result<(tempfile::TempDir, String)> {
    file.rewind()?;
    let place = tempfile::Builder::new()
        .prefix("fantail-plugin-")
        // Whatever the umask is: nobody may put another file there meanwhile.
        .permissions(fs::Permissions::from_mode(0o700))
        .tempdir_in(directory)?;
    let unnamed = place.path().join("unnamed");
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true).mode(0o500);
    let sha256 = copy_hashed(file, &mut options.open(&unnamed)?)?;
    fs::rename(&unnamed, place.path().join(format!("{sha256}.so")))?;
    Ok((place, sha256))
}

fn open_library(path: &Path) -> Result<&'static LibHeader, Refusal> {
    // SAFETY: loading runs the library's initialisers. That they do no harm is what
    // the administrator vouches for who put the file into a plugin directory;
    // `open_trusted` made sure that nobody else could have.
    let handle = unsafe { Handle::open(Some(path), RTLD_NOW | RTLD_LOCAL) }
        .map_err(|error| Refusal::NotLoadable(loader_reason(path, &error)))?;
    // A library is never unloaded: its statics and functions are in use from here
    // on, and what its initialisers began can't be undone.
    let handle = std::mem::ManuallyDrop::new(handle);
    // SAFETY: a symbol of this name is only exported by abi_stable's or the SDK's
    // macros, as a static `LibHeader` that begins with the `AbiHeader` which this
    // reference type points to; its magic string is checked below, before
    // anything behind it is read.
    let symbol = unsafe { handle.get::<AbiHeaderRef>(ROOT_MODULE_LOADER_NAME_WITH_NUL.as_bytes()) };
    let header = match symbol {
        Ok(symbol) => *symbol,
        Err(_) => return Err(Refusal::NotAPlugin),
    };
    header.upgrade().map_err(|error| match error {
        LibraryError::InvalidAbiHeader(theirs) => {
            let theirs = format!("abi_stable {}.{}", theirs.abi_major, theirs.abi_minor);
            Refusal::OtherVersion(theirs, "abi_stable 0.11")
        }
        other => Refusal::Failed(one_line(&other.to_string())),
    })
}

/// What the system's loader said, without the copy's path, which nobody knows.
fn loader_reason(path: &Path, error: &libloading::Error) -> String {
    let said = error.to_string();
    let path = path.display().to_string();
    one_line(said.strip_prefix(&format!("{path}: ")).unwrap_or(&said))
}

/// Compares the layouts and only then initialises the plugin.
fn checked_table(header: &'static LibHeader) -> Result<PluginTableRef, Refusal> {
    let theirs = header.version_strings().version.to_string();
    let layout = header.layout().ok_or_else(|| {
        Refusal::OtherLayout(theirs.clone(), OUR_SDK, "it carries no layout to compare".into())
    })?;
    compare_layouts(PluginTableRef::LAYOUT, layout).map_err(|errors| {
        // Whoever else exports such a module has versions of their own.
        let is_sdk = header.root_mod_consts().name().as_str() == PluginTableRef::NAME;
        if is_sdk && major(&theirs) != major(OUR_SDK) {
            return Refusal::OtherVersion(format!("fantail-sdk {theirs}"), OUR_SDK);
        }
        Refusal::OtherLayout(theirs.clone(), OUR_SDK, first_difference(&errors))
    })?;
    // SAFETY: the layouts have just been found compatible, in one direction or the
    // other: one of the two tables begins with the other, and missing entries are
    // asked for (prefix types), never assumed.
    let table = unsafe { header.init_root_module_with_unchecked_layout::<PluginTableRef>() };
    table.map_err(|error| match error {
        LibraryError::IncompatibleVersionNumber { actual_version, .. } => {
            Refusal::OtherVersion(format!("fantail-sdk {actual_version}"), OUR_SDK)
        }
        other => Refusal::Failed(one_line(&other.to_string())),
    })
}

fn major(version: &str) -> &str {
    version.split('.').next().unwrap_or(version)
}

/// Compatible in either direction: abi_stable accepts a library that knows more
/// entries than the host, and calls a host that knows more than the library
/// incompatible, although every entry is asked for before it is used.
fn compare_layouts(
    ours: &'static TypeLayout,
    theirs: &'static TypeLayout,
) -> Result<(), AbiInstabilityErrors> {
    check_layout_compatibility(ours, theirs)
        .or_else(|errors| check_layout_compatibility(theirs, ours).map_err(|_| errors))
}

/// The innermost thing that differs, in one line. (Written out whole, such an
/// error has some 20,000 characters.)
fn first_difference(errors: &AbiInstabilityErrors) -> String {
    let said = errors.errors.iter().filter(|error| !error.errs.is_empty());
    let Some(innermost) = said.max_by_key(|error| error.stack_trace.len()) else {
        return "its tables and views are not the same".into();
    };
    let place = innermost.stack_trace.last().map(|frame| match &frame.found {
        TLFieldOrFunction::Field(field) => format!("`{}`: ", field.name()),
        TLFieldOrFunction::Function(function) => format!("`{}`: ", function.name),
    });
    let what = innermost.errs.first().map_or_else(String::new, |error| format!("{error:?}"));
    one_line(&format!("{}{what}", place.unwrap_or_default()))
}

/// The text with its white space squeezed, and at most 200 characters of it.
fn one_line(text: &str) -> String {
    let mut line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((end, _)) = line.char_indices().nth(200) {
        line.truncate(end);
        line.push('…');
    }
    line
}

fn describe(path: &Path, sha256: String, table: PluginTableRef) -> Result<Library, Refusal> {
    let name = table.name().to_string();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if name.is_empty() || !name.bytes().all(plain) {
        return Err(Refusal::Malformed(format!("`{}` is no plugin name", name.escape_debug())));
    }
    let parse = |schema: String| {
        serde_json::from_str::<Value>(&schema)
            .map_err(|error| Refusal::Malformed(format!("its settings' schema: {error}")))
    };
    let format = match table.format().into_option() {
        Some(format) => Some((format, parse(format.schema()().into_string())?)),
        None => None,
    };
    let driver = match table.driver().into_option() {
        Some(driver) => Some((driver, parse(driver.schema()().into_string())?)),
        None => None,
    };
    Ok(Library {
        path: path.to_owned(),
        sha256,
        name,
        version: table.version().to_string(),
        sdk_version: table.sdk_version().to_string(),
        description: table.description().to_string(),
        format,
        driver,
    })
}

/// What plugins may call; made once.
fn host_table() -> HostTableRef {
    static TABLE: std::sync::OnceLock<HostTableRef> = std::sync::OnceLock::new();
    *TABLE.get_or_init(|| HostTable { log_level_max, log: log_for_plugin }.leak_into_prefix())
}

extern "C" fn log_level_max() -> u32 {
    log::max_level() as u32
}

extern "C" fn log_for_plugin(plugin: RStr<'_>, level: u32, text: RStr<'_>) {
    let level = match level {
        1 => log::Level::Error,
        2 => log::Level::Warn,
        3 => log::Level::Info,
        4 => log::Level::Debug,
        _ => log::Level::Trace,
    };
    // A panic in a logger must not leave this function.
    let _ = std::panic::catch_unwind(|| {
        log::log!(target: "plugin", level, "plugin {plugin}: {text}");
    });
}

/// Bytes in lower-case hexadecimal.
fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
