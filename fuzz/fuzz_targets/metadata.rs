//! Core metadata as forms bring them: what was read is read again as it is, and what passes the checks is usable.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wheelhouse::domain::upload_form::check_metadata;
use wheelhouse::pep::metadata::ReleaseMetadata;

fuzz_target!(|bytes: &[u8]| {
    let pairs: Vec<_> = form_urlencoded::parse(bytes).collect();
    let metadata = ReleaseMetadata::from_form(pairs.iter().map(|(name, value)| (&**name, &**value)));
    assert_eq!(ReleaseMetadata::from_map(metadata.fields().clone()), metadata);
    let complete = metadata.clone().complete();
    assert_eq!(complete.clone().complete(), complete);
    assert_eq!(complete.clone().updated_with(&complete), complete);
    if let Ok((project, version)) = check_metadata(&metadata) {
        assert!(!project.normal().is_empty() && !version.is_empty());
        assert!(!version.contains(['/', '\\']));
    }
});
