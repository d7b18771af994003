import { z } from 'zod'
import { fileSettings } from '#libs/files/settings.ts'
import { edgeSettings, providerSettings } from '#libs/provider/settings.ts'
import { keyEncryptionKey } from '#libs/runtime/secrets.ts'
import { milliseconds, natsSettings, serviceSettings } from '#libs/runtime/config.ts'

export const archiverSettings = z.object({
  ...serviceSettings,
  ...fileSettings,
  ...edgeSettings,
  ...providerSettings,
  KEY_ENCRYPTION_KEY: keyEncryptionKey.optional(),
  DATABASE_URL: z.string(),
  ...natsSettings,
  /**
   * Files fetched at once by one archiver, without those that take longer than 30 s or are silent:
   * of these three times as many run beside, at most. One user has a quarter of this number.
   */
  ARCHIVE_CONCURRENCY: z.coerce.number().int().min(4).max(1_000).default(24),
  /** The largest file that is kept, in bytes. */
  FILE_MAX_BYTES: z.coerce
    .number()
    .int()
    .min(1)
    .default(4 * 1024 ** 3),
  /** The longest that one fetch may take. */
  FILE_TIMEOUT_MS: milliseconds(1_800_000, 1_000),
  /** Silence for this long breaks a connection, which is then made again where it stopped. */
  FILE_STALL_MS: milliseconds(30_000, 100),
  /**
   * Path of ffmpeg (a bare name is looked for in /usr/bin and /bin), which makes a poster and a
   * strip of frames of each file. Without it there are none.
   */
  FFMPEG: z.string().optional(),
  /** Uploads that nothing has used for so long are deleted. */
  UPLOAD_UNUSED_MS: milliseconds(86_400_000, 1_000),
  /** Hosts (`name:port`, comma-separated) whose links may lead into a private network. */
  FILE_TRUSTED_HOSTS: z
    .string()
    .default('')
    .transform((text) => new Set(text.split(',').filter(Boolean))),
})
export type ArchiverConfig = z.infer<typeof archiverSettings>
