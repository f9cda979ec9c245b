#!/usr/bin/env bash
# Chromium, its driver and a font from Debian's packages, where they are missing; needs root for that.
set -euo pipefail
if command -v chromium > /dev/null && command -v chromedriver > /dev/null; then
  exit 0
fi
if ! command -v apt-get > /dev/null; then
  echo 'error: chromium and chromedriver are missing, and there is no apt-get to install them; install them by hand' >&2
  exit 1
fi
if [ "$(id -u)" -ne 0 ]; then
  echo 'error: chromium and chromedriver are missing; as root: apt-get install chromium chromium-driver' >&2
  exit 1
fi
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium chromium-driver fonts-dejavu-core
