//! What tokio-util's JoinMap does, on the parts of tokio alone: a JoinSet, and two maps of the standard library. The
//! members are those that the workloads use, with the names and types that tokio-util gives them.

use std::collections::HashMap;
use std::future::Future;
use std::hash::Hash;
use tokio::task::{AbortHandle, Id, JoinError, JoinSet};

pub struct JoinMap<K, V> {
    handles: HashMap<K, AbortHandle>,
    keys: HashMap<Id, K>,
    tasks: JoinSet<V>,
}

impl<K, V> JoinMap<K, V>
where
    K: Hash + Eq + Clone,
    V: Send + 'static,
{
    pub fn new() -> Self {
        JoinMap {
            handles: HashMap::new(),
            keys: HashMap::new(),
            tasks: JoinSet::new(),
        }
    }

    pub fn spawn<F>(&mut self, key: K, task: F)
    where
        F: Future<Output = V> + Send + 'static,
    {
        let handle = self.tasks.spawn(task);
        self.keys.insert(handle.id(), key.clone());
        if let Some(replaced) = self.handles.insert(key, handle) {
            self.keys.remove(&replaced.id());
            replaced.abort();
        }
    }

    /// The JoinSet of tokio 1.24 spawns no blocking function itself.
    pub fn spawn_blocking<F>(&mut self, key: K, function: F)
    where
        F: FnOnce() -> V + Send + 'static,
    {
        let running = tokio::task::spawn_blocking(function);
        self.spawn(key, async { running.await.unwrap() });
    }

    pub async fn join_next(&mut self) -> Option<(K, Result<V, JoinError>)> {
        loop {
            let (id, result) = match self.tasks.join_next_with_id().await? {
                Ok((id, value)) => (id, Ok(value)),
                Err(error) => (error.id(), Err(error)),
            };
            if let Some(key) = self.keys.remove(&id) {
                self.handles.remove(&key);
                return Some((key, result));
            } // else it was replaced
        }
    }

    pub async fn shutdown(&mut self) {
        self.abort_all();
        while self.join_next().await.is_some() {}
    }

    pub fn abort(&mut self, key: &K) -> bool {
        match self.handles.get(key) {
            Some(handle) => {
                handle.abort();
                true
            }
            None => false,
        }
    }

    pub fn abort_matching(&mut self, mut matches: impl FnMut(&K) -> bool) {
        for (key, handle) in &self.handles {
            if matches(key) {
                handle.abort();
            }
        }
    }

    pub fn abort_all(&mut self) {
        self.tasks.abort_all();
    }

    pub fn contains_key(&self, key: &K) -> bool {
        self.handles.contains_key(key)
    }

    pub fn len(&self) -> usize {
        self.handles.len()
    }
}
