#!/usr/bin/env bash
# Build deploy/Dockerfile and use the image the way deploy/ does: another user, read-only root, no capabilities.
#   scripts/check_image.sh [option of `podman build` ...]
# Needs root, podman, runc, debootstrap and curl (Debian). The base image is made from Debian's own packages, since
# registries of images may be out of reach; so is PyTorch's index, hence the empty TORCH_INDEX.
set -euo pipefail
cd "$(dirname "$0")/.."

port=7861 base=docker.io/library/python:3.11-slim-bookworm
export SAVE_AVS_TOKEN
SAVE_AVS_TOKEN=$(openssl rand -hex 24)
folder=$(mktemp -d)
podman() { command podman --runtime runc "$@"; }
trap 'podman rm --force save-avs-check >/dev/null 2>&1 || true; rm -rf "$folder"' EXIT

if ! podman image exists "$base"; then
    debootstrap --variant=minbase --include=python3,python3-venv,python-is-python3,ca-certificates bookworm "$folder" >/dev/null
    tar -C "$folder" -c . | podman import - "$base"
fi
podman build --format docker --pull=never --network host --isolation chroot -f deploy/Dockerfile -t save-avs \
    --build-arg PYTHON=3.11 --build-arg TORCH_INDEX= "$@" .
podman run --detach --name save-avs-check --network host --ulimit nofile=1024:1024 --ulimit nproc=2000:2000 \
    --read-only --read-only-tmpfs=false --tmpfs /tmp:size=1g --cap-drop ALL --security-opt no-new-privileges \
    --env SAVE_AVS_TOKEN save-avs --port "$port"

ask() { curl --silent --show-error --fail --header "Authorization: Bearer $SAVE_AVS_TOKEN" "$@"; }
for _ in $(seq 120); do ask "http://127.0.0.1:$port/readyz" 2>/dev/null && break || sleep 1; done
podman exec save-avs-check sh -c 'test "$(id -u)" = 10001 && ! touch /opt/save-avs/x 2>/dev/null && touch /data/x /tmp/x'
id=$(ask --form file=@packages/save-avs-models/src/save_avs_models/sample.mp4 --form fps=2 "http://127.0.0.1:$port/v1/segment" | cut -d'"' -f4)
for _ in $(seq 120); do
    state=$(ask "http://127.0.0.1:$port/v1/jobs/$id" | grep -o '"state":"[a-z]*"')
    case $state in *accepted* | *running*) sleep 1 ;; *) break ;; esac
done
podman stop --time 20 save-avs-check >/dev/null
code=$(podman inspect save-avs-check --format '{{.State.ExitCode}}')
echo "the job: $state; exit code after SIGTERM: $code"
[ "$state" = '"state":"done"' ] && [ "$code" = 143 ]
