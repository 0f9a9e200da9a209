//! Words and lengths: what must stand in no file, or only in some.

use crate::lexer::channels;
use crate::source::{Source, read_sources};

/// The longest file, in lines.
const MAX_LINES: usize = 800;

/// From how many lines on a file is listed, so that somebody looks for its second subject.
const LISTED_LINES: usize = 400;

/// The beginnings of SQL statements.
const STATEMENTS: [&str; 9] =
    ["SELECT ", "INSERT ", "UPDATE ", "DELETE FROM ", "CREATE ", "ALTER ", "DROP ", "PRAGMA ", "BEGIN"];

/// Marks of unfinished work, put together so that this file does not have them.
const UNFINISHED: [&str; 4] =
    [concat!("#[ign", "ore"), concat!("to", "do!"), concat!("unimpl", "emented!"), concat!("FIX", "ME")];

/// Where SQL is spoken: to the own database, and to that of devpi-server.
const SQL_PLACES: [&str; 2] = ["storage/sqlite/", "dump/serverdir/"];

/// SQL outside of the parts that speak it.
fn foreign_sql(source: &Source) -> Vec<String> {
    if SQL_PLACES.iter().any(|place| source.path.starts_with(place)) {
        return Vec::new();
    }
    let texts = channels(&source.text).texts;
    let found = STATEMENTS.iter().filter(|statement| texts.lines().any(|text| text.starts_with(**statement)));
    found.map(|statement| format!("{} speaks SQL: {statement}", source.path)).collect()
}

/// Statuses in the rules.
fn statuses_in_rules(source: &Source) -> Vec<String> {
    let in_rules = source.path.starts_with("domain/") && channels(&source.text).code.contains("StatusCode");
    in_rules.then(|| format!("{} knows statuses", source.path)).into_iter().collect()
}

fn unfinished(source: &Source) -> Vec<String> {
    let found = UNFINISHED.iter().filter(|mark| source.text.contains(**mark));
    found.map(|mark| format!("{} has {mark}", source.path)).collect()
}

fn undocumented(source: &Source) -> Vec<String> {
    let documented = source.text.starts_with("//! ");
    (!documented).then(|| format!("{} does not begin with //!", source.path)).into_iter().collect()
}

fn overlong(source: &Source) -> Vec<String> {
    let lines = source.text.lines().count();
    let fault = || format!("{} has {lines} lines", source.path);
    (lines > MAX_LINES).then(fault).into_iter().collect()
}

fn faults(folders: &[&str], rule: impl Fn(&Source) -> Vec<String>) -> Vec<String> {
    folders.iter().flat_map(|folder| read_sources(folder)).flat_map(|source| rule(&source)).collect()
}

#[track_caller]
fn assert_none(faults: &[String]) {
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn sql_stays_in_its_backend() {
    assert_none(&faults(&["src"], foreign_sql));
    let text = "fn f() { query(\"SELECT * FROM users\") } // SELECT";
    assert_eq!(foreign_sql(&Source::new("domain/user.rs", text)), ["domain/user.rs speaks SQL: SELECT "]);
    assert_none(&foreign_sql(&Source::new("storage/sqlite/read.rs", text)));
    assert_none(&foreign_sql(&Source::new("domain/user.rs", "// SELECT x\nlet x = \"select one\";")));
}

#[test]
fn rules_know_no_statuses() {
    assert_none(&faults(&["src"], statuses_in_rules));
    let text = "fn f() -> http::StatusCode {}";
    assert_eq!(statuses_in_rules(&Source::new("domain/user.rs", text)), ["domain/user.rs knows statuses"]);
    assert_none(&statuses_in_rules(&Source::new("http/error.rs", text)));
}

#[test]
fn nothing_is_left_unfinished() {
    assert_none(&faults(&["src", "tests"], unfinished));
    for mark in UNFINISHED {
        let source = Source::new("http/page.rs", &format!("// {mark}"));
        assert_eq!(unfinished(&source), [format!("http/page.rs has {mark}")]);
    }
}

#[test]
fn every_file_says_what_it_is_for() {
    assert_none(&faults(&["src", "tests"], undocumented));
    let source = Source::new("http/page.rs", "use std::fmt;\n//! Pages.");
    assert_eq!(undocumented(&source), ["http/page.rs does not begin with //!"]);
}

#[test]
#[expect(clippy::print_stderr, reason = "the list is for whoever runs the tests")]
fn files_are_short() {
    for source in read_sources("src") {
        let lines = source.text.lines().count();
        if lines > LISTED_LINES {
            eprintln!("{} has {lines} lines", source.path);
        }
    }
    assert_none(&faults(&["src", "tests"], overlong));
    assert_eq!(overlong(&Source::new("a.rs", &"x\n".repeat(801))), ["a.rs has 801 lines"]);
    assert_none(&overlong(&Source::new("a.rs", &"x\n".repeat(800))));
}
