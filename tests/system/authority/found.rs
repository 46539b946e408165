//! What a hostile review found in the code of issue 3: one test for each defect, by name in `docs/reliability.md`.

#[path = "found/asked.rs"]
mod asked;
#[path = "found/crowds.rs"]
mod crowds;
#[path = "found/spoken.rs"]
mod spoken;
#[path = "found/taken_back.rs"]
mod taken_back;
