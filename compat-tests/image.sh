#!/usr/bin/env bash
# Builds the container image from the working tree and checks what its users rely on, with real devpi-client and pip.
#
#   compat-tests/setup.sh clients reference     once: makes .venvs/clients and .venvs/reference
#   compat-tests/image.sh             as root, on Debian or alike
#
# Neither docker nor an image registry is needed: buildah builds and runs the image, on base images that are made here
# with debootstrap and this machine's Rust toolchain, under the names that the Dockerfile uses. (So what is tested is
# the Dockerfile, not the published base images.) The containers run in a network of their own: port 3141 may be taken.
#
# IMAGE_CACHE     where base images, downloaded crates, compiled dependencies and the image are kept between runs
#                 (default .venvs/image-cache); remove it to build from nothing
# DEBIAN_MIRROR   where debootstrap downloads from, if its default will not do
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
repository=$(dirname "$here")
clients=$repository/.venvs/clients/bin
reference=$repository/.venvs/reference/bin
cache=${IMAGE_CACHE:-$repository/.venvs/image-cache}
image=localhost/devpi-under-test
url=http://127.0.0.1:3141
password="the deployed \$ecret"
deadline=60 # seconds for the server to start or to end

passed=0
failed=0
work=
network=    # a process that keeps the network of the containers
run=        # the running container: the process of buildah
container=  # the container to run in

say() { printf '\n== %s (%d s)\n' "$*" "$SECONDS"; }
die() { printf 'image.sh: %s\n' "$*" >&2; exit 1; }

check() { # TEXT COMMAND…: counts whether the command succeeds; shows what it printed if not
    local text=$1
    shift
    if "$@" > "$work/shown" 2>&1; then
        passed=$((passed + 1))
        printf 'ok      %s\n' "$text"
    else
        failed=$((failed + 1))
        printf 'FAILED  %s\n' "$text"
        printf '        $ %s\n' "$*"
        sed 's/^/        /' "$work/shown"
    fi
}

not() { ! "$@"; }
equal() { [[ $1 == "$2" ]] || { printf 'expected: %s\ngot:      %s\n' "$2" "$1"; return 1; }; }
contains() { [[ $1 == *"$2"* ]] || { printf 'expected: …%s…\ngot:      %s\n' "$2" "$1"; return 1; }; }

b() { buildah --root "$store" --runroot "$work/run" --storage-driver "$driver" "$@"; }
in_network() { nsenter --net="/proc/$network/ns/net" -- "$@"; }
processes() { pgrep --nslist net --ns "$network" "$@"; }

clean_up() {
    local status=$? process
    trap - EXIT
    set +e
    if [[ -n $network ]]; then
        # All in that network is ours.
        for process in $(processes --exact devpi-server); do kill -KILL "$process"; done
        [[ -z $run ]] || wait "$run"
        kill "$network"
    fi
    if [[ -n $work ]]; then
        b rm --all > /dev/null 2>&1
        rm -rf "$work"
    fi
    exit "$status"
}

# ---- what is needed

[[ $(id -u) == 0 ]] || die "must run as root: it makes root file systems and runs containers"
# Mounts of its own: none is left behind, however this ends.
[[ -n ${IMAGE_OWN_MOUNTS:-} ]] || IMAGE_OWN_MOUNTS=1 exec unshare --mount -- "$0" "$@"
[[ -x $clients/devpi && -x $reference/devpi-init ]] \
    || die "clients or devpi-server are missing: run compat-tests/setup.sh clients reference"
missing=()
for program in buildah debootstrap; do
    type -P "$program" > /dev/null || missing+=("$program")
