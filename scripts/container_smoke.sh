#!/usr/bin/env bash
# Build the image, run it as docker-compose.yml does, open its health check and its start page, stop it.
#
#   scripts/container_smoke.sh                 docker if its engine answers, else buildah
#   scripts/container_smoke.sh --debootstrap   buildah, on a base made from Debian 12's packages: no image is fetched
#   BASE=image TORCH_INDEX=address ...         build arguments of the Dockerfile
#
# buildah needs root here. It works in a temporary folder (about 10 GB) and leaves nothing behind. With buildah pip in
# the build is configured as pip on this machine is, and sees the local folders that this configuration names.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

image=dashapp-smoke
work=
server_pid=
container=

main() {
    local engine=buildah debootstrap=no
    if [ "${1:-}" = --debootstrap ]; then
        debootstrap=yes
    elif docker info >/dev/null 2>&1; then
        engine=docker
    fi
    command -v "$engine" >/dev/null || fail "This needs a container engine, and neither a docker engine nor buildah is here. Debian: apt-get install buildah."
    trap "clean_up_$engine" EXIT
    work=$(mktemp -d)
    if [ "$engine" = docker ]; then
        build_with_docker
        run_with_docker
    else
        export BUILDAH_ISOLATION=chroot
        [ "$debootstrap" = no ] || make_base
        build_with_buildah
        run_with_buildah
    fi
    open_pages
    [ "$engine" = docker ] || nothing_was_written_outside_the_volumes
    echo "The image was built with $engine, ran as user 10001 and served its health check and start page."
}

fail() {
    echo "$1" >&2
    exit 1
}

free_port() {
    python3 -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

build_arguments() {
    echo "${BASE:+--build-arg BASE=$BASE} ${TORCH_INDEX:+--build-arg TORCH_INDEX=$TORCH_INDEX}"
}

# ── docker

build_with_docker() {
    # shellcheck disable=SC2046  # words on purpose
    docker build --tag "$image" $(build_arguments) .
}

run_with_docker() {
    port=$(free_port)
    container=$(docker run --detach --init --read-only --tmpfs /tmp:mode=1777 --cap-drop ALL \
        --security-opt no-new-privileges --publish "127.0.0.1:$port:8050" "$image")
    user=$(docker exec "$container" id -u)
    [ "$user" = 10001 ] || fail "The image must run as user 10001 and runs as $user."
}

clean_up_docker() {
    [ -z "$container" ] || docker rm --force --volumes "$container" >/dev/null
    rm -rf "$work"
}

# ── buildah

store() {
    buildah --root "$work/storage" --runroot "$work/run" "$@"
}

make_base() {
    echo "Making a base image of Debian 12 with its python3"
    debootstrap --variant=minbase --include=ca-certificates,python3,python3-pip,python3-venv bookworm "$work/base" \
        >"$work/debootstrap.log" || { tail "$work/debootstrap.log" >&2; exit 1; }
    rm -rf "$work"/base/var/cache/apt/archives/*.deb
    local scratch
    scratch=$(store from scratch)
    store add --quiet "$scratch" "$work/base" / >/dev/null
    store commit --quiet --rm "$scratch" localhost/debian-python >/dev/null
    rm -rf "$work/base"
    BASE=localhost/debian-python
}

# pip's configuration on this machine as one file, and `--volume` flags for it and each local folder that it names.
local_pip_volumes() {
    python3 - "$work/pip.conf" <<'PYTHON'
import re
import subprocess
import sys
from pathlib import Path

listed = subprocess.run([sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True)
options = {name: value for name, value in re.findall(r"^(?:global|:env:)\.([\w-]+)='(.*)'$", listed.stdout, re.MULTILINE)}
Path(sys.argv[1]).write_text("[global]\n" + "".join(f"{name} = {value}\n" for name, value in options.items()))
volumes = {f"{sys.argv[1]}:/etc/pip.conf:ro"}
for word in " ".join(options.values()).split():
    path = Path(word.removeprefix("file://"))
    if path.is_absolute() and path.exists():
        # The files of a local index lie beside its listing.
        path = path.parent if word.startswith("file://") else path
        volumes.add(f"{path}:{path}:ro")
print(*(f"--volume={volume}" for volume in sorted(volumes)))
PYTHON
}

build_with_buildah() {
    # shellcheck disable=SC2046  # words on purpose
    store build --format docker --tag "$image" $(build_arguments) $(local_pip_volumes) .
}

run_with_buildah() {
    port=$(free_port)
    container=$(store from "$image")
    user=$(store run "$container" -- id -u)
    [ "$user" = 10001 ] || fail "The image must run as user 10001 and runs as $user."
    touch "$work/started"
    # A change root shares this machine's network, so the server listens on loopback, on a port that is free.
    setsid buildah --root "$work/storage" --runroot "$work/run" run \
        --env DASHAPP_HOST=127.0.0.1 --env DASHAPP_PORT="$port" "$container" -- \
        /opt/venv/bin/python -m dashapp serve &
    server_pid=$!
}

nothing_was_written_outside_the_volumes() {
    local root written
    root=$(store mount "$container")
    # buildah itself makes run/.containerenv in every container that it runs.
    written=$(find "$root" -xdev -newer "$work/started" -type f -not -path "$root/data/*" -not -path "$root/tmp/*" \
        -not -path "$root/run/.containerenv")
    store umount "$container" >/dev/null
    [ -z "$written" ] || fail "The server may write to /data and /tmp only, and wrote: $written"
}

clean_up_buildah() {
    if [ -n "$server_pid" ]; then
        kill -- "-$server_pid" 2>/dev/null || true
        wait "$server_pid" 2>/dev/null || true
    fi
    [ -z "$container" ] || store rm "$container" >/dev/null || true
    rm -rf "$work"
}

# ── the pages

open_pages() {
    python3 - "$port" <<'PYTHON'
import sys
import time
import urllib.error
import urllib.request


def opened(path: str) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{sys.argv[1]}{path}", timeout=5) as answer:
        return answer.read().decode()


deadline = time.monotonic() + 90
while True:
    try:
        opened("/healthz")
        break
    except (urllib.error.URLError, ConnectionError) as error:
        if time.monotonic() > deadline:
            sys.exit(f"The server must answer /healthz within 90 s of its start and did not: {error}")
        time.sleep(0.5)
if "_dash-config" not in opened("/"):
    sys.exit("The start page must be a Dash page, and it is not.")
opened("/_dash-layout")
opened("/_dash-dependencies")
PYTHON
}

main "$@"
