//! A repository's list of projects, written piece by piece: an upstream's may have a million names.

use super::simple::API_VERSION;
use super::simple_html::escape_html;

/// The form of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListFormat {
    /// HTML (PEP 503), laid out as devpi lays it out for people, with a heading for each index.
    Html,
    /// JSON (PEP 691). The indexes are not visible in it.
    Json,
}

/// Writes a list of projects.
#[derive(Debug)]
pub struct ListWriter {
    format: ListFormat,
    is_first: bool,
}

impl ListWriter {
    /// Begins a list in `page`. The title is for people.
    pub fn begin(format: ListFormat, title: &str, page: &mut Vec<u8>) -> Self {
        match format {
            ListFormat::Html => {
                let head = "<!DOCTYPE html><html lang=\"en\"><head><meta name=\"pypi:repository-version\" content=\"";
                page.extend_from_slice(head.as_bytes());
                page.extend_from_slice(API_VERSION.as_bytes());
                page.extend_from_slice(b"\"><title>");
                escape_html(title, page);
                page.extend_from_slice(b"</title></head><body><h1>");
                escape_html(title, page);
                page.extend_from_slice(b"</h1>");
            }
            ListFormat::Json => {
                page.extend_from_slice(b"{\"meta\":{\"api-version\":\"");
                page.extend_from_slice(API_VERSION.as_bytes());
                page.extend_from_slice(b"\"},\"projects\":[");
            }
        }
        Self { format, is_first: true }
    }

    /// Begins the projects of an index.
    pub fn index(&mut self, title: &str, page: &mut Vec<u8>) {
        if self.format == ListFormat::Html {
            page.extend_from_slice(b"<h2>");
            escape_html(title, page);
            page.extend_from_slice(b"</h2>");
        }
    }

    /// Writes a project by its normalised name, which has no characters that would have to be escaped.
    pub fn project(&mut self, name: &str, page: &mut Vec<u8>) {
        match self.format {
            ListFormat::Html => {
                for piece in ["<a href=\"", name, "/\">", name, "</a><br>\n"] {
                    page.extend_from_slice(piece.as_bytes());
                }
            }
            ListFormat::Json => {
                let before = if self.is_first { "{\"name\":\"" } else { ",{\"name\":\"" };
                for piece in [before, name, "\"}"] {
                    page.extend_from_slice(piece.as_bytes());
                }
            }
        }
        self.is_first = false;
    }

    /// Ends the list.
    pub fn finish(self, page: &mut Vec<u8>) {
        page.extend_from_slice(match self.format {
            ListFormat::Html => b"</body></html>",
            ListFormat::Json => b"]}",
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn render(format: ListFormat) -> String {
        let mut page = Vec::new();
        let mut writer = ListWriter::begin(format, "a & b", &mut page);
        writer.index("a/b (bases: a/c)", &mut page);
        writer.project("x", &mut page);
        writer.index("a/c", &mut page);
        writer.project("a", &mut page);
        writer.project("z", &mut page);
        writer.finish(&mut page);
        String::from_utf8(page).unwrap()
    }

    #[test]
    fn html_has_a_heading_for_each_index() {
        let page = render(ListFormat::Html);
        assert!(page.contains("<title>a &amp; b</title>"));
        assert!(page.ends_with(
            "<h1>a &amp; b</h1><h2>a/b (bases: a/c)</h2><a href=\"x/\">x</a><br>\n<h2>a/c</h2><a href=\"a/\">a</a><br>\n\
             <a href=\"z/\">z</a><br>\n</body></html>"
        ));
    }

    #[test]
    fn json_joins_the_indexes() {
        let page: Value = serde_json::from_str(&render(ListFormat::Json)).unwrap();
        let names = json!([{"name": "x"}, {"name": "a"}, {"name": "z"}]);
        assert_eq!(page, json!({"meta": {"api-version": "1.4"}, "projects": names}));
    }
}
