//! Simple pages in HTML (PEP 503, 592, 629, 658, 714, 740, 792).
//!
//! Such a page is any page with links, so hardly any bytes are malformed: what is not understood is passed
//! over, also bytes that are not UTF-8. A real tokenizer reads it, as links in comments and scripts must not
//! count.

mod detail;
mod list;

pub(super) use detail::read_detail;
pub(super) use list::read_list;

use std::borrow::Cow;

use lol_html::errors::RewritingError;
use lol_html::html_content::Element;
use lol_html::{ElementContentHandlers, HtmlRewriter, MemorySettings, Selector, Settings, element};

use super::entities::decode;
use super::{ReadError, check_version};

/// The most memory that elements may take which are open at one time: a page may leave all of them open.
const MAX_OPEN_ELEMENTS_BYTES: usize = 128 << 20;

/// What a page says of itself.
#[derive(Default)]
struct Head {
    base: Option<String>,
    status: Option<String>,
    reason: Option<String>,
}

impl Head {
    /// Takes over a `<base>` or `<meta>`. Of several that say the same thing the first one counts.
    fn take(&mut self, element: &Element<'_, '_>) -> Result<(), ReadError> {
        if element.tag_name() == "base" {
            self.base = self.base.take().or_else(|| attribute(element, "href"));
            return Ok(());
        }
        let (Some(name), Some(content)) = (attribute(element, "name"), attribute(element, "content")) else {
            return Ok(());
        };
        match name.to_ascii_lowercase().as_str() {
            "pypi:repository-version" => check_version(&content)?,
            "pypi:project-status" => {
                self.status.get_or_insert(content);
            }
            "pypi:project-status-reason" => {
                self.reason.get_or_insert(content);
            }
            _ => {}
        }
        Ok(())
    }
}

/// What is done with elements that a selector describes.
type Handler<'h> = (Cow<'static, Selector>, ElementContentHandlers<'h>);

/// Reads the head of a page, wherever its elements stand, and all that the handlers ask for.
fn read_page<'h>(body: &[u8], head: &'h mut Head, handlers: Vec<Handler<'h>>) -> Result<(), ReadError> {
    let heads = element!("base[href], meta[name]", |element| Ok(head.take(element)?));
    let memory = MemorySettings::new().with_max_allowed_memory_usage(MAX_OPEN_ELEMENTS_BYTES);
    let settings = Settings::new().with_strict(false).with_memory_settings(memory);
    let settings =
        handlers.into_iter().chain([heads]).fold(settings, Settings::append_element_content_handler);
    let mut reader = HtmlRewriter::new(settings, |_: &[u8]| ());
    let result = reader.write(body).and_then(|()| reader.end());
    result.map_err(|error| match error {
        RewritingError::ContentHandlerError(cause) => match cause.downcast() {
            Ok(refused) => *refused,
            Err(cause) => ReadError::malformed(cause),
        },
        error => ReadError::malformed(error),
    })
}

/// The value of an attribute, decoded; empty for one without a value.
fn attribute(element: &Element<'_, '_>, name: &str) -> Option<String> {
    element.get_attribute(name).map(|value| match decode(&value) {
        Cow::Owned(decoded) => decoded,
        Cow::Borrowed(_) => value,
    })
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::*;
    use crate::pep::name::ProjectName;
    use crate::pep::simple_read::ReadDetail;

    fn page() -> Url {
        Url::parse("https://pypi.example/simple/demo/").unwrap()
    }

    fn detail(body: &str) -> Result<ReadDetail, ReadError> {
        read_detail(body.as_bytes(), &page(), &ProjectName::from_url("demo"))
    }

    #[test]
    fn the_head_tells_version_and_status() {
        let meta = |name: &str, content: &str| format!("<META Name='{name}' content='{content}'>");
        for version in ["1.0", "1.9", "", "x"] {
            assert!(detail(&meta("pypi:repository-version", version)).is_ok(), "{version}");
        }
        let later = meta("PyPI:Repository-Version", "2.0");
        assert_eq!(detail(&later), Err(ReadError::Version("2.0".into())));
        let later = format!("{later}<a href=x>x</a>");
        let mut called = false;
        let result = read_list(later.as_bytes(), &page(), &mut |_| called = true);
        assert_eq!((result, called), (Err(ReadError::Version("2.0".into())), false));

        let status = meta("pypi:project-status", "quarantined");
        let reason = meta("pypi:project-status-reason", "a &lt; b");
        for (html, expected) in [
            (format!("{status}{reason}"), Some(("quarantined", Some("a < b")))),
            (format!("{reason}{status}"), Some(("quarantined", Some("a < b")))),
            (format!("{status}{}", meta("pypi:project-status", "active")), Some(("quarantined", None))),
            (reason, None),
            (meta("pypi:project-status", ""), None),
            ("<meta name='pypi:project-status'>".into(), None),
            (format!("<!--{status}-->"), None),
        ] {
            let status = detail(&html).unwrap().status;
            let status = status.as_ref().map(|status| (&*status.status, status.reason.as_deref()));
            assert_eq!(status, expected, "{html}");
        }
    }

    #[test]
    fn a_page_that_never_closes_anything_is_bounded() {
        let body = "<a>".repeat(1_100_000);
        assert!(matches!(detail(&body), Err(ReadError::Malformed(_))));
    }
}
