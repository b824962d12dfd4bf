//! A small disk that can be filled.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// Bytes of the disk.
const SIZE: &str = "4m";
const FILLER: &str = "filler";

/// A file system of its own, gone when dropped.
pub struct SmallDisk {
    mount: PathBuf,
}

impl SmallDisk {
    /// Mounts it over a folder. `None` where this is not allowed, which needs root.
    ///
    /// # Errors
    /// When root cannot mount it.
    pub fn mount(folder: &Path) -> Result<Option<Self>> {
        if !rustix::process::geteuid().is_root() {
            return Ok(None);
        }
        fs::create_dir_all(folder)?;
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o"]).arg(format!("size={SIZE}")).arg("skein-e2e").arg(folder);
        let status = mount.status().context("starting mount")?;
        ensure!(status.success(), "mount of {} ended with {status}", folder.display());
        Ok(Some(Self { mount: folder.to_owned() }))
    }

    /// Writes until nothing more fits.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn fill(&self) -> Result<()> {
        let mut file = File::create(self.mount.join(FILLER))?;
        let block = [0_u8; 4096];
        while file.write_all(&block).is_ok() {}
        while file.write_all(&block[..1]).is_ok() {}
        Ok(())
    }

    /// Gives the space back.
    ///
    /// # Errors
    /// When the file cannot be removed.
    pub fn empty(&self) -> Result<()> {
        Ok(fs::remove_file(self.mount.join(FILLER))?)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.mount).status();
    }
}
