//! The workloads of bench/workloads, on tokio: `<current|multi2> <workload> <n> <repeats>` prints a line of JSON.

mod join_map;
mod measurement;
mod program;
mod workloads;

use join_map::JoinMap;

fn main() {
    program::main();
}
