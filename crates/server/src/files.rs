//! Files by name inside one directory, and never outside it: the kernel resolves the name beneath the directory and
//! follows no symbolic link (`openat2`), so no trick with `..`, links or races leaves it (`reliability.md` A8).

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use offhook_call::error::FileFault;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

/// A directory that names are resolved in.
#[derive(Debug)]
pub struct Directory {
    root: OwnedFd,
}

const BENEATH: ResolveFlags =
    ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS).union(ResolveFlags::NO_MAGICLINKS);

/// Makes a directory for what is nobody else's business, and those above it, where they are missing. One that is there keeps its
/// mode.
pub(crate) fn make_private(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

impl Directory {
    /// Opens a directory, making it where it is missing. A filter of system calls may forbid what names in it are opened by: that is
    /// told here, and not by each call that is to be recorded.
    pub fn open(path: &Path) -> io::Result<Self> {
        fs::create_dir_all(path)?;
        let flags = OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::RDONLY;
        let root = rustix::fs::open(path, flags, Mode::empty())?;
        rustix::fs::openat2(&root, ".", flags, Mode::empty(), BENEATH).map_err(|errno| {
            io::Error::new(io::Error::from(errno).kind(), format!("openat2 is not to be had here: {errno}"))
        })?;
        Ok(Self { root })
    }

    /// Keeps other servers from it, as long as this handle or a clone of it is there.
    pub fn claim(&self) -> io::Result<()> {
        claim(&self.root)
    }

    /// Another handle of the same directory.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self { root: self.root.try_clone()? })
    }

    /// Bytes that files may still take on its disk.
    pub fn free_bytes(&self) -> Result<u64, FileFault> {
        let disk = rustix::fs::fstatvfs(&self.root).map_err(fault)?;
        Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
    }

    /// Opens a regular file to read.
    pub fn read(&self, name: &str) -> Result<File, FileFault> {
        check(name)?;
        // A FIFO would block the open for ever without NONBLOCK; on a regular file it means nothing.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        regular(rustix::fs::openat2(&self.root, name, flags, Mode::empty(), BENEATH).map_err(fault)?)
    }

    /// Opens a regular file to read and to change.
    pub fn change(&self, name: &str) -> Result<File, FileFault> {
        check(name)?;
        let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NONBLOCK;
        regular(rustix::fs::openat2(&self.root, name, flags, Mode::empty(), BENEATH).map_err(fault)?)
    }

    /// The names of what is in a folder.
    pub fn names(&self, folder: &str) -> Result<Vec<String>, FileFault> {
        check(folder)?;
        let flags = OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::RDONLY;
        let folder = rustix::fs::openat2(&self.root, folder, flags, Mode::empty(), BENEATH).map_err(fault)?;
        let entries = rustix::fs::Dir::read_from(folder).map_err(fault)?;
        let names = entries.filter_map(|entry| Some(entry.ok()?.file_name().to_str().ok()?.to_owned()));
        Ok(names.filter(|name| !matches!(name.as_str(), "." | "..")).collect())
    }

    /// Removes a file.
    pub fn remove(&self, name: &str) -> Result<(), FileFault> {
        check(name)?;
        let (parent, last) = self.parent_of(name)?;
        rustix::fs::unlinkat(&parent, last, rustix::fs::AtFlags::empty()).map_err(fault)
    }

    /// Makes a new file to write, and the folders above it. An existing one is [`FileFault::Exists`], unless it may be
    /// replaced and nobody writes it, that is, has what this gave him: then the new file takes its name once it is open, so that a
    /// failure loses nothing, and whoever still reads the old one is not disturbed.
    pub fn create(&self, name: &str, overwrite: bool) -> Result<File, FileFault> {
        check(name)?;
        self.make_folders(name)?;
        let file = match self.create_new(name) {
            Err(FileFault::Exists) if overwrite => self.replace(name),
            result => result,
        }?;
        claim_file(&file)?;
        Ok(file)
    }

    fn create_new(&self, name: &str) -> Result<File, FileFault> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(0o640);
        regular(rustix::fs::openat2(&self.root, name, flags, mode, BENEATH).map_err(fault)?)
    }

    /// Only a regular file is replaced, that nobody writes. It is claimed meanwhile, so the name beside it is nobody else's; what
    /// a crash left there is made anew.
    fn replace(&self, name: &str) -> Result<File, FileFault> {
        let former = self.read(name)?;
        claim_file(&former)?;
        let (parent, last) = self.parent_of(name)?;
        let beside = format!("{name}.new");
        let file = match self.create_new(&beside) {
            Err(FileFault::Exists) => {
                rustix::fs::unlinkat(&parent, format!("{last}.new"), rustix::fs::AtFlags::empty())
                    .map_err(fault)?;
                self.create_new(&beside)?
            }
            result => result?,
        };
        rustix::fs::renameat(&parent, format!("{last}.new"), &parent, last).map_err(fault)?;
        Ok(file)
    }

    fn make_folders(&self, name: &str) -> Result<(), FileFault> {
        for (end, _) in name.match_indices('/') {
            let Some(folder) = name.get(..end) else { continue };
            let (parent, last) = self.parent_of(folder)?;
            match rustix::fs::mkdirat(&parent, last, Mode::from_raw_mode(0o750)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(errno) => return Err(fault(errno)),
            }
        }
        Ok(())
    }

    /// The folder that holds `name`, opened beneath the root, and the last part of the name.
    fn parent_of<'n>(&self, name: &'n str) -> Result<(OwnedFd, &'n str), FileFault> {
        let (parent, last) = name.rsplit_once('/').unwrap_or((".", name));
        let flags = OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::RDONLY;
        Ok((rustix::fs::openat2(&self.root, parent, flags, Mode::empty(), BENEATH).map_err(fault)?, last))
    }
}

