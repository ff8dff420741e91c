#!/usr/bin/env bash
# Build the wheel, install it without extras into an empty environment, segment a clip from another folder, and check
# that every command that needs an extra says so.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv="$root/.venv-wheel"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

bash "$root/scripts/wheel_environment.sh" "$work"

echo "== wheel: segmenting the sample video from another folder"
cp "$root/src/save_avs/bundled/sample.mp4" "$work/clip.mp4"
mkdir "$work/home"
cd "$work"
env --unset=PYTHONPATH HOME="$work/home" XDG_CACHE_HOME="$work/home/cache" \
    "$venv/bin/save-avs" segment clip.mp4 --output out --json >report.json 2>run.log ||
    { cat run.log >&2; exit 1; }
"$venv/bin/python" "$root/scripts/check_outputs.py" out/clip report.json

echo "== wheel: commands that need an extra"
env --unset=PYTHONPATH HOME="$work/home" "$venv/bin/python" "$root/scripts/check_extras.py"
