#!/usr/bin/env bash
# Write dist/save-avs-VERSION.cdx.json, a CycloneDX list of the packages that installing the wheel brings, from an environment with nothing else.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
bash scripts/wheel_environment.sh dist
wheel=(dist/save_avs-*.whl)
version=$(basename "${wheel[0]}" | cut -d- -f2)
bom="dist/save-avs-$version.cdx.json"
.venv/bin/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible --of JSON -o "$bom" .venv-wheel/bin/python
echo "== sbom: $bom"
