//! Settings of indexes and patches of them: an answer or an error, and what was accepted is accepted again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value};
use wheelhouse::domain::index_config::IndexConfig;

fuzz_target!(|bytes: &[u8]| {
    let mut documents = serde_json::Deserializer::from_slice(bytes).into_iter::<Value>();
    let asked = match documents.next() {
        Some(Ok(Value::Object(asked))) => asked,
        _ => Map::new(),
    };
    let Ok(config) = IndexConfig::create("alice", &asked).and_then(|proposal| proposal.accept()) else { return };
    let Some(Ok(patch)) = documents.next() else { return };
    if let Ok(patched) = config.patched(&patch).and_then(|proposal| proposal.accept()) {
        let shown = Value::Object(patched.settings().clone());
        assert!(patched.patched(&shown).is_ok(), "{shown}");
    }
});
