#!/usr/bin/env bash
# Debian packages that some checks use. Without them those checks skip and say so.
set -euo pipefail

command -v ffprobe >/dev/null && exit 0

if [ "$(id -u)" -eq 0 ]; then
    as_root=()
elif command -v sudo >/dev/null && sudo --non-interactive true 2>/dev/null; then
    as_root=(sudo --non-interactive)
else
    echo "== setup: ffprobe is missing and this user cannot install it: the tests that need it skip"
    exit 0
fi

if ! command -v apt-get >/dev/null; then
    echo "== setup: ffprobe is missing and there is no apt-get: the tests that need it skip"
    exit 0
fi

echo "== setup: installing ffmpeg (for ffprobe) with apt-get"
"${as_root[@]}" apt-get update -qq >/dev/null &&
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends ffmpeg >/dev/null ||
    echo "== setup: apt-get could not install ffmpeg: the tests that need ffprobe skip"
