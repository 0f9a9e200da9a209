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

# The data of a Python devpi-server, where its containers keep it; it must not be mistaken for an empty volume.
refuse_foreign_data() {
    for directory in /data /data/server; do
        if [ -e "$directory/.serverversion" ]; then
            fail "$directory contains data of the Python devpi-server, which this server can't take over yet." \
                "Nothing was changed. Use another directory or volume as /data."
        fi
    done
}

# Whether the server's user may read and write what is there.
usable() {
    setpriv --reuid "$user" --regid "$user" --clear-groups sh -c '
        cd /data && [ -r . ] && [ -w . ] && { [ ! -e wheelhouse.sqlite ] || [ -w wheelhouse.sqlite ]; }
    ' 2> /dev/null
}

# A directory that was made for this, or is ours already, is handed to the server's user; others are left alone.
prepare_data() {
    [ "$(id -u)" = 0 ] || fail "prepare-data needs --user root"
    refuse_foreign_data
    if usable; then
        return
    fi
    if [ ! -e /data/wheelhouse.sqlite ] && [ -n "$(find /data -mindepth 1 ! -name lost+found -print -quit)" ]; then
        fail "/data is not writable for the user $user (uid $(id -u "$user")), and it contains files of others." \
            "Nothing was changed. Use an empty directory, or change the owner yourself."
    fi
    echo "Changing the owner of the data to $user (uid $(id -u "$user")): the server runs as that user."
    chown -R "$user:$user" /data
    usable || fail "/data is not writable for the user $user (uid $(id -u "$user")), although it is the owner now."
}

case ${1-} in
    '' | -*)
        if [ -z "${DEVPI_PASSWORD-}" ]; then
            fail "DEVPI_PASSWORD is not set. It must be the password of the user root, and becomes that at the first" \
                "start: run the container with --env DEVPI_PASSWORD=…"
        fi
        refuse_foreign_data
        [ -w /data ] || fail "/data is not writable for the user of this container (uid $(id -u)). Once, run" \
            "'docker run --rm --user root --volume \$DEVPI_DATA:/data devpi prepare-data', as deploy.sh does."
        # The data has the digests of passwords in it.
        umask 077
        exec devpi-server --init --serverdir /data --host 0.0.0.0 --port 3141 --restrict-modify root "$@"
        ;;
    prepare-data)
        prepare_data
        ;;
    *)
        exec "$@"
        ;;
esac
