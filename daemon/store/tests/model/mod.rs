//! A disk in memory that forgets like a real one, and fails when told to.
//!
//! Data is kept at a power cut when its file was synced, names when their directory was. What was not
//! synced may be there all the same, in sectors of 512 bytes: as it was written, or as zeros, or not
//! at all. A sync that fails forgets what it should have written, and the next one succeeds without
//! it, as on Linux; reading shows the written bytes until the power is cut.

#![allow(dead_code, reason = "each test program uses a part of it")]

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use karo_store::disk::{Disk, DiskFile, DiskLock};

const SECTOR: usize = 512;

/// How an operation fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The device.
    Io,
    /// No room; half of a write is done.
    Full,
    /// The power is off: this and everything after it.
    Power,
}

impl Failure {
    fn error(self) -> io::Error {
        match self {
            Self::Io | Self::Power => io::Error::from_raw_os_error(5),
            Self::Full => io::Error::from_raw_os_error(28),
        }
    }
}

/// A stream of numbers from a seed, the same at each run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    /// Returns a number below the limit (SplitMix64).
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ mixed >> 31) % limit.max(1)
    }
}

#[derive(Debug, Clone, Default)]
struct Inode {
    bytes: Vec<u8>,
    durable: Vec<u8>,
    dirty: BTreeSet<usize>,
}

#[derive(Debug, Clone)]
enum NameChange {
    Link(PathBuf, usize),
    Unlink(PathBuf),
    Rename(PathBuf, PathBuf),
    Directory(PathBuf),
}

impl NameChange {
    fn directory(&self) -> &Path {
        let (Self::Link(path, _) | Self::Unlink(path) | Self::Rename(_, path) | Self::Directory(path)) = self;
        path.parent().expect("the tests use no root")
    }
}

#[derive(Debug, Clone, Default)]
struct Names {
    files: BTreeMap<PathBuf, usize>,
    directories: BTreeSet<PathBuf>,
}

impl Names {
    fn apply(&mut self, change: &NameChange) {
        match change {
            NameChange::Link(path, inode) => drop(self.files.insert(path.clone(), *inode)),
            NameChange::Unlink(path) => drop(self.files.remove(path)),
            NameChange::Rename(from, to) => {
                if let Some(inode) = self.files.remove(from) {
                    self.files.insert(to.clone(), inode);
                }
            }
            NameChange::Directory(path) => drop(self.directories.insert(path.clone())),
        }
    }
}

#[derive(Debug, Clone, Default)]
struct Model {
    inodes: Vec<Inode>,
    now: Names,
    durable: Names,
    pending: Vec<NameChange>,
    operations: u64,
    kinds: Vec<&'static str>,
    failure: Option<(u64, Failure)>,
    is_off: bool,
    free_bytes: u64,
}

/// The disk; clones are the same disk.
#[derive(Debug, Clone)]
pub(crate) struct ModelDisk(Arc<Mutex<Model>>);

impl ModelDisk {
    pub(crate) fn new() -> Self {
        let mut model = Model { free_bytes: 1 << 40, ..Model::default() };
        model.now.directories.insert(PathBuf::from("/"));
        model.durable = model.now.clone();
        Self(Arc::new(Mutex::new(model)))
    }

    fn model(&self) -> MutexGuard<'_, Model> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets the operation of that number, from 0, fail.
    pub(crate) fn fail_at(&self, operation: u64, failure: Failure) {
        self.model().failure = Some((operation, failure));
    }

    /// Sets what is free.
    pub(crate) fn set_free(&self, bytes: u64) {
        self.model().free_bytes = bytes;
    }

    /// Returns how many operations there were that could have failed.
    pub(crate) fn operations(&self) -> u64 {
        self.model().operations
    }

