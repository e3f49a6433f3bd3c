#!/bin/sh
# Makes an environment from a file of packages, every one checked against its hash. Done again only when it changed.
#   environment.sh              ./.venv from requirements.lock, with this project in it, editable
#   environment.sh folder lock  another one, without the project: programs of others that the tests run beside it
set -eu
cd "$(dirname "$0")/../.."

folder=${1:-.venv}
lock=${2:-requirements.lock}
with_project=${1:+no}

ready=$folder/.ready
if [ -e "$ready" ] && [ ! "$lock" -nt "$ready" ] && { [ -n "$with_project" ] || [ ! pyproject.toml -nt "$ready" ]; }; then
    exit 0
fi

fresh_enough() {
    command -v "$1" >/dev/null && "$1" -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

python=
for candidate in /usr/bin/python3.11 python3.11 /usr/bin/python3 python3; do
    if fresh_enough "$candidate"; then
        python=$candidate
        break
    fi
done
[ -n "$python" ] || {
    echo "      Python 3.11 or later is needed" >&2
    exit 1
}

mkdir -p "$folder"
log=$folder/setup.log
failed() {
    tail -n 20 "$log" >&2
    echo "      $1 (the whole log: $log)" >&2
    exit 1
}

if [ ! -x "$folder/bin/python" ] || ! "$folder/bin/python" -c '' 2>/dev/null; then
    echo "      making $folder with $("$python" --version)"
    # Debian keeps what puts pip into a new environment in python3-venv; without it, the system's pip serves.
    "$python" -m venv "$folder" >"$log" 2>&1 || "$python" -m venv --clear --without-pip "$folder" >>"$log" 2>&1 ||
        failed "no environment could be made"
fi

if "$folder/bin/python" -m pip --version >/dev/null 2>&1; then
    pip="$folder/bin/python -m pip"
elif "$python" -m pip --version >/dev/null 2>&1; then
    pip="$python -m pip --python $folder/bin/python"
else
    pip="python3 -m pip --python $folder/bin/python"
fi
install="$pip install --quiet --no-input --disable-pip-version-check"

echo "      installing $(grep -c '==' "$lock") packages, each checked against its hash"
$install --require-hashes -r "$lock" >"$log" 2>&1 || failed "the packages could not be installed"
if [ -z "$with_project" ]; then
    echo "      adding the vaguemestre command"
    SKIP_WEB_BUILD=1 $install --no-deps --no-build-isolation --editable . >>"$log" 2>&1 || failed "the project could not be added"
fi
touch "$ready"
