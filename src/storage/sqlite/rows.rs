//! Values of the model as columns, and back.

use jiff::Timestamp;
use rusqlite::Row;
use rusqlite::types::Type;
use serde::de::DeserializeOwned;

use crate::pep::digest::Sha256;
use crate::pep::name::ProjectName;
use crate::storage::model::{Link, Relation, Serial, Stored, StoredPath};

/// The columns that [`link`] reads, of a table called `links`.
pub(super) const LINK_COLUMNS: &str = "links.relation, links.path, links.file_name, projects.name, links.version, \
     links.sha256, links.size, links.uploaded_at, links.core_metadata, links.log, links.added_at, links.for_path";

/// A number as SQLite keeps it. Sizes and serials stay far below the limit.
pub(super) fn to_integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A serial column.
pub(super) fn serial(row: &Row<'_>, column: usize) -> rusqlite::Result<Serial> {
    unsigned(row, column).map(Serial)
}

/// A link, out of [`LINK_COLUMNS`].
pub(super) fn link(row: &Row<'_>) -> rusqlite::Result<Stored<Link>> {
    let word = row.get_ref(0)?.as_str()?;
    let relation = Relation::parse(word).ok_or_else(|| damaged(0, format!("unknown relation {word:?}")))?;
    let core_metadata = optional_sha256(row, 8)?;
    let link = Link {
        relation,
        path: StoredPath::new(row.get::<_, String>(1)?),
        for_path: row.get::<_, Option<String>>(11)?.map(StoredPath::new),
        file_name: row.get::<_, String>(2)?.into(),
        project: ProjectName::from_url(row.get_ref(3)?.as_str()?),
        version: row.get::<_, String>(4)?.into(),
        sha256: sha256(row, 5)?,
        size: unsigned(row, 6)?,
        uploaded_at: timestamp(row, 7)?,
        core_metadata,
        log: json(row, 9)?,
    };
    Ok(Stored { changed_at: serial(row, 10)?, value: link })
}

/// A time column, in microseconds.
pub(super) fn timestamp(row: &Row<'_>, column: usize) -> rusqlite::Result<Timestamp> {
    Timestamp::from_microsecond(row.get(column)?).map_err(|error| damaged(column, error.to_string()))
}

/// A column with a JSON text.
pub(super) fn json<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    serde_json::from_str(row.get_ref(column)?.as_str()?).map_err(|error| damaged(column, error.to_string()))
}

/// A column with a number that is not negative.
pub(super) fn unsigned(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    u64::try_from(row.get::<_, i64>(column)?).map_err(|error| damaged(column, error.to_string()))
}

/// A column with a hash.
pub(super) fn sha256(row: &Row<'_>, column: usize) -> rusqlite::Result<Sha256> {
    Sha256::try_from(row.get_ref(column)?.as_blob()?).map_err(|error| damaged(column, error.to_string()))
}

/// A column with a hash or nothing.
pub(super) fn optional_sha256(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Sha256>> {
    match row.get_ref(column)?.as_blob_or_null()? {
        Some(_) => sha256(row, column).map(Some),
        None => Ok(None),
    }
}

fn damaged(column: usize, text: String) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Null, text.into())
}
