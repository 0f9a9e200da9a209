#!/bin/sh
# Creates the virtual environments that the tests below this directory use: one for each file in requirements/,
# as .venvs/NAME at the top of the repository. One whose requirements have not changed since is left as it is,
# so this can run before every test run.
#
#   compat-tests/setup.sh             all of them but those of the benchmark, and nginx (see install.sh)
#   compat-tests/setup.sh clients     only the named ones
#   compat-tests/setup.sh bench-pypiron bench-pypiserver bench-devpi-web
set -eu

here=$(cd "$(dirname "$0")" && pwd)
venvs=$(dirname "$here")/.venvs
python=${PYTHON:-python3}

if [ $# -eq 0 ]; then
    "$here/install.sh" nginx
    for file in "$here"/requirements/*.txt; do
        case $file in
            */bench-*) ;;
            *) set -- "$@" "$(basename "$file" .txt)" ;;
        esac
    done
fi

for name in "$@"; do
    requirements=$here/requirements/$name.txt
    venv=$venvs/$name
    stamp=$venv/requirements.sha256
    wanted=$({ "$python" --version; cat "$requirements"; } | sha256sum)
    if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ]; then
        echo "$name: up to date"
        continue
    fi
    echo "$name: creating $venv from requirements/$name.txt"
    rm -rf "$venv"
    "$python" -m venv "$venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --requirement "$requirements"
    echo "$wanted" > "$stamp"
done
