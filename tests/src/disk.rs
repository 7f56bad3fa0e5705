//! Small file systems of a test's own, on loop devices: to fill up, and to cut off from power.
//! They need root; where that is not given, a test says so and does nothing.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::seed::say;

/// Whether this process may make file systems; says so when not.
pub fn usable(test: &str) -> bool {
    let root = output("id", &["-u"]).is_ok_and(|id| id.trim() == "0");
    let tools = ["losetup", "mkfs.ext4", "mount", "fsfreeze"];
    let missing: Vec<_> = tools.iter().filter(|tool| output("which", &[tool]).is_err()).collect();
    let reason = if !root {
        "not root".to_owned()
    } else if !missing.is_empty() {
        format!("no {missing:?}")
    } else if let Err(error) = output("losetup", &["--find"]) {
        error
    } else {
        return true;
    };
    say(&format!("{test}: SKIPPED, this machine makes no loop devices for us: {reason}"));
    false
}

fn output(program: &str, args: &[&str]) -> Result<String, String> {
    let output = Command::new(program).args(args).output().map_err(|error| error.to_string())?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
    }
}

fn run(program: &str, args: &[&str]) -> String {
    output(program, args).unwrap_or_else(|error| panic!("{program} {}: {error}", args.join(" ")))
}

fn text(path: &Path) -> &str {
    path.to_str().expect("test paths are UTF-8")
}

/// A mounted file system. Dropping it unmounts it.
#[derive(Debug)]
struct Mount {
    point: PathBuf,
    device: String,
}

impl Mount {
    /// Mounts a file that holds a file system.
    fn new(image: &Path, point: PathBuf, losetup: &[&str]) -> Self {
        fs::create_dir_all(&point).expect("a mount point");
        let mut args = losetup.to_vec();
        args.extend(["--show", "--find", text(image)]);
        let device = run("losetup", &args).trim().to_owned();
        // Made before it is mounted, so that the device goes when the mount fails.
        let mount = Self { point, device };
        run("mount", &[&mount.device, text(&mount.point)]);
        mount
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // A process that was just killed may hold it a moment longer.
        for _ in 0..100 {
            match output("umount", &[text(&self.point)]) {
                Err(error) if error.contains("busy") => {
                    std::thread::sleep(Duration::from_millis(20));
                }
                _ => break,
            }
        }
        let _ = output("losetup", &["--detach", &self.device]);
    }
}

/// Makes a file that holds an ext4 of so many MiB, all of it allocated.
fn make_image(path: &Path, mib: u64, options: &[&str]) {
    run("fallocate", &["--length", &format!("{mib}MiB"), text(path)]);
    let mut args = vec!["-q", "-F", "-m", "0"];
    args.extend(options);
    args.push(text(path));
    run("mkfs.ext4", &args);
}

/// A small disk.
#[derive(Debug)]
pub struct Disk {
    mount: Mount,
    _dir: TempDir,
}

impl Disk {
    /// A disk of so many MiB.
    pub fn new(mib: u64) -> Self {
        let dir = TempDir::new().expect("a folder");
        let image = dir.path().join("image");
        make_image(&image, mib, &[]);
        let mount = Mount::new(&image, dir.path().join("disk"), &[]);
        Self { mount, _dir: dir }
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        &self.mount.point
    }

    /// Bytes that are free.
    pub fn free(&self) -> u64 {
        let text = run("df", &["--output=avail", "--block-size=1", text(&self.mount.point)]);
        let number = text.lines().nth(1).expect("a line of df");
        number.trim().parse().expect("a number of df")
    }

    /// Takes all but so many bytes; dropping the file gives them back.
    pub fn fill(&self, but: u64) -> Filler {
        let path = self.path().join("filler");
        // What a file system says is free cannot always be had to the last block.
        while self.free() > but {
            let at = fs::metadata(&path).map_or(0, |file| file.len());
            let part = self.free().saturating_sub(but).max(4096);
            if !grow(&path, at, part) {
                break;
            }
        }
        Filler(path)
    }

