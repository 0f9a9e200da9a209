#!/bin/sh
# What the container runs.
#
#   docker run … devpi                      the server; DEVPI_PASSWORD must be set
#   docker run … devpi --threads 8          the same, with further options of devpi-server
#   docker run … devpi devpi-passwd root    another program
#   docker run … --user root devpi prepare-data
#                                           makes /data usable for the user that the server runs as, then ends
set -eu

user=devpi

fail() {
    echo "fatal: $*" >&2
    exit 1
}

# Whether there is data in a directory, of this server or of devpi-server.
has_data() {
    [ -e "$1/wheelhouse.sqlite" ] || [ -e "$1/.serverversion" ]
}

# Containers of devpi-server often have their data in a directory below. Those are taken over where they lie, and stay there.
serverdir=/data
if ! has_data /data && has_data /data/server; then
    serverdir=/data/server
fi

# Whether the server's user may read and write what is there.
usable() {
    setpriv --reuid "$user" --regid "$user" --clear-groups sh -c '
        cd "$1" && [ -r . ] && [ -w . ] || exit 1
        for file in wheelhouse.sqlite .serverversion; do
            [ ! -e "$file" ] || [ -w "$file" ] || exit 1
        done
    ' usable "$serverdir" 2> /dev/null
}

# A directory that was made for this, or has data, is handed to the server's user; others are left alone.
prepare_data() {
    [ "$(id -u)" = 0 ] || fail "prepare-data needs --user root"
    if usable; then
        return
    fi
    if ! has_data "$serverdir" && [ -n "$(find /data -mindepth 1 ! -name lost+found -print -quit)" ]; then
        fail "/data is not writable for the user $user (uid $(id -u "$user")), and it contains files of others." \
            "Nothing was changed. Use an empty directory, or change the owner yourself."
    fi
    echo "Changing the owner of the data to $user (uid $(id -u "$user")): the server runs as that user."
    chown -R "$user:$user" /data
    usable || fail "$serverdir is not writable for the user $user (uid $(id -u "$user")), although it is the owner now."
}

case ${1-} in
    '' | -*)
        if [ -z "${DEVPI_PASSWORD-}" ]; then
            fail "DEVPI_PASSWORD is not set. It must be the password of the user root, and becomes that at the first" \
                "start: run the container with --env DEVPI_PASSWORD=…"
        fi
        # Nothing must be put beside data that cannot be seen.
        [ ! -d /data/server ] || [ -x /data/server ] || fail "/data/server cannot be looked into. See prepare-data."
        [ -w "$serverdir" ] || fail "$serverdir is not writable for the user of this container (uid $(id -u)). Once, run" \
            "'docker run --rm --user root --volume \$DEVPI_DATA:/data devpi prepare-data', as deploy.sh does."
        # The data has the digests of passwords in it.
        umask 077
        exec devpi-server --init --serverdir "$serverdir" --host 0.0.0.0 --port 3141 --restrict-modify root "$@"
        ;;
    prepare-data)
        prepare_data
        ;;
    *)
        exec "$@"
        ;;
esac
