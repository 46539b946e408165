//! The names of the check's steps, one a line: what the mutation check leaves out in turn.

use clankers_auth::step::Step;

fn main() {
    for step in Step::ALL {
        println!("{}", step.name());
    }
}
