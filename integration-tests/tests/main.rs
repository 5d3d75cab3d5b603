//! Fantail from outside: real hosts, real peers, real faults.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is a failed test")]

mod added;
mod bench;
mod command_line;
mod config;
mod demo;
mod dovecot;
mod dovecot_conf;
mod dovecot_doc;
mod drivers;
mod files;
mod filter_command;
mod http_batches;
mod http_faults;
mod kills;
mod limits;
mod lines;
mod load;
mod many_processes;
mod many_users;
mod openmetrics;
mod plugins;
mod queue;
mod reading;
mod relay_chain;
mod reload;
mod replay;
mod retry;
mod service;
mod silent_server;
mod spool;
mod shutdown;
mod stats_writer;
mod tidy;
mod under_dovecot;
mod under_systemd;
