//! What any user can do to blind Dovecot's own stats process, and does not do to Fantail. The
//! rest of what harms it needs no mail server: see `stats_writer`, `drivers`, `silent_server`,
//! `service` and `added`.

use fantail_integration_tests::{
    Host, OUT, Workdir,
    peers::dovecot::{Imap, MailServer},
};

use super::{inputs, stand_in::told, with_each};

#[test]
fn a_long_command_costs_no_more_than_its_own_event() {
    with_each(|dovecot| {
        let dir = Workdir::new();
        MailServer::prepare(&dir);
        let config = OUT.replace("event=*", "event=imap_command_finished");
        let host = Host::start(&dir, &(inputs(&dir) + &config));
        let server = MailServer::start(dovecot, &dir);
        let mut imap = Imap::login(&server.ports(), "user").unwrap();
        imap.command("SELECT INBOX").unwrap();
        // The event has the arguments twice, with two bytes for each TAB: far above the 128 KiB
        // at which Dovecot's own process ends the connection.
        let (_, answer) = imap.ask(&format!("SEARCH SUBJECT \"{}\"", "\t".repeat(60_000))).unwrap();
        imap.command("NOOP").unwrap();
        imap.logout().unwrap();
        server.stop();
        let ended = host.stop().expect_status(0);
        let rejected = ended.input("dovecot").rejected;
        assert_eq!(rejected, [("too-long".to_owned(), 1)].into(), "{answer}");
        let commands = &told(&dir.lines("out"))["user"].commands;
        let names: Vec<&str> = commands.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["SELECT", "NOOP", "LOGOUT"]);
    });
}
