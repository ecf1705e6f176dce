//! The workloads of bench/workloads, one for one, on a map with the interface of tokio-util's.

use crate::measurement::Measurement;
use crate::JoinMap;
use std::future::pending;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use std::time::Duration;

pub const WORKLOADS: [&str; 15] = [
    "spawn_join",
    "steady",
    "yield1",
    "yield10",
    "replace",
    "pending_spawn",
    "abort_all",
    "abort_key",
    "abort_matching",
    "contains_hit",
    "contains_miss",
    "string_keys",
    "drop",
    "blocking",
    "timer",
];

pub async fn run(workload: &str, n: u64, measured: &mut Measurement) {
    match workload {
        "spawn_join" => spawn_join(n, measured).await,
        "steady" => steady(n, measured).await,
        "yield1" => yielding(n, 1, measured).await,
        "yield10" => yielding(n, 10, measured).await,
        "replace" => replace(n, measured).await,
        "pending_spawn" => pending_spawn(n, measured).await,
        "abort_all" => abort_all(n, measured).await,
        "abort_key" => abort_key(n, measured).await,
        "abort_matching" => abort_matching(n, measured).await,
        "contains_hit" => contains(n, true, measured).await,
        "contains_miss" => contains(n, false, measured).await,
        "string_keys" => string_keys(n, measured).await,
        "drop" => drop_map(n, measured).await,
        "blocking" => blocking(n, measured).await,
        "timer" => timer(n, measured).await,
        _ => panic!("no such workload: {}", workload),
    }
}

async fn spawn_join(n: u64, measured: &mut Measurement) {
    let mut tasks = JoinMap::new();
    let mut sum = 0;
    measured.start();
    for key in 0..n {
        tasks.spawn(key, async move { key });
    }
    while let Some((_, result)) = tasks.join_next().await {
        sum += result.unwrap();
    }
    measured.stop(n);
    assert_eq!(sum, n * (n - 1) / 2);
}

async fn steady(n: u64, measured: &mut Measurement) {
    const IN_FLIGHT: u64 = 1_000;
    let mut tasks = JoinMap::new();
    let mut sum = 0;
    for key in 0..IN_FLIGHT {
        tasks.spawn(key, async move { key });
    }
    measured.start();
    for key in IN_FLIGHT..IN_FLIGHT + n {
        sum += tasks.join_next().await.unwrap().1.unwrap();
        tasks.spawn(key, async move { key });
    }
    measured.stop(n);
    while let Some((_, result)) = tasks.join_next().await {
        sum += result.unwrap();
    }
    assert_eq!(sum, (IN_FLIGHT + n) * (IN_FLIGHT + n - 1) / 2);
}

async fn yielding(n: u64, times: u32, measured: &mut Measurement) {
    let mut tasks = JoinMap::new();
    let mut sum = 0;
    measured.start();
    for key in 0..n {
        tasks.spawn(key, async move {
            for _ in 0..times {
                tokio::task::yield_now().await;
            }
            key
        });
    }
    while let Some((_, result)) = tasks.join_next().await {
        sum += result.unwrap();
    }
    measured.stop(n);
    assert_eq!(sum, n * (n - 1) / 2);
}

async fn timer(n: u64, measured: &mut Measurement) {
    let mut tasks = JoinMap::new();
    let mut sum = 0;
    measured.start();
    for key in 0..n {
        tasks.spawn(key, async move {
            tokio::time::sleep(Duration::from_millis(1)).await;
            key
        });
    }
    while let Some((_, result)) = tasks.join_next().await {
        sum += result.unwrap();
    }
    measured.stop(n);
    assert_eq!(sum, n * (n - 1) / 2);
}

async fn blocking(n: u64, measured: &mut Measurement) {
    let mut tasks = JoinMap::new();
    let mut sum = 0;
    measured.start();
    for key in 0..n {
        tasks.spawn_blocking(key, move || key);
    }
    while let Some((_, result)) = tasks.join_next().await {
        sum += result.unwrap();
    }
    measured.stop(n);
    assert_eq!(sum, n * (n - 1) / 2);
}

async fn string_keys(n: u64, measured: &mut Measurement) {
    let mut tasks = JoinMap::new();
    let keys: Vec<String> = (0..n)
        .map(|number| format!("session/of/a/client/{:015}", number))
        .collect();
    let mut sum = 0;
    measured.start();
    for (number, key) in (0..n).zip(keys) {
        tasks.spawn(key, async move { number });
    }
    while let Some((_, result)) = tasks.join_next().await {
        sum += result.unwrap();
    }
    measured.stop(n);
    assert_eq!(sum, n * (n - 1) / 2);
}

