//! The simple repository API's pages as HTML (PEP 503), laid out as devpi lays them out.
//!
//! Written by hand into one buffer: it is the most asked-for answer of the server and its shape is frozen (PEP 833).

use super::simple::{API_VERSION, CoreMetadata, File, Hashes, ProjectDetail, ProjectStatus, best_first};

impl<'a, F: Iterator<Item = File<'a>>> ProjectDetail<'a, F> {
    /// The page as HTML.
    pub fn render_html(self, title: &str) -> Vec<u8> {
        let mut page = Page::new(title, 256 + 512 * self.files.size_hint().0, self.status);
        page.markup("\n");
        for file in self.files {
            page.file(&file);
        }
        page.finish()
    }
}

/// A page while it is written.
struct Page(Vec<u8>);

impl Page {
    fn new(title: &str, capacity: usize, status: Option<&ProjectStatus>) -> Self {
        let mut page = Self(Vec::with_capacity(capacity));
        page.markup("<!DOCTYPE html><html lang=\"en\"><head>").meta("pypi:repository-version", API_VERSION);
        if let Some(status) = status {
            page.meta("pypi:project-status", &status.status);
            if let Some(reason) = &status.reason {
                page.meta("pypi:project-status-reason", reason);
            }
        }
        page.markup("<title>").text(title).markup("</title></head><body><h1>").text(title).markup("</h1>");
        page
    }

    fn meta(&mut self, name: &str, content: &str) -> &mut Self {
        self.markup("<meta name=\"").markup(name).markup("\" content=\"").text(content).markup("\">")
    }

    fn file(&mut self, file: &File) {
        self.text(file.source).markup(" <a href=\"").text(&file.url);
        match file.hashes {
            Hashes::Sha256(hash) => {
                self.markup("#sha256=").markup(hash.write_digits(&mut [0; 64]));
            }
            Hashes::Named(hashes) => {
                if let Some((algorithm, value)) = best_first(hashes).next() {
                    self.markup("#").text(algorithm).markup("=").text(value);
                }
            }
        }
        self.markup("\"");
        // The first name is the one before PEP 714, which pip 23.1 and older read.
        for name in [" data-dist-info-metadata=\"", " data-core-metadata=\""] {
            match file.core_metadata {
                CoreMetadata::Absent => &mut *self,
                CoreMetadata::Offered => self.markup(name).markup("true\""),
                CoreMetadata::Hashed(hash) => {
                    self.markup(name).markup("sha256=").markup(hash.write_digits(&mut [0; 64])).markup("\"")
                }
            };
        }
        if let Some(requires_python) = file.requires_python {
            self.markup(" data-requires-python=\"").text(requires_python).markup("\"");
        }
        if let Some(reason) = file.yanked {
            self.markup(" data-yanked=\"").text(reason).markup("\"");
        }
        // In HTML it has to be a whole URL (PEP 740).
        if let Some(provenance) = file.provenance.as_ref().filter(|url| url.contains("://")) {
            self.markup(" data-provenance=\"").text(provenance).markup("\"");
        }
        self.markup(">").text(file.filename).markup("</a><br>\n");
    }

    fn markup(&mut self, markup: &str) -> &mut Self {
        self.0.extend_from_slice(markup.as_bytes());
        self
    }

    fn text(&mut self, text: &str) -> &mut Self {
        escape_html(text, &mut self.0);
        self
    }

    fn finish(mut self) -> Vec<u8> {
        self.markup("</body></html>");
        self.0
    }
}

/// Appends a text as HTML, for elements and quoted attributes.
pub(super) fn escape_html(text: &str, page: &mut Vec<u8>) {
    for byte in text.bytes() {
        match byte {
            b'&' => page.extend_from_slice(b"&amp;"),
            b'<' => page.extend_from_slice(b"&lt;"),
            b'>' => page.extend_from_slice(b"&gt;"),
            b'"' => page.extend_from_slice(b"&quot;"),
            _ => page.push(byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::pep::digest::Sha256;
    use crate::pep::simple::tests::{example, mirrored};

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
    fn detail_html_says_all_that_an_upstream_says() {
        let page = String::from_utf8(mirrored().render_html("t")).unwrap();
        let head = "<meta name=\"pypi:project-status\" content=\"archived\">\
                    <meta name=\"pypi:project-status-reason\" content=\"done &amp; over\"><title>";
        assert!(page.contains(head), "{page}");
        let files = "root/pypi <a href=\"../../+e/demo-1.0-py3-none-any.whl#md5=abc\" data-dist-info-metadata=\"true\" \
                     data-core-metadata=\"true\" data-yanked=\"bad &lt;one&gt;\" data-provenance=\"https://h/p\">\
                     demo-1.0-py3-none-any.whl</a><br>\n\
                     root/pypi <a href=\"../../+e/demo-0.9.zip\" data-yanked=\"\">demo-0.9.zip</a><br>\n";
        assert!(page.contains(files), "{page}");
    }
}
