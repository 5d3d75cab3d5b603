//! A file system that is soon full.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

/// A small file system of its own, as long as it is not dropped.
pub struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Mounts one of so many KiB at `path`, which must not be there. `None` when there is no right to
    /// mount anything: not everybody who runs the tests has it.
    pub fn mount(path: &Path, kib: usize) -> Option<Self> {
        fs::create_dir(path).unwrap();
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", &format!("size={kib}k"), "none"]).arg(path);
        let mounted = rustix::process::geteuid().is_root() && command.status().unwrap().success();
        if mounted {
            fs::set_permissions(path, fs::Permissions::from_mode(0o700)).unwrap();
        }
        mounted.then(|| SmallDisk(path.to_owned()))
    }

    /// Takes up so many KiB, until [`free`](Self::free).
    pub fn fill(&self, kib: usize) {
        fs::write(self.0.join("filler"), vec![0; kib << 10]).unwrap();
    }

    /// Gives back what [`fill`](Self::fill) has taken.
    pub fn free(&self) {
        fs::remove_file(self.0.join("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        Command::new("umount").arg("-l").arg(&self.0).status().unwrap();
    }
}
