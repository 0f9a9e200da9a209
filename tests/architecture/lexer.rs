//! Rust source taken apart into code, texts and comments, as far as the rules need it.

/// The three channels of a source.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Channels {
    /// The code; in the place of each literal text stands `""`.
    pub(crate) code: String,
    /// The literal texts, one per line.
    pub(crate) texts: String,
    /// The comments, one per line.
    pub(crate) comments: String,
}

/// Takes a source apart.
pub(crate) fn channels(source: &str) -> Channels {
    let mut channels = Channels::default();
    let mut rest = source;
    while let Some(character) = rest.chars().next() {
        if rest.starts_with("//") {
            let end = rest.find('\n').unwrap_or(rest.len());
            channels.comment(&rest[..end]);
            rest = &rest[end..];
        } else if rest.starts_with("/*") {
            let end = block_comment_end(rest);
            channels.comment(&rest[..end]);
            rest = &rest[end..];
        } else if let Some((text, after)) = literal(rest) {
            channels.code.push_str("\"\"");
            channels.texts.push_str(text);
            channels.texts.push('\n');
            rest = after;
        } else {
            // A word is taken whole, so that its last letter is not read as the `r` or `b` of a literal.
            let word = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            let end = word.max(character.len_utf8());
            channels.code.push_str(&rest[..end]);
            rest = &rest[end..];
        }
    }
    channels
}

impl Channels {
    fn comment(&mut self, comment: &str) {
        self.comments.push_str(comment);
        self.comments.push('\n');
    }
}

fn block_comment_end(source: &str) -> usize {
    let mut depth = 0_usize;
    let mut position = 0;
    while position < source.len() {
        if source[position..].starts_with("/*") {
            depth += 1;
            position += 2;
        } else if source[position..].starts_with("*/") {
            depth -= 1;
            position += 2;
            if depth == 0 {
                return position;
            }
        } else {
            position += source[position..].chars().next().map_or(1, char::len_utf8);
        }
    }
    source.len()
}

/// The content of the literal at the start, and what comes after it. Characters count as texts too.
fn literal(source: &str) -> Option<(&str, &str)> {
    let bare = source.trim_start_matches(['b', 'c']);
    let prefixed = if source.len() - bare.len() <= 1 { bare } else { source };
    if let Some(raw) = prefixed.strip_prefix('r') {
        let text = raw.trim_start_matches('#');
        let hashes = &raw[..raw.len() - text.len()];
        if let Some(text) = text.strip_prefix('"') {
            let end = text.find(&format!("\"{hashes}"))?;
            return Some((&text[..end], &text[end + 1 + hashes.len()..]));
        }
        return None;
    }
    if let Some(text) = prefixed.strip_prefix('"') {
        return quoted(text, '"');
    }
    let text = prefixed.strip_prefix('\'')?;
    // What has no closing quote after one character is a lifetime.
    let is_character = text.starts_with('\\') || text.chars().nth(1) == Some('\'');
    if is_character { quoted(text, '\'') } else { None }
}

fn quoted(text: &str, quote: char) -> Option<(&str, &str)> {
    let mut escaped = false;
    for (position, character) in text.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if character == quote => return Some((&text[..position], &text[position + 1..])),
            _ => {}
        }
    }
    None
}

#[test]
fn sources_are_taken_apart() {
    let source = r##"
        use crate::a; // one 'comment' "here"
        /* two /* nested */ still */ fn b<'x>(c: &'x str) -> char { '"' }
        const D: &str = "SELECT \" // no comment";
        const E: &[u8] = br#"raw " use crate::z"#; const F: char = '\''; let r = 1;
    "##;
    let channels = channels(source);
    assert!(channels.code.contains("use crate::a;"));
    assert!(channels.code.contains("fn b<'x>(c: &'x str) -> char { \"\" }"));
    assert!(channels.code.contains("let r = 1;"));
    assert!(!channels.code.contains("SELECT") && !channels.code.contains("crate::z"));
    assert_eq!(channels.texts, "\"\nSELECT \\\" // no comment\nraw \" use crate::z\n\\'\n");
    assert_eq!(channels.comments, "// one 'comment' \"here\"\n/* two /* nested */ still */\n");
}
