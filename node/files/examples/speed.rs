//! How fast the disk's side of a transfer is, without a network: `cargo run --release -p clankers-files --example speed DIR`.
//!
//! Prints one line for a large file and one for many small ones; everything happens in a new directory in DIR.

use std::{env, error::Error, fs, path::Path, sync::Arc, sync::atomic::AtomicBool, time::Instant};

use clankers_files::{Begun, Landing, Place, Selection, Small, Source, Wanted, Wish};
use clankers_protocol::transfer::{Cv, TransferId, manifest::ManifestLimits, tree};

fn main() -> Result<(), Box<dyn Error>> {
    let base = env::args().nth(1).unwrap_or_else(|| env::temp_dir().to_string_lossy().into_owned());
    let dir = Path::new(&base).join(format!("speed-{}", std::process::id()));
    fs::create_dir_all(dir.join("many"))?;
    let result = run(&dir);
    fs::remove_dir_all(&dir)?;
    result
}

fn run(dir: &Path) -> Result<(), Box<dyn Error>> {
    let block: Vec<u8> = (0..1 << 20).map(|at: u32| at.to_le_bytes()[1] ^ at.to_le_bytes()[0]).collect();
    let big = dir.join("big");
    let mut file = fs::File::create(&big)?;
    for _ in 0..1024 {
        std::io::Write::write_all(&mut file, &block)?;
    }
    for at in 0..10_000 {
        let sub = dir.join("many").join(format!("d{}", at / 100));
        if at % 100 == 0 {
            fs::create_dir(&sub)?;
        }
        fs::write(sub.join(format!("f{at}")), block.get(at..at + 4096).unwrap_or_default())?;
    }
    for round in 0..3 {
        transfer(&big, dir, round, "1 GiB in one file")?;
        transfer(&dir.join("many"), dir, round, "10,000 files of 4 KiB")?;
    }
    Ok(())
}

fn transfer(path: &Path, dir: &Path, round: u8, what: &str) -> Result<(), Box<dyn Error>> {
    let began = Instant::now();
    let go = AtomicBool::new(false);
    let source = Source::walk(path, &Selection::default(), &go)?;
    let manifest = Arc::new(source.manifest(ManifestLimits::default())?);
    let place = Place::open(dir)?;
    let wish = Wish {
        principal: "speed".to_owned(),
        to: Some("in".to_owned()),
        root_name: source.name().to_owned(),
        source: source.identity(),
        transfer_id: TransferId([round; 16]),
        conflict: Default::default(),
        listing: Arc::new(Wanted::new(manifest.clone(), [].into())),
        note: serde_json::Value::Null,
    };
    let Begun::Landing(landing) = place.begin(wish)? else { return Ok(()) };
    landing.scan(&go, &|_| ())?;
    let listed = began.elapsed();
    send(&source, &manifest, &landing)?;
    let sent = began.elapsed();
    landing.commit(&[].into(), b"")?;
    let whole = began.elapsed();
    println!("{what}: listed {listed:.1?}, all written {sent:.1?}, landed {whole:.1?}");
    fs::remove_dir_all(dir.join("in"))?;
    Ok(())
}

type Packed = (u32, Cv, std::ops::Range<usize>);

fn send(
    source: &Source,
    manifest: &clankers_protocol::transfer::manifest::Manifest,
    landing: &Landing,
) -> Result<(), Box<dyn Error>> {
    let mut buffer = Vec::new();
    let mut packed: Vec<Packed> = Vec::new();
    for (file, entry) in manifest.files() {
        if entry.size <= tree::BLOCK_BYTES {
            let from = buffer.len();
            source.read_small(file, &mut buffer)?;
            let cv = tree::hash_block(entry.size, 0, buffer.get(from..).unwrap_or_default());
            packed.push((file, cv, from..buffer.len()));
            if packed.len() == 128 {
                flush(&mut buffer, &mut packed, landing)?;
            }
            continue;
        }
        let open = source.open_file(file)?;
        for at in 0..tree::blocks(entry.size) {
            open.read_block(at, &mut buffer)?;
            landing.write_block(file, at, &tree::hash_block(entry.size, at, &buffer), &buffer)?;
        }
        buffer.clear();
        landing.file_done(file)?;
    }
    flush(&mut buffer, &mut packed, landing)
}

fn flush(buffer: &mut Vec<u8>, packed: &mut Vec<Packed>, landing: &Landing) -> Result<(), Box<dyn Error>> {
    let files: Vec<Small<'_>> = packed
        .iter()
        .map(|(file, cv, at)| Small { file: *file, cv, bytes: buffer.get(at.clone()).unwrap_or_default() })
        .collect();
    landing.write_small(&files).into_iter().collect::<Result<Vec<()>, _>>()?;
    packed.clear();
    buffer.clear();
    Ok(())
}
