//! Runs work for many users, a few at a time, so that users whose homes block until the deadline
//! delay the others little.

use std::sync::Mutex;
use std::thread;

/// The number of threads. Each waits most of the time.
const WORKERS: usize = 8;

/// Runs `work` for each item in eight threads, as [`map_with`] does.
pub(crate) fn map<Item: Send, Out: Send>(
    items: impl IntoIterator<Item = Item, IntoIter: Send>,
    work: impl Fn(Item) -> Out + Sync,
) -> Vec<Out> {
    map_with(WORKERS, items, work)
}

/// Runs `work` for each item in that many threads. Returns the results in the order of the items.
/// An item whose work panics has none.
pub(crate) fn map_with<Item: Send, Out: Send>(
    workers: usize,
    items: impl IntoIterator<Item = Item, IntoIter: Send>,
    work: impl Fn(Item) -> Out + Sync,
) -> Vec<Out> {
    let queue = Mutex::new(items.into_iter().enumerate());
    let next = || queue.lock().ok().and_then(|mut queue| queue.next());
    let run = || std::iter::from_fn(next).map(|(index, item)| (index, work(item))).collect::<Vec<_>>();
    let mut done: Vec<(usize, Out)> = thread::scope(|scope| {
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(run)).collect();
        workers.into_iter().filter_map(|worker| worker.join().ok()).flatten().collect()
    });
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, out)| out).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;

    #[test]
    fn items_keep_their_order_and_run_together() {
        assert_eq!(map(0..100, |number| number * 2), (0..100).map(|number| number * 2).collect::<Vec<_>>());
        // Each waits for all others.
        let all = Barrier::new(WORKERS);
        assert_eq!(map(0..WORKERS, |_| all.wait().is_leader()).len(), WORKERS);
        assert!(map(Vec::<u8>::new(), |byte| byte).is_empty());
    }
}
