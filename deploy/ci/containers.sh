#!/usr/bin/env bash
# Runs a command where containers can be run: `containers.sh COMMAND…`, as `make test-containers` does.
#
# As root on Debian, Docker and Compose are installed where they are missing, and an engine that
# does not run is started, and stopped at the end. STANDINS names a program that makes local
# stand-ins for the base images, for machines that reach no registry; that it fails is an error.
# A machine that cannot run containers is told so in one line, with status 75; one that could, and
# on which something failed, with another.
set -euo pipefail

bases=(python:3.11-slim pgvector/pgvector:pg18 nats:2)
log=/var/log/switchboard-dockerd.log

cannot() {
  echo "containers cannot be run here: $1" >&2
  exit 75
}

fail() {
  echo "$1" >&2
  exit 1
}

engine() { timeout 20 docker info >/dev/null 2>&1; }

compose() { docker compose version >/dev/null 2>&1 || docker-compose version >/dev/null 2>&1; }

install() {
  command -v apt-get >/dev/null || cannot "there is no Docker with Compose, and no apt-get to install it"
  export DEBIAN_FRONTEND=noninteractive
  local packages=(docker.io docker-compose iptables)
  apt-get update -qq >/dev/null || return 1
  # Newer releases of Debian have the client in a package of its own.
  if [ -n "$(apt-cache search --names-only '^docker-cli$')" ]; then packages+=(docker-cli); fi
  apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
}

start() {
  dockerd --data-root "${STANDIN_DOCKER_ROOT:-/var/lib/docker}" >"$log" 2>&1 &
  # The engine that this run started, and no other.
  trap "kill $! 2>/dev/null || true" EXIT
  for _ in $(seq 60); do
    if engine; then return 0; fi
    sleep 0.5
  done
  return 1
}

have_bases() {
  for base in "${bases[@]}"; do
    docker image inspect "$base" >/dev/null 2>&1 || return 1
  done
}

pull_bases() {
  for base in "${bases[@]}"; do
    docker image inspect "$base" >/dev/null 2>&1 || timeout 300 docker pull -q "$base" >/dev/null 2>&1 || return 1
  done
}

[ "$(id -u)" = 0 ] || cannot "this needs root"
{ command -v docker && compose; } >/dev/null || install || fail "Docker and Compose could not be installed"
engine || start || cannot "Docker does not start (see $log)"
if [ -n "${STANDINS:-}" ] && ! have_bases; then
  bash "$STANDINS" >/dev/null || fail "$STANDINS failed: there are no stand-ins for the base images"
fi
have_bases || pull_bases || cannot "its base images (${bases[*]}) cannot be had"
"$@"
