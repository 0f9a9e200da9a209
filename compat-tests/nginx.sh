#!/bin/sh
# Installs nginx for the tests with apt-get, unless there is one. They start nginx themselves; the service that the
# package brings is neither started now nor at the next boot.
set -eu

die() {
    echo "nginx.sh: $*" >&2
    exit 1
}

PATH=$PATH:/usr/sbin
if command -v nginx > /dev/null; then
    echo "nginx: up to date"
    exit
fi
command -v apt-get > /dev/null || die "nginx is missing, and there is no apt-get to install it"
[ "$(id -u)" = 0 ] || die "nginx is missing; only root can install it: apt-get install nginx"

echo "nginx: installing with apt-get"
# Packages ask this program whether they may start their service.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' > "$policy"
    chmod 755 "$policy"
fi
apt-get update -qq || die "apt-get cannot read its lists of packages"
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends nginx > /dev/null \
    || die "apt-get cannot install nginx"
[ ! -d /run/systemd/system ] || systemctl disable --now --quiet nginx
