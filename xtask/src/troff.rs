//! Words as troff, the language of manual pages, shows them.

/// The heading of a section.
pub(crate) fn heading(text: &mut String, words: &str) {
    text.push_str(&format!(".SH {words}\n"));
}

/// A term, which is troff already, and what is said of it.
pub(crate) fn item(text: &mut String, term: &str, what: &str) {
    text.push_str(&format!(".TP\n{term}\n"));
    lines(text, what);
}

/// Text, in which an empty line ends a paragraph, and what is quoted in backticks is bold.
pub(crate) fn paragraphs(text: &mut String, words: &str) {
    for paragraph in words.split("\n\n") {
        text.push_str(".PP\n");
        lines(text, paragraph);
    }
}

fn lines(text: &mut String, words: &str) {
    for line in words.lines() {
        for (number, part) in line.split('`').enumerate() {
            let shown = if number % 2 == 1 { bold(part) } else { plain(part) };
            // No line may begin as if it were an instruction.
            if number == 0 && shown.starts_with(['.', '\'']) {
                text.push_str("\\&");
            }
            text.push_str(&shown);
        }
        text.push('\n');
    }
}

/// A pointer to another page.
pub(crate) fn reference(name: &str, section: &str) -> String {
    format!("{}({section})", bold(name))
}

/// These words, bold.
pub(crate) fn bold(words: &str) -> String {
    format!("\\fB{}\\fR", plain(words))
}

/// As troff shows these very characters.
pub(crate) fn plain(words: &str) -> String {
    words.replace('\\', "\\e").replace('-', "\\-").replace('\'', "\\(aq")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_never_taken_for_an_instruction() {
        let mut text = String::new();
        lines(&mut text, ".so `a-b` it's \\n");
        assert_eq!(text, "\\&.so \\fBa\\-b\\fR it\\(aqs \\en\n");
    }
}
