//! Reason phrases made at run time.
//!
//! devpi tells the outcome of an upload in the reason phrase, and clients show it. actix takes only phrases that live
//! as long as the program; so each phrase is kept in one of a fixed number of static slots. When they are used up,
//! or for an overlong phrase, the standard phrase of the status is sent, and the body still has the message.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, OnceLock, PoisonError};

use tracing::debug;

/// How many different phrases are kept.
const SLOTS: usize = 65_536;

/// The longest phrase that is kept, in bytes.
const MAX_PHRASE_BYTES: usize = 400;

static PHRASES: [OnceLock<String>; SLOTS] = [const { OnceLock::new() }; SLOTS];

static INTERNED: LazyLock<Mutex<HashMap<&'static str, usize>>> = LazyLock::new(Mutex::default);

/// The phrase as a static text; `None` if it cannot be kept.
///
/// Characters that must not or cannot stand in a status line are replaced: it ends at a line break, and clients
/// read it as Latin-1 at best.
pub(super) fn intern(phrase: &str) -> Option<&'static str> {
    let safe: String = phrase.chars().map(|c| if matches!(c, ' '..='~') { c } else { '?' }).collect();
    if safe.is_empty() || safe.len() > MAX_PHRASE_BYTES {
        return None;
    }
    // Inserting is a single step, so the map is sound even after a panic elsewhere.
    let mut interned = INTERNED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(&slot) = interned.get(safe.as_str()) {
        return PHRASES.get(slot)?.get().map(String::as_str);
    }
    let slot = interned.len();
    let Some(free) = PHRASES.get(slot) else {
        debug!("no room for another reason phrase");
        return None;
    };
    let kept = free.get_or_init(|| safe);
    interned.insert(kept, slot);
    Some(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phrases_are_kept_once_and_made_safe() {
        let first = intern("x.zip already exists").unwrap();
        let second = intern("x.zip already exists").unwrap();
        assert!(std::ptr::eq(first, second));
        assert_eq!(intern("a\r\nSet-Cookie: x ä"), Some("a??Set-Cookie: x ?"));
        assert_eq!(intern(&"x".repeat(MAX_PHRASE_BYTES + 1)), None);
        assert_eq!(intern(""), None);
    }
}
