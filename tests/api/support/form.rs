//! Upload forms, down to their line ends.

/// What divides the parts. distutils has dashes at its beginning, too.
const BOUNDARY: &str = "--------------GHSKFJDLGDS7543FJKLFHRE75642756743254";

/// A multipart form.
#[derive(Clone, Debug)]
pub(crate) struct Form {
    parts: Vec<(String, Option<String>, Vec<u8>)>,
    line_end: &'static str,
    before: &'static str,
}

impl Form {
    pub(crate) fn new() -> Self {
        Self { parts: Vec::new(), line_end: "\r\n", before: "" }
    }

    /// Adds a field.
    pub(crate) fn field(mut self, name: &str, value: &str) -> Self {
        self.parts.push((name.to_owned(), None, value.as_bytes().to_vec()));
        self
    }

    /// Adds a file.
    pub(crate) fn file(mut self, name: &str, file_name: &str, content: &[u8]) -> Self {
        self.parts.push((name.to_owned(), Some(file_name.to_owned()), content.to_vec()));
        self
    }

    /// Takes the parts of a name away.
    pub(crate) fn without(mut self, name: &str) -> Self {
        self.parts.retain(|(part, ..)| part != name);
        self
    }

    /// Ends lines like this.
    pub(crate) fn line_end(self, line_end: &'static str) -> Self {
        Self { line_end, ..self }
    }

    /// Puts this before the first line.
    pub(crate) fn before(self, before: &'static str) -> Self {
        Self { before, ..self }
    }

    /// Moves the last part, usually the file, to the middle.
    pub(crate) fn last_in_the_middle(mut self) -> Self {
        let last = self.parts.pop().unwrap();
        self.parts.insert(self.parts.len() / 2, last);
        self
    }

    /// The content type that goes with [`Form::render`].
    pub(crate) fn content_type() -> String {
        format!("multipart/form-data; boundary={BOUNDARY}")
    }

    pub(crate) fn render(&self) -> Vec<u8> {
        let end = self.line_end;
        let mut body = self.before.as_bytes().to_vec();
        for (name, file_name, content) in &self.parts {
            let file_name = file_name.iter().map(|file_name| format!("; filename=\"{file_name}\""));
            let file_name: String = file_name.collect();
            let head = format!(
                "--{BOUNDARY}{end}Content-Disposition: form-data; name=\"{name}\"{file_name}{end}{end}"
            );
            body.extend_from_slice(head.as_bytes());
            body.extend_from_slice(content);
            body.extend_from_slice(end.as_bytes());
        }
        body.extend_from_slice(format!("--{BOUNDARY}--{end}").as_bytes());
        body
    }
}
