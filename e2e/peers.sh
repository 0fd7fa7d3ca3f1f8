#!/usr/bin/env bash
# Installs the peers of peers.txt where that is possible: on Debian, as root. Elsewhere it says what is
# missing and leaves it at that; the tests then skip, or fail if CI=true.
set -euo pipefail
cd "$(dirname "$0")"

missing=()
while read -r package; do
    case "$package" in ''|'#'*) continue ;; esac
    if ! command -v dpkg-query >/dev/null || ! dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed'; then
        missing+=("$package")
    fi
done < peers.txt

if [ ${#missing[@]} -eq 0 ]; then
    exit 0
fi
if ! command -v apt-get >/dev/null || [ "$(id -u)" != 0 ]; then
    echo "peers: not installed here: ${missing[*]}"
    exit 0
fi
echo "peers: installing ${missing[*]}"
# The servers are started by the tests and by nobody else: keep the packages from starting them.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' > "$policy"
    chmod 755 "$policy"
    trap 'rm -f "$policy"' EXIT
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends -o DPkg::Lock::Timeout=900 "${missing[@]}" >/dev/null
