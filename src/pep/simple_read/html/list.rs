//! A project list: the names of its links.

use std::cell::RefCell;

use lol_html::{element, text};
use percent_encoding::percent_decode_str;
use url::Url;

use super::{Head, attribute, decode, read_page};
use crate::pep::simple_read::ReadError;
use crate::pep::simple_read::link::resolve;

/// Reads a project list: see [`super::super::read_list`].
pub(in crate::pep::simple_read) fn read_list(
    body: &[u8],
    page: &Url,
    each: &mut dyn FnMut(&str),
) -> Result<(), ReadError> {
    let mut head = Head::default();
    let anchors = RefCell::new(Anchors { open: None, each });
    let starts = element!("a", |anchor| {
        let name = attribute(anchor, "href").and_then(|href| project_at(&href, page));
        anchors.borrow_mut().start(name);
        Ok(())
    });
    let texts = text!("a", |chunk| {
        anchors.borrow_mut().text(chunk.as_str());
        Ok(())
    });
    read_page(body, &mut head, vec![starts, texts])?;
    anchors.into_inner().start(None);
    Ok(())
}

/// The anchors of a project list, one after another.
struct Anchors<'f> {
    /// The project's name after the link and the anchor's text so far, undecoded.
    open: Option<(String, String)>,
    each: &'f mut dyn FnMut(&str),
}

impl Anchors<'_> {
    /// Goes on to the next anchor, or to the end of the page.
    fn start(&mut self, name: Option<String>) {
        let next = name.map(|name| (name, String::new()));
        let Some((name, text)) = std::mem::replace(&mut self.open, next) else {
            return;
        };
        // The text has the better spelling. Listings of directories end it with a slash.
        let text = decode(&text);
        let text = text.trim().trim_end_matches('/');
        (self.each)(if text.is_empty() { &name } else { text });
    }

    fn text(&mut self, chunk: &str) {
        if let Some((_, text)) = &mut self.open {
            text.push_str(chunk);
        }
    }
}

/// The name of the project that a link of a project list leads to.
fn project_at(href: &str, page: &Url) -> Option<String> {
    let url;
    let path = if href.contains("://") {
        url = resolve(page, href)?;
        if (url.host_str(), url.port()) != (page.host_str(), page.port()) {
            return None;
        }
        url.path().strip_prefix(page.path().trim_end_matches('/'))?.strip_prefix('/')?
    } else {
        href.split(['?', '#']).next()?
    };
    let segment = path.rsplit('/').find(|segment| !segment.is_empty())?;
    let name = percent_decode_str(segment).decode_utf8_lossy();
    let name = name.trim();
    (!matches!(name, "" | "." | "..")).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(page: &str, body: &str) -> Vec<String> {
        let mut names = Vec::new();
        let page = Url::parse(page).unwrap();
        read_list(body.as_bytes(), &page, &mut |name| names.push(name.to_owned())).unwrap();
        names
    }

    #[test]
    fn project_names_are_those_of_links_or_their_texts() {
        for (html, expected) in [
            ("<a href='zope-interface/'>Zope.Interface</a>", &["Zope.Interface"][..]),
            ("<a href='/simple/x/'> \n x&#45;y\t</a>", &["x-y"]),
            ("<a href='x/'></a><a href='y'> &nbsp; </a>", &["x", "y"]),
            ("<a href='x/'><b>X</b><i>.y</i></a> z", &["X.y"]),
            ("<a href='x/'>x/</a>", &["x"]),
            ("<a href='x//?a=b/c#d/e'></a>", &["x"]),
            ("<a href='a/b/%C3%A9%20x/'></a>", &["é x"]),
            ("<a href=''>a</a><a href='/'>b</a><a href='?C=N'>c</a><a href='../'>d</a><a>e</a>", &[]),
            ("<a href='https://pypi.example/simple/x/'></a>", &["x"]),
            ("<a href='http://u:p@PyPI.Example/simple/x/y?z'></a>", &["y"]),
            ("<a href='https://pypi.example/simple/x/'>X</a>", &["X"]),
            ("<a href='https://pypi.example/simple/'>a</a><a href='https://pypi.example/simple'>b</a>", &[]),
            ("<a href='https://pypi.example/simpler/x/'>a</a><a href='https://pypi.example/x/'>b</a>", &[]),
            ("<a href='https://other.example/simple/x/'>a</a>", &[]),
            ("<a href='https://pypi.example:8443/simple/x/'>a</a>", &[]),
            ("<a href='ftp://pypi.example/simple/x/'>a</a>", &[]),
            ("<a href=x>X<a href=y>Y</a><a href=z>", &["X", "Y", "z"]),
            ("<a href=x>X<a name=top>Y</a><a href=x>X</a>", &["X", "X"]),
            ("<!-- <a href=x>X</a> --><script><a href=y>Y</a></script>", &[]),
            ("", &[]),
        ] {
            for page in ["https://pypi.example/simple/", "https://pypi.example/simple"] {
                assert_eq!(names(page, html), expected, "{html}");
            }
        }
        assert_eq!(names("http://h/", "<a href='http://h/x/'></a>"), ["x"]);
    }
}
