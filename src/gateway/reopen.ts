// Opening a session again on an instance, as the client opened it: its own initialize, initialized, level and subscriptions.

import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { UpstreamSessionId } from '../core/ids.ts';
import type { Backend, Instance } from '../directory/snapshot.ts';
import { upstreamIdFault } from '../session/session-id.ts';
import type { SessionRecord } from '../session/store.ts';
import type { TicketCaller } from '../session/ticket.ts';
import { identityHeaders } from './identity-headers.ts';
import { resultOf } from './rpc-answer.ts';
import { type CallUpstream, UpstreamUnreachable } from './upstream.ts';

const INITIALIZE_TIMEOUT_MS = 15_000;
const FOLLOW_UP_TIMEOUT_MS = 5_000;
const PING_TIMEOUT_MS = 3_000;
const MAX_PINGS = 10;
const PING_PAUSE_MS = 100;

export interface SessionTarget {
  readonly backend: Backend;
  readonly instance: Instance;
  readonly authority: string;
  readonly caller: TicketCaller;
}

export interface Reopener {
  /**
   * Whether the session still lives on the instance. False only on proof: the connection was refused, or the instance
   * answered 404 or 400 to a ping. Anything else counts as alive, so that no session is opened twice on a guess.
   */
  alive(target: SessionTarget, upstreamId: UpstreamSessionId, protocolVersion: string | undefined): Promise<boolean>;
  /** Throws UpstreamUnreachable, an Error that says which step the instance refused, or the signal's reason. */
  reopen(target: SessionTarget, record: SessionRecord, signal: AbortSignal): Promise<Reopened>;
  /** Ends a session that has been opened in vain. Never throws: its instance ends it for idleness otherwise. */
  abandon(target: SessionTarget, upstreamId: UpstreamSessionId): Promise<void>;
}

export interface Reopened {
  /** Empty when the server keeps no session: then none of its requests carries an id. */
  readonly upstreamId: UpstreamSessionId;
  /** What the new session refused to take over of the old one. */
  readonly warnings: readonly string[];
}

export function createReopener(call: CallUpstream): Reopener {
  const post = (
    target: SessionTarget,
    message: string,
    extra: Record<string, string>,
    timeoutMs: number,
    signal?: AbortSignal,
    until?: (text: Buffer) => boolean,
  ) =>
    call({
      method: 'POST',
      instance: target.instance,
      backend: target.backend,
      authority: target.authority,
      headers: {
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        ...Object.fromEntries(identityHeaders(target.caller)),
        ...extra,
      },
      body: message,
      timeoutMs,
      ...(signal ? { signal } : {}),
      ...(until ? { until } : {}),
    });

  const abandon = async (target: SessionTarget, upstreamId: UpstreamSessionId): Promise<void> => {
    if (!upstreamId) return;
    await call({
      method: 'DELETE',
      instance: target.instance,
      backend: target.backend,
      authority: target.authority,
      headers: { ...sessionHeader(upstreamId), ...Object.fromEntries(identityHeaders(target.caller)) },
      body: '',
      timeoutMs: FOLLOW_UP_TIMEOUT_MS,
    }).catch(() => {});
  };

  return {
    async alive(target, upstreamId, protocolVersion) {
      const session = {
        ...sessionHeader(upstreamId),
        ...(protocolVersion === undefined ? {} : { 'mcp-protocol-version': protocolVersion }),
      };
      for (let attempt = 1; ; attempt += 1) {
        const id = newId();
        try {
          const ping = `{"jsonrpc":"2.0","id":"${id}","method":"ping"}`;
          const answer = await post(target, ping, session, PING_TIMEOUT_MS, undefined, (text) => text.includes(id));
          return answer.status !== 404 && answer.status !== 400;
        } catch (error) {
          if (error instanceof UpstreamUnreachable && error.how === 'refused') return false;
          // A process that is being torn down still accepts connections and breaks them; a moment later it refuses.
          if (attempt === MAX_PINGS) return true;
          await delay(PING_PAUSE_MS);
        }
      }
    },

    async reopen(target, record, signal) {
      const id = newId();
      const opened = await post(
        target,
        `{"jsonrpc":"2.0","id":"${id}","method":"initialize","params":${record.initialize}}`,
        {},
        INITIALIZE_TIMEOUT_MS,
        signal,
        (text) => text.includes(id),
      );
      if (opened.status < 200 || opened.status > 299) throw new Error(`initialize was answered with HTTP ${opened.status}`);
      const version = (resultOf(opened, id) as { protocolVersion?: unknown } | undefined)?.protocolVersion;
      if (typeof version !== 'string') throw new Error('initialize was answered with an error');
      const upstreamId = [opened.headers['mcp-session-id'] ?? ''].flat().join(', ') as UpstreamSessionId;
      const fault = upstreamIdFault(upstreamId);
      if (fault !== undefined) {
        void abandon(target, upstreamId);
        throw new Error(fault);
      }
      const session = { ...sessionHeader(upstreamId), 'mcp-protocol-version': version };

      try {
        const notification = '{"jsonrpc":"2.0","method":"notifications/initialized"}';
        const initialized = await post(target, notification, session, FOLLOW_UP_TIMEOUT_MS, signal);
        if (initialized.status > 299) throw new Error(`notifications/initialized was answered with HTTP ${initialized.status}`);
      } catch (error) {
        void abandon(target, upstreamId);
        throw error;
      }

      const warnings: string[] = [];
      for (const [method, params] of followUps(record)) {
        const followUp = newId();
        const message = JSON.stringify({ jsonrpc: '2.0', id: followUp, method, params });
        try {
          const answer = await post(target, message, session, FOLLOW_UP_TIMEOUT_MS, signal, (text) => text.includes(followUp));
          if (answer.status > 299) warnings.push(`${method} was answered with HTTP ${answer.status}`);
        } catch (error) {
          warnings.push(`${method}: ${(error as Error).message}`);
          // A client waits: with hundreds of subscriptions, one time-out for each would be the end of it.
          break;
        }
      }
      return { upstreamId, warnings };
    },

    abandon,
  };
}

function sessionHeader(upstreamId: UpstreamSessionId): Record<string, string> {
  return upstreamId ? { 'mcp-session-id': upstreamId } : {};
}

function* followUps(record: SessionRecord): Generator<[method: string, params: object]> {
  if (record.level !== undefined) yield ['logging/setLevel', { level: record.level }];
  for (const uri of record.subscriptions) yield ['resources/subscribe', { uri }];
}

/** Unguessable, so that finding it in a stream means that the answer has come. */
function newId(): string {
  return `mcp-gateway-${randomBytes(9).toString('base64url')}`;
}
