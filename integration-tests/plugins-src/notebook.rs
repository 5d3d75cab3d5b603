//! A driver as somebody outside would write it: it notes payloads in a file.

use std::{fs::OpenOptions, io::Write, path::PathBuf};

use fantail_sdk::{Batch, Driver, DriverContext, PluginError, SendError, export_driver};

fantail_sdk::settings! {
    /// Where to note.
    pub struct Settings {
        /// The notebook.
        notebook_path: PathBuf,
        /// What stands before each note.
        #[serde(default)]
        notebook_mark: String,
    }
}

pub struct Notebook {
    settings: Settings,
}

impl Driver for Notebook {
    type Settings = Settings;

    fn open(settings: Settings, context: &DriverContext) -> Result<Self, PluginError> {
        fantail_sdk::log::info!("notebook of {}", context.exporter);
        Ok(Notebook { settings })
    }

    fn send(&mut self, batch: &Batch<'_>) -> Result<(), SendError> {
        let mut options = OpenOptions::new();
        let opened = options.create(true).append(true).open(&self.settings.notebook_path);
        let mut file = opened.map_err(SendError::retry)?;
        let mut text = Vec::new();
        for payload in batch.payloads() {
            text.extend_from_slice(self.settings.notebook_mark.as_bytes());
            text.extend_from_slice(payload);
            text.push(b'\n');
        }
        file.write_all(&text).map_err(SendError::retry)
    }
}

export_driver!(Notebook, "notebook");
