// The token that local control asks for: a random one in a file that only its owner can read, and how a request shows it.

import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { type FileHandle, open, rename, rm, writeFile } from 'node:fs/promises';

const TOKEN_BYTES = 32;
/** What `TOKEN_BYTES` make in base64url. */
const TOKEN = /^[\w-]{43}$/;
/** A token file is one line; nothing longer is read into memory. */
const MAX_FILE_BYTES = 1_024;
const OTHERS = 0o077;
const BEARER = /^bearer +([^\s]+) *$/i;

/** Keeps the token that is there. One that others could read is replaced: who has read it shall not go on with it. */
export async function loadOrCreateToken(file: string): Promise<string> {
  const known = await readFileOf(file);
  if (known && !known.exposed) return tokenOf(known.text, file);
  const token = randomBytes(TOKEN_BYTES).toString('base64url');
  const temporary = `${file}.${process.pid}.tmp`;
  // One that a crash has left could have any mode.
  await rm(temporary, { force: true });
  await writeFile(temporary, `${token}\n`, { mode: 0o600, flag: 'wx' });
  await rename(temporary, file);
  return token;
}

/** Undefined when there is none. @throws Error with one line, without the content, when the file holds something else. */
export async function readToken(file: string): Promise<string | undefined> {
  const known = await readFileOf(file);
  return known && tokenOf(known.text, file);
}

/** Tells of a request's `Authorization` whether it shows the token. Takes the same time for every wrong one. */
export function createTokenCheck(token: string): (authorization: string | undefined) => boolean {
  const expected = digest(token);
  return (authorization) => timingSafeEqual(digest(BEARER.exec(authorization ?? '')?.[1] ?? ''), expected);
}

/** Of equal length, whatever was sent. */
function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

async function readFileOf(file: string): Promise<{ readonly text: string; readonly exposed: boolean } | undefined> {
  let handle: FileHandle | undefined;
  try {
    handle = await open(file, 'r');
    // Of the open file, so that mode and content are of the same one.
    const { mode } = await handle.stat();
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(MAX_FILE_BYTES), 0, MAX_FILE_BYTES, 0);
    return { text: buffer.toString('utf8', 0, bytesRead), exposed: (mode & OTHERS) !== 0 };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new Error(`the control token in ${file} cannot be read: ${(error as Error).message}`);
  } finally {
    await handle?.close();
  }
}

function tokenOf(text: string, file: string): string {
  const token = text.trim();
  if (!TOKEN.test(token)) throw new Error(`${file} holds no control token: remove it, and start the gateway again to get a new one`);
  return token;
}
