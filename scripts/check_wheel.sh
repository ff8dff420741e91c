#!/usr/bin/env bash
# Build the wheel, install it into an empty environment, and segment a clip from another folder.
# The environment is kept between runs (only the wheel is put in anew) until pyproject.toml or constraints.txt change.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv="$root/.venv-wheel"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

echo "== wheel: building it"
"$root/.venv/bin/python" -m build --wheel --outdir "$work" "$root" >"$work/build.log" 2>&1 ||
    { cat "$work/build.log" >&2; exit 1; }
wheel=("$work"/*.whl)

key=$(cat "$root/pyproject.toml" "$root/constraints.txt" | sha256sum | cut -d' ' -f1)
if [ "$(cat "$venv/.key" 2>/dev/null)" = "$key" ]; then
    echo "== wheel: installing it into the environment of the last run"
    "$venv/bin/python" -m pip install --quiet --force-reinstall --no-deps "${wheel[0]}"
else
    echo "== wheel: installing it into an empty environment (minutes the first time)"
    rm -rf "$venv"
    "$root/.venv/bin/python" -m venv "$venv"
    "$venv/bin/python" -m pip install --quiet --constraint "$root/constraints.txt" "${wheel[0]}"
    echo "$key" >"$venv/.key"
fi

echo "== wheel: segmenting the sample video from another folder"
cp "$root/src/save_avs/bundled/sample.mp4" "$work/clip.mp4"
mkdir "$work/home"
cd "$work"
env --unset=PYTHONPATH HOME="$work/home" XDG_CACHE_HOME="$work/home/cache" \
    "$venv/bin/save-avs" segment clip.mp4 --output out --json >report.json 2>run.log ||
    { cat run.log >&2; exit 1; }
"$venv/bin/python" "$root/scripts/check_outputs.py" out/clip report.json
