/** An identity provider with a JWKS of its own, and the JWTs that it signs. */
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { exportJWK, generateKeyPair, SignJWT, type JWTPayload } from 'jose'

type Key = Awaited<ReturnType<typeof generateKeyPair>>['privateKey']

export class Issuer implements AsyncDisposable {
  readonly name = 'https://issuer.example'
  #server: Server | undefined
  #key: Key | undefined

  async start(): Promise<void> {
    const { publicKey, privateKey } = await generateKeyPair('ES256', { extractable: true })
    this.#key = privateKey
    const jwk = { ...(await exportJWK(publicKey)), kid: 'k1', alg: 'ES256', use: 'sig' }
    const server = createServer((_request, response) =>
      response
        .writeHead(200, { 'content-type': 'application/json' })
        .end(JSON.stringify({ keys: [jwk] })),
    )
    this.#server = server
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  }

  /** What a gateway is given to trust it. */
  get settings() {
    const { port } = this.#server!.address() as AddressInfo
    return {
      JWKS_URL: `http://127.0.0.1:${port}/jwks`,
      JWT_ISSUER: this.name,
      JWT_AUDIENCE: 'reelkeeper',
    }
  }

  sign(
    claims: JWTPayload,
    over: { iss?: string; aud?: string; exp?: string; key?: Key } = {},
  ): Promise<string> {
    return new SignJWT(claims)
      .setProtectedHeader({ alg: 'ES256', kid: 'k1' })
      .setIssuer(over.iss ?? this.name)
      .setAudience(over.aud ?? 'reelkeeper')
      .setIssuedAt()
      .setExpirationTime(over.exp ?? '5m')
      .sign(over.key ?? this.#key!)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server?.close()
  }
}
