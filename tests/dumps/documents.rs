//! The core metadata of the wheels in a dump: all of them are there afterwards, however many there are.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use serde_json::{Value, json};
use wheelhouse::dump::documents::Documents;
use wheelhouse::pep::digest::Sha256;
use wheelhouse::storage::meta::MetaStore;
use wheelhouse::storage::model::IndexName;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::support::Place;

const WHEELS: usize = 40;

/// More than goes with the project, together.
const DESCRIPTION: usize = 100_000;

fn metadata(number: usize) -> String {
    let description = number.to_string().repeat(DESCRIPTION);
    format!("Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n\n{description}\n")
}

/// Adds an index with a release of that many wheels. Returns what the list says of it.
fn add_index(dump: &Path, index: &str, config: &Value) -> Value {
    let place = dump.join(index).join("demo/1.0");
    fs::create_dir_all(&place).unwrap();
    let mut files = Vec::new();
    for number in 0..WHEELS {
        let name = format!("demo-1.0-{number}-py3-none-any.whl");
        let mut writer = ZipWriter::new(File::create(place.join(&name)).unwrap());
        writer.start_file("demo-1.0.dist-info/METADATA", SimpleFileOptions::default()).unwrap();
        writer.write_all(metadata(number).as_bytes()).unwrap();
        writer.finish().unwrap();
        files.push(json!({
            "type": "releasefile", "projectname": "demo", "version": "1.0",
            "relpath": format!("{index}/demo/1.0/{name}"),
            "entrymapping": {"url": format!("http://upstream.example/{name}")}
        }));
    }
    let projects = json!({"demo": {"1.0": {"name": "demo", "version": "1.0"}}});
    json!({"indexconfig": config, "projects": projects, "files": files})
}

#[tokio::test]
async fn few_documents_are_kept_at_a_time() {
    let place = Place::new();
    let documents = Documents::new(Some(&place.meta));
    let mut hashes = Vec::new();
    for number in 0..100_u8 {
        let body = vec![number; DESCRIPTION];
        hashes.push(Sha256::of(&body));
        documents.put(Sha256::of(&body), body).await.unwrap();
    }
    let rest = documents.into_operations();
    assert!(rest.len() < 20, "{}", rest.len());
    let mut snapshot = place.meta.snapshot().await.unwrap();
    assert_eq!(snapshot.serial().await.unwrap(), None);
    let (gone_ahead, kept) = hashes.split_at(hashes.len() - rest.len());
    for (hashes, is_there) in [(gone_ahead, true), (kept, false)] {
        for hash in hashes {
            assert_eq!(snapshot.get_document(hash).await.unwrap().is_some(), is_there);
        }
    }
}

#[tokio::test]
async fn all_core_metadata_are_imported() {
    let directory = tempfile::tempdir().unwrap();
    let dump = directory.path();
    let list = json!({
        "dumpversion": "2",
        "users": {"alice": {}},
        "indexes": {
            "alice/dev": add_index(dump, "alice/dev", &json!({"type": "stage"})),
            "alice/up": add_index(dump, "alice/up", &json!({"type": "mirror"})),
        }
    });
    fs::write(dump.join("dataindex.json"), list.to_string()).unwrap();
    let place = Place::import(dump).await;
    let mut expected: Vec<Sha256> =
        (0..WHEELS).map(|number| Sha256::of(metadata(number).as_bytes())).collect();
    expected.sort_unstable();
    let links = place.links(&IndexName::new("alice", "dev")).await;
    let mut snapshot = place.meta.snapshot().await.unwrap();
    let fetched = snapshot.list_fetched(&IndexName::new("alice", "up"), "demo").await.unwrap();
    let all: [Vec<_>; 2] = [
        links.iter().filter_map(|link| link.core_metadata).collect(),
        fetched.iter().filter_map(|file| file.core_metadata).collect(),
    ];
    for mut hashes in all {
        hashes.sort_unstable();
        assert_eq!(hashes, expected);
    }
    for sha256 in expected {
        assert_eq!(Sha256::of(&snapshot.get_document(&sha256).await.unwrap().unwrap()), sha256);
    }
    // What went ahead of its project is no change of its own.
    assert_eq!(place.meta.changes_since(None, 10).await.unwrap().len(), 3);
}
