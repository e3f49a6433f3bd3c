#!/bin/sh
# Makes ./.venv from requirements.lock (every file checked against its hash) with this project in it, editable.
# Done again only when the lock or pyproject.toml changed since.
set -eu
cd "$(dirname "$0")/../.."

ready=.venv/.ready
if [ -e "$ready" ] && [ ! requirements.lock -nt "$ready" ] && [ ! pyproject.toml -nt "$ready" ]; then
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

mkdir -p .venv
log=.venv/setup.log
failed() {
    tail -n 20 "$log" >&2
    echo "      $1 (the whole log: $log)" >&2
    exit 1
}

if [ ! -x .venv/bin/python ] || ! .venv/bin/python -c '' 2>/dev/null; then
    echo "      making .venv with $("$python" --version)"
    # Debian keeps what puts pip into a new environment in python3-venv; without it, the system's pip serves.
    "$python" -m venv .venv >"$log" 2>&1 || "$python" -m venv --clear --without-pip .venv >>"$log" 2>&1 ||
        failed "no environment could be made"
fi

if .venv/bin/python -m pip --version >/dev/null 2>&1; then
    pip=".venv/bin/python -m pip"
elif "$python" -m pip --version >/dev/null 2>&1; then
    pip="$python -m pip --python .venv/bin/python"
else
    pip="python3 -m pip --python .venv/bin/python"
fi
install="$pip install --quiet --no-input --disable-pip-version-check"

echo "      installing $(grep -c '==' requirements.lock) packages, each checked against its hash"
$install --require-hashes -r requirements.lock >"$log" 2>&1 || failed "the packages could not be installed"
echo "      adding the vaguemestre command"
SKIP_WEB_BUILD=1 $install --no-deps --no-build-isolation --editable . >>"$log" 2>&1 || failed "the project could not be added"
touch "$ready"
