// The secret of a `url:` backend's `upstreamAuth`: read from its file or variable, and read again, so that a rotated one is taken up.

import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { UpstreamAuth } from '../../config/upstream-auth.ts';
import type { Environment } from './environment.ts';

/** Larger ones are no tokens, and servers refuse such headers. */
const MAX_SECRET_BYTES = 8192;
const LINE_BREAK_BYTES = 2;
/** A small file read so often costs nothing; watching folders misses the mounted ones. */
const POLL_MS = 1000;
/** Anything else ends the header, or is read differently by different servers. White space at the ends would be lost on the way. */
const HEADER_VALUE = /^[\x21-\x7e]([\x20-\x7e\t]*[\x21-\x7e])?$/;

/** `problem` is for people: it names the place, never the contents. */
export type UpstreamSecret = { readonly value: string } | { readonly problem: string };

export interface SecretSource {
  readonly auth: UpstreamAuth;
  readonly home: string;
  readonly environment: Environment;
}

/** Tells the secret at once and, when it is a file, after each change until `signal` aborts. */
export async function watchUpstreamSecret(
  options: SecretSource & { onChange: (secret: UpstreamSecret) => void; signal: AbortSignal; pollMs?: number | undefined },
): Promise<void> {
  const { onChange, signal, pollMs = POLL_MS } = options;
  let last: string | undefined;
  while (!signal.aborted) {
    const secret = await readUpstreamSecret(options);
    if (signal.aborted) {
      return;
    }
    const now = JSON.stringify(secret);
    if (now !== last) {
      last = now;
      onChange(secret);
    }
    if (options.auth.valueFrom.env !== undefined) {
      return;
    }
    await delay(pollMs, undefined, { signal }).catch(() => undefined);
  }
}

/** The value that the header gets, with its prefix; or why there is none. Never throws. */
async function readUpstreamSecret({ auth, home, environment }: SecretSource): Promise<UpstreamSecret> {
  const { secretKeyRef, env } = auth.valueFrom;
  const place = secretKeyRef === undefined ? `the variable ${env}` : join(home, 'secrets', secretKeyRef.name, secretKeyRef.key);
  const problem = (what: string): UpstreamSecret => ({ problem: `the secret for ${auth.header} ${what}: ${place}` });
  const text = secretKeyRef === undefined ? environment[env ?? ''] : await readSmallFile(place);
  if (text === undefined) {
    return problem('is not set');
  }
  if (typeof text !== 'string') {
    return problem(`cannot be read (${text.code})`);
  }
  // One line break at the end belongs to the editor, not to the secret.
  const bare = text.replace(/\r?\n$/, '');
  if (bare === '') {
    return problem('is empty');
  }
  if (bare.length > MAX_SECRET_BYTES) {
    return problem(`is longer than ${MAX_SECRET_BYTES} bytes`);
  }
  if (!HEADER_VALUE.test(bare)) {
    return problem('holds something that a header cannot carry (a line break, a space at an end, or other than ASCII)');
  }
  return { value: `${auth.prefix ?? ''}${bare}` };
}

/** At most a little more than the limit; or the code of the error. */
async function readSmallFile(file: string): Promise<string | { readonly code: string }> {
  try {
    // Not blocking: opening a named pipe would wait for somebody who writes to it.
    const handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const { buffer, bytesRead } = await handle.read(Buffer.alloc(MAX_SECRET_BYTES + LINE_BREAK_BYTES + 1), { position: 0 });
      return buffer.toString('latin1', 0, bytesRead);
    } finally {
      await handle.close();
    }
  } catch (error) {
    return { code: (error as NodeJS.ErrnoException).code ?? 'unknown' };
  }
}
