//! The arguments of the command line as they are repeated elsewhere: services start in another directory.

use std::io;
use std::path::absolute;

use clap::{Arg, ArgAction, Command};

/// What the values of options that name files are called in their help.
const PATHS: [&str; 3] = ["DIR", "FILE", "PATH"];

/// The arguments, which fit to `definition`, with absolute paths.
pub(super) fn make_absolute(definition: &Command, arguments: &[&str]) -> io::Result<Vec<String>> {
    let mut made = Vec::new();
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let Some((option, head, value)) = find(definition, argument) else {
            made.push((*argument).to_owned());
            continue;
        };
        if let Some(value) = value {
            made.push(format!("{head}{}", shown(option, value)?));
            continue;
        }
        made.push((*argument).to_owned());
        if takes_value(option)
            && let Some(value) = rest.next()
        {
            made.push(shown(option, value)?);
        }
    }
    Ok(made)
}

/// The option that an argument gives, with what stands before its value, and the value where it is in the argument.
fn find<'a, 'b>(definition: &'a Command, argument: &'b str) -> Option<(&'a Arg, &'b str, Option<&'b str>)> {
    let mut options = definition.get_arguments();
    if let Some(long) = argument.strip_prefix("--") {
        let (name, value) = match long.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (long, None),
        };
        let named = |option: &&Arg| option.get_long() == Some(name);
        // Long options may be abbreviated; that they are not ambiguous was seen to before.
        let begins = |option: &&Arg| option.get_long().is_some_and(|long| long.starts_with(name));
        let option = options.find(named).or_else(|| definition.get_arguments().find(begins))?;
        let head = &argument[..argument.len() - value.map_or(0, str::len)];
        return Some((option, head, value));
    }
    let short = argument.strip_prefix('-')?.chars().next()?;
    let option = options.find(|option| option.get_short() == Some(short))?;
    let (head, value) = argument.split_at(1 + short.len_utf8());
    // As in `-c=FILE`.
    let (head, value) = match value.strip_prefix('=') {
        Some(value) => (&argument[..=head.len()], value),
        None => (head, value),
    };
    Some((option, head, Some(value).filter(|value| !value.is_empty())))
}

fn takes_value(option: &Arg) -> bool {
    matches!(option.get_action(), ArgAction::Set | ArgAction::Append)
}

fn shown(option: &Arg, value: &str) -> io::Result<String> {
    let is_path =
        option.get_value_names().is_some_and(|names| names.iter().any(|name| PATHS.contains(&name.as_str())));
    if !is_path || value.is_empty() || value.starts_with('~') {
        return Ok(value.to_owned());
    }
    // It was UTF-8, and so is the directory, unless nobody could write it down anyway.
    Ok(absolute(value)?.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn here(name: &str) -> String {
        std::env::current_dir().unwrap().join(name).to_str().unwrap().to_owned()
    }

    #[test]
    fn paths_become_absolute_however_they_are_given() {
        let definition = crate::cli::server_command();
        let made = |arguments: &[&str]| make_absolute(&definition, arguments).unwrap();
        assert_eq!(made(&["--serverdir", "a", "--port", "1"]), ["--serverdir", &here("a"), "--port", "1"]);
        assert_eq!(made(&["--serverdir=a", "--debug"]), [&format!("--serverdir={}", here("a")), "--debug"]);
        assert_eq!(made(&["--serverd", "a"]), ["--serverd", &here("a")]);
        assert_eq!(made(&["-c", "a"]), ["-c", &here("a")]);
        assert_eq!(made(&["-ca"]), [format!("-c{}", here("a"))]);
        assert_eq!(made(&["-c=a"]), [format!("-c={}", here("a"))]);
        assert_eq!(
            made(&["--secretfile", "/x/y", "--unix-socket", "z"])[1..],
            ["/x/y", "--unix-socket", &here("z")]
        );
        assert_eq!(made(&["--serverdir", "~/a"]), ["--serverdir", "~/a"]);
    }

    #[test]
    fn values_are_no_options() {
        let made = make_absolute(&crate::cli::server_command(), &["--host", "--serverdir", "a"]).unwrap();
        assert_eq!(made, ["--host", "--serverdir", "a"]);
    }
}