    /// Returns what the operation of that number was.
    pub(crate) fn kind(&self, operation: u64) -> &'static str {
        self.model().kinds.get(operation as usize).copied().unwrap_or("none")
    }

    /// Returns the disk as it is after the power was cut at this moment.
    pub(crate) fn after_power_cut(&self, dice: &mut Dice) -> Self {
        let model = self.model();
        let mut names = model.durable.clone();
        survivors(&model.pending, dice).iter().for_each(|change| names.apply(change));
        let is_there = |path: &Path| path.ancestors().skip(1).all(|above| names.directories.contains(above));
        names.files.retain(|path, _| is_there(path));
        let inodes = model.inodes.iter().map(|inode| inode.after_power_cut(dice)).collect();
        let now = names.clone();
        Self::of(Model { inodes, now, durable: names, free_bytes: model.free_bytes, ..Model::default() })
    }

    /// Returns the disk as the next process finds it when only the process died.
    pub(crate) fn after_kill(&self) -> Self {
        let model = self.model().clone();
        Self::of(Model { operations: 0, kinds: Vec::new(), failure: None, is_off: false, ..model })
    }

    fn of(model: Model) -> Self {
        Self(Arc::new(Mutex::new(model)))
    }

    /// Returns the names and contents of all files.
    pub(crate) fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let model = self.model();
        model
            .now
            .files
            .iter()
            .map(|(path, inode)| (path.clone(), model.inodes[*inode].bytes.clone()))
            .collect()
    }

    /// Changes a file behind everybody's back.
    pub(crate) fn tamper(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        let mut model = self.model();
        let inode = model.now.files[path];
        change(&mut model.inodes[inode].bytes);
        model.inodes[inode].durable = model.inodes[inode].bytes.clone();
    }

    /// Puts a file there, as if it had always been.
    pub(crate) fn put(&self, path: &Path, bytes: &[u8]) {
        let mut model = self.model();
        let inode = model.inodes.len();
        model.inodes.push(Inode { bytes: bytes.to_vec(), durable: bytes.to_vec(), dirty: BTreeSet::new() });
        model.now.files.insert(path.to_owned(), inode);
        model.durable.files.insert(path.to_owned(), inode);
    }
}

/// Chooses which changes of names were written: none, all, the first ones, or any.
fn survivors(pending: &[NameChange], dice: &mut Dice) -> Vec<NameChange> {
    let cut = dice.below(pending.len() as u64 + 1) as usize;
    match dice.below(4) {
        0 => Vec::new(),
        1 => pending.to_vec(),
        2 => pending[..cut].to_vec(),
        _ => pending.iter().filter(|_| dice.below(2) == 0).cloned().collect(),
    }
}

impl Inode {
    fn write(&mut self, bytes: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        self.dirty.extend(start / SECTOR..self.bytes.len().div_ceil(SECTOR));
    }

    fn sync(&mut self, is_kept: impl Fn(usize) -> bool) {
        self.durable.resize(self.bytes.len(), 0);
        for sector in std::mem::take(&mut self.dirty).into_iter().filter(|sector| is_kept(*sector)) {
            let range = sector * SECTOR..((sector + 1) * SECTOR).min(self.bytes.len());
            if !range.is_empty() {
                self.durable[range.clone()].copy_from_slice(&self.bytes[range]);
            }
        }
    }

    fn after_power_cut(&self, dice: &mut Dice) -> Self {
        let mut bytes = self.durable.clone();
        let grown = self.bytes.len().saturating_sub(bytes.len()) as u64;
        // The length may have been written, and the sectors up to it or not.
        bytes.resize(bytes.len() + [0, grown, dice.below(grown + 1)][dice.below(3) as usize] as usize, 0);
        for sector in &self.dirty {
            let end = ((sector + 1) * SECTOR).min(bytes.len()).min(self.bytes.len());
            let range = (sector * SECTOR).min(end)..end;
            if dice.below(2) == 0 {
                bytes[range.clone()].copy_from_slice(&self.bytes[range]);
            }
        }
        Self { durable: bytes.clone(), bytes, dirty: BTreeSet::new() }
    }
}

impl Model {
    /// Counts an operation; an error when it is the one that fails.
    fn operation(&mut self, kind: &'static str) -> Result<(), Failure> {
        let number = self.operations;
        self.operations += 1;
        self.kinds.push(kind);
        if self.is_off {
            return Err(Failure::Power);
        }
        match self.failure {
            Some((at, failure)) if at == number => {
                self.is_off = failure == Failure::Power;
                Err(failure)
            }
            Some(_) | None => Ok(()),
        }
    }

    fn change(&mut self, change: NameChange) {
        self.now.apply(&change);
        self.pending.push(change);
    }

