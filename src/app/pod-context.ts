// What the processes of the gateway's pods on Kubernetes get from whoever starts them.

export interface PodContext {
  /** Asks for an orderly end. */
  readonly signal: AbortSignal;
  readonly env: NodeJS.ProcessEnv;
  /** Where log lines go. */
  readonly output: { write(text: string | Uint8Array): unknown };
}
