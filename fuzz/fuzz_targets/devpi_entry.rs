//! Entries of devpi-server's change log: all that can be asked of one has an answer.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wheelhouse::dump::serverdir::entry::Entry;

fuzz_target!(|bytes: &[u8]| {
    let Ok(entry) = Entry::parse(bytes.to_vec()) else { return };
    for change in entry.changes() {
        let found = entry.change(change.path).expect("a change that is listed is found");
        assert_eq!(found.path, change.path);
        let _ = (change.is_deletion(), change.value());
    }
    let _ = entry.renames();
});
