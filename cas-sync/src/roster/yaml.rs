//! Parses a YAML document into a tree with line numbers. Scalars are not interpreted: each is its
//! text and whether it was quoted.

use std::collections::HashMap;
use std::rc::Rc;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span};

/// The maximum depth, including aliases; no roster needs it. Parsing and freeing a tree needs stack
/// for each level.
const MAX_DEPTH: usize = 64;

/// The maximum number of values; each alias counts with its content. A fleet of 10,000 users has a
/// quarter of it.
const MAX_VALUES: usize = 1_000_000;

/// A value, with the line where it begins, from 1.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) line: usize,
    size: Size,
    pub(super) value: YamlValue,
}

/// The size of a value with its content and its aliases.
#[derive(Clone, Copy, Debug)]
struct Size {
    /// Levels below the value: 0 for text.
    height: usize,
    /// Values, itself included.
    values: usize,
}

impl Size {
    const OF_TEXT: Self = Self { height: 0, values: 1 };

    fn with_children<'node>(children: impl Iterator<Item = &'node Rc<Node>>) -> Self {
        children.fold(Self::OF_TEXT, |size, child| Self {
            height: size.height.max(child.size.height + 1),
            values: size.values.saturating_add(child.size.values),
        })
    }
}

#[derive(Clone, Debug)]
pub(super) enum YamlValue {
    /// Plain text, as in `yes`; empty if nothing is written.
    Plain(String),
    /// Text in quotes, or with a tag.
    Quoted(String),
    List(Vec<Rc<Node>>),
    Map(Vec<Pair>),
}

/// One entry of a map.
#[derive(Clone, Debug)]
pub(super) struct Pair {
    pub(super) key: Rc<Node>,
    pub(super) value: Rc<Node>,
}

/// A line and the error in it.
pub(super) type LineError = (usize, String);

/// Parses the only document in `text`; returns `None` if there are only comments.
pub(super) fn parse(text: &str) -> Result<Option<Rc<Node>>, LineError> {
    let mut reader = Reader { events: Parser::new_from_str(text), anchors: HashMap::new(), values: 0 };
    let mut document = None;
    loop {
        let (event, span) = reader.next()?;
        match event {
            Event::StreamEnd => return Ok(document),
            Event::DocumentStart(_) if document.is_some() => {
                return Err((
                    span.start.line(),
                    "a second document begins: a roster must be one document".into(),
                ));
            }
            Event::DocumentStart(_) => {
                let (event, span) = reader.next()?;
                document = Some(reader.node(event, span, 0)?);
            }
            _ => {}
        }
    }
}

struct Reader<I> {
    events: I,
    anchors: HashMap<usize, Rc<Node>>,
    /// The number of values read so far.
    values: usize,
}

/// Returns the line of an error, which is often detected at the start of the next line.
fn line_of(error: &ScanError) -> usize {
    let marker = error.marker();
    if marker.col() == 0 { marker.line().saturating_sub(1).max(1) } else { marker.line() }
}

impl<'text, I: Iterator<Item = Result<(Event<'text>, Span), ScanError>>> Reader<I> {
    fn next(&mut self) -> Result<(Event<'text>, Span), LineError> {
        match self.events.next() {
            Some(Ok(found)) => Ok(found),
            Some(Err(error)) => Err((
                line_of(&error),
                format!("this is not valid YAML, here or in the line above: {}", error.info()),
            )),
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn node(&mut self, event: Event<'text>, span: Span, depth: usize) -> Result<Rc<Node>, LineError> {
        let line = span.start.line();
        if depth > MAX_DEPTH {
            return Err((line, format!("this is nested more than {MAX_DEPTH} deep")));
        }
        let (anchor, value) = match event {
            Event::Alias(anchor) => {
                let target = self.anchors.get(&anchor).cloned();
                let target =
                    target.ok_or((line, "this alias refers to a value that contains it".to_owned()))?;
                if depth + target.size.height > MAX_DEPTH {
                    return Err((line, format!("this alias is nested more than {MAX_DEPTH} deep")));
                }
                self.count(target.size.values, line)?;
                return Ok(target);
            }
            Event::Scalar(text, ScalarStyle::Plain, anchor, None) => {
                (anchor, YamlValue::Plain(text.into_owned()))
            }
            Event::Scalar(text, _, anchor, _) => (anchor, YamlValue::Quoted(text.into_owned())),
            Event::SequenceStart(anchor, _) => (anchor, YamlValue::List(self.list(depth)?)),
            Event::MappingStart(anchor, _) => (anchor, YamlValue::Map(self.map(depth)?)),
            _ => return Err((line, "the document is incomplete".into())),
        };
        self.count(1, line)?;
        let size = match &value {
            YamlValue::Plain(_) | YamlValue::Quoted(_) => Size::OF_TEXT,
            YamlValue::List(nodes) => Size::with_children(nodes.iter()),
            YamlValue::Map(pairs) => {
                Size::with_children(pairs.iter().flat_map(|pair| [&pair.key, &pair.value]))
            }
        };
        let node = Rc::new(Node { line, size, value });
        if anchor > 0 {
            self.anchors.insert(anchor, Rc::clone(&node));
        }
        Ok(node)
    }

    fn count(&mut self, values: usize, line: usize) -> Result<(), LineError> {
        self.values = self.values.saturating_add(values);
        if self.values > MAX_VALUES {
            return Err((line, format!("the roster has more than {MAX_VALUES} values up to here")));
        }
        Ok(())
    }

    fn list(&mut self, depth: usize) -> Result<Vec<Rc<Node>>, LineError> {
        let mut nodes = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(nodes),
                (event, span) => nodes.push(self.node(event, span, depth + 1)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Vec<Pair>, LineError> {
        let mut entries = Vec::new();
        loop {
            match self.next()? {
                (Event::MappingEnd, _) => return Ok(entries),
                (event, span) => {
                    let key = self.node(event, span, depth + 1)?;
                    let (event, span) = self.next()?;
                    entries.push(Pair { key, value: self.node(event, span, depth + 1)? });
                }
            }
        }
    }
}
