// What the bench uses of packages that only bench/peers installs.

declare module 'bullmq' {
  interface Job {
    data: { id: string; dueAt: number }
    updateData(data: unknown): Promise<void>
    moveToDelayed(at: number, token?: string): Promise<void>
  }
  export class DelayedError extends Error {}
  export class Queue {
    constructor(name: string, options: object)
    add(name: string, data: object): Promise<unknown>
    addBulk(jobs: object[]): Promise<unknown>
  }
  export class Worker {
    constructor(name: string, handle: (job: Job, token?: string) => Promise<void>, options: object)
    on(event: 'error', listener: (err: Error) => void): this
  }
}

declare module 'pg-boss' {
  export class PgBoss {
    constructor(options: object)
    on(event: 'error', listener: (err: Error) => void): this
    start(): Promise<this>
    createQueue(name: string): Promise<void>
    work(
      name: string,
      options: object,
      handle: (jobs: { data: { id: string; dueAt: number } }[]) => Promise<void>,
    ): Promise<string>
    send(name: string, data: object): Promise<unknown>
    insert(name: string, jobs: object[]): Promise<unknown>
  }
}

declare module 'graphile-worker' {
  interface Helpers {
    addJob(task: string, payload: object, options: { runAt: Date }): Promise<unknown>
  }
  export function run(options: {
    taskList: Record<string, (payload: unknown, helpers: Helpers) => Promise<void>>
    [option: string]: unknown
  }): Promise<{ promise: Promise<void> }>
}
