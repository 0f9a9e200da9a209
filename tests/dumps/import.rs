//! Importing a dump when the store is in trouble: that is no reason to leave files out.

use std::fs;
use std::sync::Arc;

use serde_json::json;
use wheelhouse::archive::Limits;
use wheelhouse::dump::import::{Import, ImportError, read_list};
use wheelhouse::dump::intake::{Damaged, Intake};
use wheelhouse::report::Report;
use wheelhouse::storage::files::Transfer;
use wheelhouse::storage::fs::{DirectoryLimits, DirectoryStore};
use wheelhouse::storage::meta::MetaStore;
use wheelhouse::storage::model::{FileState, IndexName};
use wheelhouse::storage::sqlite::{SqliteLimits, SqliteStore};

use crate::support::{Deaf, import_options};

#[tokio::test]
async fn a_failing_store_is_no_damaged_file() {
    let directory = tempfile::tempdir().unwrap();
    let dump = directory.path().join("dump");
    let files = dump.join("alice/dev/demo/1.0");
    fs::create_dir_all(&files).unwrap();
    fs::write(files.join("demo-1.0.tar.gz"), "content").unwrap();
    let list = json!({
        "dumpversion": "2",
        "users": {"alice": {}},
        "indexes": {"alice/dev": {
            "indexconfig": {"type": "stage"},
            "projects": {"demo": {"1.0": {"name": "demo", "version": "1.0"}}},
            "files": [{
                "type": "releasefile", "projectname": "demo", "version": "1.0",
                "relpath": "alice/dev/demo/1.0/demo-1.0.tar.gz", "entrymapping": {}, "log": []
            }]
        }}
    });
    fs::write(dump.join("dataindex.json"), list.to_string()).unwrap();
    let options = import_options(&dump, Damaged::Skip);
    for (name, exists) in [("broken", false), ("sound", true)] {
        let place = directory.path().join(name);
        let limits = DirectoryLimits::default();
        let contents = if exists {
            fs::create_dir(&place).unwrap();
            DirectoryStore::open(&place, limits).unwrap()
        } else {
            // There is no directory into which anything could go.
            DirectoryStore::attach(&place, limits)
        };
        let meta =
            SqliteStore::open(&directory.path().join(format!("{name}.sqlite")), SqliteLimits::default());
        let meta = meta.unwrap();
        let intake = Intake::new(Some(Arc::new(contents)), Transfer::Copy, Limits::default(), 1);
        let report = Report::new(Box::new(Deaf));
        let text = read_list(&options.directory).unwrap();
        let import = Import::prepare(&text, &options, &report).unwrap();
        let outcome = import.run(&intake, &meta, &report).await;
        let mut snapshot = meta.snapshot().await.unwrap();
        let links = snapshot.list_links(&IndexName::new("alice", "dev"), "demo", None).await.unwrap();
        if exists {
            assert_eq!(outcome.unwrap().files, 1);
            let [link] = links.as_slice() else { panic!("{links:?}") };
            let state = snapshot.get_file(&link.value.path).await.unwrap();
            assert!(matches!(state, FileState::Present(_)));
        } else {
            assert!(matches!(outcome, Err(ImportError::Storage(_))), "{outcome:?}");
            assert_eq!(report.warnings(), 0);
        }
    }
}
