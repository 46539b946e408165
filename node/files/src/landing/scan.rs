//! What an earlier attempt left is read again and compared; what has the final name already is looked at.

mod stray;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io,
    os::unix::fs::FileExt,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

use clankers_protocol::{
    request::transfer::{EntryKind, OnConflict},
    transfer::{BlockSet, Cv, Root, tree},
};
use rustix::fs::{FileType, OFlags};

use super::{Landing, State, TREE, lock, under, write::is_ours};
use crate::{
    dir::Dirs,
    error::{FilesError, Result, Trouble},
    journal::{Claims, file_key},
    limits,
    listing::Item,
    os,
};

/// Where something that is had was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HadFrom {
    /// In the part directory: an earlier attempt got it.
    Part,
    /// Under its final name: a file of the same length, with all its blocks. It stays only when its root is the sender's.
    Target,
}

/// Blocks of a file that were read again and hashed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Had {
    /// The file's number.
    pub file: u32,
    /// Its blocks with their chaining values, in order.
    pub blocks: Vec<(u32, Cv)>,
    /// The root, when all blocks are had.
    pub root: Option<Root>,
    /// Where.
    pub from: HadFrom,
}

/// What has to be sent, seen from its other end: what has not.
#[derive(Debug, Default)]
pub struct Plan {
    /// In the order of files.
    pub had: Vec<Had>,
    /// Files and directories that cannot land, with the reason.
    pub bad: Vec<(u32, FilesError)>,
    /// Bytes of the blocks that are had.
    pub had_bytes: u64,
    /// Bytes that the journal claimed and the part files did not hold.
    pub lost_bytes: u64,
}

/// Some blocks of one file that one thread reads.
struct Job {
    file: u32,
    from: HadFrom,
    /// With the value that the journal claims, if one does.
    blocks: Vec<(u32, Option<Cv>)>,
}

/// Blocks with their values, by file and by whether they are under its final name.
type Found = BTreeMap<(u32, bool), Vec<(u32, Cv)>>;

/// How many blocks one thread reads before it takes the next job (count).
const JOB_BLOCKS: usize = 32;

impl Landing {
    /// Reads again what an earlier attempt left, and compares it with the journal; the journal alone is not believed. With
    /// `Overwrite` and `Skip`, hashes files of the right length that have their final names already. Comes once,
    /// before the first block; takes no time when nothing is there. `progress` is told bytes as they are read, from
    /// several threads.
    ///
    /// # Errors
    /// `Stopped` when `stop` became true, `Io`, `NoSpace`.
    pub fn scan(&self, stop: &AtomicBool, progress: &(dyn Fn(u64) + Sync)) -> Result<Plan> {
        let failed =
            |e: io::Error| FilesError::writing("read what has arrived of", &self.start.wish.root_name, &e);
        let mut plan = Plan::default();
        let mut jobs = Vec::new();
        let claims =
            if self.resumes { self.start.journal.load().map_err(failed)? } else { Claims::default() };
        if claims.damaged > 0 {
            tracing::warn!(
                records = claims.damaged,
                "parts of a transfer's journal are damaged; they are read as lost"
            );
        }
        if self.joins() {
            self.look_at_target(&mut jobs, &mut plan)?;
        }
        let mut claimed = 0_u64;
        let at_target = lock(&self.offered).keys().copied().collect::<BTreeSet<u32>>();
        let files = self.wanted().filter(|(_, item)| claims.len() > 0 && item.kind == EntryKind::File);
        for (index, item) in files.filter(|(index, _)| !at_target.contains(index)) {
            let of_file = claims.of(&file_key(&item.path, &item.identity));
            claimed = claimed.saturating_add(
                of_file.iter().filter_map(|c| Some(u64::from(tree::block_span(item.size, c.block)?.1))).sum(),
            );
            for some in of_file.chunks(JOB_BLOCKS) {
                let blocks = some.iter().map(|claim| (claim.block, Some(claim.cv))).collect();
                jobs.push(Job { file: index, from: HadFrom::Part, blocks });
            }
        }
        self.run(jobs, stop, progress, &mut plan)?;
        if stop.load(Ordering::Relaxed) {
            let root = &self.start.wish.root_name;
            return Err(FilesError::new(
                Trouble::Stopped,
                "read what has arrived of",
                root,
                "it was stopped",
            ));
        }
        let from_part = |had: &&Had| had.from == HadFrom::Part;
        let parted: u64 = plan.had.iter().filter(from_part).map(|had| self.bytes_of(had)).sum();
        plan.lost_bytes = claimed.saturating_sub(parted);
        plan.had_bytes = plan.had.iter().map(|had| self.bytes_of(had)).sum();
        if self.resumes {
            self.remove_strays(&plan.had).map_err(failed)?;
        }
        self.adopt(&plan);
        Ok(plan)
    }