/// Keeps other servers from an open directory.
pub(crate) fn claim(directory: impl AsFd) -> io::Result<()> {
    rustix::fs::flock(directory, rustix::fs::FlockOperation::NonBlockingLockExclusive)
        .map_err(|_| io::Error::new(io::ErrorKind::ResourceBusy, "it is in use by another server"))
}

/// Keeps others from replacing a file as long as it is open, and tells whether somebody does that already. On a file system that
/// cannot tell, nobody does.
fn claim_file(file: &File) -> Result<(), FileFault> {
    match rustix::fs::flock(file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
        Err(Errno::WOULDBLOCK) => Err(FileFault::Exists),
        _ => Ok(()),
    }
}

/// Names are relative, and every part of them is a name: no `..`, no `.`, nothing empty, no control character.
fn check(name: &str) -> Result<(), FileFault> {
    let bad_part = |part: &str| part.is_empty() || part == "." || part == "..";
    if name.split('/').any(bad_part) || name.chars().any(char::is_control) || name.contains('\\') {
        return Err(FileFault::Forbidden);
    }
    Ok(())
}

/// Devices, sockets and FIFOs are no files to play or to record to.
fn regular(fd: OwnedFd) -> Result<File, FileFault> {
    let file = File::from(fd);
    match file.metadata() {
        Ok(data) if data.is_file() => Ok(file),
        Ok(_) => Err(FileFault::Irregular),
        Err(_) => Err(FileFault::Unreadable),
    }
}

