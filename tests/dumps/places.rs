//! Where files lie in a dump: no name of a file, a version or a user is in the way of another one.

use std::fs;

use jiff::Timestamp;
use serde_json::json;
use wheelhouse::pep::name::ProjectName;
use wheelhouse::pep::simple::CoreMetadata;
use wheelhouse::pep::simple_read::ReadFile;
use wheelhouse::report::Report;
use wheelhouse::storage::files::Transfer;
use wheelhouse::storage::meta::{MetaStore, Operation};
use wheelhouse::storage::mirrored::{FetchedContent, FetchedPart, MirrorFile, MirrorPage};
use wheelhouse::storage::model::{IndexName, Relation, StoredPath};
use wheelhouse::storage::packed::Packed;

use crate::support::{Deaf, Place, listed};

const WAYS: [Transfer; 2] = [Transfer::Copy, Transfer::Link];

/// Dumps all, compares the places of the files of an index with `expected`, and imports the dump: everything is as it was.
async fn goes_round(place: &Place, index: &IndexName, expected: &[&str]) {
    let before = place.links(index).await;
    for way in WAYS {
        let dump = place.export(way).await;
        let listed = listed(&dump, &index.to_string());
        let places: Vec<&str> = listed.iter().map(|file| file["relpath"].as_str().unwrap()).collect();
        assert_eq!(places, expected);
        assert_eq!(Place::import(&dump).await.links(index).await, before);
    }
}

#[tokio::test]
async fn files_lie_where_devpi_has_them() {
    let (place, index) = (Place::new(), IndexName::new("alice", "dev"));
    place.add_index(&index, json!({"type": "stage"})).await;
    let zip = place.add_file(&index, Relation::ReleaseFile, ("Demo", "1.0", "Demo-1.0.zip"), None).await;
    let name = "Demo-1.0.zip.toxresult-20261130000000-0";
    place.add_file(&index, Relation::ToxResult, ("Demo", "1.0", name), Some(&zip)).await;
    place.add_file(&index, Relation::DocZip, ("Demo", "1.0", "demo-1.0.doc.zip"), None).await;
    let result = format!("alice/dev/demo/sha256={}/{name}", zip.sha256);
    goes_round(&place, &index, &["alice/dev/demo/1.0/Demo-1.0.zip", &result, "alice/dev/demo-1.0.doc.zip"])
        .await;
}

#[tokio::test]
async fn versions_lead_nowhere_else() {
    let (place, index) = (Place::new(), IndexName::new("alice", "dev"));
    place.add_index(&index, json!({"type": "stage"})).await;
    for (version, name) in [("..", "x-..zip"), (".", "x-.zip"), ("1", "x-1.zip")] {
        place.add_file(&index, Relation::ReleaseFile, ("x", version, name), None).await;
    }
    goes_round(&place, &index, &["+files/1/x-..zip", "+files/2/x-.zip", "alice/dev/x/1/x-1.zip"]).await;
}

#[tokio::test]
async fn names_may_be_too_long_for_the_file_system() {
    let (place, index) = (Place::new(), IndexName::new("alice", "dev"));
    place.add_index(&index, json!({"type": "stage"})).await;
    let name = format!("x-1.{}.zip", "0".repeat(247));
    assert_eq!(name.len(), 255);
    let zip = place.add_file(&index, Relation::ReleaseFile, ("x", "1", &name), None).await;
    let result = format!("{name}.toxresult-20261130000000-0");
    place.add_file(&index, Relation::ToxResult, ("x", "1", &result), Some(&zip)).await;
    let version = format!("2.{}", "0".repeat(250));
    place.add_file(&index, Relation::DocZip, ("x", &version, &format!("x-{version}.doc.zip")), None).await;
    goes_round(&place, &index, &[&format!("alice/dev/x/1/{name}"), "+files/1/file", "+files/2/file"]).await;
}

#[tokio::test]
async fn a_user_may_be_called_like_the_list() {
    let (place, index) = (Place::new(), IndexName::new("dataindex.json", "dev"));
    place.add_index(&index, json!({"type": "stage"})).await;
    place.add_file(&index, Relation::ReleaseFile, ("x", "1", "x-1.zip"), None).await;
    goes_round(&place, &index, &["+files/1/x-1.zip"]).await;
}

