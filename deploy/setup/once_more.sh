#!/bin/sh
# Runs the tests of a folder in which programs of others have a part: browsers, mail programs. They fail now and then by
# themselves. Where at most two files failed, these are played twice more, whole and with nothing else in between; what
# fails again stays failed. What does not is told as unsteady, and wants its cause looked for all the same.
#   once_more.sh folder pytest argument...
set -u

folder=$1
shift
cache=$(mktemp -d)
trap 'rm -rf "$cache"' EXIT
trap 'kill "$playing" 2>/dev/null; wait "$playing"; exit 130' INT TERM

play() {
    "$@" &
    playing=$!
    wait "$playing"
}

play "$@" -o "cache_dir=$cache" "$folder"
code=$?
[ "$code" -eq 1 ] || exit "$code" # 1: tests failed; all else is no test's

failed=$(grep -o '^ *"[^":]*' "$cache/v/cache/lastfailed" | tr -d ' "' | sort -u)
[ "$(echo "$failed" | wc -l)" -le 2 ] || exit "$code"
for file in $failed; do
    for _ in 1 2; do
        echo "--> once more: $file"
        play "$@" -o "cache_dir=$cache" "$file" || exit "$code"
    done
done
echo "--> UNSTEADY: failed once, then not:" $failed
