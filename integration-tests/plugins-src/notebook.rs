//! A driver as somebody outside would write it: it notes payloads in a file.

use std::{fs::OpenOptions, io::Write, path::PathBuf};

use fantail_sdk::{
    Batch, Driver, DriverContext, LabelPart, PluginError, SendError, Template, export_driver,
};

fantail_sdk::settings! {
    /// Where to note.
    pub struct Settings {
        /// The notebook.
        notebook_path: PathBuf,
        /// What stands before each note.
        #[serde(default)]
        notebook_mark: String,
        /// What stands before each note of its event.
        #[serde(default)]
        notebook_label: String,
    }
}

pub struct Notebook {
    settings: Settings,
    label: Template,
}

impl Driver for Notebook {
    type Settings = Settings;

    fn open(settings: Settings, context: &DriverContext) -> Result<Self, PluginError> {
        fantail_sdk::log::info!("notebook of {}", context.exporter);
        let label = Template::parse(&settings.notebook_label)
            .map_err(|error| PluginError::new(format!("notebook_label: {error}")))?;
        Ok(Notebook { settings, label })
    }

    fn wants(&self) -> Vec<LabelPart> {
        self.label.wants().to_vec()
    }

    fn send(&mut self, batch: &Batch<'_>) -> Result<(), SendError> {
        let mut options = OpenOptions::new();
        let opened = options.create(true).append(true).open(&self.settings.notebook_path);
        let mut file = opened.map_err(SendError::retry)?;
        let mut text = Vec::new();
        for (index, payload) in batch.payloads().enumerate() {
            self.label.expand(&batch.label(index), &mut text, |value, text| text.extend(value));
            text.extend_from_slice(self.settings.notebook_mark.as_bytes());
            text.extend_from_slice(payload);
            text.push(b'\n');
        }
        file.write_all(&text).map_err(SendError::retry)
    }
}

export_driver!(Notebook, "notebook");
