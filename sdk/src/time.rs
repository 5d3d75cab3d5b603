//! Points in time as events carry them.

/// A point in time: microseconds since 1970-01-01T00:00:00Z, without leap seconds.
///
/// The range of an `i64` (some 292,000 years either way) holds every time that
/// can arrive; a format decides what it does with years beyond 9999.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The point `micros` microseconds after the epoch; negative means before it.
    pub const fn from_micros(micros: i64) -> Self {
        Timestamp(micros)
    }

    /// The point `seconds` and `micros` after the epoch, or `None` when that
    /// lies outside the range.
    pub fn from_parts(seconds: i64, micros: i64) -> Option<Self> {
        let micros = i128::from(seconds) * 1_000_000 + i128::from(micros);
        i64::try_from(micros).ok().map(Timestamp)
    }

    /// Microseconds since the epoch.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Whole seconds since the epoch, rounded down.
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// Microseconds within the second: 0 to 999,999, for times before the epoch too.
    pub const fn subsec_micros(self) -> u32 {
        self.0.rem_euclid(1_000_000) as u32
    }

    /// The wall clock's time.
    pub fn now() -> Self {
        let micros = match std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_micros()).unwrap_or(i64::MAX),
            Err(before) => {
                i64::try_from(before.duration().as_micros()).map_or(i64::MIN, |micros| -micros)
            }
        };
        Timestamp(micros)
    }
}

#[cfg(test)]
mod tests {
    use super::Timestamp;

    #[test]
    fn parts_round_down_before_the_epoch() {
        let time = Timestamp::from_micros(-1);
        assert_eq!((time.seconds(), time.subsec_micros()), (-1, 999_999));
        assert_eq!(Timestamp::from_parts(-1, 999_999), Some(time));
        assert_eq!(Timestamp::from_parts(i64::MAX, 0), None);
        let first = Timestamp::from_micros(i64::MIN);
        let parts = (first.seconds(), i64::from(first.subsec_micros()));
        assert_eq!(Timestamp::from_parts(parts.0, parts.1), Some(first));
    }
}
