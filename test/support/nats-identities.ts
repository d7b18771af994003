/**
 * What a nats-server and a service know each other by, made anew: certificates by openssl, and
 * the JWTs of an operator, an account and a user, as `nsc` would write them.
 */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { nkeys } from 'nats'

type KeyPair = ReturnType<typeof nkeys.createUser>
const base64url = (text: string | Uint8Array) => Buffer.from(text).toString('base64url')
export const seedText = (key: KeyPair) => Buffer.from(key.getSeed()).toString()

function jwt(issuer: KeyPair, subject: string, name: string, nats: object): string {
  const claims = { iss: issuer.getPublicKey(), sub: subject, name, iat: 1, nats }
  const jti = createHash('sha256').update(JSON.stringify(claims)).digest('hex')
  const head = base64url(JSON.stringify({ typ: 'JWT', alg: 'ed25519-nkey' }))
  const signed = `${head}.${base64url(JSON.stringify({ ...claims, jti }))}`
  return `${signed}.${base64url(issuer.sign(Buffer.from(signed)))}`
}

const limits = { subs: -1, data: -1, payload: -1 }

/** Lines of a server's configuration, and the text of the `.creds` file of its only user. */
export function operatorMode(): { config: string; creds: string } {
  const [operator, account, user] = [
    nkeys.createOperator(),
    nkeys.createAccount(),
    nkeys.createUser(),
  ]
  const id = account.getPublicKey()
  const ofOperator = jwt(operator, operator.getPublicKey(), 'O', { type: 'operator', version: 2 })
  const ofAccount = jwt(operator, id, 'A', {
    type: 'account',
    version: 2,
    limits: { ...limits, conn: -1, imports: -1, exports: -1, wildcards: true, leaf: -1 },
  })
  const ofUser = jwt(account, user.getPublicKey(), 'U', { type: 'user', version: 2, ...limits })
  return {
    config: `operator: ${ofOperator}\nresolver: MEMORY\nresolver_preload: { ${id}: ${ofAccount} }`,
    creds: `-----BEGIN NATS USER JWT-----
${ofUser}
------END NATS USER JWT------

-----BEGIN USER NKEY SEED-----
${seedText(user)}
------END USER NKEY SEED------
`,
  }
}

export interface Certificates {
  ca: string
  cert: string
  key: string
}

/** Files in `dir`: an authority of its own, and what it has signed for 127.0.0.1 and a client. */
export function certificates(dir: string, name: string): Certificates {
  const at = (file: string) => join(dir, `${name}-${file}`)
  const openssl = (...args: string[]) => {
    const done = spawnSync('openssl', args, { encoding: 'utf8' })
    if (done.status !== 0) throw new Error(`openssl ${args[0]}: ${done.stderr}`)
  }
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2']
  const [caKey, ca] = [at('ca.key'), at('ca.pem')]
  openssl('req', '-x509', ...key, '-subj', `/CN=${name}`, '-keyout', caKey, '-out', ca)
  writeFileSync(at('ext'), 'subjectAltName=IP:127.0.0.1,DNS:localhost\n')
  const request = ['-subj', '/CN=gateway', '-keyout', at('key.pem'), '-out', at('csr')]
  openssl('req', ...key.filter((one) => !['-days', '2'].includes(one)), ...request)
  const signed = ['-CA', ca, '-CAkey', caKey, '-CAcreateserial', '-days', '2']
  openssl(
    'x509',
    '-req',
    '-in',
    at('csr'),
    ...signed,
    '-extfile',
    at('ext'),
    '-out',
    at('cert.pem'),
  )
  return { ca, cert: at('cert.pem'), key: at('key.pem') }
}
