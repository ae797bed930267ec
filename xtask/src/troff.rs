//! Formats text as troff, the language of man pages.

/// Adds the heading of a section.
pub(crate) fn heading(text: &mut String, words: &str) {
    text.push_str(&format!(".SH {words}\n"));
}

/// Adds a term, which is troff already, with its description.
pub(crate) fn item(text: &mut String, term: &str, what: &str) {
    text.push_str(&format!(".TP\n{term}\n"));
    lines(text, what);
}

/// Adds text. An empty line ends a paragraph, and text in backticks is bold.
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
            // A line must not begin like a troff request.
            if number == 0 && shown.starts_with(['.', '\'']) {
                text.push_str("\\&");
            }
            text.push_str(&shown);
        }
        text.push('\n');
    }
}

/// Formats a reference to another page.
pub(crate) fn reference(name: &str, section: &str) -> String {
    format!("{}({section})", bold(name))
}

/// Formats bold text.
pub(crate) fn bold(words: &str) -> String {
    format!("\\fB{}\\fR", plain(words))
}

/// Escapes text so that troff displays exactly these characters.
pub(crate) fn plain(words: &str) -> String {
    words.replace('\\', "\\e").replace('-', "\\-").replace('\'', "\\(aq")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_never_a_troff_request() {
        let mut text = String::new();
        lines(&mut text, ".so `a-b` it's \\n");
        assert_eq!(text, "\\&.so \\fBa\\-b\\fR it\\(aqs \\en\n");
    }
}