    /// Takes so many bytes; dropping the file gives them back.
    pub fn take(&self, bytes: u64) -> Filler {
        let path = self.path().join("ballast");
        assert!(grow(&path, 0, bytes), "{bytes} bytes are free");
        Filler(path)
    }
}

fn grow(path: &Path, at: u64, by: u64) -> bool {
    let (at, by) = (at.to_string(), by.to_string());
    output("fallocate", &["--offset", &at, "--length", &by, text(path)]).is_ok()
}

/// A file that takes the room of others, until it is dropped.
#[derive(Debug)]
pub struct Filler(PathBuf);

impl Drop for Filler {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// A disk whose power can be cut, again and again, while it is in use.
///
/// The disk is a file on another, outer file system, and its loop device writes with direct I/O.
/// So the file holds exactly what the kernel has written out; what still lies in the page cache,
/// because nobody has synced it, is not in it. Freezing the outer file system stops all writes to
/// the file at one instant, and a copy made then is what a power cut at that instant leaves.
#[derive(Debug)]
pub struct PowerDisk {
    // In the order in which they must go. None only while the power is off.
    inner: Option<Mount>,
    outer: Mount,
    dir: TempDir,
    cuts: u32,
}

/// What is left after a power cut, mounted: the file system has repaired itself.
#[derive(Debug)]
pub struct Remains {
    mount: Mount,
    image: PathBuf,
}

impl Remains {
    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        &self.mount.point
    }
}

impl Drop for Remains {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.image);
    }
}

impl PowerDisk {
    /// A disk of so many MiB.
    pub fn new(mib: u64) -> Self {
        let dir = TempDir::new().expect("a folder");
        let outer_image = dir.path().join("outer");
        make_image(&outer_image, mib + mib / 4 + 16, &["-O", "^has_journal"]);
        let outer = Mount::new(&outer_image, dir.path().join("below"), &[]);
        let image = outer.point.join("image");
        make_image(&image, mib, &[]);
        let inner = Some(mount_directly(&image, dir.path()));
        Self { inner, outer, dir, cuts: 0 }
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        &self.inner.as_ref().expect("the power is on").point
    }

    /// What a power cut at this moment would leave.
    pub fn cut(&mut self) -> Remains {
        let image = self.copy(|| ());
        let point = self.dir.path().join(format!("remains-{}", self.cuts));
        Remains { mount: Mount::new(&image, point, &[]), image }
    }

    /// The power goes at this moment; `end` ends who uses the disk, without waiting for it.
    pub fn lose_power(&mut self, end: impl FnOnce()) -> Dark<'_> {
        let image = self.copy(end);
        Dark { disk: self, image }
    }

    /// A copy of what is written out now. While it is made, with `during` at its beginning, nothing
    /// more is.
    fn copy(&mut self, during: impl FnOnce()) -> PathBuf {
        self.cuts += 1;
        let image = self.dir.path().join(format!("cut-{}", self.cuts));
        let below = text(&self.outer.point);
        run("fsfreeze", &["--freeze", below]);
        during();
        let copied = fs::copy(self.outer.point.join("image"), &image);
        run("fsfreeze", &["--unfreeze", below]);
        copied.expect("copy the image");
        image
    }
}

fn mount_directly(image: &Path, dir: &Path) -> Mount {
    let mount = Mount::new(image, dir.join("disk"), &["--direct-io=on"]);
    let direct = Path::new("/sys/block").join(mount.device.trim_start_matches("/dev/"));
    let direct = fs::read_to_string(direct.join("loop/dio")).expect("the loop device's state");
    assert_eq!(direct.trim(), "1", "the loop device writes directly");
    mount
}

/// A disk without power.
#[derive(Debug)]
pub struct Dark<'a> {
    disk: &'a mut PowerDisk,
    image: PathBuf,
}

impl Dark<'_> {
    /// The power is back, with what was written out when it went; nobody may use the disk any more.
    pub fn power_returns(self) {
        drop(self.disk.inner.take());
        let image = self.disk.outer.point.join("image");
        fs::copy(&self.image, &image).expect("put the image back");
        fs::remove_file(&self.image).expect("remove the copy");
        self.disk.inner = Some(mount_directly(&image, self.disk.dir.path()));
    }
}
