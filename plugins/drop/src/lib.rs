//! The driver `drop`: formats and then discards, for switching an exporter off
//! or for measuring everything before the driver.
//!
//! It is the smallest complete driver, and the template for others.

#![deny(unsafe_code)]

use fantail_sdk::{
    Batch, Driver, DriverContext, NoSettings, PluginError, SendError, export_driver,
};

/// Takes every payload and forgets it.
pub struct Drop;

impl Driver for Drop {
    type Settings = NoSettings;

    fn open(_settings: NoSettings, _context: &DriverContext) -> Result<Self, PluginError> {
        Ok(Drop)
    }

    fn send(&mut self, _batch: &Batch<'_>) -> Result<(), SendError> {
        Ok(())
    }
}

export_driver!(Drop, "drop");
