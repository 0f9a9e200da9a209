//! Where values come from: command line, environment, configuration file, built-in default, in this order.
//!
//! Environment and file become the defaults of the command line's definition, so `--help` shows what is in force and
//! a bad value is reported like one on the command line (as in devpi).

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::builder::OsStr;
use clap::{Arg, ArgAction, Command};
use serde_json::{Map, Value};

/// The section of the configuration file, and the name of its directory.
const SECTION: &str = "devpi-server";

/// The option that names the file.
const OPTION: &str = "configfile";

/// The file name in the standard directories.
const FILE_NAME: &str = "devpi-server.yml";

/// Why a value from outside the command line cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigFileError {
    /// The file cannot be read.
    #[error("cannot read the config file '{path}': {cause}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: std::io::Error,
    },
    /// The file is no YAML.
    #[error("cannot parse the config file '{path}': {cause}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: String,
    },
    /// A sequence stands where options are expected.
    #[error("Error in config file '{path}':\n{text}")]
    Structure {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        text: &'static str,
    },
    /// A switch has a value that is neither true nor false.
    #[error("invalid truth value '{0}'")]
    TruthValue(String),
}

/// A command line definition with the values from elsewhere as its defaults.
pub struct Layered {
    /// The definition.
    pub command: Command,
    /// What is to be logged once logging is set up.
    pub warnings: Vec<String>,
}

/// Puts the values from the environment and the configuration file into the definition.
///
/// `arguments` are those of the command line: they may name the file. `environment` tells the value of a variable.
pub fn layer(
    command: Command,
    arguments: &[OsString],
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Layered, ConfigFileError> {
    let environment = |name: &str| environment(name).filter(|value| !value.is_empty());
    let mut warnings = Vec::new();
    let file = match named_file(&command, arguments) {
        Some(path) => Some(path),
        None => find_file(&environment, &mut warnings),
    };
    let mut values = match &file {
        Some(path) => read_file(path)?,
        None => Map::new(),
    };
    let names: Vec<(clap::Id, String)> = command
        .get_arguments()
        .filter(|argument| !matches!(argument.get_action(), ArgAction::Help | ArgAction::Version))
        .filter_map(|argument| Some((argument.get_id().clone(), argument.get_long()?.to_owned())))
        .collect();
    let mut command = command;
    for (id, long) in names {
        let from_file = values.shift_remove(&long);
        let variable = format!("DEVPISERVER_{}", long.to_uppercase().replace('-', "_"));
        let mut value = environment(&variable).map(Value::from).or(from_file);
        if long == "serverdir"
            && let Some(deprecated) = environment("DEVPI_SERVERDIR")
        {
            warnings.push(
                "Using deprecated DEVPI_SERVERDIR environment variable. You should switch to use \
                 DEVPISERVER_SERVERDIR."
                    .to_owned(),
            );
            value = Some(deprecated.into());
        }
        if let Some(value) = value
            && long != OPTION
        {
            let is_switch = command.get_arguments().any(|argument| {
                *argument.get_id() == id && matches!(argument.get_action(), ArgAction::SetTrue)
            });
            let defaults = defaults(&value, is_switch)?;
            command = command.mut_arg(id, |argument: Arg| argument.default_values(defaults));
        }
    }
    let path = file.unwrap_or_default();
    warnings.extend(
        values.keys().map(|key| format!("Unknown devpi-server option '{key}' in {}", path.display())),
    );
    Ok(Layered { command, warnings })
}

/// The file that the command line names, by an option that may be abbreviated as all may.
fn named_file(command: &Command, arguments: &[OsString]) -> Option<PathBuf> {
    let fitting = |name: &str| {
        command.get_arguments().filter_map(Arg::get_long).filter(|long| long.starts_with(name)).count()
    };
    let is_meant = |name: &str| OPTION == name || (OPTION.starts_with(name) && fitting(name) == 1);
    let mut found = None;
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        let Some(text) = argument.to_str() else { continue };
        if let Some(long) = text.strip_prefix("--") {
            match long.split_once('=') {
                Some((name, path)) if is_meant(name) => found = Some(path.into()),
                None if is_meant(long) => found = arguments.next().map(PathBuf::from),
                _ => {}
            }
        } else if let Some(path) = text.strip_prefix("-c") {
            found = match path.strip_prefix('=').unwrap_or(path) {
                "" => arguments.next().map(PathBuf::from),
                path => Some(path.into()),
            };
        }
    }
    found
}

