//! The paths that a source names, resolved to modules of this crate or names of others.

use crate::lexer::channels;

/// A path that a source names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum NamedPath {
    /// Something of this crate, from its root.
    Own(Vec<String>),
    /// Something of another crate, or of a name that is in scope.
    Other(Vec<String>),
}

/// All paths of two and more parts that the code of a source names, and all that it imports.
///
/// `file` is the path of the source below `src`, for resolving `self` and `super`.
pub(crate) fn named_paths(file: &str, source: &str) -> Vec<NamedPath> {
    let tokens = tokens(&channels(source).code);
    let mut scanner = Scanner {
        tokens: &tokens,
        position: 0,
        modules: module_of(file),
        blocks: Vec::new(),
        found: Vec::new(),
    };
    scanner.scan();
    scanner.found.sort();
    scanner.found.dedup();
    scanner.found
}

/// The module of a file, from the root of the crate.
fn module_of(file: &str) -> Vec<String> {
    let path = file.trim_end_matches(".rs");
    let path = path.strip_suffix("/mod").unwrap_or(path);
    let is_root = path == "lib" || path == "main";
    if is_root { Vec::new() } else { path.split('/').map(str::to_owned).collect() }
}

/// Words, `::`, and every other character alone.
fn tokens(code: &str) -> Vec<String> {
    let mut tokens: Vec<String> = Vec::new();
    let mut rest = code.trim_start();
    while let Some(first) = rest.chars().next() {
        let word = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        let end = match word {
            0 if rest.starts_with("::") => 2,
            0 => first.len_utf8(),
            word => word,
        };
        tokens.push(rest[..end].to_owned());
        rest = rest[end..].trim_start();
    }
    tokens
}

struct Scanner<'a> {
    tokens: &'a [String],
    position: usize,
    /// The module in which the position lies.
    modules: Vec<String>,
    /// For each open brace whether it opened a module.
    blocks: Vec<bool>,
    found: Vec<NamedPath>,
}

impl Scanner<'_> {
    fn peek(&self, ahead: usize) -> &str {
        self.tokens.get(self.position + ahead).map_or("", String::as_str)
    }

    fn scan(&mut self) {
        while self.position < self.tokens.len() {
            match self.peek(0) {
                "use" => {
                    self.position += 1;
                    self.tree(&[]);
                }
                "mod" if self.peek(2) == "{" => {
                    self.modules.push(self.peek(1).to_owned());
                    self.blocks.push(true);
                    self.position += 3;
                }
                "{" => {
                    self.blocks.push(false);
                    self.position += 1;
                }
                "}" => {
                    if self.blocks.pop() == Some(true) {
                        self.modules.pop();
                    }
                    self.position += 1;
                }
                _ if self.peek(1) == "::" => {
                    let path = self.path();
                    self.add(path);
                }
                _ => self.position += 1,
            }
        }
    }

    /// The path at the position: words with `::` between them.
    fn path(&mut self) -> Vec<String> {
        let mut path = vec![self.peek(0).to_owned()];
        self.position += 1;
        while self.peek(0) == "::" && is_word(self.peek(1)) {
            path.push(self.peek(1).to_owned());
            self.position += 2;
        }
        path
    }

    /// A tree of imports below `prefix`.
    fn tree(&mut self, prefix: &[String]) {
        let mut path = prefix.to_vec();
        loop {
            match self.peek(0) {
                "::" | "*" => self.position += 1,
                "{" => {
                    self.position += 1;
                    while !matches!(self.peek(0), "}" | "") {
                        self.tree(&path);
                        if self.peek(0) == "," {
                            self.position += 1;
                        }
                    }
                    self.position += 1;
                    return;
                }
                "as" => self.position += 2,
                word if is_word(word) => {
                    path.push(word.to_owned());
                    self.position += 1;
                }
                _ => break,
            }
        }
        self.add(path);
    }

    fn add(&mut self, path: Vec<String>) {
        let mut module = match path.first().map(String::as_str) {
            Some("crate") => Vec::new(),
            Some("self" | "super") => self.modules.clone(),
            _ => {
                self.found.push(NamedPath::Other(path));
                return;
            }
        };
        for part in path {
            match part.as_str() {
                "crate" | "self" => {}
                "super" => {
                    module.pop();
                }
                _ => module.push(part),
            }
        }
        self.found.push(NamedPath::Own(module));
    }
}

fn is_word(token: &str) -> bool {
    token.starts_with(|character: char| character.is_alphanumeric() || character == '_')
}

#[cfg(test)]
fn own(path: &str) -> NamedPath {
    NamedPath::Own(path.split("::").map(str::to_owned).collect())
}

#[test]
fn imports_are_resolved() {
    let source = "
        use std::fmt;
        use super::{meta::{Change, self}, model::*};
        use crate::pep::name as other;
        fn f() -> crate::http::Page { let x = super::super::domain::Rule; \"crate::cli\" }
        mod tests { use super::*; use super::super::files; }
        use self::rows::link;
    ";
    let found = named_paths("storage/sqlite/read.rs", source);
    assert!(found.contains(&NamedPath::Other(vec!["std".to_owned(), "fmt".to_owned()])));
    for path in [
        "storage::sqlite::meta::Change",
        "storage::sqlite::meta",
        "storage::sqlite::model",
        "pep::name",
        "http::Page",
        "storage::domain::Rule",
        "storage::sqlite::read",
        "storage::sqlite::files",
        "storage::sqlite::read::rows::link",
    ] {
        assert!(found.contains(&own(path)), "{path} is not in {found:?}");
    }
    assert_eq!(found.len(), 10);
}

#[test]
fn a_folder_is_the_module_of_its_mod_file() {
    let found = named_paths("storage/sqlite/mod.rs", "use self::read::x; use super::meta::MetaStore;");
    assert_eq!(found, [own("storage::meta::MetaStore"), own("storage::sqlite::read::x")]);
}
