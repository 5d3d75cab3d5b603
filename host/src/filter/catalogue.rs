//! The fields of Dovecot's own events that always hold text, as far as its code
//! and its recorded events tell. Other programs' fields are not known.

/// In ascending order.
const TEXT_FIELDS: [&str; 89] = [
    "auth_user",
    "backtrace",
    "certificate_user",
    "channel_binding",
    "client_id",
    "cmd_args",
    "cmd_human_args",
    "cmd_input_name",
    "cmd_name",
    "cmd_tag",
    "connection_id",
    "decision",
    "dest_host",
    "dict_driver",
    "dict_name",
    "disconnect_reason",
    "disconnect_side",
    "enhanced_code",
    "error",
    "event_name",
    "fs",
    "fts",
    "function_name",
    "host",
    "language",
    "local_name",
    "login_user",
    "mail_from",
    "mail_from_raw",
    "mail_param_auth",
    "mail_param_body",
    "mail_param_envid",
    "mail_param_ret",
    "mailbox",
    "master_user",
    "mechanism",
    "message_from",
    "message_id",
    "message_subject",
    "method",
    "namespace",
    "new_decision",
    "new_mailbox",
    "old_decision",
    "old_mailbox",
    "original_user",
    "passdb",
    "passdb_driver",
    "passdb_id",
    "passdb_name",
    "path",
    "policy_result",
    "protocol",
    "query",
    "query_first_word",
    "quota",
    "rcpt_param_notify",
    "rcpt_param_orcpt",
    "rcpt_param_orcpt_type",
    "rcpt_to",
    "realm",
    "reason",
    "reason_code",
    "reply_state",
    "result",
    "script",
    "service",
    "session",
    "slow_query",
    "socket_path",
    "sql_driver",
    "ssl_client_cert_fp",
    "ssl_client_cert_pubkey_fp",
    "ssl_ja3_hash",
    "success",
    "tagged_reply",
    "tagged_reply_state",
    "target",
    "tls_cipher",
    "tls_pfs",
    "tls_protocol",
    "transaction_id",
    "translated_user",
    "transport",
    "user",
    "userdb",
    "userdb_driver",
    "userdb_id",
    "userdb_name",
];

/// Whether the field always holds text, or a list of texts.
pub(super) fn holds_text(key: &str) -> bool {
    TEXT_FIELDS.binary_search(&key).is_ok()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::Value;

    use super::{TEXT_FIELDS, holds_text};

    #[test]
    fn recorded_fields_agree() {
        assert!(TEXT_FIELDS.is_sorted());
        let data = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../integration-tests/data/captures/dovecot-2.4/expected/all.json");
        let mut seen = 0;
        for line in std::fs::read_to_string(data).unwrap().lines() {
            let event: Value = serde_json::from_str(line).unwrap();
            let Some(fields) = event["fields"].as_object() else { continue };
            for (key, value) in fields.iter().filter(|(key, _)| holds_text(key)) {
                assert!(value.is_string() || value.is_array(), "{key}: {value}");
                seen += 1;
            }
        }
        assert!(seen > 1_000, "{seen}");
    }
}
