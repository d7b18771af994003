/** Where files are kept, from settings; and the store opened accordingly. */
import { z } from 'zod'
import { openDirectoryStore } from './directory-store.ts'
import type { FileStore } from './file-store.ts'

export const fileSettings = {
  /** `directory` keeps files in FILES_DIR, `s3` in S3_BUCKET. */
  FILES_STORE: z.enum(['directory', 's3']).default('directory'),
  FILES_DIR: z.string().default('.reelkeeper/files'),
  S3_BUCKET: z.string().optional(),
  S3_REGION: z.string().default('us-east-1'),
  /** Before every key in the bucket; empty, or ending with a slash. */
  S3_PREFIX: z
    .string()
    .regex(/^([\w!.*'()-]+\/)*$/, 'must be empty or end with a slash')
    .default(''),
  /** Address of a service other than AWS'. */
  S3_ENDPOINT: z.url({ protocol: /^https?$/ }).optional(),
  S3_PATH_STYLE: z.stringbool().default(false),
  /** Without them the SDK's own chain is asked: environment, files, the pod's role. */
  S3_ACCESS_KEY_ID: z.string().optional(),
  S3_SECRET_ACCESS_KEY: z.string().optional(),
  /** Server-side encryption; with aws:kms also S3_KMS_KEY_ID. */
  S3_ENCRYPTION: z.enum(['AES256', 'aws:kms']).optional(),
  S3_KMS_KEY_ID: z.string().optional(),
  /**
   * CRCs with every part that is put, and held against what is read in one part. Without a value:
   * at AWS, and not at an S3_ENDPOINT, as not all services know them.
   */
  S3_CHECKSUMS: z.stringbool().optional(),
}
export const uploadSettings = {
  /**
   * Where providers reach this gateway (`https://videos.example.com`): from there they fetch images
   * that users sent to us. Without it images go into the requests of providers that take them so.
   */
  PUBLIC_URL: z.url({ protocol: /^https?$/ }).optional(),
}
const schema = z.object(fileSettings)
export type FileSettings = z.infer<typeof schema>

/** @throws when the settings do not say where, or the directory cannot be written to */
export async function openFileStore(settings: FileSettings): Promise<FileStore> {
  if (settings.FILES_STORE === 'directory') return openDirectoryStore(settings.FILES_DIR)
  if (!settings.S3_BUCKET) throw new Error('FILES_STORE is s3: set S3_BUCKET')
  const { openS3Store } = await import('./s3-store.ts')
  const { S3_ACCESS_KEY_ID: accessKeyId, S3_SECRET_ACCESS_KEY: secretAccessKey } = settings
  return openS3Store({
    bucket: settings.S3_BUCKET,
    region: settings.S3_REGION,
    prefix: settings.S3_PREFIX,
    endpoint: settings.S3_ENDPOINT,
    pathStyle: settings.S3_PATH_STYLE,
    credentials: accessKeyId && secretAccessKey ? { accessKeyId, secretAccessKey } : undefined,
    encryption: settings.S3_ENCRYPTION,
    kmsKeyId: settings.S3_KMS_KEY_ID,
    checksums: settings.S3_CHECKSUMS ?? settings.S3_ENDPOINT === undefined,
  })
}
