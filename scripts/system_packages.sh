#!/usr/bin/env bash
# Install the Debian packages that some tests need; without them these tests are skipped.
set -euo pipefail

packages=()
command -v ffprobe >/dev/null || packages+=(ffmpeg)    # for ffprobe
command -v chromium >/dev/null || packages+=(chromium) # for the tests of the web page
[ -d /usr/lib/postgresql ] || packages+=(postgresql)     # for the tests of several servers
[ ${#packages[@]} -eq 0 ] && exit 0

if [ "$(id -u)" -eq 0 ]; then
    as_root=()
elif command -v sudo >/dev/null && sudo --non-interactive true 2>/dev/null; then
    as_root=(sudo --non-interactive)
else
    echo "== setup: ${packages[*]} missing, and this user cannot install them: tests that need them are skipped"
    exit 0
fi

if ! command -v apt-get >/dev/null; then
    echo "== setup: ${packages[*]} missing, and there is no apt-get: tests that need them are skipped"
    exit 0
fi

echo "== setup: installing ${packages[*]} with apt-get"
"${as_root[@]}" apt-get update -qq >/dev/null || true
for package in "${packages[@]}"; do
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$package" >/dev/null ||
        echo "== setup: apt-get could not install $package: tests that need it are skipped"
done
