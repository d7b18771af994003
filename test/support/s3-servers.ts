/**
 * Two S3 servers of Debian's suite sid, unpacked (debian-root.ts). Each is right where the other is
 * not: moto on data (it takes any signature), radosgw without a cluster on signatures (what it
 * keeps of multipart uploads reads back wrong, and so do ranges).
 */
import { randomBytes } from 'node:crypto'
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3'
import type { S3Options } from '#libs/files/s3-store.ts'
import { sleep } from '#libs/runtime/clock.ts'
import { run } from '#services/dev/servers/apt.ts'
import { freePort } from '#services/dev/servers/ports.ts'
import { spawnServer, type LocalServer } from '#services/dev/servers/server-process.ts'
import { libraries, loaded, unpackDebian } from './debian-root.ts'

const packages = ['python3-moto', 'python3-flask-cors', 'radosgw']

/** Where the servers are; or, where they cannot be had, why. */
export const findS3Servers = () => unpackDebian('s3-servers-1', packages)

export interface S3Server extends LocalServer {
  accessKeyId: string
  secretAccessKey: string
}

/** Of a store in the bucket that `makeBucket` makes. */
export const optionsOf = (
  { accessKeyId, secretAccessKey, url }: Pick<S3Server, 'url' | 'accessKeyId' | 'secretAccessKey'>,
  more: Partial<S3Options> = {},
): S3Options => ({
  bucket: 'films',
  region: 'us-east-1',
  prefix: 'kept/',
  endpoint: url,
  pathStyle: true,
  credentials: { accessKeyId, secretAccessKey },
  ...more,
})

/** The bucket, and a client that sees it as it is. */
export async function makeBucket(server: S3Server): Promise<S3Client> {
  const { bucket: Bucket, region, endpoint, credentials } = optionsOf(server)
  const client = new S3Client({
    region,
    endpoint: endpoint!,
    credentials: credentials!,
    forcePathStyle: true,
  })
  await client.send(new CreateBucketCommand({ Bucket }))
  return client
}

/** Keeps everything in memory; takes any key. */
export async function startMoto(root: string): Promise<S3Server> {
  const port = await freePort()
  const python = readdirSync(join(root, 'usr/bin')).find((name) => /^python3\.\d+$/.test(name))!
  const args = ['-m', 'moto.server', '-H', '127.0.0.1', '-p', String(port)]
  const server = spawnServer(...loaded(root, python, args), {
    url: `http://127.0.0.1:${port}`,
    port,
    stopSignal: 'SIGTERM',
    env: {
      PYTHONHOME: join(root, 'usr'),
      PYTHONPATH: join(root, 'usr/lib/python3/dist-packages'),
      PYTHONDONTWRITEBYTECODE: '1',
    },
  })
  await answers(server)
  return { ...server, accessKeyId: 'any', secretAccessKey: randomBytes(16).toString('hex') }
}

/** Keeps its data beneath `dir`; knows one user, with these keys. */
export async function startRadosgw(root: string, dir: string): Promise<S3Server> {
  const port = await freePort()
  mkdirSync(dir, { recursive: true })
  const settings = {
    dbstore_db_dir: dir,
    rgw_data: dir,
    run_dir: dir,
    log_file: join(dir, 'log'),
    rgw_frontends: `beast endpoint=127.0.0.1:${port}`,
    rgw_enable_apis: 's3',
    plugin_dir: join(libraries(root), 'ceph'),
    erasure_code_dir: join(libraries(root), 'ceph/erasure-code'),
  }
  const lines = Object.entries(settings).map(([name, value]) => `${name} = ${value}`)
  writeFileSync(join(dir, 'ceph.conf'), ['[global]', ...lines, ''].join('\n'))
  const store = [
    `--conf=${join(dir, 'ceph.conf')}`,
    '--name=client.rgw',
    '--no-mon-config',
    '--rgw-backend-store=dbstore',
    '--rgw-config-store=dbstore',
    `--dbstore_config_uri=file:${join(dir, 'config.db')}`,
  ]
  const keys = { accessKeyId: 'films', secretAccessKey: randomBytes(16).toString('hex') }
  await run(
    ...loaded(root, 'radosgw-admin', [
      ...store,
      'user',
      'create',
      '--uid=films',
      '--display-name=films',
      `--access-key=${keys.accessKeyId}`,
      `--secret-key=${keys.secretAccessKey}`,
    ]),
  )
  const server = spawnServer(...loaded(root, 'radosgw', [...store, '-f']), {
    url: `http://127.0.0.1:${port}`,
    port,
    stopSignal: 'SIGTERM',
  })
  await answers(server)
  return { ...server, ...keys }
}

async function answers(server: LocalServer & { output(): string }): Promise<void> {
  let ended: string | undefined
  void server.exited.then((how) => (ended = how))
  for (let tries = 0; tries < 600 && ended === undefined; tries++) {
    const answer = await fetch(server.url, { signal: AbortSignal.timeout(5_000) }).catch(() => null)
    if (answer?.ok) return
    await sleep(100)
  }
  await server.kill()
  throw new Error(`the S3 server does not answer (${ended}): ${server.output().slice(-1_000)}`)
}
