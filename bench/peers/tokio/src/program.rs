//! One process, one workload: a pass to warm up, in which allocations are counted, and then the timed ones.

use crate::measurement::{count_allocations, peak_memory, resident_memory, Measurement};
use crate::workloads::{run, WORKLOADS};
use tokio::runtime::{Builder, Runtime};

/// More would only take time.
const WARM: u64 = 10_000;

/// `current`: one thread for everything. `multi2`: two workers, and this thread, which spawns and joins.
fn runtime(kind: &str) -> Runtime {
    let mut builder = match kind {
        "current" => Builder::new_current_thread(),
        "multi2" => Builder::new_multi_thread(),
        _ => panic!("no such runtime: {}", kind),
    };
    builder.worker_threads(2).enable_time().build().unwrap()
}

fn measure(kind: &str, workload: &str, n: u64, repeats: usize) {
    let before = resident_memory();
    let runtime = runtime(kind);
    let mut measured = Measurement::new();
    count_allocations(true);
    runtime.block_on(run(workload, n.min(WARM), &mut measured));
    count_allocations(false);
    let allocations = measured.allocations;

    let mut passes = Vec::new();
    for _ in 0..repeats {
        runtime.block_on(run(workload, n, &mut measured));
        passes.push(format!("{:.2}", measured.nanoseconds));
    }
    println!(
        r#"{{"workload": "{}", "n": {}, "ns": [{}], "allocations": {:.3}, "bytes": {:.1}, "peak": {}}}"#,
        workload,
        n,
        passes.join(", "),
        allocations,
        measured.resident.saturating_sub(before) as f64 / n as f64,
        peak_memory()
    );
}

pub fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.len() {
        2 => WORKLOADS.iter().for_each(|name| println!("{}", name)),
        5 => measure(
            &arguments[1],
            &arguments[2],
            arguments[3].parse().unwrap(),
            arguments[4].parse().unwrap(),
        ),
        _ => panic!("usage: <current|multi2> [<workload> <n> <repeats>]"),
    }
}
