//! The workloads of the tokio peer, on the JoinMap that tokio-util has.

#[path = "../../tokio/src/measurement.rs"]
mod measurement;
#[path = "../../tokio/src/program.rs"]
mod program;
#[path = "../../tokio/src/workloads.rs"]
mod workloads;

use tokio_util::task::JoinMap;

fn main() {
    program::main();
}
