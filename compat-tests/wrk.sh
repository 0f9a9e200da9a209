#!/bin/sh
# Installs wrk, which loads the servers in the benchmark, with apt-get, unless it is there.
set -eu

die() {
    echo "wrk.sh: $*" >&2
    exit 1
}

if command -v wrk > /dev/null; then
    echo "wrk: up to date"
    exit
fi
command -v apt-get > /dev/null || die "wrk is missing, and there is no apt-get to install it"
[ "$(id -u)" = 0 ] || die "wrk is missing; only root can install it: apt-get install wrk"

echo "wrk: installing with apt-get"
apt-get update -qq || die "apt-get cannot read its lists of packages"
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends wrk > /dev/null \
    || die "apt-get cannot install wrk"
