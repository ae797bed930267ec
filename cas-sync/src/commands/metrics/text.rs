//! The text format of Prometheus: metric families with help, type and samples.

use std::fmt::Write;

/// The samples of one metric name.
pub(super) struct Family {
    name: &'static str,
    help: &'static str,
    samples: Vec<(Vec<(&'static str, String)>, f64)>,
}

impl Family {
    /// Returns a family of gauges without samples.
    pub(super) fn gauge(name: &'static str, help: &'static str) -> Self {
        Self { name, help, samples: Vec::new() }
    }

    /// Adds a sample with these labels.
    pub(super) fn add(&mut self, labels: &[(&'static str, &str)], value: f64) {
        let labels = labels.iter().map(|(name, text)| (*name, escaped(text)));
        self.samples.push((labels.collect(), value));
    }

    /// Appends the family to the text, unless it has no samples.
    pub(super) fn write(&self, text: &mut String) {
        if self.samples.is_empty() {
            return;
        }
        let name = self.name;
        // Writing to a `String` cannot fail.
        let _always = writeln!(text, "# HELP {name} {}\n# TYPE {name} gauge", self.help);
        for (labels, value) in &self.samples {
            let labels: Vec<_> = labels.iter().map(|(name, text)| format!("{name}=\"{text}\"")).collect();
            let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
            let _always = writeln!(text, "{name}{labels} {value}");
        }
    }
}

/// Escapes backslash, quote and line end in the value of a label.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_escaped_and_empty_families_omitted() {
        let mut text = String::new();
        let mut family = Family::gauge("a_seconds", "How long.");
        family.write(&mut text);
        assert_eq!(text, "");
        family.add(&[("user", "DOM\\\"x\"\n")], 1.5);
        family.add(&[], 1_795_000_000.0);
        family.write(&mut text);
        assert_eq!(
            text,
            "# HELP a_seconds How long.\n# TYPE a_seconds gauge\na_seconds{user=\"DOM\\\\\\\"x\\\"\\n\"} 1.5\na_seconds 1795000000\n"
        );
    }
}
