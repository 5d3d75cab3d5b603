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

#[cfg(test)]
mod tests {
    use fantail_sdk::runner::{DriverRunner, Sent};
    use serde_json::json;

    use super::Drop;

    #[test]
    fn every_payload_is_taken() {
        let mut driver = DriverRunner::open::<Drop>(&json!({})).unwrap();
        let expected = Sent { delivered: vec![0, 1, 2], given_up: vec![], error: None };
        assert_eq!(driver.send(&["one", "", "three"]), expected);
        assert_eq!((driver.flush(), driver.reopen()), (None, None));
    }
}