fn fault(errno: Errno) -> FileFault {
    match errno {
        Errno::NOENT | Errno::NOTDIR => FileFault::NotFound,
        // The name leaves the directory.
        Errno::XDEV => FileFault::Forbidden,
        Errno::LOOP => FileFault::Link,
        // A socket, or a folder.
        Errno::NXIO | Errno::ISDIR => FileFault::Irregular,
        Errno::EXIST => FileFault::Exists,
        Errno::NOSPC | Errno::DQUOT => FileFault::DiskFull,
        _ => FileFault::Unreadable,
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_directory_is_claimed_by_one() {
        let temp = Temp::new("claim");
        let (one, other) = (temp.root(), temp.root());
        one.claim().unwrap();
        assert!(other.claim().unwrap_err().to_string().contains("in use by another server"));
        let clone = one.try_clone().unwrap();
        drop(one);
        assert!(other.claim().is_err(), "a clone of it is there");
        drop(clone);
        other.claim().unwrap();
    }

    /// A directory of its own for each test, removed at its end.
    struct Temp(std::path::PathBuf);

    impl Temp {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("offhook-files-{}-{name}", std::process::id()));
            fs::create_dir_all(path.join("root/sub")).unwrap();
            fs::write(path.join("outside"), b"secret").unwrap();
            fs::write(path.join("root/sub/in"), b"inside").unwrap();
            Self(path)
        }

        fn root(&self) -> Directory {
            Directory::open(&self.0.join("root")).unwrap()
        }
    }

    impl Drop for Temp {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn fault_of(result: Result<File, FileFault>) -> FileFault {
        result.expect_err("must be refused")
    }

    #[test]
    fn names_that_leave_the_directory_are_forbidden() {
        let temp = Temp::new("leave");
        let root = temp.root();
        symlink("../outside", temp.0.join("root/link")).unwrap();
        symlink("..", temp.0.join("root/up")).unwrap();
        for name in ["link", "up/outside"] {
            assert_eq!(fault_of(root.read(name)), FileFault::Link, "read {name:?}");
            assert_eq!(fault_of(root.create(name, true)), FileFault::Link, "create {name:?}");
        }
        for name in [
            "../outside",
            "sub/../../outside",
            "/etc/passwd",
            "",
            "sub//in",
            "./sub/in",
            "sub/in\0",
            "sub\\in",
        ] {
            assert_eq!(fault_of(root.read(name)), FileFault::Forbidden, "read {name:?}");
            assert_eq!(fault_of(root.create(name, true)), FileFault::Forbidden, "create {name:?}");
        }
        assert_eq!(fs::read(temp.0.join("outside")).unwrap(), b"secret");
    }

    #[test]
    fn a9_what_is_no_regular_file_is_forbidden_and_never_blocks() {
        let temp = Temp::new("kind");
        let fifo = temp.0.join("root/fifo");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &fifo,
            rustix::fs::FileType::Fifo,
            Mode::from_raw_mode(0o600),
            0,
        )
        .unwrap();
        assert_eq!(fault_of(temp.root().read("fifo")), FileFault::Irregular);
        symlink("/dev/zero", temp.0.join("root/zero")).unwrap();
        assert_eq!(fault_of(temp.root().read("zero")), FileFault::Link);
        let _socket = std::os::unix::net::UnixListener::bind(temp.0.join("root/socket")).unwrap();
        assert_eq!(fault_of(temp.root().read("socket")), FileFault::Irregular);
        // A directory of devices: what is a device itself, and not the link to one.
        assert_eq!(fault_of(Directory::open(Path::new("/dev")).unwrap().read("zero")), FileFault::Irregular);
        assert_eq!(fault_of(temp.root().read("sub")), FileFault::Irregular);
        assert_eq!(fault_of(temp.root().read("missing")), FileFault::NotFound);
        assert_eq!(fault_of(temp.root().read("sub/in/deeper")), FileFault::NotFound);
    }

    /// Somebody swaps a file for a link to a secret, and back, as fast as they can: what is opened is the file, or nothing.
    #[test]
    fn a9_a_link_that_takes_the_place_of_a_file_is_never_followed() {
        let temp = Temp::new("swap");
        let root = temp.root();
        let at = |name: &str| temp.0.join("root").join(name);
        fs::write(at("good"), b"inside").unwrap();
        symlink("../outside", at("link")).unwrap();
        symlink("..", at("folder-link")).unwrap();
        fs::create_dir(at("folder")).unwrap();
        fs::write(at("folder/outside"), b"inside").unwrap();
        let exchange = |one: &str, other: &str| {
            let flags = rustix::fs::RenameFlags::EXCHANGE;
            let cwd = rustix::fs::CWD;
            rustix::fs::renameat_with(cwd, at(one), cwd, at(other), flags).unwrap();
        };
        let is_over = std::sync::atomic::AtomicBool::new(false);
        let (mut opened, mut refused) = (0, 0);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(std::sync::atomic::Ordering::Relaxed) {
                    exchange("good", "link");
                    exchange("folder", "folder-link");
                }
            });
            for name in ["good", "folder/outside"].into_iter().cycle().take(20_000) {
                match root.read(name) {
                    Ok(mut file) => {
                        let mut text = String::new();
                        file.read_to_string(&mut text).unwrap();
                        assert_eq!(text, "inside", "{name}");
                        opened += 1;
                    }
                    Err(FileFault::Link) => refused += 1,
                    // The kernel sees the race itself (EAGAIN), or the moment between the two.
                    Err(FileFault::Unreadable | FileFault::NotFound) => {}
                    Err(other) => panic!("{other:?}"),
                }
            }
            is_over.store(true, std::sync::atomic::Ordering::Relaxed);
        });
        assert!(opened > 0 && refused > 0, "{opened} opened, {refused} refused");
    }

    #[test]
    fn a_new_file_gets_its_folders_and_an_old_one_is_kept_unless_told_otherwise() {
        let temp = Temp::new("create");
        let root = temp.root();
        root.create("a/b/new", false).unwrap().write_all(b"1").unwrap();
        assert_eq!(fault_of(root.create("a/b/new", false)), FileFault::Exists);
        let mut old = root.read("a/b/new").unwrap();
        root.create("a/b/new", true).unwrap().write_all(b"two").unwrap();
        let mut text = String::new();
        old.read_to_string(&mut text).unwrap();
        assert_eq!(text, "1", "whoever reads the old file still has it");
        assert_eq!(fs::read(temp.0.join("root/a/b/new")).unwrap(), b"two");
        fs::create_dir(temp.0.join("root/folder")).unwrap();
        assert_eq!(fault_of(root.create("folder", true)), FileFault::Irregular, "only files are replaced");
        let names: Vec<_> = fs::read_dir(temp.0.join("root/a/b")).unwrap().collect();
        assert_eq!(names.len(), 1, "nothing is left beside it");
    }
}
