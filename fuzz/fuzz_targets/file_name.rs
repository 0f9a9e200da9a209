//! File names as they are uploaded and as upstreams list them: taking one apart loses nothing, and one that is safe stays
//! in its directory.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wheelhouse::pep::filename::{
    ArchiveKind, belongs_to, check_safe, contains_version, content_type, could_be_distribution, is_wheel, split_file_name,
    upload_type,
};
use wheelhouse::pep::name::ProjectName;

fuzz_target!(|text: &str| {
    let mut lines = text.lines();
    let (Some(name), Some(project), version) = (lines.next(), lines.next(), lines.next().unwrap_or("1.0")) else { return };
    let _ = split_file_name(name);
    let _ = (upload_type(name), content_type(name), contains_version(name, version), could_be_distribution(name));
    let _ = belongs_to(name, &ProjectName::from_url(project));
    assert!(!is_wheel(name) || ArchiveKind::of(name) == Some(ArchiveKind::Wheel));
    if check_safe(name).is_ok() {
        assert!(!name.is_empty() && name != "." && name != "..");
        assert!(!name.contains(['/', '\0']));
    }
    let normal = ProjectName::from_url(project);
    assert_eq!(ProjectName::from_url(normal.normal()).normal(), normal.normal());
});
