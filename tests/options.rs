//! The documentation of options is made from their definition.
//!
//! `UPDATE_DOCS=1 cargo test --test options` writes it anew.

use std::path::Path;

use clap::{Arg, ArgAction, Command};

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/options.md");

const HEAD: &str = "# Options of devpi-server

Values come from the command line, else from the variable `DEVPISERVER_` with the option's name (`--outside-url`:
`DEVPISERVER_OUTSIDE_URL`), else from the YAML file given by `--configfile` or lying at
`~/.config/devpi-server/devpi-server.yml`, else from the default. This file is made from the program by a test.
";

/// The visible options by heading, in the order of their definition.
fn render(command: &Command) -> String {
    let mut text = HEAD.to_owned();
    let mut headings: Vec<&str> = Vec::new();
    let visible: Vec<&Arg> = command.get_arguments().filter(|option| !option.is_hide_set()).collect();
    for option in &visible {
        let heading = option.get_help_heading().unwrap_or("General");
        if !headings.contains(&heading) {
            headings.push(heading);
        }
    }
    for heading in headings {
        text.extend(["\n## ", heading, "\n\n| option | default | meaning |\n|---|---|---|\n"]);
        let options =
            visible.iter().filter(|option| option.get_help_heading().unwrap_or("General") == heading);
        for option in options {
            text.push_str(&row(option));
            text.push('\n');
        }
    }
    text
}

fn row(option: &Arg) -> String {
    let short = option.get_short().map(|short| format!("`-{short}`, ")).unwrap_or_default();
    let value = match option.get_action() {
        ArgAction::Set | ArgAction::Append => option.get_value_names().map_or("", |names| names[0].as_str()),
        _ => "",
    };
    let name = match option.get_long() {
        Some(long) => format!("--{long} {value}"),
        None => value.to_owned(),
    };
    let defaults: Vec<String> =
        option.get_default_values().iter().map(|value| value.to_string_lossy().into_owned()).collect();
    let default = match defaults.join(" ") {
        empty if empty.is_empty() || value.is_empty() || option.is_hide_default_value_set() => String::new(),
        default => format!("`{default}`"),
    };
    let mut help = option.get_help().map(ToString::to_string).unwrap_or_default();
    if option.get_long().is_none() {
        for choice in option.get_possible_values() {
            let meaning = choice.get_help().map(ToString::to_string).unwrap_or_default();
            help.extend([". `", choice.get_name(), "`: ", &meaning]);
        }
    }
    format!("| {short}`{}` | {default} | {} |", name.trim(), help.replace('\n', " ").replace('|', "\\|"))
}

#[test]
fn the_documentation_is_that_of_the_program() {
    let expected = render(&wheelhouse::cli::server_command());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(DOCUMENT, &expected).unwrap();
    }
    let written = std::fs::read_to_string(Path::new(DOCUMENT)).unwrap_or_default();
    assert!(
        written == expected,
        "docs/options.md is out of date: run UPDATE_DOCS=1 cargo test --test options"
    );
}
