//! The names of sockets that we have bound ourselves and that systemd keeps for us.
//!
//! A name tells which file the socket was bound to (its device and inode): by a path that
//! leads to another one, or to none, nobody can reach the socket any more.

use std::{
    fs,
    os::unix::fs::{FileTypeExt, MetadataExt},
    path::Path,
};

use super::descriptor::Address;

/// How all of these names begin; those of a socket unit are its own.
const PREFIX: &str = "fantail-kept";

/// Whether a socket of this name is one that we have bound ourselves.
pub(super) fn is_kept(name: &str) -> bool {
    name.starts_with(PREFIX)
}

/// The name under which systemd keeps the socket; `None` when its file is gone. It holds no
/// character that a name can't have.
pub(super) fn name(address: &Address) -> Option<String> {
    Some(match address {
        Address::Unix(path) => {
            let (device, inode) = identity(path)?;
            format!("{PREFIX}-unix-{device:x}-{inode:x}")
        }
        Address::Tcp(address) => {
            let plain = |text: char| if text.is_ascii_alphanumeric() { text } else { '.' };
            let address: String = address.to_string().chars().map(plain).collect();
            format!("{PREFIX}-tcp-{address}")
        }
    })
}

/// The device and inode of the socket's file.
fn identity(path: &Path) -> Option<(u64, u64)> {
    let status = fs::symlink_metadata(path).ok().filter(|status| status.file_type().is_socket())?;
    Some((status.dev(), status.ino()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::{Address, is_kept, name};

    #[test]
    fn a_name_is_that_of_one_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        let address = Address::Unix(path.clone());
        assert_eq!(name(&address), None);
        let first = UnixListener::bind(&path).unwrap();
        let its_name = name(&address).unwrap();
        assert!(is_kept(&its_name) && !its_name.contains(':'));
        assert_eq!(name(&address).as_ref(), Some(&its_name));
        std::fs::rename(&path, dir.path().join("away")).unwrap();
        let second = UnixListener::bind(&path).unwrap();
        assert_ne!(name(&address).unwrap(), its_name);
        drop((first, second));
        let tcp = |text: &str| name(&Address::Tcp(text.parse().unwrap())).unwrap();
        assert_eq!(tcp("[::]:9100"), "fantail-kept-tcp-.....9100");
        assert_ne!(tcp("127.0.0.1:9100"), tcp("127.0.0.1:9101"));
        assert!(!is_kept("fantail.socket"));
    }
}