/// The last existing file of the standard places: the system's, then the user's.
fn find_file(environment: &dyn Fn(&str) -> Option<String>, warnings: &mut Vec<String>) -> Option<PathBuf> {
    let system = environment("XDG_CONFIG_DIRS").unwrap_or_else(|| "/etc/xdg".to_owned());
    let user = environment("XDG_CONFIG_HOME").or_else(|| Some(format!("{}/.config", environment("HOME")?)));
    let directories =
        system.split(':').filter(|directory| !directory.is_empty()).map(str::to_owned).chain(user);
    let mut found: Vec<PathBuf> = directories
        .map(|directory| Path::new(&directory).join(SECTION).join(FILE_NAME))
        .filter(|path| path.is_file())
        .collect();
    if found.len() > 1 {
        let list: Vec<String> = found.iter().map(|path| path.display().to_string()).collect();
        warnings.push(format!("Multiple configuration files found:\n{}", list.join("\n")));
    }
    found.pop()
}

fn read_file(path: &Path) -> Result<Map<String, Value>, ConfigFileError> {
    let text = std::fs::read_to_string(path)
        .map_err(|cause| ConfigFileError::Unreadable { path: path.to_owned(), cause })?;
    // devpi's files know no types; so `y` and `no` must not become truth values before the option is known.
    let options = serde_saphyr::options! { strict_booleans: true };
    let content: Value = serde_saphyr::from_str_with_options(&text, options)
        .map_err(|cause| ConfigFileError::Malformed { path: path.to_owned(), cause: cause.to_string() })?;
    let structure = |text| ConfigFileError::Structure { path: path.to_owned(), text };
    match content {
        Value::Object(mut sections) => match sections.shift_remove(SECTION) {
            Some(Value::Object(options)) => Ok(options),
            Some(Value::Array(_)) => {
                Err(structure("The 'devpi-server' section must be a mapping, not a sequence."))
            }
            _ => Ok(Map::new()),
        },
        Value::Array(_) => Err(structure("The config file must be a mapping, not a sequence.")),
        _ => Ok(Map::new()),
    }
}

/// A value as texts of a command line.
fn defaults(value: &Value, is_switch: bool) -> Result<Vec<OsStr>, ConfigFileError> {
    let texts = match value {
        Value::Array(items) => items.iter().map(scalar).collect(),
        // A mapping stands for `name:key=value,…` (storage).
        Value::Object(fields) => {
            let name = fields.get("name").map(scalar).unwrap_or_default();
            let settings: Vec<String> = fields
                .iter()
                .filter(|(key, _)| *key != "name")
                .map(|(key, value)| format!("{key}={}", scalar(value)))
                .collect();
            vec![if settings.is_empty() { name } else { format!("{name}:{}", settings.join(",")) }]
        }
        other => vec![scalar(other)],
    };
    if !is_switch {
        return Ok(texts.into_iter().map(OsStr::from).collect());
    }
    let word = texts.concat();
    match word.to_lowercase().as_str() {
        "y" | "yes" | "t" | "true" | "on" | "1" => Ok(vec![OsStr::from("true")]),
        "n" | "no" | "f" | "false" | "off" | "0" => Ok(vec![OsStr::from("false")]),
        _ => Err(ConfigFileError::TruthValue(word)),
    }
}

