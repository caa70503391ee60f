#!/usr/bin/env bash
# `make test-containers` on a machine that may have no Docker yet. Run as root on Debian.
# Where no registry is reachable, ../shared/containers/standin-images.sh (if it is there) installs
# Docker from Debian and makes local stand-ins for the three base images.
set -euo pipefail
cd "$(dirname "$0")/../.."

bases=(python:3.11-slim pgvector/pgvector:pg18 nats:2)
standins=../shared/containers/standin-images.sh

have_bases() {
  for base in "${bases[@]}"; do
    docker image inspect "$base" >/dev/null 2>&1 || timeout 60 docker pull -q "$base" >/dev/null 2>&1 || return 1
  done
}

if ! docker info >/dev/null 2>&1; then
  # What this run starts, it ends.
  trap '[ -f /run/standin-dockerd.pid ] && kill "$(cat /run/standin-dockerd.pid)" 2>/dev/null || true' EXIT
fi
if ! docker info >/dev/null 2>&1 || ! have_bases; then
  if [ ! -f "$standins" ]; then
    echo "the containers cannot be tested here: Docker or its base images (${bases[*]}) are missing" >&2
    exit 1
  fi
  bash "$standins"
fi
make --no-print-directory test-containers
