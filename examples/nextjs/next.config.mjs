/** @type {import('next').NextConfig} */
export default {
  // The client is TypeScript as it is.
  transpilePackages: ['@reelkeeper/client'],
  turbopack: { root: import.meta.dirname },
}
