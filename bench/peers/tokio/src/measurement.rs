//! Time, blocks of memory and resident memory between a `start` and a `stop`, as bench/harness/measurement.hpp has them.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Instant;

static COUNTING: AtomicBool = AtomicBool::new(false);
static BLOCKS: AtomicU64 = AtomicU64::new(0);

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if COUNTING.load(Relaxed) {
            BLOCKS.fetch_add(1, Relaxed);
        }
        System.alloc(layout)
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        System.dealloc(block, layout)
    }
}

/// Whether blocks of memory are counted from now on.
pub fn count_allocations(on: bool) {
    COUNTING.store(on, Relaxed);
}

/// Bytes of this process that are in memory now.
pub fn resident_memory() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as u64
}

/// The most bytes of this process that have been in memory.
pub fn peak_memory() -> u64 {
    let mut used: libc::rusage = unsafe { std::mem::zeroed() };
    unsafe { libc::getrusage(libc::RUSAGE_SELF, &mut used) };
    used.ru_maxrss as u64 * 1024
}

pub struct Measurement {
    started: Instant,
    blocks: u64,
    /// Nanoseconds per operation.
    pub nanoseconds: f64,
    /// Blocks of memory per operation, if they were counted.
    pub allocations: f64,
    /// Resident memory at the `stop`.
    pub resident: u64,
}

impl Measurement {
    pub fn new() -> Self {
        Measurement {
            started: Instant::now(),
            blocks: 0,
            nanoseconds: 0.0,
            allocations: 0.0,
            resident: 0,
        }
    }

    pub fn start(&mut self) {
        self.blocks = BLOCKS.load(Relaxed);
        self.started = Instant::now();
    }

    pub fn stop(&mut self, operations: u64) {
        self.nanoseconds = self.started.elapsed().as_nanos() as f64 / operations as f64;
        self.allocations = (BLOCKS.load(Relaxed) - self.blocks) as f64 / operations as f64;
        self.resident = resident_memory();
    }
}
