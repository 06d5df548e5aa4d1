#!/usr/bin/env bash
# What `make test-clients` needs besides Python: as root on Debian it is installed, elsewhere it is named.
set -euo pipefail

declare -A packages=([go]=golang-go [javac]=default-jdk-headless [node]=nodejs [npm]=npm [curl]=curl [g++]=g++)
missing=()
for command in "${!packages[@]}"; do
  command -v "$command" >/dev/null || missing+=("${packages[$command]}")
done
# The one module that generated Go code imports.
[ -d /usr/share/gocode/src/gopkg.in/validator.v2 ] || missing+=(golang-gopkg-validator.v2-dev)
compgen -G '/usr/include/*/curl/curl.h' >/dev/null || [ -e /usr/include/curl/curl.h ] || missing+=(libcurl4-openssl-dev)
[ "${#missing[@]}" -gt 0 ] || exit 0

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes --no-install-recommends "${missing[@]}" >/dev/null
else
  echo "make test-clients: missing on this machine: ${missing[*]}" >&2
  echo "  on Debian or Ubuntu: sudo apt-get install --no-install-recommends ${missing[*]}" >&2
  exit 1
fi
