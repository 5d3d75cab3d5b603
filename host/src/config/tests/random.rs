//! No text whatever panics, or goes on for ever.

use proptest::prelude::*;

use super::super::effective;
use super::{load, plugins};

/// Pieces that configurations are made of, so that random texts reach deep.
const PIECES: &[&str] = &[
    "metric m {\n",
    "event_exporter e {\n",
    "input i {\n",
    "service stats {\n",
    "group_by f {\n",
    "method linear {\n",
    "unix_listener stats-writer {\n",
    "plugin p {\n",
    "}\n",
    "{",
    "}",
    "filter = ",
    "fields = ",
    "fields {\n",
    "group_by = ",
    "a:exponential:1:5:10",
    ":discrete:%{value | lower}",
    "driver = file\n",
    "format = json\n",
    "format_args = time-unix\n",
    "file_path = ",
    "path = ",
    "exporter = e\n",
    "queue_max_size = 1k\n",
    "hostname = ",
    "$SET:hostname ",
    "$hostname ",
    "$ENV:NAME ",
    "<a.conf\n",
    "<<END\n",
    "END\n",
    "!include a.conf\n",
    "\\\n",
    "\"",
    "'",
    "\\",
    "#",
    "=",
    "%",
    "\n",
    " ",
    "\t",
    "x",
    "5 s",
    "é",
    "\u{feff}",
    "\0",
    "max = 9\n",
    "step = 2\n",
    "protocols = imap\n",
];

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_understood_or_refused(text in any::<String>()) {
        understood_or_refused(&text);
    }

    #[test]
    fn any_pieces_are_understood_or_refused(
        pieces in proptest::collection::vec(proptest::sample::select(PIECES), 0..60),
    ) {
        understood_or_refused(&pieces.concat());
    }
}

fn understood_or_refused(text: &str) {
    let loaded = load(text);
    let shown = loaded.diagnostics.render(false);
    assert_eq!(loaded.config.is_none(), loaded.diagnostics.has_errors(), "{shown}");
    if let Some(config) = loaded.config {
        let printed = effective(&config, &plugins());
        let again = load(&printed);
        assert_eq!(again.config, Some(config), "{printed}\n{}", again.diagnostics.render(false));
    }
}
