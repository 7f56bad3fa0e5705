//! Memory that many connections share.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes that may be lent, counted over all clones.
#[derive(Debug, Clone)]
pub struct Budget(Arc<AtomicUsize>);

impl Budget {
    /// A budget of `bytes`.
    pub fn new(bytes: usize) -> Self {
        Self(Arc::new(AtomicUsize::new(bytes)))
    }

    /// Bytes that are not lent.
    pub fn left(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// A loan of nothing, which can grow.
    pub fn loan(&self) -> Loan {
        Loan { budget: self.clone(), bytes: 0 }
    }
}

/// Bytes taken from a [`Budget`], given back when dropped.
#[derive(Debug)]
pub struct Loan {
    budget: Budget,
    bytes: usize,
}

impl Loan {
    /// Takes what is missing to `bytes`. False: the budget does not have it, nothing was taken.
    #[must_use]
    pub fn grow(&mut self, bytes: usize) -> bool {
        let more = bytes.saturating_sub(self.bytes);
        let take = |left: usize| left.checked_sub(more);
        let taken = self.budget.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok();
        if taken {
            self.bytes += more;
        }
        taken
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        self.budget.0.fetch_add(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loans_end_at_the_budget_and_come_back() {
        let budget = Budget::new(100);
        let (mut first, mut second) = (budget.loan(), budget.loan());
        assert!(first.grow(60));
        assert!(first.grow(60), "what it has already");
        assert!(!second.grow(41));
        assert_eq!(budget.left(), 40);
        assert!(second.grow(40));
        drop(first);
        assert_eq!(budget.left(), 60);
        drop(second);
        assert_eq!(budget.left(), 100);
    }
}
