//! The table: exact counts, medians, and ratios to the script.

use std::collections::BTreeMap;
use std::fmt;

use crate::bench::{Contender, Found, RUNS};
use crate::measurement::Samples;

/// The exact counts of one run.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub requests: usize,
    pub connections: usize,
    pub writes: usize,
    pub programs: usize,
}

/// All runs so far.
#[derive(Debug, Default)]
pub(crate) struct Table {
    counts: BTreeMap<(Contender, Found), Counts>,
    taken: BTreeMap<(Contender, Found), Vec<Samples>>,
}

impl Table {
    pub(crate) fn count(&mut self, contender: Contender, found: Found, counts: Counts) {
        self.counts.insert((contender, found), counts);
    }

    pub(crate) fn add(&mut self, contender: Contender, found: Found, taken: Samples) {
        self.taken.entry((contender, found)).or_default().push(taken);
    }

    fn median(&self, run: (Contender, Found), of: impl Fn(&Samples) -> i64) -> f64 {
        let mut values: Vec<i64> = self.taken.get(&run).into_iter().flatten().map(of).collect();
        values.sort_unstable();
        let middle = values.get(values.len() / 2).copied().unwrap_or_default();
        f64::from(u32::try_from(middle).unwrap_or(u32::MAX))
    }
}

impl fmt::Display for Table {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            formatter,
            "{:<30}{:>9}{:>13}{:>8}{:>10}{:>9}{:>9}{:>10}{:>9}",
            "", "requests", "connections", "writes", "programs", "CPU ms", "ratio", "peak MiB", "time ms"
        )?;
        for (contender, found) in RUNS {
            let counts = self.counts.get(&(contender, found)).copied().unwrap_or_default();
            let cpu = |contender| self.median((contender, found), |taken| taken.cpu) / 1000.0;
            let title = match (contender, found) {
                (Contender::Script, Found::Steady) => "script, nothing changed",
                (Contender::Script, Found::Changed) => "script, new login",
                (Contender::Us, Found::Steady) => "cas-sync run, nothing changed",
                (Contender::Us, Found::Changed) => "cas-sync run, new login",
            };
            writeln!(
                formatter,
                "{title:<30}{:>9}{:>13}{:>8}{:>10}{:>9.1}{:>9}{:>10.1}{:>9.1}",
                counts.requests,
                counts.connections,
                counts.writes,
                counts.programs,
                cpu(contender),
                format!("1/{:.1}", cpu(Contender::Script) / cpu(contender)),
                self.median((contender, found), |taken| taken.peak_kib) / 1024.0,
                self.median((contender, found), |taken| taken.wall) / 1000.0,
            )?;
        }
        Ok(())
    }
}
