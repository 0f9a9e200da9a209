//! `devpi-gen-config`: writes files with which service managers and web servers run devpi-server.

mod arguments;
mod nginx;
mod quote;

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Context;

use super::console::{Fatal, say};
use super::program::server_command;
use super::serve::ServerOptions;
use super::serverdir;

pub(super) const ABOUT: &str =
    "Write files for service managers and web servers that run devpi-server with these options.";

/// Where they are written.
const DIRECTORY: &str = "gen-config";

/// How much longer than devpi-server itself waits for requests under way a service manager waits for it, in seconds.
const STOP_MARGIN: u64 = 15;

/// `options` and `given`, the same as texts, are those with which devpi-server shall run.
pub(super) fn run(options: ServerOptions, warnings: Vec<String>, given: &[OsString]) -> anyhow::Result<()> {
    for warning in &warnings {
        say(&format!("warning: {warning}"))?;
    }
    options.listen.check().map_err(Fatal::new)?;
    if options.common.configfile.is_none() {
        say(
            "It is highly recommended to use a configuration file for devpi-server, see --configfile option.",
        )?;
    }
    let program = std::env::current_exe()?.with_file_name("devpi-server");
    if !program.is_file() {
        say(&format!("warning: there is no '{}', which the files name", program.display()))?;
    }
    let texts: Option<Vec<&str>> = given.iter().map(|argument| argument.to_str()).collect();
    let texts = texts.filter(|texts| texts.iter().all(|text| !text.contains(['\n', '\r'])));
    let texts =
        texts.ok_or_else(|| Fatal::new("arguments must be UTF-8 without line breaks to stand in files"))?;
    let mut command = vec![text_of(&program)?.to_owned()];
    command.extend(arguments::make_absolute(&server_command(), &texts)?);

    let user = user_name()?;
    let stop_seconds = (options.limits.shutdown_timeout + STOP_MARGIN).to_string();
    let serverdir = std::path::absolute(serverdir::path(&options.storage)?)?;
    let (nginx, nginx_caching) = nginx::write(&options, text_of(&serverdir)?)?;

    let for_command = |template: &str, command: &str| {
        // The command last: what it contains is not looked at again.
        let template = template.replace("@STOP_SECONDS@", &stop_seconds).replace("@USER@", &user);
        template.replace("@COMMAND@", command)
    };
    let files = [
        ("crontab", for_command(include_str!("templates/crontab"), &quote::for_crontab(&command))),
        (
            "net.devpi.plist",
            for_command(include_str!("templates/net.devpi.plist"), &quote::for_plist(&command)),
        ),
        ("launchd-macos.txt", include_str!("templates/launchd-macos.txt").to_owned()),
        ("nginx-devpi.conf", nginx),
        ("nginx-devpi-caching.conf", nginx_caching),
        (
            "supervisor-devpi.conf",
            for_command(include_str!("templates/supervisor-devpi.conf"), &quote::for_supervisor(&command)),
        ),
        ("supervisord.conf", include_str!("templates/supervisord.conf").to_owned()),
        (
            "devpi.service",
            for_command(include_str!("templates/devpi.service"), &quote::for_systemd(&command)),
        ),
        (
            "windows-service.txt",
            for_command(include_str!("templates/windows-service.txt"), &quote::for_shell(&command)),
        ),
    ];
    fs::create_dir_all(DIRECTORY).with_context(|| format!("cannot make the directory '{DIRECTORY}'"))?;
    for (name, content) in files {
        let path = Path::new(DIRECTORY).join(name);
        fs::write(&path, content).with_context(|| format!("cannot write '{}'", path.display()))?;
        say(&format!("wrote {}", path.display()))?;
    }
    Ok(())
}

/// The name of the user who runs this, found out as Python does.
fn user_name() -> anyhow::Result<String> {
    let named = ["LOGNAME", "USER"].iter().filter_map(|name| std::env::var(name).ok());
    if let Some(name) = named.into_iter().find(|name| !name.is_empty()) {
        return Ok(name);
    }
    let asked =
        Command::new("id").arg("-un").output().context("cannot ask 'id -un' for the name of the user")?;
    let name = String::from_utf8_lossy(&asked.stdout).trim().to_owned();
    // A number without a name is as good for most readers.
    Ok(if name.is_empty() { rustix::process::getuid().as_raw().to_string() } else { name })
}

fn text_of(path: &Path) -> Result<&str, Fatal> {
    path.to_str().ok_or_else(|| Fatal::new(format!("'{}' is not UTF-8", path.display())))
}
