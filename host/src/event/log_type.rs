//! The severity that an event was logged with.

/// How severe an event is, in Dovecot's numbering.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LogType {
    /// 0: of interest to somebody looking for a fault.
    Debug,
    /// 1
    Info,
    /// 2
    Warning,
    /// 3
    Error,
    /// 4: the process ends.
    Fatal,
    /// 5: the process ends because of a bug.
    Panic,
}

impl LogType {
    /// All of them, by number.
    pub const ALL: [LogType; 6] = [
        LogType::Debug,
        LogType::Info,
        LogType::Warning,
        LogType::Error,
        LogType::Fatal,
        LogType::Panic,
    ];

    /// The log type with Dovecot's number, 0 to 5.
    pub fn from_number(number: u64) -> Option<Self> {
        usize::try_from(number).ok().and_then(|index| Self::ALL.get(index)).copied()
    }

    /// The word that `category=` in a filter knows it by.
    pub const fn name(self) -> &'static str {
        match self {
            LogType::Debug => "debug",
            LogType::Info => "info",
            LogType::Warning => "warning",
            LogType::Error => "error",
            LogType::Fatal => "fatal",
            LogType::Panic => "panic",
        }
    }
}