done
if [[ ${#missing[@]} -gt 0 ]]; then
    say "Installing ${missing[*]}"
    type -P apt-get > /dev/null || die "missing, and there is no apt-get to install them: ${missing[*]}"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" > /dev/null
fi

mapfile -t bases < <(sed -nE 's/^FROM ([^ ]+).*/\1/p' "$repository/Dockerfile")
[[ ${#bases[@]} == 2 ]] || die "the Dockerfile should have two stages"
builder_base=${bases[0]}
runtime_base=${bases[1]}
[[ $builder_base =~ ^rust:([0-9.]+)-([a-z]+)$ ]] || die "not understood: FROM $builder_base"
rust=${BASH_REMATCH[1]}
suite=${BASH_REMATCH[2]}
[[ $runtime_base == "debian:$suite-slim" ]] || die "not understood: FROM $runtime_base"
[[ $(rustc --version) == "rustc $rust"[.\ ]* ]] || die "the toolchain must be Rust $rust, not $(rustc --version)"

trap clean_up EXIT
trap 'exit 130' INT TERM
umask 022
work=$(mktemp -d "${TMPDIR:-/tmp}/image.XXXXXX")
mkdir -p "$cache"
exec 9> "$cache/lock"
flock --nonblock 9 || { echo "waiting for another run"; flock 9; }

driver=overlay
store=$work/probe
b info > /dev/null 2>&1 || driver=vfs
store=$cache/$driver
mkdir -p "$store"

# ---- base images

has_image() { b inspect --type image "$1" > /dev/null 2>&1; }

bundle=${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}
# Base images from another toolchain or with other certificates are made anew.
inputs=$({ echo 2; rustc -vV; echo "$suite"; cat "$bundle" 2> /dev/null || true; } | sha256sum)
if [[ ! -f $store/inputs || $(cat "$store/inputs") != "$inputs" ]]; then
    rm -f "$store/inputs"
    b rmi --all --force > /dev/null 2>&1 || true
fi

if ! has_image "$runtime_base"; then
    say "Making $runtime_base"
    container=$(b from scratch)
    root=$(b mount "$container")
    debootstrap --variant=minbase "$suite" "$root" ${DEBIAN_MIRROR:+"$DEBIAN_MIRROR"} > "$work/debootstrap.log" \
        || { tail -n 20 "$work/debootstrap.log"; die "debootstrap failed"; }
    # As slim as the published one.
    rm -rf "$root"/var/cache/apt/*.bin "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/* \
        "$root"/usr/share/{doc,man,info,locale}/*
    b umount "$container" > /dev/null
    b config --env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin --cmd bash "$container"
    b commit --quiet --rm "$container" "$runtime_base" > /dev/null
fi

if ! has_image "$builder_base"; then
    say "Making $builder_base"
    container=$(b from --pull-never "$runtime_base")
    b run --isolation chroot "$container" -- sh -c '
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends gcc libc6-dev make ca-certificates
        apt-get clean
    ' > "$work/apt.log" 2>&1 || { tail -n 20 "$work/apt.log"; die "installing a C compiler and make failed"; }
    root=$(b mount "$container")
    mkdir -p "$root/usr/local/cargo"
    tar -C "$(rustc --print sysroot)" --exclude=./share -cf - . | tar -C "$root/usr/local/cargo" -xf - --no-same-owner
    # cargo downloads crates: it trusts whom this machine trusts.
    [[ ! -f $bundle ]] || cat "$bundle" > "$root/etc/ssl/certs/ca-certificates.crt"
    b umount "$container" > /dev/null
    b config --env CARGO_HOME=/usr/local/cargo \
        --env PATH=/usr/local/cargo/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$container"
    b commit --quiet --rm "$container" "$builder_base" > /dev/null
fi
echo "$inputs" > "$store/inputs"

# ---- the image

if [[ ! -d $cache/registry ]]; then
    # What cargo has downloaded here before need not be downloaded again.
    mkdir -p "$cache/registry.new"
    for part in index cache; do
        [[ ! -d ${CARGO_HOME:-$HOME/.cargo}/registry/$part ]] \
            || cp -a "${CARGO_HOME:-$HOME/.cargo}/registry/$part" "$cache/registry.new/"
    done
    mv "$cache/registry.new" "$cache/registry"
fi
mkdir -p "$cache/target"

# All that goes into the image.
context=$(
    cd "$repository"
    echo "$inputs"
    sha256sum Dockerfile .dockerignore
    sed -n 's/^!//p' .dockerignore | while read -r name; do find "$name" -type f -print0; done \
        | sort -z | xargs -0 sha256sum
)
if has_image "$image" && [[ -f $store/context && $(cat "$store/context") == "$context" ]]; then
    say "The image is up to date"
else
    say "Building the image"
    b rmi --force "$image" > /dev/null 2>&1 || true
    nice buildah --root "$store" --runroot "$work/run" --storage-driver "$driver" build \
        --isolation chroot --pull-never --layers=false --format docker \
        --volume "$cache/registry:/usr/local/cargo/registry" --volume "$cache/target:/build/target" \
        --tag "$image" "$repository" 2>&1 | grep --line-buffered -vE '^ +(Compiling|Downloaded) ' \
        || die "the image cannot be built"
    echo "$context" > "$store/context"
fi

say "Checking the image"
b inspect --type image "$image" > "$work/image.json"
config() { # EXPRESSION: of the recorded configuration, one line for each element of a list
    "$clients/python" - "$work/image.json" "$1" << 'PYTHON'
import json, sys

found = json.load(open(sys.argv[1]))["Docker"]["config"]
for part in sys.argv[2].split("."):
    found = found.get(part) or []
for item in found if isinstance(found, (list, dict)) else [found]:
    print(item)
PYTHON
}
mapfile -t entrypoint < <(config Entrypoint)
mapfile -t health < <(config Healthcheck.Test)
check "runs as a user with a fixed number" equal "$(config User)" 314:314
check "the port is 3141" equal "$(config ExposedPorts)" 3141/tcp
check "the volume is /data" equal "$(config Volumes)" /data
check "there is an entry point, without a command that would be taken for arguments" \
    equal "${entrypoint[*]}|$(config Cmd)" "/usr/local/bin/docker-entrypoint.sh|"
check "there is a health check without a shell around it" equal "${health[0]-}" CMD
check "no password is in the configuration" not grep -q DEVPI_PASSWORD "$work/image.json"

container=$(b from --pull-never "$image")
root=$(b mount "$container")
base=$(b from --pull-never "$runtime_base")
base_root=$(b mount "$base")
check "/data belongs to that user" equal "$(stat -c %u:%g "$root/data")" 314:314
check "the programs are there" equal "$(cd "$root/usr/local/bin" && echo *)" \
    "devpi-clear-search-index devpi-export devpi-fsck devpi-gen-config devpi-gen-secret devpi-import devpi-init \
devpi-passwd devpi-server docker-entrypoint.sh"
size=$(du -sm "$root" | cut -f 1)
added=$((size - $(du -sm "$base_root" | cut -f 1)))
check "it adds less than 60 MB to the base image" test "$added" -lt 60
(cd "$root/usr/local/bin" && stat --printf '        %s bytes  %n\n' -- *)
b umount "$container" "$base" > /dev/null
b rm "$base" > /dev/null

# ---- running it

# A network without the outside, where port 3141 is free.
unshare --net sleep infinity 9>&- &
network=$!
while [[ $(readlink "/proc/$network/ns/net") == "$(readlink /proc/self/ns/net)" ]]; do sleep 0.01; done
in_network "$clients/python" -c '
import fcntl, socket, struct

# The loopback interface up (SIOCSIFFLAGS with IFF_UP), as ip may not be installed.
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
    fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh14x", b"lo", 1))
'

# /data, owned by root like any new directory.
data=$work/data
mkdir "$data"

new_container() { # takes the place of $container
    b rm "$container" > /dev/null
    container=$(b from --pull-never "$image")
    # buildah would mount a directory of its own there, and ignore ours.
    b config --volume /data- "$container"
}

in_container() { # [OPTION…] -- COMMAND…: in the network and with the data
    in_network buildah --root "$store" --runroot "$work/run" --storage-driver "$driver" \
        run --isolation chroot --volume "$data:/data" "$@"
}

docker_run() { # [ARGUMENT…]: what `docker run` does, with $password unless that is empty
    in_container ${password:+--env "DEVPI_PASSWORD=$password"} "$container" -- "${entrypoint[@]}" "$@"
}

healthy() { in_container "$container" -- "${health[@]:1}"; }

serving() { grep -q 'Serving on ' "$work/log"; }

start() { # [ARGUMENT…]: starts the server in a new container
    local i
    new_container
    docker_run "$@" > "$work/log" 2>&1 9>&- &
    run=$!
    for ((i = 0; i < deadline * 10; i++)); do
        serving && return
        kill -0 "$run" 2> /dev/null || break
        sleep 0.1
    done
    cat "$work/log"
    die "the server does not start"
}

stop() { # sends SIGTERM to the server alone; what `docker run` would end with is in $status
    local process i
    process=$(processes --exact devpi-server)
    kill -TERM "$process"
    for ((i = 0; i < deadline * 10; i++)); do
        kill -0 "$process" 2> /dev/null || break
        sleep 0.1
    done
    kill -0 "$process" 2> /dev/null && die "the server does not end"
    status=0
    wait "$run" || status=$?
    run=
}

within_deadline() { # COMMAND…: ends the server if it runs although it should not
    "$@" &
    local process=$! server i
    for ((i = 0; i < deadline * 10; i++)); do
        kill -0 "$process" 2> /dev/null || break
        sleep 0.1
    done
    if kill -0 "$process" 2> /dev/null; then
        for server in $(processes --exact devpi-server); do kill "$server"; done
    fi
    wait "$process"
}

ends_with() { # STATUS TEXT [ARGUMENT…]: the container must end by itself
    local expected=$1 text=$2 status=0
    shift 2
    within_deadline docker_run "$@" > "$work/ended" 2>&1 || status=$?
    cat "$work/ended"
    [[ $status == "$expected" ]] || { echo "ended with $status instead of $expected"; return 1; }
    grep -qF -- "$text" "$work/ended"
}

user() { # COMMAND…: as a person at another machine
    (cd "$work/home" && in_network env -i HOME="$work/home" TMPDIR="$work/home" PATH="$clients:/usr/bin:/bin" \
        LANG=C.UTF-8 COLUMNS=400 NO_COLOR=1 TERM=dumb PIP_CONFIG_FILE=/dev/null PIP_DISABLE_PIP_VERSION_CHECK=1 \
        PYTHONPATH="$here" PYTHONDONTWRITEBYTECODE=1 PYTHON_KEYRING_BACKEND=keyring.backends.null.Keyring "$@")
}

user_gets() { # TEXT COMMAND…: the command succeeds and prints the text
    local text=$1 shown
    shift
    shown=$(user "$@" 2>&1) || { printf '%s\n' "$shown"; return 1; }
    contains "$shown" "$text"
}

user_gets_error() { # TEXT COMMAND…: the command fails and prints the text
    local text=$1 shown
    shift
    ! shown=$(user "$@" 2>&1) || { printf '%s\n' "$shown"; return 1; }
    contains "$shown" "$text"
}

upload() { # VERSION
    user rm -rf project
    user python -c 'import packages, pathlib, sys; packages.project(pathlib.Path("project"), *sys.argv[1:])' \
        our-library "$1" || return
    user_gets "file_upload of our_library-$1.tar.gz to $url/root/starcount/" env -C project devpi upload --no-isolation
}

install() { # VERSION
    user rm -rf site
    user pip install --no-cache-dir --no-deps --no-build-isolation --target site "our-library==$1" \
        --index "$url/root/starcount/+simple/" --trusted-host 127.0.0.1 || return
    equal "$(user env PYTHONPATH=site python -c 'import our_library; print(our_library.__version__)')" "$1"
}

mkdir "$work/home"
new_container

say "A volume for the server's user"
prepare() { in_container --user root "$container" -- "${entrypoint[@]}" prepare-data; }
check "a new directory of root's is not writable for the server" ends_with 1 "fatal: /data is not writable"
check "prepare-data gives it to the server's user" prepare
check "it belongs to that user" equal "$(stat -c %u:%g "$data")" 314:314
check "doing it again changes nothing" equal "$(prepare 2>&1)" ""
touch "$data/letter" && chown -R 0:0 "$data"
check "other people's files are left alone" contains "$(prepare 2>&1)" "it contains files of others"
check "their owner is the same as before" equal "$(stat -c %u:%g "$data" "$data/letter" | tr '\n' ' ')" "0:0 0:0 "
rm "$data/letter"

say "Data of devpi-server"
for serverdir in "$data/server" "$data"; do
    rm -rf "$data" && mkdir "$data"
    "$reference/devpi-init" --serverdir "$serverdir" --no-root-pypi --root-passwd "$password" > "$work/log" 2>&1 \
        || { cat "$work/log"; die "devpi-init failed"; }
    check "the server does not start on what it cannot write" ends_with 1 "is not writable for the user"
    check "prepare-data gives it to the server's user" prepare
    check "all in it belongs to that user" equal "$(find "$serverdir" ! -uid 314)" ""
    start
    check "it is taken over where it lies" test -e "$serverdir/wheelhouse.sqlite"
    check "root has its password" user_gets "logged in 'root'" \
        sh -c 'devpi use "$1" && devpi login root "--password=$2"' login "$url" "$password"
    stop
    start
    check "it is found there again" serving
    stop
done
rm -rf "$data" && mkdir "$data" && chown 314:314 "$data"
rm -rf "$work/home" && mkdir "$work/home"
new_container

say "First start"
good=$password
password=
check "without DEVPI_PASSWORD it does not start" ends_with 1 "fatal: DEVPI_PASSWORD is not set"
check "nothing was written" equal "$(ls -A "$data")" ""
password=$good
check "arguments are appended to those of the server" ends_with 0 "Wheelhouse" --version
check "another program can be run" ends_with 0 "uid=314(devpi)" id
check "it is not healthy before it runs" not healthy
start
check "it says that it serves" serving
check "it is healthy" healthy
check "the server took the place of the entry point" not processes --exact docker-entrypoi
server=$(processes --exact devpi-server)
check "the server runs as the user devpi" equal "$(stat -c %u:%g "/proc/$server")" 314:314
check "the password is not in the list of its arguments" not grep -qaF "$password" "/proc/$server/cmdline"
check "the volume has the data" test -e "$data/.nodeinfo"
check "all in it belongs to that user" equal "$(find "$data" ! -uid 314)" ""
check "nobody else can read it" equal "$(find "$data" -mindepth 1 -perm /077)" ""

say "The clients"
check "devpi use" user_gets "using server: $url/" devpi use "$url"
check "an empty password is refused" user_gets_error "401 Unauthorized" devpi login root --password=
check "devpi login" user_gets "logged in 'root'" devpi login root "--password=$password"
check "devpi index -c root/starcount" user_gets "root/starcount" devpi index -c root/starcount
check "devpi use root/starcount" user_gets "root/starcount" devpi use root/starcount
check "devpi upload" upload 1.0
check "pip install" install 1.0
check "only root makes users" user_gets_error "403 Forbidden" env DEVPI_CLIENTDIR=other sh -c \
    "devpi use '$url' && devpi user -c mallory password=secret-12"

say "Another container on the same volume"
stop
check "SIGTERM ends it with status 0" equal "$status" 0
check "it is not healthy any more" not healthy
start --threads 2
check "it is healthy" healthy
check "the login is still valid" user_gets "logged in as root" devpi use
check "the package is still there" install 1.0
check "devpi upload without a new login" upload 1.1
check "pip install" install 1.1
stop
check "SIGTERM ends it with status 0" equal "$status" 0

say "A changed password"
password="another one"
check "it is refused" ends_with 1 "DEVPI_PASSWORD is not the password of the user root"
check "with one line" equal "$(grep -c 'fatal: ' "$work/ended")" 1
password=$good
start
check "with the old one it starts" healthy
check "the package is still there" install 1.1
stop
check "SIGTERM ends it with status 0" equal "$status" 0

printf '\nimage: %d passed, %d failed (%d s; the image has %d MB, %d of them on top of the base image)\n' \
    "$passed" "$failed" "$SECONDS" "$size" "$added"
[[ $failed == 0 ]]
