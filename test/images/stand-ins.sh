#!/usr/bin/env bash
# Makes the four base images that deploy/Dockerfile and docker-compose.yml name out of Debian and
# npm packages, for a machine whose container engine reaches no image registry. As root, with
# mmdebstrap and a running engine (DOCKER_HOST, else the usual socket). Some two minutes, 600 MB.
set -euo pipefail
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mirror=$(sed -n 's/^URIs: *\(\S*\/debian\)\/\?$/\1/p' /etc/apt/sources.list.d/*.sources | head -1)
[ -n "$mirror" ] || { echo "no Debian mirror in /etc/apt/sources.list.d" >&2; exit 1; }
import() { # NAME SUITE VARIANT PACKAGES
  mmdebstrap --quiet --variant="$3" ${4:+--include="$4"} \
    --aptopt='Acquire::Check-Valid-Until "false"' --dpkgopt='path-exclude=/usr/share/doc/*' \
    --dpkgopt='path-exclude=/usr/share/man/*' "$2" - "deb $mirror $2 main" |
    docker import - "$1" >/dev/null
}

import localhost/debian bookworm minbase ''
import localhost/bare bookworm extract \
  base-files,libc6,libgcc-s1,libstdc++6,ca-certificates,tzdata,netbase
import localhost/servers forky minbase postgresql-18,nats-server,busybox

node=$(readlink -f node_modules/node/bin/node)
"$node" --version | grep -q '^v24' || { echo "run npm ci first: node 24 comes from there" >&2; exit 1; }

# node:24-bookworm-slim: node and npm, and what this machine needs to reach npm's registry.
mkdir "$work/node"
cp "$node" "$work/node/node"
npm install --silent --no-save --prefix "$work/node" npm@11 >/dev/null
cp "${NODE_EXTRA_CA_CERTS:-/etc/ssl/certs/ca-certificates.crt}" "$work/node/ca.crt"
grep -hs '^registry=' /root/.npmrc /usr/etc/npmrc >"$work/node/npmrc" || true
cat >>"$work/node/npmrc" <<'END'
cafile=/etc/ca.crt
END
cat >"$work/node/Dockerfile" <<'END'
FROM localhost/debian
COPY node /usr/local/bin/node
COPY node_modules/npm /usr/local/lib/node_modules/npm
RUN ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm
COPY ca.crt /etc/ca.crt
COPY npmrc /usr/local/etc/npmrc
ENV NODE_EXTRA_CA_CERTS=/etc/ca.crt
END
docker build --quiet -t node:24-bookworm-slim "$work/node"

# distroless: node alone, no shell, a user that is not root.
mkdir "$work/bare"
cp "$node" "$work/bare/node"
echo 'nonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin' >"$work/bare/passwd"
echo 'nonroot:x:65532:' >"$work/bare/group"
cat >"$work/bare/Dockerfile" <<'END'
FROM localhost/bare
COPY node /nodejs/bin/node
COPY passwd group /etc/
USER 65532
ENTRYPOINT ["/nodejs/bin/node"]
END
docker build --quiet -t gcr.io/distroless/nodejs24-debian12:nonroot "$work/bare"

# postgres:18, as far as compose uses it.
mkdir "$work/postgres"
cat >"$work/postgres/entry" <<'END'
#!/bin/sh
set -e
export PATH=/usr/lib/postgresql/18/bin:$PATH PGDATA=/var/lib/postgresql/18/docker
mkdir -p /run/postgresql "$PGDATA"
chown -R postgres /run/postgresql /var/lib/postgresql
as() { setpriv --reuid=postgres --regid=postgres --init-groups "$@"; }
if [ ! -e "$PGDATA/PG_VERSION" ]; then
  printf %s "$POSTGRES_PASSWORD" >/tmp/pw && chown postgres /tmp/pw
  as initdb -D "$PGDATA" --username=postgres --pwfile=/tmp/pw --auth-local=trust --auth-host=scram-sha-256 >/dev/null
  echo 'host all all all scram-sha-256' >>"$PGDATA/pg_hba.conf"
  as pg_ctl -D "$PGDATA" -o '-c listen_addresses=' -w start >/dev/null
  as createdb -U postgres "$POSTGRES_DB"
  as pg_ctl -D "$PGDATA" -w stop >/dev/null
  rm /tmp/pw
fi
[ "$1" = postgres ] && shift
exec setpriv --reuid=postgres --regid=postgres --init-groups postgres -D "$PGDATA" -c listen_addresses='*' "$@"
END
chmod +x "$work/postgres/entry"
cat >"$work/postgres/Dockerfile" <<'END'
FROM localhost/servers
ENV PATH=/usr/lib/postgresql/18/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
COPY entry /entry
ENTRYPOINT ["/entry"]
CMD ["postgres"]
END
docker build --quiet -t postgres:18 "$work/postgres"

# nats:2.15-alpine: nats-server before a first `-`, and busybox' wget.
mkdir "$work/nats"
cat >"$work/nats/entry" <<'END'
#!/bin/sh
case "$1" in -*) set -- nats-server "$@" ;; esac
exec "$@"
END
chmod +x "$work/nats/entry"
cat >"$work/nats/Dockerfile" <<'END'
FROM localhost/servers
RUN ln -sf /usr/bin/busybox /usr/local/bin/wget
COPY entry /entry
ENTRYPOINT ["/entry"]
END
docker build --quiet -t nats:2.15-alpine "$work/nats"
