/**
 * Proxies as they stand before a gateway, with what usually holds streams back switched on:
 * buffering, compression. As installed, else unpacked from the machine's own Debian packages
 * without installing anything.
 */
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { run } from '#services/dev/servers/apt.ts'
import { freePort } from '#services/dev/servers/ports.ts'
import { spawnServer, type LocalServer } from '#services/dev/servers/server-process.ts'
import { until } from './system.ts'

interface Intermediary {
  /** In the package of this name, and where there. */
  command: string
  inPackage: string
  stopSignal: NodeJS.Signals
  /** Writes its configuration into `dir`. */
  args(dir: string, port: number, gateway: URL): string[]
}

const nginxConfig = (dir: string, port: number, gateway: URL) => `
daemon off; worker_processes 1; pid ${dir}/nginx.pid; error_log ${dir}/error.log;
events { worker_connections 64; }
http {
  access_log off;
  client_body_temp_path ${dir}/body; proxy_temp_path ${dir}/proxy; fastcgi_temp_path ${dir}/fastcgi;
  uwsgi_temp_path ${dir}/uwsgi; scgi_temp_path ${dir}/scgi;
  gzip on; gzip_proxied any; gzip_min_length 1; gzip_types text/event-stream application/json;
  server {
    listen 127.0.0.1:${port};
    location / { proxy_pass ${gateway.origin}; proxy_http_version 1.1; proxy_buffering on; }
  }
}`
const caddyConfig = (port: number, gateway: URL) => `
{
  admin off
  auto_https off
}
http://127.0.0.1:${port} {
  encode gzip zstd
  reverse_proxy ${gateway.host}
}`
const envoyTypes = 'type.googleapis.com/envoy.extensions.filters'
const envoyConfig = (port: number, { hostname, port: gatewayPort }: URL) => `
static_resources:
  listeners:
    - address: { socket_address: { address: 127.0.0.1, port_value: ${port} } }
      filter_chains:
        - filters:
            - name: envoy.filters.network.http_connection_manager
              typed_config:
                '@type': ${envoyTypes}.network.http_connection_manager.v3.HttpConnectionManager
                stat_prefix: front
                route_config:
                  virtual_hosts:
                    - name: all
                      domains: ['*']
                      routes: [{ match: { prefix: / }, route: { cluster: gateway, timeout: 0s } }]
                http_filters:
                  - name: envoy.filters.http.router
                    typed_config: { '@type': ${envoyTypes}.http.router.v3.Router }
  clusters:
    - name: gateway
      type: STATIC
      load_assignment:
        cluster_name: gateway
        endpoints:
          - lb_endpoints:
              - endpoint:
                  address: { socket_address: { address: ${hostname}, port_value: ${gatewayPort} } }
`

function written(dir: string, name: string, text: string): string {
  writeFileSync(join(dir, name), text)
  return join(dir, name)
}

export const intermediaries: Record<string, Intermediary> = {
  nginx: {
    command: 'nginx',
    inPackage: 'usr/sbin/nginx',
    stopSignal: 'SIGTERM',
    args: (dir, port, gateway) => [
      '-p',
      dir,
      '-c',
      written(dir, 'nginx.conf', nginxConfig(dir, port, gateway)),
    ],
  },
  caddy: {
    command: 'caddy',
    inPackage: 'usr/bin/caddy',
    stopSignal: 'SIGTERM',
    args: (dir, port, gateway) => [
      'run',
      '--adapter',
      'caddyfile',
      '--config',
      written(dir, 'Caddyfile', caddyConfig(port, gateway)),
    ],
  },
  envoy: {
    command: 'envoy',
    inPackage: 'usr/bin/envoy',
    stopSignal: 'SIGTERM',
    args: (dir, port, gateway) => [
      '--config-path',
      written(dir, 'envoy.yaml', envoyConfig(port, gateway)),
    ],
  },
}

const places = ['/usr/local/bin', '/usr/local/sbin', '/usr/bin', '/usr/sbin']

/** Null where it is neither installed nor to be had by apt. */
export async function findIntermediary(
  { command, inPackage }: Intermediary,
  dir: string,
): Promise<string | null> {
  const installed = places.map((place) => join(place, command)).find(existsSync)
  if (installed) return installed
  mkdirSync(dir, { recursive: true })
  try {
    await run('apt-get', ['download', '-q', command], dir)
    const deb = readdirSync(dir).find((file) => file.endsWith('.deb'))
    await run('dpkg-deb', ['-x', join(dir, deb ?? ''), join(dir, 'unpacked')])
  } catch {
    return null
  }
  const found = join(dir, 'unpacked', inPackage)
  return existsSync(found) ? found : null
}

export async function startIntermediary(
  one: Intermediary,
  { binary, dir, gatewayUrl }: { binary: string; dir: string; gatewayUrl: string },
): Promise<LocalServer> {
  const port = await freePort()
  mkdirSync(dir, { recursive: true })
  const url = `http://127.0.0.1:${port}`
  const { stopSignal } = one
  const server = spawnServer(binary, one.args(dir, port, new URL(gatewayUrl)), {
    url,
    port,
    stopSignal,
    env: { PATH: places.join(delimiter), HOME: dir, XDG_DATA_HOME: dir, XDG_CONFIG_HOME: dir },
  })
  await until(`${one.command} to answer; it said ${server.output()}`, async () => {
    const answer = await fetch(`${url}/livez`).catch(() => null)
    return answer?.ok || undefined
  })
  return server
}
