#!/usr/bin/env bash
# Runs a command where there are databases as people run them: `databases.sh COMMAND…`, as
# `make test-databases` does. The command finds Postgres 15's programs by POSTGRES_15, and pgbouncer.
#
# As root on Debian, what is missing is installed: Debian's Postgres 15 and pgbouncer, and pgvector
# for that Postgres; where Debian has none for it, the newest that Debian has the source of, compiled.
# A machine where that is no use is told so in one line, with status 75; one where it failed, with
# another.
set -euo pipefail

programs=${POSTGRES_15:-/usr/lib/postgresql/15/bin}
vector=/usr/share/postgresql/15/extension/vector.control

cannot() {
  echo "databases cannot be tried here: $1" >&2
  exit 75
}

quietly() { # what a command says is told only if it fails
  local said
  said=$("$@" 2>&1) || { printf '%s\n' "$said" >&2; return 1; }
}

has() { [ -n "$(apt-cache search --names-only "^$1\$")" ]; }

install() {
  command -v apt-get >/dev/null || cannot "there is no Postgres 15 with pgbouncer, and no apt-get to install them"
  export DEBIAN_FRONTEND=noninteractive
  quietly apt-get update
  has postgresql-15 || cannot "this Debian has no Postgres 15"
  # Packages would start servers of their own.
  mkdir -p /etc/postgresql-common
  grep -qs '^create_main_cluster' /etc/postgresql-common/createcluster.conf ||
    echo 'create_main_cluster = false' >>/etc/postgresql-common/createcluster.conf
  quietly apt-get install -y --no-install-recommends postgresql-15 pgbouncer gcc libc6-dev
  if has postgresql-15-pgvector; then
    quietly apt-get install -y --no-install-recommends postgresql-15-pgvector
  fi
  [ -e "$vector" ] || compile
}

# The server's headers are unpacked and not installed: their package wants a second compiler.
compile() {
  local work
  work=$(mktemp -d)
  mkdir -p "$work/lists/partial" "$work/archives/partial"
  echo "deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian stable main" >"$work/sources.list"
  local own=(-o "Dir::Etc::SourceList=$work/sources.list" -o Dir::Etc::SourceParts=/dev/null
    -o "Dir::State::Lists=$work/lists" -o "Dir::Cache=$work" -o Acquire::Languages=none
    -o APT::Sandbox::User=root)
  (
    cd "$work"
    quietly apt-get -o APT::Sandbox::User=root download postgresql-server-dev-15
    dpkg-deb -x postgresql-server-dev-15_*.deb headers
    quietly apt-get "${own[@]}" update
    quietly apt-get "${own[@]}" source --download-only pgvector
    mkdir source
    tar -xf pgvector_*.orig.tar.* -C source --strip-components=1
    cd source
    quietly gcc -O2 -fPIC -shared -fno-math-errno -ftree-vectorize \
      -I"$work/headers/usr/include/postgresql/15/server" src/*.c -o vector.so
    version=$(sed -n "s/^default_version = '\(.*\)'/\1/p" vector.control)
    cp sql/vector.sql "/usr/share/postgresql/15/extension/vector--$version.sql"
    cp vector.so /usr/lib/postgresql/15/lib/
    cp vector.control "$vector"
  )
  rm -rf "$work"
}

ready() { [ -x "$programs/postgres" ] && [ -e "$vector" ] && command -v pgbouncer >/dev/null; }

if ! ready; then
  [ "$(id -u)" = 0 ] || cannot "this needs root, to install Postgres 15, pgvector and pgbouncer"
  install
  ready || { echo "Postgres 15, pgvector and pgbouncer could not be installed" >&2; exit 1; }
fi
export POSTGRES_15=$programs PATH=$PATH:/usr/sbin
"$@"
