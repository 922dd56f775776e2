// Authenticated encryption of short texts: `version | key id | nonce | ciphertext | tag`, base64url.

import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import type { KeyRing } from './key-ring.ts';

/** What a sealed text is for. A text sealed for one purpose never opens for another: the purpose is authenticated with it. */
export type Purpose = 'session' | 'ticket-a' | 'ticket-b';

export interface Sealer {
  seal(purpose: Purpose, plain: Buffer): string;
  /** Undefined for anything that this ring did not seal for this purpose: wrong version, key, purpose, or a changed bit. */
  open(purpose: Purpose, sealed: string): Buffer | undefined;
}

const VERSION = 1;
const KEY_ID_BYTES = 4;
const NONCE_BYTES = 12;
const NONCE_PREFIX_BYTES = 8;
const TAG_BYTES = 16;
const HEADER_BYTES = 1 + KEY_ID_BYTES;
const CIPHER = 'aes-256-gcm';

/** Longer texts are not even decoded. Envoy refuses header blocks above 32 KiB in any case. */
const MAX_SEALED_CHARS = 32_768;

const AAD: Record<Purpose, Buffer> = {
  session: Buffer.from('mcp-gateway session v1'),
  'ticket-a': Buffer.from('mcp-gateway ticket-a v1'),
  'ticket-b': Buffer.from('mcp-gateway ticket-b v1'),
};

/**
 * AES-256-GCM with nonces of 8 random bytes and a 32-bit counter. The random part is new for each process and whenever the
 * counter runs out, so that the number of messages under one key is not bounded by the birthday limit of 96 random bits
 * (NIST SP 800-38D, 8.2.1: a deterministic construction).
 */
export function createSealer(ring: KeyRing): Sealer {
  const nonce = randomBytes(NONCE_BYTES);
  nonce.writeUInt32BE(0, NONCE_PREFIX_BYTES);

  const nextNonce = (): Buffer => {
    const count = nonce.readUInt32BE(NONCE_PREFIX_BYTES);
    if (count === 0xffff_ffff) randomBytes(NONCE_PREFIX_BYTES).copy(nonce);
    nonce.writeUInt32BE((count + 1) >>> 0, NONCE_PREFIX_BYTES);
    return nonce;
  };

  return {
    seal(purpose, plain) {
      const key = ring.sealing();
      const sealed = Buffer.allocUnsafe(HEADER_BYTES + NONCE_BYTES + plain.length + TAG_BYTES);
      sealed[0] = VERSION;
      sealed.write(key.id, 1, KEY_ID_BYTES, 'hex');
      const iv = nextNonce();
      iv.copy(sealed, HEADER_BYTES);
      const cipher = createCipheriv(CIPHER, key.secret, iv);
      cipher.setAAD(AAD[purpose]);
      let at = HEADER_BYTES + NONCE_BYTES;
      at += cipher.update(plain).copy(sealed, at);
      cipher.final();
      cipher.getAuthTag().copy(sealed, at);
      return sealed.toString('base64url');
    },

    open(purpose, sealed) {
      if (sealed.length > MAX_SEALED_CHARS) return undefined;
      const bytes = Buffer.from(sealed, 'base64url');
      if (bytes.length < HEADER_BYTES + NONCE_BYTES + TAG_BYTES || bytes[0] !== VERSION) return undefined;
      // Base64 decoding forgives: only the one canonical spelling is an id, so that nobody can make a second name for a session.
      if (bytes.toString('base64url') !== sealed) return undefined;
      const key = ring.opening(bytes.toString('hex', 1, HEADER_BYTES));
      if (!key) return undefined;
      const decipher = createDecipheriv(CIPHER, key.secret, bytes.subarray(HEADER_BYTES, HEADER_BYTES + NONCE_BYTES));
      decipher.setAAD(AAD[purpose]);
      decipher.setAuthTag(bytes.subarray(bytes.length - TAG_BYTES));
      const plain = decipher.update(bytes.subarray(HEADER_BYTES + NONCE_BYTES, bytes.length - TAG_BYTES));
      try {
        decipher.final();
      } catch {
        return undefined;
      }
      return plain;
    },
  };
}
