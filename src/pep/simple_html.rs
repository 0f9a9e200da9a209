//! The simple repository API's pages as HTML (PEP 503), laid out as devpi lays them out.
//!
//! Written by hand into one buffer: it is the most asked-for answer of the server and its shape is frozen (PEP 833).

use super::simple::{API_VERSION, File, ProjectDetail, ProjectList};

impl ProjectList {
    /// The list as HTML, with a heading for each group.
    pub fn render_html(&self, title: &str) -> Vec<u8> {
        let count: usize = self.groups.iter().map(|group| group.projects.len()).sum();
        let mut page = Page::new(title, 256 + 48 * count);
        for group in &self.groups {
            page.markup("<h2>").text(&group.title).markup("</h2>");
            for name in &group.projects {
                page.markup("<a href=\"").text(name).markup("/\">").text(name).markup("</a><br>\n");
            }
        }
        page.finish()
    }
}

impl ProjectDetail {
    /// The page as HTML.
    pub fn render_html(&self, title: &str) -> Vec<u8> {
        let mut page = Page::new(title, 256 + 512 * self.files.len());
        page.markup("\n");
        for file in &self.files {
            page.file(file);
        }
        page.finish()
    }
}

/// A page while it is written.
struct Page(Vec<u8>);

impl Page {
    fn new(title: &str, capacity: usize) -> Self {
        let mut page = Self(Vec::with_capacity(capacity));
        page.markup("<!DOCTYPE html><html lang=\"en\"><head>")
            .markup("<meta name=\"pypi:repository-version\" content=\"")
            .markup(API_VERSION)
            .markup("\"><title>")
            .text(title)
            .markup("</title></head><body><h1>")
            .text(title)
            .markup("</h1>");
        page
    }

    fn file(&mut self, file: &File) {
        self.text(&file.source).markup(" <a href=\"").text(&file.url).markup("#sha256=");
        self.markup(&file.sha256.to_string()).markup("\"");
        if let Some(sha256) = file.core_metadata {
            let value = format!("=\"sha256={sha256}\"");
            // The first name is the one before PEP 714, which pip 23.1 and older read.
            self.markup(" data-dist-info-metadata")
                .markup(&value)
                .markup(" data-core-metadata")
                .markup(&value);
        }
        if let Some(requires_python) = &file.requires_python {
            self.markup(" data-requires-python=\"").text(requires_python).markup("\"");
        }
        self.markup(">").text(&file.filename).markup("</a><br>\n");
    }

    fn markup(&mut self, markup: &str) -> &mut Self {
        self.0.extend_from_slice(markup.as_bytes());
        self
    }

    fn text(&mut self, text: &str) -> &mut Self {
        for byte in text.bytes() {
            match byte {
                b'&' => self.0.extend_from_slice(b"&amp;"),
                b'<' => self.0.extend_from_slice(b"&lt;"),
                b'>' => self.0.extend_from_slice(b"&gt;"),
                b'"' => self.0.extend_from_slice(b"&quot;"),
                _ => self.0.push(byte),
            }
        }
        self
    }

    fn finish(mut self) -> Vec<u8> {
        self.markup("</body></html>");
        self.0
    }
}

#[cfg(test)]
mod tests {
    use crate::pep::digest::Sha256;
    use crate::pep::simple::tests::example;
    use crate::pep::simple::{ProjectGroup, ProjectList};

    #[test]
    fn detail_html_is_devpis_with_the_current_attributes() {
        let page = String::from_utf8(example().render_html("alice/dev: links for demo")).unwrap();
        let wheel = Sha256::of(b"wheel");
        let metadata = Sha256::of(b"metadata");
        assert_eq!(
            page,
            format!(
                "<!DOCTYPE html><html lang=\"en\"><head><meta name=\"pypi:repository-version\" content=\"1.4\">\
                 <title>alice/dev: links for demo</title></head><body><h1>alice/dev: links for demo</h1>\n\
                 alice/dev <a href=\"../../+f/abc/demo-1.0-py3-none-any.whl#sha256={wheel}\" \
                 data-dist-info-metadata=\"sha256={metadata}\" data-core-metadata=\"sha256={metadata}\" \
                 data-requires-python=\"&gt;=3.8,&lt;4\">demo-1.0-py3-none-any.whl</a><br>\n\
                 alice/dev <a href=\"../../+f/def/demo%20&amp;%20co-0.9.zip#sha256={wheel}\">demo &amp; co-0.9.zip</a>\
                 <br>\n</body></html>"
            )
        );
    }

    #[test]
    fn list_html_has_a_heading_for_each_index() {
        let list = ProjectList {
            groups: vec![
                ProjectGroup { title: "a/b (bases: a/c)".into(), projects: vec!["x".into()] },
                ProjectGroup { title: "a/c".into(), projects: vec![] },
            ],
        };
        let page = String::from_utf8(list.render_html("t")).unwrap();
        assert!(page.ends_with(
            "<h1>t</h1><h2>a/b (bases: a/c)</h2><a href=\"x/\">x</a><br>\n<h2>a/c</h2></body></html>"
        ));
    }
}
