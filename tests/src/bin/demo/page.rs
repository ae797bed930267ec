//! What the story looks like: headings, what somebody types, what is answered. Colours are for terminals.

/// Where the story is printed.
pub(crate) struct Page {
    /// Whether bold, red and green may be used.
    pub(crate) is_coloured: bool,
}

/// How something answered is meant to be seen.
#[derive(Clone, Copy)]
pub(crate) enum Tone {
    /// Nothing to notice.
    Plain,
    /// This is what should happen.
    Good,
    /// This is what hurts.
    Bad,
}

impl Page {
    /// Begins a part of the story.
    pub(crate) fn heading(&self, text: &str) {
        println!("\n{}\n", self.paint("1", text));
    }

    /// A line of the teller.
    pub(crate) fn tell(&self, text: &str) {
        println!("{text}");
    }

    /// What somebody types at a prompt.
    pub(crate) fn typed(&self, prompt: &str, command: &str) {
        println!("    {} {command}", self.paint("2", prompt));
    }

    /// The same, with a remark beside it.
    pub(crate) fn typed_with(&self, prompt: &str, command: &str, remark: &str) {
        let line = format!("{prompt} {command}");
        let gap = " ".repeat(REMARKS.saturating_sub(line.chars().count()).max(2));
        self.typed(prompt, &format!("{command}{gap}{}", self.paint("2", remark)));
    }

    /// What a program answered.
    pub(crate) fn answered(&self, text: &str, tone: Tone) {
        for line in text.lines() {
            let painted = match tone {
                Tone::Plain => line.to_owned(),
                Tone::Good => self.paint("32", line),
                Tone::Bad => self.paint("31", line),
            };
            println!("    {painted}");
        }
    }

    /// One row of a table: what, and how it is.
    pub(crate) fn row(&self, what: &str, how: &str) {
        println!("        {what:<16}{how}");
    }

    /// `text` in this rendition (ECMA-48 SGR), where colours may be used.
    fn paint(&self, rendition: &str, text: &str) -> String {
        if self.is_coloured { format!("\x1b[{rendition}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// The column in which remarks begin.
const REMARKS: usize = 64;
