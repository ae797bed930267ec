//! Formats the demo: headings, commands and their output. Colors are for terminals.

/// The output of the demo.
pub(crate) struct Page {
    /// True if bold, red and green may be used.
    pub(crate) is_coloured: bool,
}

/// The meaning of an answer.
#[derive(Clone, Copy)]
pub(crate) enum Tone {
    /// No meaning.
    Plain,
    /// The expected result.
    Good,
    /// The problem.
    Bad,
}

impl Page {
    /// Prints the heading of a part.
    pub(crate) fn heading(&self, text: &str) {
        println!("\n{}\n", self.paint("1", text));
    }

    /// Prints a line of the narrator.
    pub(crate) fn print(&self, text: &str) {
        println!("{text}");
    }

    /// Shows a command at a prompt.
    pub(crate) fn show_command(&self, prompt: &str, command: &str) {
        println!("    {} {command}", self.paint("2", prompt));
    }

    /// Prints a command below a remark.
    pub(crate) fn show_command_with(&self, prompt: &str, command: &str, remark: &str) {
        println!("    {}", self.paint("2", &format!("# {remark}")));
        self.show_command(prompt, command);
    }

    /// Prints the output of a program.
    pub(crate) fn show_answer(&self, text: &str, tone: Tone) {
        for line in text.lines().flat_map(wrapped) {
            let painted = match tone {
                Tone::Plain => line,
                Tone::Good => self.paint("32", &line),
                Tone::Bad => self.paint("31", &line),
            };
            println!("    {painted}");
        }
    }

    /// Prints one row of a table: name and value.
    pub(crate) fn row(&self, what: &str, how: &str) {
        println!("        {what:<16}{how}");
    }

    /// Returns `text` in this rendition (ECMA-48 SGR), where colors may be used.
    fn paint(&self, rendition: &str, text: &str) -> String {
        if self.is_coloured { format!("\x1b[{rendition}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// The maximum width of a line beside the indent on a terminal of 80 columns.
const WIDTH: usize = 74;

/// Splits a line at blanks into pieces of at most [`WIDTH`] characters; all but the first are
/// indented.
fn wrapped(line: &str) -> Vec<String> {
    let mut pieces = vec![String::new()];
    for word in line.split(' ') {
        let last = pieces.last_mut().expect("there is one");
        if !last.trim().is_empty() && last.chars().count() + 1 + word.chars().count() > WIDTH {
            pieces.push(format!("    {word}"));
        } else {
            if !last.is_empty() {
                last.push(' ');
            }
            last.push_str(word);
        }
    }
    pieces
}
