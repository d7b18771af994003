/**
 * `initializeApp()` stood here and started a polling service inside the web server, once for each
 * of its processes, gone with each restart. Nothing is started any more: Reelkeeper polls, in
 * processes of its own.
 */
import type { Metadata } from 'next'
import type { ReactNode } from 'react'

export const metadata: Metadata = { title: 'A scene' }

export default function RootLayout({ children }: { children: ReactNode }) {
  return (
    <html lang="en">
      <body
        style={{ font: '16px/1.5 system-ui, sans-serif', maxWidth: '32rem', margin: '2rem auto' }}
      >
        {children}
      </body>
    </html>
  )
}
