// Keys, grants and session records for tests of the modules that hold them.

import type { BackendName, InstanceId, SessionKey, TenantId, UpstreamSessionId } from '../../src/core/ids.ts';
import { createKeyRing, type RingKey } from '../../src/session/key-ring.ts';
import { createSealer, type Sealer } from '../../src/session/seal.ts';
import type { Grant } from '../../src/session/session-id.ts';
import type { SessionRecord } from '../../src/session/store.ts';

export const ringKey = (id: string, sealFrom = 0): RingKey => ({ id, secret: Buffer.alloc(32, id), sealFrom });

export const testSealer = (): Sealer => createSealer(createKeyRing([ringKey('00000001')], () => 1));

export const sessionKey = (text: string): SessionKey => Buffer.alloc(16, text).toString('base64url') as SessionKey;

export function grantOf(over: Partial<Record<keyof Grant, unknown>> = {}): Grant {
  return {
    key: sessionKey('a'),
    backend: 'memory' as BackendName,
    instance: 'i1' as InstanceId,
    upstreamId: 'up-1' as UpstreamSessionId,
    caller: Buffer.alloc(32, 7),
    tenant: 'default' as TenantId,
    issuedAt: 1_000,
    ...(over as Partial<Grant>),
  };
}

export function recordOf(over: Partial<SessionRecord> = {}): SessionRecord {
  return {
    key: sessionKey('a'),
    backend: 'memory' as BackendName,
    issuer: 'local',
    subject: 'local',
    tenant: 'default' as TenantId,
    createdAt: 0,
    expiresAt: 9e12,
    initialize: '{"protocolVersion":"2025-06-18"}',
    level: undefined,
    subscriptions: [],
    binding: { generation: 0, instance: 'i1' as InstanceId, upstreamId: 'up-1' as UpstreamSessionId },
    end: undefined,
    streamGeneration: 0,
    ...over,
  };
}

export const binding = (instance: string, upstreamId: string) => ({
  instance: instance as InstanceId,
  upstreamId: upstreamId as UpstreamSessionId,
});