async fn replace(n: u64, measured: &mut Measurement) {
    let mut tasks = JoinMap::<u64, u64>::new();
    measured.start();
    for _ in 0..n {
        tasks.spawn(0, pending());
    }
    assert_eq!(tasks.len(), 1);
    tasks.shutdown().await;
    measured.stop(n);
    assert_eq!(tasks.len(), 0);
}

/// Spawns n tasks that wait, and returns when they do: a task that is spawned behind them has come to its turn.
async fn spawn_pending(tasks: &mut JoinMap<u64, u64>, n: u64) {
    for key in 0..n {
        tasks.spawn(key, pending());
    }
    tasks.spawn(n, async move { n });
    tasks.join_next().await;
}

async fn pending_spawn(n: u64, measured: &mut Measurement) {
    let mut tasks = JoinMap::new();
    measured.start();
    spawn_pending(&mut tasks, n).await;
    measured.stop(n);
    assert_eq!(tasks.len() as u64, n);
    tasks.shutdown().await;
}

async fn abort_all(n: u64, measured: &mut Measurement) {
    let mut tasks = JoinMap::new();
    spawn_pending(&mut tasks, n).await;
    let mut aborted = 0;
    measured.start();
    tasks.abort_all();
    while let Some((_, result)) = tasks.join_next().await {
        aborted += result.is_err() as u64;
    }
    measured.stop(n);
    assert_eq!(aborted, n);
}

/// The n keys that begin with the first one, in the same random order every time.
fn shuffled(first: u64, n: u64) -> Vec<u64> {
    let mut keys: Vec<u64> = (first..first + n).collect();
    let mut random: u64 = 1;
    for last in (1..keys.len()).rev() {
        random ^= random << 13; // Marsaglia's xorshift64
        random ^= random >> 7;
        random ^= random << 17;
        keys.swap(last, random as usize % (last + 1));
    }
    keys
}

async fn abort_key(n: u64, measured: &mut Measurement) {
    let mut tasks = JoinMap::new();
    spawn_pending(&mut tasks, n).await;
    let keys = shuffled(0, n);
    let mut aborted = 0;
    measured.start();
    for key in &keys {
        tasks.abort(key);
    }
    while let Some((_, result)) = tasks.join_next().await {
        aborted += result.is_err() as u64;
    }
    measured.stop(n);
    assert_eq!(aborted, n);
}

async fn abort_matching(n: u64, measured: &mut Measurement) {
    let mut tasks = JoinMap::new();
    spawn_pending(&mut tasks, n).await;
    let half = (n + 1) / 2;
    let mut aborted = 0;
    measured.start();
    tasks.abort_matching(|key| key % 2 == 0);
    for _ in 0..half {
        aborted += tasks.join_next().await.unwrap().1.is_err() as u64;
    }
    measured.stop(half);
    assert_eq!((aborted, tasks.len() as u64), (half, n - half));
    tasks.shutdown().await;
}

async fn contains(n: u64, hit: bool, measured: &mut Measurement) {
    let mut tasks = JoinMap::new();
    spawn_pending(&mut tasks, n).await;
    let keys = shuffled(if hit { 0 } else { n }, n);
    let mut found = 0;
    measured.start();
    for key in &keys {
        found += tasks.contains_key(key) as u64;
    }
    measured.stop(n);
    assert_eq!(found, if hit { n } else { 0 });
    tasks.shutdown().await;
}

/// Held by a task: counts down when the task is dropped.
struct Presence(Arc<AtomicU64>);

impl Drop for Presence {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Release);
    }
}

async fn drop_map(n: u64, measured: &mut Measurement) {
    let mut tasks = JoinMap::new();
    let left = Arc::new(AtomicU64::new(n));
    for key in 0..n {
        let presence = Presence(left.clone());
        tasks.spawn(key, async move {
            let _presence = presence;
            pending().await
        });
    }
    tasks.spawn(n, async move { n });
    tasks.join_next().await;
    measured.start();
    drop(tasks);
    while left.load(Ordering::Acquire) != 0 {
        tokio::task::yield_now().await;
    }
    measured.stop(n);
}
