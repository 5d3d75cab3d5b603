//! A driver that panics or stops, when and as often as it is told to.

use std::{fs::OpenOptions, io::Write, path::PathBuf};

use fantail_sdk::{Batch, Driver, DriverContext, PluginError, SendError, export_driver};

fantail_sdk::settings! {
    /// When to panic.
    #[derive(Clone, Copy, PartialEq, Eq)]
    pub enum When {
        /// When an instance is made.
        Open,
        /// At every batch.
        Send,
        /// At a batch with a payload that contains `poison`.
        Poison,
        /// Never; but as long as there is a file `broken` beside `faulty_path`, instances stop, and none
        /// can be made.
        Never,
    }
}

fantail_sdk::settings! {
    /// When to panic, and where payloads go otherwise.
    pub struct Settings {
        /// When to panic.
        faulty_when: When,
        /// Where payloads go.
        faulty_path: PathBuf,
    }
}

impl Settings {
    fn is_broken(&self) -> bool {
        self.faulty_when == When::Never && self.faulty_path.with_file_name("broken").exists()
    }
}

pub struct Faulty {
    settings: Settings,
}

impl Driver for Faulty {
    type Settings = Settings;

    fn open(settings: Settings, _context: &DriverContext) -> Result<Self, PluginError> {
        assert!(settings.faulty_when != When::Open, "no luck when opening");
        if settings.is_broken() {
            return Err(PluginError::new("broken, none can be made"));
        }
        Ok(Faulty { settings })
    }

    fn send(&mut self, batch: &Batch<'_>) -> Result<(), SendError> {
        assert!(self.settings.faulty_when != When::Send, "no luck when sending");
        if self.settings.is_broken() {
            return Err(SendError::stop("broken"));
        }
        let poison = b"poison";
        let poisoned = |payload: &[u8]| payload.windows(poison.len()).any(|part| part == poison);
        assert!(!batch.payloads().any(poisoned), "no luck with this payload");
        let mut options = OpenOptions::new();
        let opened = options.create(true).append(true).open(&self.settings.faulty_path);
        let mut file = opened.map_err(SendError::retry)?;
        for payload in batch.payloads() {
            file.write_all(&[payload, b"\n"].concat()).map_err(SendError::retry)?;
        }
        Ok(())
    }
}

export_driver!(Faulty, "faulty-driver");
