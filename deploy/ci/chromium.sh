#!/usr/bin/env bash
# Prints the path of a Chromium; gets Debian's where there is none.
#
#   CHROMIUM=path   use this one
#   root            installed by apt
#   anybody else    fetched by apt and unpacked below the cache folder, with what it needs
#
# One line on stderr, and status 1, says what to do where none can be had.
set -euo pipefail

cache="${XDG_CACHE_HOME:-$HOME/.cache}/switchboard/chromium"
packages=(chromium fonts-dejavu-core)

found() { # the first Chromium of this machine
  local each
  for each in "${CHROMIUM:-}" "$(command -v chromium || true)" "$cache/chromium"; do
    if [ -n "$each" ] && [ -x "$each" ]; then echo "$each"; return; fi
  done
  return 1
}

quietly() { # what a command says is told only if it fails
  local said
  said=$("$@" 2>&1) || { printf '%s\n' "$said" >&2; return 1; }
}

install_it() {
  export DEBIAN_FRONTEND=noninteractive
  quietly apt-get update && quietly apt-get install -y --no-install-recommends "${packages[@]}"
}

# apt with lists and archives of its own, which needs no rights; dpkg-deb only unpacks.
unpack_it() {
  local apt="$cache/apt" root="$cache/root"
  mkdir -p "$apt/lists/partial" "$apt/archives/partial" "$root"
  local own=(-o "Dir::State::Lists=$apt/lists" -o "Dir::Cache=$apt" -o Debug::NoLocking=true
    -o Acquire::Languages=none --no-install-recommends --download-only)
  quietly apt-get "${own[@]}" update &&
    quietly apt-get "${own[@]}" install -y "${packages[@]}" &&
    find "$apt/archives" -name '*.deb' -exec dpkg-deb -x {} "$root" \; &&
    launcher "$root" >"$cache/chromium.new" &&
    chmod +x "$cache/chromium.new" &&
    mv "$cache/chromium.new" "$cache/chromium" &&
    rm -rf "$apt"
}

launcher() { # the program with the libraries that were unpacked beside it
  local libraries
  libraries=$(find "$1" -name '*.so*' -not -path '*/usr/lib/chromium/*' -printf '%h\n' | sort -u | paste -sd:)
  cat <<END
#!/bin/sh
export LD_LIBRARY_PATH="$libraries\${LD_LIBRARY_PATH:+:\$LD_LIBRARY_PATH}"
exec "$1/usr/lib/chromium/chromium" "\$@"
END
}

mkdir -p "$cache"
exec 9>"$cache/.lock"
flock 9
if ! found; then
  if ! command -v apt-get >/dev/null; then
    echo "chromium is missing: install it, or set CHROMIUM to its path" >&2
    exit 1
  fi
  if [ "$(id -u)" = 0 ]; then install_it 9>&-; else unpack_it 9>&-; fi || {
    echo "chromium is missing: run 'apt-get install chromium' as root, or set CHROMIUM to its path" >&2
    exit 1
  }
  found
fi