    fn inode(&self, path: &Path) -> io::Result<usize> {
        self.now.files.get(path).copied().ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }
}

#[derive(Debug)]
struct ModelFile {
    disk: ModelDisk,
    inode: usize,
}

impl DiskFile for ModelFile {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut model = self.disk.model();
        let done = model.operation("write");
        let inode = &mut model.inodes[self.inode];
        match done {
            Ok(()) => inode.write(bytes),
            // A write may be cut anywhere.
            Err(_) => inode.write(&bytes[..bytes.len() / 2]),
        }
        done.map_err(Failure::error)
    }

    fn sync_data(&mut self) -> io::Result<()> {
        let mut model = self.disk.model();
        let done = model.operation("sync");
        let inode = &mut model.inodes[self.inode];
        match done {
            Ok(()) => inode.sync(|_| true),
            Err(Failure::Power) => {}
            // Every other sector made it; the rest is forgotten.
            Err(_) => inode.sync(|sector| sector % 2 == 0),
        }
        done.map_err(Failure::error)
    }

    fn truncate(&mut self, bytes: u64) -> io::Result<()> {
        let mut model = self.disk.model();
        model.operation("truncate").map_err(Failure::error)?;
        model.inodes[self.inode].bytes.truncate(bytes as usize);
        Ok(())
    }
}

#[derive(Debug)]
struct Nobody;

impl DiskLock for Nobody {}

impl Disk for ModelDisk {
    fn lock(&self, _: &Path) -> io::Result<Option<Box<dyn DiskLock>>> {
        Ok(Some(Box::new(Nobody)))
    }

    fn create_directory(&self, path: &Path) -> io::Result<()> {
        let mut model = self.model();
        model.operation("create_directory").map_err(Failure::error)?;
        let missing: Vec<PathBuf> = path
            .ancestors()
            .filter(|above| !model.now.directories.contains(*above))
            .map(Path::to_owned)
            .collect();
        missing.into_iter().rev().for_each(|above| model.change(NameChange::Directory(above)));
        Ok(())
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        let model = self.model();
        if !model.now.directories.contains(directory) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let there = model.now.files.keys().filter(|path| path.parent() == Some(directory));
        Ok(there.filter_map(|path| Some(path.file_name()?.to_str()?.to_owned())).collect())
    }

    fn create_new(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let mut model = self.model();
        model.operation("create").map_err(Failure::error)?;
        if model.now.files.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let inode = model.inodes.len();
        model.inodes.push(Inode::default());
        model.change(NameChange::Link(path.to_owned(), inode));
        Ok(Box::new(ModelFile { disk: self.clone(), inode }))
    }

    fn open_append(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let mut model = self.model();
        model.operation("open").map_err(Failure::error)?;
        let inode = model.inode(path)?;
        Ok(Box::new(ModelFile { disk: self.clone(), inode }))
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let model = self.model();
        Ok(model.inodes[model.inode(path)?].bytes.clone())
    }

    fn read_at(&self, path: &Path, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        let model = self.model();
        let all = &model.inodes[model.inode(path)?].bytes;
        let range = offset as usize..offset as usize + bytes.len();
        let part = all.get(range).ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))?;
        bytes.copy_from_slice(part);
        Ok(())
    }

    fn length(&self, path: &Path) -> io::Result<u64> {
        let model = self.model();
        Ok(model.inodes[model.inode(path)?].bytes.len() as u64)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut model = self.model();
        model.operation("rename").map_err(Failure::error)?;
        model.inode(from)?;
        model.change(NameChange::Rename(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        let mut model = self.model();
        model.inode(path)?;
        model.operation("unlink").map_err(Failure::error)?;
        model.change(NameChange::Unlink(path.to_owned()));
        Ok(())
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        let mut model = self.model();
        model.operation("sync_directory").map_err(Failure::error)?;
        let (synced, pending): (Vec<_>, Vec<_>) =
            std::mem::take(&mut model.pending).into_iter().partition(|change| change.directory() == path);
        synced.iter().for_each(|change| model.durable.apply(change));
        model.pending = pending;
        Ok(())
    }

    fn free_bytes(&self, _: &Path) -> io::Result<u64> {
        Ok(self.model().free_bytes)
    }
}