    fn bytes_of(&self, had: &Had) -> u64 {
        let size = self.item(had.file).map_or(0, |item| item.size);
        had.blocks.iter().filter_map(|(block, _)| Some(u64::from(tree::block_span(size, *block)?.1))).sum()
    }

    /// Takes what was found as had.
    fn adopt(&self, plan: &Plan) {
        for had in &plan.had {
            let Some(item) = self.item(had.file) else { continue };
            let state = match had.from {
                HadFrom::Target => State::Offered,
                HadFrom::Part if item.blocks() == 1 => State::Whole,
                HadFrom::Part => {
                    let mut set = BlockSet::default();
                    had.blocks.iter().for_each(|(block, _)| {
                        set.insert(*block);
                    });
                    State::Partial(set)
                }
            };
            if had.from == HadFrom::Part {
                // Whether the attempt that wrote it had it synced is not known.
                self.wrote(&[had.file], 0);
            }
            self.set_state(had.file, state);
        }
        for (index, _) in &plan.bad {
            self.set_state(*index, State::Bad);
        }
    }

    /// Looks at what has the final names, where files are replaced or left as they are.
    fn look_at_target(&self, jobs: &mut Vec<Job>, plan: &mut Plan) -> Result<()> {
        let root = self.name();
        let failed = |e: io::Error| FilesError::writing("look at", &root, &e);
        if self.start.target.look(&root).map_err(failed)?.is_none() {
            return Ok(());
        }
        let mut dirs = Dirs::new(self.start.target.clone());
        let mut waiting = BTreeMap::new();
        for (index, item) in self.wanted() {
            let path = under(&root, &item.path);
            let found = match dirs.parent(&path, false) {
                Ok((dir, name)) => dir.look(name).map_err(failed)?,
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                Err(error) if os::is_in_the_way(&error) => {
                    let why = "a directory above it is something else there";
                    plan.bad.push((index, self.error(Trouble::Conflict, "write", &item, why)));
                    continue;
                }
                Err(error) => return Err(failed(error)),
            };
            let Some(stat) = found else { continue };
            let stamp = os::Stamp::of(&stat);
            match (item.kind, os::file_type(&stat)) {
                (EntryKind::Dir, FileType::Directory) => {}
                (EntryKind::File, FileType::RegularFile) if stamp.size == item.size => {
                    if item.size == 0 {
                        self.set_state(index, State::Same);
                    } else if self.start.wish.conflict == OnConflict::Skip || !self.is_parted(&item) {
                        waiting.insert(index, stamp);
                        let all: Vec<_> = (0..item.blocks()).map(|block| (block, None)).collect();
                        jobs.extend(all.chunks(JOB_BLOCKS).map(|some| Job {
                            file: index,
                            from: HadFrom::Target,
                            blocks: some.to_vec(),
                        }));
                    }
                }
                (EntryKind::File, FileType::RegularFile)
                    if self.start.wish.conflict == OnConflict::Overwrite => {}
                _ => {
                    let why = "something else has its name";
                    plan.bad.push((index, self.error(Trouble::Conflict, "write", &item, why)));
                }
            }
        }
        *lock(&self.offered) = waiting;
        Ok(())
    }

    /// Whether there is a part file. The journal does not tell: an attempt that was killed while it joined directories had
    /// moved some to their final names, and their claims stay.
    fn is_parted(&self, item: &Item<'_>) -> bool {
        self.resumes && self.open_part(item).is_ok_and(|part| part.is_some())
    }

