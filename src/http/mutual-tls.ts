// The files of a server that shows a certificate and asks for one: read at the start, and again when they change.

import { readFileSync, unwatchFile, watchFile } from 'node:fs';
import type { Logger } from 'pino';

const POLL_MS = 10_000;

export interface TlsFiles {
  readonly certFile: string;
  readonly keyFile: string;
  /** Whose client certificates are accepted. */
  readonly caFile: string;
}

export interface TlsContents {
  readonly cert: Buffer;
  readonly key: Buffer;
  readonly ca: Buffer;
}

/** @throws when one of them cannot be read. */
export function readTlsFiles({ certFile, keyFile, caFile }: TlsFiles): TlsContents {
  return { cert: readFileSync(certFile), key: readFileSync(keyFile), ca: readFileSync(caFile) };
}

/** What cannot be used, such as a key that does not yet fit its certificate, leaves the last good files in force. */
export function followTlsFiles(files: TlsFiles, use: (contents: TlsContents) => void, log: Logger): () => void {
  const reread = (): void => {
    try {
      use(readTlsFiles(files));
    } catch (err) {
      log.error({ err }, 'certificate not read: the last one stays in force');
    }
  };
  // By name and time: Kubernetes replaces the files of a Secret by moving a folder.
  const names = [files.certFile, files.keyFile, files.caFile];
  for (const name of names) watchFile(name, { interval: POLL_MS, persistent: false }, reread);
  return () => {
    for (const name of names) unwatchFile(name, reread);
  };
}
