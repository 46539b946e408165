//! The lab by hand: `lab up`, `lab exec`, `lab ctl`, `lab list`, `lab sweep`. See docs/lab.md.

#[cfg(target_os = "linux")]
#[path = "hand.rs"]
mod hand;

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    hand::main()
}

#[cfg(not(target_os = "linux"))]
fn main() -> std::process::ExitCode {
    eprintln!("✗ the lab needs Linux: network namespaces and TAP devices");
    std::process::ExitCode::from(2)
}