    /// Reads and hashes, on as many threads as there are processors, a few at most.
    fn run(
        &self,
        jobs: Vec<Job>,
        stop: &AtomicBool,
        progress: &(dyn Fn(u64) + Sync),
        plan: &mut Plan,
    ) -> Result<()> {
        let next = AtomicUsize::new(0);
        let found: Mutex<Found> = Mutex::default();
        let threads = thread::available_parallelism().map_or(1, usize::from).min(limits::SCAN_THREADS);
        let work = || {
            let mut buffer = Vec::new();
            while let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                // What cannot be read is not had.
                let blocks = self.read_again(job, &mut buffer, stop, progress).unwrap_or_default();
                if !blocks.is_empty() {
                    let key = (job.file, job.from == HadFrom::Target);
                    lock(&found).entry(key).or_default().extend(blocks);
                }
            }
        };
        thread::scope(|scope| {
            for _ in 1..threads.min(jobs.len()) {
                scope.spawn(work);
            }
            work();
        });
        for ((file, target), mut blocks) in found.into_inner().unwrap_or_else(|e| e.into_inner()) {
            let Some(item) = self.item(file) else { continue };
            blocks.sort_unstable_by_key(|(block, _)| *block);
            let mut builder = tree::RootBuilder::new(item.size);
            blocks.iter().for_each(|(block, cv)| {
                builder.put(*block, *cv);
            });
            let root = builder.root();
            let from = if target { HadFrom::Target } else { HadFrom::Part };
            if target && root.is_none() {
                // It changed while it was read: then it is something else.
                if self.start.wish.conflict == OnConflict::Skip {
                    let why = "something that changes has its name";
                    plan.bad.push((file, self.error(Trouble::Conflict, "write", &item, why)));
                }
                continue;
            }
            plan.had.push(Had { file, blocks, root, from });
        }
        Ok(())
    }

    fn read_again(
        &self,
        job: &Job,
        buffer: &mut Vec<u8>,
        stop: &AtomicBool,
        progress: &(dyn Fn(u64) + Sync),
    ) -> io::Result<Vec<(u32, Cv)>> {
        let Some(item) = self.item(job.file) else { return Ok(Vec::new()) };
        let file = match job.from {
            HadFrom::Part => self.open_part(&item)?,
            HadFrom::Target => self.open_target(job.file, &item)?,
        };
        let Some(file) = file else { return Ok(Vec::new()) };
        let mut found = Vec::with_capacity(job.blocks.len());
        for (block, claimed) in &job.blocks {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            let Some((offset, len)) = tree::block_span(item.size, *block) else { continue };
            buffer.resize(usize::try_from(len).unwrap_or(0), 0);
            // A sector that cannot be read costs its block only.
            if file.read_exact_at(buffer, offset).is_err() {
                continue;
            }
            let cv = tree::hash_block(item.size, *block, buffer);
            progress(u64::from(len));
            if claimed.is_none_or(|claimed| claimed == cv) {
                found.push((*block, cv));
            }
        }
        Ok(found)
    }

    /// A part file that an earlier attempt left; `None` when it is not what such an attempt leaves.
    fn open_part(&self, item: &Item<'_>) -> io::Result<Option<File>> {
        let path = under(TREE, &item.path);
        let (dir, name) = lock(&self.tree).parent(&path, false)?;
        let file = match dir.file(name, OFlags::RDONLY, 0) {
            // Its final mode forbids reading it.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Ok(None),
            opened => opened?,
        };
        let fits = is_ours(&file)? && file.metadata()?.len() == item.size;
        Ok(fits.then_some(file))
    }

    fn open_target(&self, index: u32, item: &Item<'_>) -> io::Result<Option<File>> {
        let path = under(&self.name(), &item.path);
        let (dir, name) = Dirs::new(self.start.target.clone()).parent(&path, false)?;
        let file = dir.file(name, OFlags::RDONLY, 0)?;
        let stamp = os::Stamp::of(&rustix::fs::fstat(&file)?);
        let same = lock(&self.offered).get(&index) == Some(&stamp);
        Ok(same.then_some(file))
    }
}
