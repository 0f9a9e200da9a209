//! Upload forms: fields into memory, the file into the file store while it is hashed.

use actix_multipart::{Field, Multipart, MultipartError};
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, HeaderMap};
use futures_util::StreamExt;

use super::bare_lines::StandardLines;
use super::body::Body;
use super::memory::Sender;
use crate::domain::Registry;
use crate::domain::upload::UploadedFile;
use crate::domain::upload_form::UploadForm;
use crate::http::error::ApiError;
use crate::http::state::HttpLimits;

/// The field with the file.
const FILE_FIELD: &str = "content";

/// The longest name of a field, in bytes; those of core metadata have some twenty.
const MAX_FIELD_NAME_BYTES: usize = 256;

/// A form as it was read.
pub(in crate::http) struct ReadForm {
    /// The fields.
    pub(in crate::http) form: UploadForm,
    /// The file, if the form has one.
    pub(in crate::http) file: Option<UploadedFile>,
}

/// The content type of a form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::http) enum FormType {
    Multipart { boundary: String },
    UrlEncoded,
}

impl FormType {
    /// The type that the headers name; `None` if the body is no form.
    pub(in crate::http) fn of(headers: &HeaderMap) -> Option<Self> {
        let value = headers.get(CONTENT_TYPE)?.to_str().ok()?;
        let (kind, parameters) = value.split_once(';').unwrap_or((value, ""));
        match kind.trim().to_ascii_lowercase().as_str() {
            "application/x-www-form-urlencoded" => Some(Self::UrlEncoded),
            "multipart/form-data" => {
                let boundary = parameters.split(';').find_map(|parameter| {
                    let (name, value) = parameter.split_once('=')?;
                    name.trim()
                        .eq_ignore_ascii_case("boundary")
                        .then(|| value.trim().trim_matches('"').to_owned())
                });
                Some(Self::Multipart { boundary: boundary.unwrap_or_default() })
            }
            _ => None,
        }
    }
}

/// Reads a multipart form to its end.
pub(in crate::http) async fn read(
    boundary: &str,
    headers: &HeaderMap,
    body: Body,
    registry: &Registry,
    limits: &HttpLimits,
    sender: &Sender,
) -> Result<ReadForm, ApiError> {
    let (read, rest) = (ReadForm::empty(), body.clone());
    let mut reader = FormReader { registry, limits, sender, body: rest, read, total: 0 };
    let result = reader.read(headers, StandardLines::new(body.clone(), boundary)).await;
    match result {
        Ok(()) => Ok(reader.read),
        Err(_) if body.is_too_large() => Err(body.too_large()),
        Err(error) => Err(error),
    }
}

/// Takes an urlencoded form apart.
pub(in crate::http) fn parse(bytes: &[u8], limits: &HttpLimits) -> Result<UploadForm, ApiError> {
    let fields: Vec<_> = form_urlencoded::parse(bytes)
        .take(limits.form_fields + 1)
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect();
    if fields.len() > limits.form_fields {
        return Err(too_many_fields(limits));
    }
    if let Some((name, _)) = fields.iter().find(|(_, value)| value.len() > limits.form_field) {
        return Err(too_long(name, limits));
    }
    Ok(UploadForm { fields })
}

impl ReadForm {
    fn empty() -> Self {
        Self { form: UploadForm::default(), file: None }
    }
}

struct FormReader<'a> {
    registry: &'a Registry,
    limits: &'a HttpLimits,
    sender: &'a Sender,
    body: Body,
    read: ReadForm,
    total: usize,
}

impl FormReader<'_> {
    async fn read(&mut self, headers: &HeaderMap, body: StandardLines<Body>) -> Result<(), ApiError> {
        let mut parts = Multipart::new(headers, body);
        let mut count = 0;
        while let Some(field) = parts.next().await {
            let mut field = field.map_err(|error| malformed(&error))?;
            count += 1;
            if count > self.limits.form_fields {
                return Err(too_many_fields(self.limits));
            }
            let name = field.name().unwrap_or_default().to_owned();
            let file_name = field.content_disposition().and_then(|disposition| disposition.get_filename());
            match file_name.map(str::to_owned) {
                Some(file_name) if name == FILE_FIELD && !file_name.is_empty() => {
                    self.read_file(file_name, &mut field).await?;
                }
                // Signatures and the like are read past, as in devpi, and files without a name.
                Some(_) => {
                    while field.next().await.transpose().map_err(|error| malformed(&error))?.is_some() {}
                }
                None => self.read_text(name, &mut field).await?,
            }
        }
        Ok(())
    }

    async fn read_text(&mut self, name: String, field: &mut Field) -> Result<(), ApiError> {
        self.total += name.len();
        if name.len() > MAX_FIELD_NAME_BYTES {
            return Err(bad_form(&format!(
                "the form has a field name of more than {MAX_FIELD_NAME_BYTES} bytes"
            )));
        }
        let mut value = Vec::new();
        while let Some(piece) = field.next().await {
            let piece = piece.map_err(|error| malformed(&error))?;
            self.total += piece.len();
            if value.len() + piece.len() > self.limits.form_field {
                return Err(too_long(&name, self.limits));
            }
            if self.total > self.limits.form_total {
                let text = format!("the fields of the form are longer than {} bytes", self.limits.form_total);
                return Err(bad_form(&text));
            }
            self.body.gather(self.total, self.sender)?;
            value.extend_from_slice(&piece);
        }
        let Ok(value) = String::from_utf8(value) else {
            return Err(bad_form(&format!("field '{name}' is not UTF-8")));
        };
        self.read.form.fields.push((name, value));
        Ok(())
    }

    async fn read_file(&mut self, name: String, field: &mut Field) -> Result<(), ApiError> {
        if self.read.file.is_some() {
            return Err(bad_form("the form has more than one content field"));
        }
        let mut incoming = self.registry.receive_file().await?;
        while let Some(piece) = field.next().await {
            incoming.write(piece.map_err(|error| malformed(&error))?).await?;
        }
        self.read.file = Some(UploadedFile { name, incoming });
        Ok(())
    }
}

fn malformed(error: &MultipartError) -> ApiError {
    bad_form(&format!("malformed multipart body: {error}"))
}

fn too_many_fields(limits: &HttpLimits) -> ApiError {
    bad_form(&format!("the form has more than {} fields", limits.form_fields))
}

fn too_long(field: &str, limits: &HttpLimits) -> ApiError {
    bad_form(&format!("field '{field}' is longer than {} bytes", limits.form_field))
}

fn bad_form(text: &str) -> ApiError {
    ApiError::submit(StatusCode::BAD_REQUEST, text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::HeaderValue;

    #[test]
    fn form_types_are_read_leniently() {
        let of = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(value));
            FormType::of(&headers)
        };
        let multipart = |boundary: &str| Some(FormType::Multipart { boundary: boundary.to_owned() });
        assert_eq!(of("multipart/form-data; boundary=abc"), multipart("abc"));
        assert_eq!(of("multipart/form-data; boundary=----GHSK; charset=utf-8"), multipart("----GHSK"));
        assert_eq!(of("Multipart/Form-Data; charset=utf-8; Boundary=\"a b\""), multipart("a b"));
        assert_eq!(of("multipart/form-data"), multipart(""));
        assert_eq!(of("application/x-www-form-urlencoded; charset=utf-8"), Some(FormType::UrlEncoded));
        assert_eq!(of("application/json"), None);
    }
}
