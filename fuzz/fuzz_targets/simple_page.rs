//! Pages of upstreams, in HTML and in JSON: whatever is read of one is sane.
#![no_main]

use libfuzzer_sys::fuzz_target;
use url::Url;
use wheelhouse::pep::name::ProjectName;
use wheelhouse::pep::simple_read::{read_detail, read_list};

fuzz_target!(|bytes: &[u8]| {
    let Some((first, body)) = bytes.split_first() else { return };
    let content_type = match first % 3 {
        0 => "application/vnd.pypi.simple.v1+json",
        1 => "text/html; charset=utf-8",
        _ => "",
    };
    let page = Url::parse("https://user:word@upstream.example/simple/demo/").expect("a URL");
    if let Ok(detail) = read_detail(body, content_type, &page, &ProjectName::from_url("demo")) {
        for file in detail.files {
            assert!(!file.file_name.is_empty() && !file.file_name.contains('/'), "{:?}", file.file_name);
            let url = Url::parse(&file.url).expect("what is read is absolute");
            assert!(url.username().is_empty() && url.password().is_none() && url.fragment().is_none(), "{url}");
        }
    }
    // A byte that is no UTF-8 becomes a character of three.
    let _ = read_list(body, content_type, &page, &mut |name| assert!(name.len() <= 3 * body.len()));
});
