#!/bin/sh
# Installs the named Debian packages that are missing, saying so; prints nothing when none is.
# usage: tests/packages.sh PACKAGE...     exit status: 0 all are there; 3 they are not and cannot be installed
missing=
for package; do
    status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)
    [ "$status" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
if ! command -v apt-get >/dev/null; then
    echo "packages.sh: there is no apt-get to install the missing packages with; Debian's names are:$missing" >&2
    exit 3
fi
root=
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "packages.sh: these packages are missing and can only be installed by root (there is no sudo):" >&2
        echo "    apt-get install$missing" >&2
        exit 3
    fi
    root=sudo
fi
echo "installing by apt-get:$missing"

# Word splitting is wanted: $root may be empty, $missing holds several names.
install_missing()
{
    # shellcheck disable=SC2086
    $root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >"$log" 2>&1
}

log=$(mktemp) || exit 3
trap 'rm -f "$log"' EXIT
# Lists that are absent or old name versions that the mirrors no longer have: read them again once.
install_missing && exit 0
echo "reading the package lists by apt-get update"
$root apt-get update -qq >"$log" 2>&1 && install_missing && exit 0
tail -n 20 "$log" >&2
echo "packages.sh: apt-get could not install:$missing" >&2
exit 3
