#!/usr/bin/env bash
# Build the wheel, install it without extras into an empty environment, segment a clip from another folder, and check
# that every command that needs an extra says so.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv="$root/.venv-wheel"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

bash "$root/scripts/wheel_environment.sh" "$work"

pip=("$root/.venv/bin/python" -m pip --python "$venv/bin/python")

echo "== wheel: save-avs holds no data under another license, and says where it is"
if unzip -Z1 "$work"/save_avs-*.whl | grep -E '\.(safetensors|mp4|jpg|flac|wav)$|GPL'; then exit 1; fi
mkdir "$work/home"
cd "$work"
"${pip[@]}" uninstall --quiet --yes save-avs-models >/dev/null 2>&1 || true
said=$(env --unset=PYTHONPATH HOME="$work/home" "$venv/bin/save-avs" demo 2>&1) || true
case $said in *"pip install ./packages/save-avs-models"*) ;; *) echo "$said" >&2; exit 1 ;; esac

echo "== wheel: its description links to nothing beside it"
if unzip -p "$work"/save_avs-*.whl '*/METADATA' | grep -E '\]\((docs|examples|[A-Z]+(\.md)?\))'; then exit 1; fi

echo "== wheel: segmenting the sample video from another folder"
"${pip[@]}" install --quiet --no-deps "$work"/save_avs_models-*.whl
cp "$root/packages/save-avs-models/src/save_avs_models/sample.mp4" "$work/clip.mp4"
env --unset=PYTHONPATH HOME="$work/home" XDG_CACHE_HOME="$work/home/cache" \
    "$venv/bin/save-avs" segment clip.mp4 --output out --json >report.json 2>run.log ||
    { cat run.log >&2; exit 1; }
"$venv/bin/python" "$root/scripts/check_outputs.py" out/clip report.json

echo "== wheel: commands that need an extra"
env --unset=PYTHONPATH HOME="$work/home" "$venv/bin/python" "$root/scripts/check_extras.py"
