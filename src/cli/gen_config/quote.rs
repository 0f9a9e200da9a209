//! Commands as the readers of several kinds of files understand them.

/// For a POSIX shell.
pub(super) fn for_shell(command: &[String]) -> String {
    join(command, |argument| quote_for_shell(argument, &[]))
}

/// For cron, which makes a line break of each `%` before it starts a shell.
pub(super) fn for_crontab(command: &[String]) -> String {
    for_shell(command).replace('%', "\\%")
}

/// For supervisord, which replaces `%(…)s`, some of them before it looks at `%%`, cuts off what looks like a comment, and
/// splits the rest as a shell does.
pub(super) fn for_supervisor(command: &[String]) -> String {
    join(command, |argument| quote_for_shell(argument, &[';', '#', '('])).replace('%', "%%")
}

/// For systemd (systemd.service(5), "Command lines"), which knows variables and specifiers.
pub(super) fn for_systemd(command: &[String]) -> String {
    let Some((program, arguments)) = command.split_first() else { return String::new() };
    let quote = |text: &str| {
        if is_plain(text) {
            return text.to_owned();
        }
        let escaped = text.replace('%', "%%").replace('\\', "\\\\").replace('"', "\\\"").replace('\t', "\\t");
        format!("\"{escaped}\"")
    };
    // Variables are not looked for in the program's path.
    let arguments = arguments.iter().map(|argument| quote(argument).replace('$', "$$"));
    [quote(program)].into_iter().chain(arguments).collect::<Vec<_>>().join(" ")
}

/// The elements of an array in a property list.
pub(super) fn for_plist(command: &[String]) -> String {
    let element = |argument: &String| {
        let text = argument.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        format!("\t\t<string>{text}</string>")
    };
    command.iter().map(element).collect::<Vec<_>>().join("\n")
}

/// A value of nginx's configuration, which must not have a `$`: it cannot be escaped there.
pub(super) fn for_nginx(value: &str) -> String {
    if is_plain(value) {
        return value.to_owned();
    }
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}

fn join(command: &[String], quote: impl Fn(&str) -> String) -> String {
    command.iter().map(|argument| quote(argument)).collect::<Vec<_>>().join(" ")
}

/// `apart` are characters that must not stand directly behind others.
fn quote_for_shell(argument: &str, apart: &[char]) -> String {
    if is_plain(argument) {
        return argument.to_owned();
    }
    let mut quoted = argument.replace('\'', "'\"'\"'");
    for character in apart {
        quoted = quoted.replace(*character, &format!("'\"{character}\"'"));
    }
    format!("'{quoted}'")
}

/// Nobody sees anything in it but letters.
fn is_plain(argument: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/+-_.,:=@[]".contains(&byte);
    !argument.is_empty() && argument.bytes().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(arguments: &[&str]) -> Vec<String> {
        arguments.iter().map(|argument| (*argument).to_owned()).collect()
    }

    #[test]
    fn each_reader_has_its_rules() {
        let plain = command(&["/bin/x", "--port=1", "[::1]:80"]);
        for quote in [for_shell, for_crontab, for_supervisor, for_systemd] {
            assert_eq!(quote(&plain), "/bin/x --port=1 [::1]:80");
        }
        let odd = command(&["/b $/x", "a b", "", "100%", "it's", "$HOME", "\"\\", "x ;y"]);
        assert_eq!(for_shell(&odd), r#"'/b $/x' 'a b' '' '100%' 'it'"'"'s' '$HOME' '"\' 'x ;y'"#);
        assert_eq!(for_crontab(&odd), r#"'/b $/x' 'a b' '' '100\%' 'it'"'"'s' '$HOME' '"\' 'x ;y'"#);
        assert_eq!(for_supervisor(&odd), r#"'/b $/x' 'a b' '' '100%%' 'it'"'"'s' '$HOME' '"\' 'x '";"'y'"#);
        assert_eq!(for_systemd(&odd), r#""/b $/x" "a b" "" "100%%" "it's" "$$HOME" "\"\\" "x ;y""#);
        assert_eq!(for_plist(&command(&["a&<b>"])), "\t\t<string>a&amp;&lt;b&gt;</string>");
        assert_eq!(for_nginx("/a b\"c"), "\"/a b\\\"c\"");
    }
}
