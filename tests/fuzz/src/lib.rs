//! libFuzzer's drivers of the targets in `tests/src/fuzz.rs`. How they are run: `docs/fuzzing.md`.

#[path = "../../src/fuzz.rs"]
pub mod fuzz;

/// Before the first run: writes the target's seeds into the folder `CLANKERS_FUZZ_SEEDS`, when it is named.
pub fn begin(target: &str) {
    let Some(folder) = std::env::var_os("CLANKERS_FUZZ_SEEDS") else { return };
    for (number, seed) in (fuzz::named(target).seeds)().iter().enumerate() {
        let file = std::path::Path::new(&folder).join(format!("seed-{number:04}"));
        std::fs::write(&file, seed).unwrap_or_else(|why| panic!("{}: {why}", file.display()));
    }
}
