//! What can be set.

use fantail_sdk::{Bytes, Millis, PluginError};

use crate::{
    files::{Policy, Sync},
    keeper::Keeping,
};

fantail_sdk::settings! {
    /// Which file, and how.
    pub struct Settings {
        /// The file that payloads are appended to, each with a line feed; created with mode 0600.
        /// It may have variables as in Dovecot, each a field of the event or event, hostname or
        /// time: `/var/log/mail/%{user | domain | lower}/%{time | date('%Y-%m')}.json`. In a value,
        /// control characters, `/` and a `.` at the start become `_`, and an empty one is `_`.
        /// A payload whose path can't be opened is then dropped. No default.
        #[schemars(extend(
            "format" = "path-to-create",
            "x-aliases" = ["event_exporter_file_path", "transport_args"]
        ))]
        pub(crate) file_path: String,
        /// Whether directories are made that are not there, with mode 0700. Default: no.
        #[serde(default)]
        #[schemars(extend("x-creates-directories" = true))]
        pub(crate) file_create_directories: bool,
        /// How many files are open at a time, 1 to 65536, when `file_path` has variables: the
        /// longest unused one is closed for another. Default: 128.
        #[serde(default = "open_max")]
        #[schemars(extend("minimum" = 1, "maximum" = OPEN_MAX))]
        pub(crate) file_max_open: u32,
        /// A file that would grow beyond this size is renamed first, to its name with the time in
        /// UTC (`.20261121T120000Z`). A batch is never split, so a larger one makes a larger
        /// file. 0 is no limit. Default: 0.
        #[serde(default)]
        pub(crate) file_rotate_size: Bytes,
        /// A file is renamed when this time begins anew: `1 hour` is at each full hour, `1 day` at
        /// midnight, `1 week` on Thursdays, always in UTC; more exactly, before the
        /// first batch behind that moment. 0 is never, else from 1 s. Default: 0.
        #[serde(default)]
        pub(crate) file_rotate_interval: Millis,
        /// How many renamed files are kept of each file; the oldest are removed. 0 is all.
        /// Default: 0.
        #[serde(default)]
        pub(crate) file_rotate_keep: u32,
        /// Whether renamed files are compressed: `none` or `gzip`. Default: none.
        #[serde(default)]
        pub(crate) file_rotate_compress: CompressWith,
        /// When lines are brought to the disk: `never` leaves that to the system; `batch` is before
        /// they count as delivered; `interval` from time to time. Default: never.
        #[serde(default)]
        pub(crate) file_fsync: Fsync,
        /// How often with `file_fsync = interval`, from 1 ms. Default: 1 s.
        #[serde(default = "fsync_interval")]
        #[schemars(extend("minimum" = 1))]
        pub(crate) file_fsync_interval: Millis,
    }
}

fantail_sdk::settings! {
    /// How renamed files are compressed.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub(crate) enum CompressWith {
        /// Not at all.
        #[default]
        None,
        /// With gzip.
        Gzip,
    }
}

fantail_sdk::settings! {
    /// When lines are brought to the disk.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub(crate) enum Fsync {
        /// When the system does it.
        #[default]
        Never,
        /// Before they count as delivered.
        Batch,
        /// From time to time.
        Interval,
    }
}

const OPEN_MAX: u32 = 65_536;

fn open_max() -> u32 {
    128
}

fn fsync_interval() -> Millis {
    Millis(1000)
}

impl Settings {
    /// How files are handled.
    ///
    /// # Errors
    ///
    /// Which setting makes no sense.
    pub(crate) fn policy(&self) -> Result<Policy, PluginError> {
        if !(1..=OPEN_MAX).contains(&self.file_max_open) {
            return Err(PluginError::new(format!("file_max_open must be 1 to {OPEN_MAX}")));
        }
        if !self.file_rotate_interval.0.is_multiple_of(1000) {
            return Err(PluginError::new("file_rotate_interval must be in whole seconds"));
        }
        if self.file_fsync_interval.0 == 0 {
            return Err(PluginError::new("file_fsync_interval must be from 1 ms"));
        }
        let seconds = i64::try_from(self.file_rotate_interval.0 / 1000).unwrap_or(i64::MAX);
        Ok(Policy {
            open_max: self.file_max_open as usize,
            creates_directories: self.file_create_directories,
            rotate_size: Some(self.file_rotate_size.0).filter(|size| *size > 0),
            rotate_interval: Some(seconds).filter(|seconds| *seconds > 0),
            sync: match self.file_fsync {
                Fsync::Never => Sync::Never,
                Fsync::Batch => Sync::Batch,
                Fsync::Interval => Sync::Interval,
            },
        })
    }

    /// What is done with renamed files. Nothing, when none are: others may have such names.
    pub(crate) fn keeping(&self) -> Keeping {
        let rotates = self.file_rotate_size.0 > 0 || self.file_rotate_interval.0 > 0;
        let count = usize::try_from(self.file_rotate_keep).ok().filter(|count| *count > 0);
        Keeping {
            count: count.filter(|_| rotates),
            compress: rotates && self.file_rotate_compress == CompressWith::Gzip,
        }
    }
}