#[tokio::test]
async fn documentation_of_two_projects_may_be_called_alike() {
    let (place, index) = (Place::new(), IndexName::new("alice", "dev"));
    place.add_index(&index, json!({"type": "stage"})).await;
    for (project, version) in [("foo", "1-2"), ("foo-1", "2")] {
        place.add_file(&index, Relation::DocZip, (project, version, "foo-1-2.doc.zip"), None).await;
    }
    goes_round(&place, &index, &["alice/dev/foo-1-2.doc.zip", "+files/1/foo-1-2.doc.zip"]).await;
}

#[tokio::test]
async fn a_distribution_may_be_called_like_documentation() {
    let (place, index) = (Place::new(), IndexName::new("alice", "dev"));
    place.add_index(&index, json!({"type": "stage"})).await;
    for relation in [Relation::ReleaseFile, Relation::DocZip] {
        place.add_file(&index, relation, ("demo", "1.0", "demo-1.0.doc.zip"), None).await;
    }
    goes_round(&place, &index, &["alice/dev/demo/1.0/demo-1.0.doc.zip", "alice/dev/demo-1.0.doc.zip"]).await;
}

#[tokio::test]
async fn a_mirror_may_have_two_files_of_a_name() {
    let (place, index) = (Place::new(), IndexName::new("root", "up"));
    place.add_index(&index, json!({"type": "mirror", "mirror_url": "http://upstream.example/"})).await;
    let project = ProjectName::from_url("demo");
    let (mut page, mut fetched) = (MirrorPage::default(), Vec::new());
    for content in ["first", "second"] {
        let sha256 = place.keep(content).await;
        let path = StoredPath::for_upload(&index, &sha256, "demo-1.0.zip");
        let read = ReadFile {
            file_name: "demo-1.0.zip".into(),
            url: format!("http://upstream.example/{content}/demo-1.0.zip").into(),
            hashes: vec![("sha256".into(), sha256.to_string().into())],
            requires_python: None,
            yanked: None,
            core_metadata: CoreMetadata::Absent,
            size: None,
            upload_time: None,
            provenance: None,
        };
        page.files.push(MirrorFile { path: path.clone(), read });
        let (size, modified) = (content.len() as u64, Timestamp::UNIX_EPOCH);
        let part = FetchedPart::Content(FetchedContent { sha256, size, modified }, None);
        fetched.push(Operation::PutFetched { index: index.clone(), project: project.clone(), path, part });
    }
    let put_page = Operation::PutMirrorPage {
        index: index.clone(),
        project,
        page: Packed::new(&page).unwrap(),
        checked_at: Timestamp::UNIX_EPOCH,
        odd_paths: Vec::new(),
    };
    place.commit([put_page].into_iter().chain(fetched)).await;
    let before = place.meta.snapshot().await.unwrap().list_fetched(&index, "demo").await.unwrap();
    for way in WAYS {
        let dump = place.export(way).await;
        let listed = listed(&dump, "root/up");
        let places: Vec<&str> = listed.iter().map(|file| file["relpath"].as_str().unwrap()).collect();
        assert_eq!(places, ["root/up/demo/1.0/demo-1.0.zip", "+files/1/demo-1.0.zip"]);
        let imported = Place::import(&dump).await;
        let after = imported.meta.snapshot().await.unwrap().list_fetched(&index, "demo").await.unwrap();
        assert_eq!(after, before);
    }
}

#[tokio::test]
async fn no_name_in_a_list_is_a_path() {
    let (place, index) = (Place::new(), IndexName::new("alice", "dev"));
    place.add_index(&index, json!({"type": "stage"})).await;
    place.add_file(&index, Relation::ReleaseFile, ("x", "1", "x-1.zip"), None).await;
    let list = place.export(Transfer::Copy).await.join("dataindex.json");
    let text = fs::read_to_string(&list).unwrap();
    for (name, is_good) in [("y-1.zip", true), ("a/x-1.zip", false), ("..", false), ("", false)] {
        fs::write(&list, text.replace("\"relpath\"", &format!("\"filename\": {}, \"relpath\"", json!(name))))
            .unwrap();
        let outcome = Place::new().read(list.parent().unwrap(), &Report::new(Box::new(Deaf))).await;
        assert_eq!(outcome.is_ok(), is_good, "{outcome:?}");
    }
}
