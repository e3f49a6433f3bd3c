#!/bin/sh
# Installs what a command needs from Debian, and nothing when it is all there.
#   debian.sh "what it is for" package...
# As root it installs; else it says why it needs sudo and uses it; without sudo it prints the line to type.
# Services are not started: what needs PostgreSQL or Postfix here starts its own, on its own ports.
set -eu

purpose=$1
shift

if ! command -v dpkg-query >/dev/null; then
    echo "      not a Debian system: $purpose needs what Debian calls: $*"
    exit 0
fi

missing=
for package in "$@"; do
    state=$(dpkg-query --show --showformat '${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$state" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

by_hand="apt-get install --no-install-recommends$missing"
if [ "$(id -u)" -eq 0 ]; then
    become=
elif command -v sudo >/dev/null && { [ -t 0 ] || sudo -n true 2>/dev/null; }; then
    echo "      sudo is asked for one thing: installing these Debian packages for $purpose:"
    echo "     $missing"
    become=sudo
else
    echo "      $purpose needs Debian packages that are not here. As root, type:" >&2
    echo "          $by_hand" >&2
    exit 1
fi

echo "      installing from Debian:$missing"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# shellcheck disable=SC2016,SC2086 # expanded by the inner shell; a list of words
if ! $become env DEBIAN_FRONTEND=noninteractive sh -euc '
    policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        trap "rm -f $policy" EXIT
        printf "#!/bin/sh\nexit 101\n" >"$policy"
        chmod 755 "$policy"
    fi
    # Postfix, which tests and the benchmark start by themselves, must not greet the network from this machine.
    echo "postfix postfix/main_mailer_type select No configuration" | debconf-set-selections || true
    apt-get update --quiet=2 || echo "package lists are as they were"
    apt-get install --yes --quiet=2 --no-install-recommends "$@"
' sh $missing >"$log" 2>&1 </dev/null; then
    tail -n 20 "$log" >&2
    echo "      that did not work. As root, type:" >&2
    echo "          $by_hand" >&2
    exit 1
fi
