#!/bin/sh
# Installs a program that the tests or the benchmark start, nginx or wrk, with apt-get, unless it is there. The service
# that a package may bring is neither started now nor at the next boot.
#
#   compat-tests/install.sh nginx
set -eu

program=$1

die() {
    echo "install.sh: $*" >&2
    exit 1
}

PATH=$PATH:/usr/sbin
if command -v "$program" > /dev/null; then
    echo "$program: up to date"
    exit
fi
command -v apt-get > /dev/null || die "$program is missing, and there is no apt-get to install it"
[ "$(id -u)" = 0 ] || die "$program is missing; only root can install it: apt-get install $program"

echo "$program: installing with apt-get"
# Packages ask this program whether they may start their service.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' > "$policy"
    chmod 755 "$policy"
fi
apt-get update -qq || die "apt-get cannot read its lists of packages"
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$program" > /dev/null \
    || die "apt-get cannot install $program"
if [ -d /run/systemd/system ] && systemctl cat "$program" > /dev/null 2>&1; then
    systemctl disable --now --quiet "$program"
fi
