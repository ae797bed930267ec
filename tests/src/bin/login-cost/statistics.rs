//! The table: medians, and what each variant adds to Debian alone. That is the median of the
//! differences within a round, which other load disturbs less than the difference between two
//! medians.

use std::{collections::BTreeMap, fmt, time::Duration};

use crate::variant::Variant;

/// All timings so far, in milliseconds, in the order of the rounds.
#[derive(Debug, Default)]
pub(crate) struct Statistics(BTreeMap<Variant, Vec<f64>>);

impl Statistics {
    /// Records one login.
    pub(crate) fn add(&mut self, variant: Variant, took: Duration) {
        self.0.entry(variant).or_default().push(took.as_secs_f64() * 1000.0);
    }
}

impl fmt::Display for Statistics {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rounds = self.0.values().map(Vec::len).min().unwrap_or(0);
        writeln!(formatter, "{rounds} ssh logins of each, in turns; milliseconds\n")?;
        writeln!(formatter, "{:<40}{:>9}{:>9}{:>9}", "", "median", "p95", "added")?;
        let alone = self.0.get(&Variant::Nothing).cloned().unwrap_or_default();
        for (variant, timings) in &self.0 {
            let added: Vec<f64> = timings.iter().zip(&alone).map(|(with, without)| with - without).collect();
            writeln!(
                formatter,
                "{:<40}{:>9.1}{:>9.1}{:>+9.1}",
                variant.title(),
                percentile(timings, 50),
                percentile(timings, 95),
                percentile(&added, 50)
            )?;
        }
        Ok(())
    }
}

fn percentile(values: &[f64], percent: usize) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let rank = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(rank).copied().unwrap_or_default()
}
