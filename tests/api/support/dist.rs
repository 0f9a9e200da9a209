//! Distributions to upload.

use std::io::{Cursor, Write};

use wheelhouse::pep::digest::Sha256;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::Form;

/// A distribution: a file, and what an upload form says about it.
#[derive(Clone, Debug)]
pub(crate) struct Dist {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) file_name: String,
    pub(crate) content: Vec<u8>,
    requires_python: Option<String>,
}

impl Dist {
    /// The form as uploading tools send it.
    pub(crate) fn form(&self) -> Form {
        let mut form = Form::new()
            .field(":action", "file_upload")
            .field("protocol_version", "1")
            .field("name", &self.name)
            .field("version", &self.version)
            .field("sha256_digest", &self.sha256());
        if let Some(requires_python) = &self.requires_python {
            form = form.field("requires_python", requires_python);
        }
        form.file("content", &self.file_name, &self.content)
    }

    /// The hash of the file, as digits.
    pub(crate) fn sha256(&self) -> String {
        Sha256::of(&self.content).to_string()
    }

    /// Where the file is once it is in an index.
    pub(crate) fn path(&self, index: &str) -> String {
        let digits = self.sha256();
        format!("{index}/+f/{}/{}/{}", &digits[..3], &digits[3..16], self.file_name)
    }

    /// The same release and file name, with other content.
    pub(crate) fn with_content(&self, content: &[u8]) -> Self {
        Self { content: content.to_vec(), ..self.clone() }
    }
}

/// A source distribution. Nobody looks into it, so it may have any content.
pub(crate) fn sdist(name: &str, version: &str, content: &str) -> Dist {
    Dist {
        name: name.to_owned(),
        version: version.to_owned(),
        file_name: format!("{name}-{version}.tar.gz"),
        content: content.as_bytes().to_vec(),
        requires_python: None,
    }
}

/// Makes a wheel.
pub(crate) struct Wheel {
    name: String,
    version: String,
    requires_python: Option<String>,
    description: String,
}

impl Wheel {
    pub(crate) fn new(name: &str, version: &str) -> Self {
        let (name, version) = (name.to_owned(), version.to_owned());
        Self { name, version, requires_python: None, description: String::new() }
    }

    pub(crate) fn requires_python(mut self, specifier: &str) -> Self {
        self.requires_python = Some(specifier.to_owned());
        self
    }

    /// Wheels with different descriptions differ in their metadata.
    pub(crate) fn description(mut self, text: &str) -> Self {
        self.description = text.to_owned();
        self
    }

    /// The core metadata in it.
    pub(crate) fn metadata(&self) -> String {
        let requires = self.requires_python.iter().map(|value| format!("Requires-Python: {value}\n"));
        let requires: String = requires.collect();
        format!(
            "Metadata-Version: 2.1\nName: {}\nVersion: {}\n{requires}\n{}\n",
            self.name, self.version, self.description
        )
    }

    pub(crate) fn build(&self) -> Dist {
        let stem = format!("{}-{}", self.name.replace('-', "_"), self.version);
        let members = [
            (format!("{}/__init__.py", self.name), "VALUE = 1\n".repeat(50)),
            (format!("{stem}.dist-info/METADATA"), self.metadata()),
            (format!("{stem}.dist-info/WHEEL"), "Wheel-Version: 1.0\n".to_owned()),
        ];
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        for (path, content) in members {
            writer.start_file(path, SimpleFileOptions::default()).unwrap();
            writer.write_all(content.as_bytes()).unwrap();
        }
        Dist {
            name: self.name.clone(),
            version: self.version.clone(),
            file_name: format!("{stem}-py3-none-any.whl"),
            content: writer.finish().unwrap().into_inner(),
            requires_python: self.requires_python.clone(),
        }
    }
}
