#!/usr/bin/env bash
# `make test-containers` on a machine that may have no Docker yet: as root on Debian it is installed.
# Where no registry is reachable, ../shared/containers/standin-images.sh (if it is there) makes
# local stand-ins for the base images. A machine that can run no containers is told, and passed by.
set -euo pipefail
cd "$(dirname "$0")/../.."

bases=(python:3.11-slim pgvector/pgvector:pg18 nats:2)
standins=../shared/containers/standin-images.sh
pid=/run/switchboard-dockerd.pid

pass_by() {
  echo "the containers are not tested on this machine: $1" >&2
  exit 0
}

engine() { timeout 20 docker info >/dev/null 2>&1; }

install() {
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq && apt-get install -y -qq --no-install-recommends docker.io docker-compose iptables >/dev/null
}

start() {
  dockerd --pidfile "$pid" >/var/log/switchboard-dockerd.log 2>&1 &
  for _ in $(seq 60); do
    if engine; then return 0; fi
    sleep 0.5
  done
  return 1
}

have_bases() {
  for base in "${bases[@]}"; do
    docker image inspect "$base" >/dev/null 2>&1 || timeout 60 docker pull -q "$base" >/dev/null 2>&1 || return 1
  done
}

stop() { # the engine that this run started
  for file in "$pid" /run/standin-dockerd.pid; do
    if [ -f "$file" ]; then kill "$(cat "$file")" 2>/dev/null || true; fi
  done
}

if ! engine; then
  [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || pass_by "there is no Docker, and this is not root on Debian"
  trap stop EXIT
fi
if [ -f "$standins" ]; then
  bash "$standins" || pass_by "the stand-ins for the base images cannot be made"
else
  engine || { install && start; } || pass_by "Docker cannot be installed and started"
fi
have_bases || pass_by "its base images (${bases[*]}) cannot be had"
make --no-print-directory test-containers