fn scalar(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Args;

    #[derive(Args, Debug)]
    struct Options {
        #[arg(short = 'c', long)]
        configfile: Option<PathBuf>,
        #[arg(long, default_value_t = 1)]
        port: u16,
        #[arg(long)]
        listen: Vec<String>,
        #[arg(long)]
        offline_mode: bool,
        #[arg(long, default_value = "sqlite")]
        storage: String,
        #[arg(long, default_value = "d")]
        serverdir: String,
    }

    fn parse(
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Result<(Options, Vec<String>), ConfigFileError> {
        let arguments: Vec<OsString> =
            std::iter::once("x").chain(arguments.iter().copied()).map(OsString::from).collect();
        let lookup = |name: &str| {
            environment.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        };
        let command = Options::augment_args(Command::new("x").infer_long_args(true));
        let layered = layer(command, &arguments, &lookup)?;
        let matches = layered.command.get_matches_from(arguments);
        Ok((clap::FromArgMatches::from_arg_matches(&matches).unwrap(), layered.warnings))
    }

    fn file(content: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, content).unwrap();
        file
    }

    #[test]
    fn the_command_line_goes_before_environment_before_file() {
        let file = file("devpi-server:\n  port: 2\n  listen:\n    - a:1\n    - b:2\n  offline-mode: true\n");
        let path = file.path().to_str().unwrap();
        let (options, _) = parse(&["-c", path], &[]).unwrap();
        assert_eq!((options.port, options.offline_mode), (2, true));
        assert_eq!(options.listen, ["a:1", "b:2"]);
        let environment = [("DEVPISERVER_PORT", "3"), ("DEVPISERVER_OFFLINE_MODE", "No")];
        let (options, _) = parse(&["-c", path], &environment).unwrap();
        assert_eq!((options.port, options.offline_mode), (3, false));
        let (options, _) = parse(&["-c", path, "--port", "4", "--listen", "c:3"], &environment).unwrap();
        assert_eq!((options.port, options.listen), (4, vec!["c:3".to_owned()]));
    }

    #[test]
    fn the_file_is_found_however_the_option_is_written() {
        let file = file("devpi-server:\n  port: 2\n");
        let path = file.path().to_str().unwrap();
        let joined =
            ["-c", "-c=", "--configfile=", "--config=", "--c="].map(|option| vec![[option, path].concat()]);
        let apart =
            ["-c", "--configfile", "--config", "--conf"].map(|option| vec![option.into(), path.into()]);
        for arguments in joined.into_iter().chain(apart) {
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            assert_eq!(parse(&arguments, &[]).unwrap().0.port, 2, "{arguments:?}");
        }
    }

    #[test]
    fn empty_variables_do_not_count_and_unknown_keys_are_named() {
        let file = file("devpi-server:\n  prot: 2\n  storage:\n    name: sqlite\n    x: y\n");
        let path = file.path().to_str().unwrap();
        let (options, warnings) = parse(&["--configfile", path], &[("DEVPISERVER_PORT", "")]).unwrap();
        assert_eq!((options.port, options.storage.as_str()), (1, "sqlite:x=y"));
        assert_eq!(warnings, [format!("Unknown devpi-server option 'prot' in {path}")]);
    }

    #[test]
    fn the_old_variable_beats_the_new_one() {
        let environment = [("DEVPISERVER_SERVERDIR", "new"), ("DEVPI_SERVERDIR", "old")];
        let (options, warnings) = parse(&[], &environment).unwrap();
        assert_eq!(options.serverdir, "old");
        assert_eq!(warnings.len(), 1);
        assert_eq!(parse(&["--serverdir", "line"], &environment).unwrap().0.serverdir, "line");
    }

    #[test]
    fn malformed_files_are_refused() {
        for content in ["- a\n", "devpi-server:\n  - a\n"] {
            let file = file(content);
            let result = parse(&["-c", file.path().to_str().unwrap()], &[]);
            assert!(matches!(result, Err(ConfigFileError::Structure { .. })), "{content}");
        }
        assert!(matches!(parse(&["-c", "/nonexistent/x.yml"], &[]), Err(ConfigFileError::Unreadable { .. })));
        let maybe = parse(&[], &[("DEVPISERVER_OFFLINE_MODE", "maybe")]);
        assert_eq!(maybe.unwrap_err().to_string(), "invalid truth value 'maybe'");
        assert!(parse(&[], &[]).unwrap().0.configfile.is_none());
    }

    #[test]
    fn the_users_file_is_found() {
        let home = tempfile::tempdir().unwrap();
        let directory = home.path().join(".config").join(SECTION);
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join(FILE_NAME), "devpi-server:\n  port: 7\n").unwrap();
        let environment = [("HOME", home.path().to_str().unwrap()), ("XDG_CONFIG_DIRS", "/nonexistent")];
        assert_eq!(parse(&[], &environment).unwrap().0.port, 7);
    }
}
