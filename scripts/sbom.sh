#!/usr/bin/env bash
# Write dist/save-avs-VERSION.cdx.json: what an installation of the wheel consists of (CycloneDX), seen in an environment that holds nothing else.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
bash scripts/wheel_environment.sh dist
wheel=(dist/save_avs-*.whl)
version=$(basename "${wheel[0]}" | cut -d- -f2)
bom="dist/save-avs-$version.cdx.json"
.venv/bin/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible --of JSON -o "$bom" .venv-wheel/bin/python
echo "== sbom: $bom"
