#!/usr/bin/env bash
# Builds the image devpi from this directory and runs it as the container devpi, in place of the one that runs.
#
#   export DEVPI_PASSWORD=…    the password of the user root, set at the first start
#   export DEVPI_DATA=…        the directory (or the name of a volume) with all data, made if it is missing
#   ./deploy.sh                further arguments are options of devpi-server, such as --outside-url https://…
#
# The server runs as a user of its own (devpi, uid 314), not as root. If a new directory, or one with data of this
# server or of devpi-server, is not writable for that user, its owner is changed with everything in it; a directory with other files is
# refused. That is done in a container, so this script needs no rights but those to use docker.
#
# Data of devpi-server, in that directory or in "server" below it, are taken over at the first start. DEVPI_PASSWORD must be
# root's password there.
#
# With DOCKER=podman, podman is used. With sudo, keep the variables: DOCKER='sudo --preserve-env=DEVPI_PASSWORD docker'.
set -euo pipefail

image=devpi
container=devpi
port=3141
deadline=${DEPLOY_DEADLINE:-60} # seconds for the server to start

fail() {
    printf 'deploy.sh: %s\n' "$*" >&2
    exit 1
}

require() { # NAME MEANING
    [[ -n ${!1:-} ]] || fail "$1 is not set. It must be $2; export it (sudo drops it unless told to keep it)."
}

if [[ ${1:-} == -h || ${1:-} == --help ]]; then
    sed -n '2,/^[^#]/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
    exit 0
fi
# The container would take anything else for a program to run.
[[ $# -eq 0 || $1 == -* ]] || fail "options of devpi-server are expected, not '$1'"
require DEVPI_PASSWORD "the password of the user root"
require DEVPI_DATA "the directory with all data"
read -ra docker <<< "${DOCKER:-docker}"
[[ -n $(type -P "${docker[0]}") ]] \
    || fail "'${docker[0]}' is not installed; DOCKER names another program, such as podman"

data=$DEVPI_DATA
[[ $data != *:* ]] || fail "DEVPI_DATA must not contain a colon: '$data'"
if [[ $data == */* || $data == . || $data == .. ]]; then
    mkdir -p -- "$data"
    data=$(cd -- "$data" && pwd)
fi # else docker takes it for the name of a volume, and so do we

echo "Building the image $image"
# podman and buildah record no health check in their own format.
export BUILDAH_FORMAT=docker
"${docker[@]}" build --tag "$image" "$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)"

echo "Checking the data in $data"
"${docker[@]}" run --rm --user root --volume "$data:/data" "$image" prepare-data

if "${docker[@]}" container inspect "$container" > /dev/null 2>&1; then
    echo "Removing the container $container"
    "${docker[@]}" stop -t 60 "$container" > /dev/null || true
    "${docker[@]}" rm --force "$container" > /dev/null
fi

echo "Starting the container $container"
# Without a value: it is taken from the environment, and not shown in the list of processes.
"${docker[@]}" run --detach --name "$container" \
    --publish "$port:$port" \
    --volume "$data:/data" \
    --env DEVPI_PASSWORD \
    --restart always \
    --stop-timeout 60 \
    "$image" "$@" > /dev/null

for ((second = 0; second < deadline; second++)); do
    log=$("${docker[@]}" logs "$container" 2>&1) || log=
    case $log in
        *"Serving on"*)
            echo "Serving on http://${HOSTNAME:-localhost}:$port"
            exit 0
            ;;
        *fatal:* | *error:*)
            # It would start again and again.
            "${docker[@]}" stop "$container" > /dev/null || true
            printf '%s\n' "$log" >&2
            fail "the server does not start, see above. The container was stopped."
            ;;
        *"taken over: "*) ;;
        *"taking over the data"*)
            # That takes as long as it takes; the count begins when it has ended.
            second=-1
            ;;
    esac
    sleep 1
done
fail "the server does not say within $deadline s that it serves. See: ${docker[*]} logs $container"
