// Envoy's admin interface on its unix socket: readiness, the port it really listens on, draining.

import { request } from 'node:http';

const TIMEOUT_MS = 2_000;

export interface EnvoyAdmin {
  /** True once Envoy takes traffic. */
  ready(): Promise<boolean>;
  /** `host:port` that the listener is bound to. */
  listenAddress(): Promise<{ host: string; port: number }>;
  /** New connections are refused politely, open ones are told to close after their next answer. */
  drain(): Promise<void>;
  /** Requests under way, streams included. */
  activeRequests(): Promise<number>;
  /** Requests under way, streams included, by the address of the instance (`ip:port`). */
  activeByAddress(): Promise<ReadonlyMap<string, number>>;
}

export function createEnvoyAdmin(socket: string): EnvoyAdmin {
  const ask = (method: 'GET' | 'POST', path: string): Promise<{ status: number; body: string }> =>
    new Promise((resolve, reject) => {
      const outgoing = request({ socketPath: socket, method, path, timeout: TIMEOUT_MS, agent: false }, (answer) => {
        let body = '';
        answer.setEncoding('utf8');
        answer.on('data', (chunk: string) => {
          body += chunk;
        });
        answer.on('end', () => resolve({ status: answer.statusCode ?? 0, body }));
        answer.on('error', reject);
      });
      outgoing.on('timeout', () => outgoing.destroy(new Error('Envoy admin: no answer')));
      outgoing.on('error', reject);
      outgoing.end();
    });

  return {
    async ready() {
      try {
        return (await ask('GET', '/ready')).status === 200;
      } catch {
        return false;
      }
    },
    async listenAddress() {
      const { body } = await ask('GET', '/listeners?format=json');
      const listeners = JSON.parse(body) as {
        listener_statuses: { local_address: { socket_address: { address: string; port_value: number } } }[];
      };
      const address = listeners.listener_statuses[0]?.local_address.socket_address;
      if (!address) throw new Error('Envoy has no listener');
      return { host: address.address, port: address.port_value };
    },
    async drain() {
      await ask('POST', '/healthcheck/fail');
      await ask('POST', '/drain_listeners?graceful');
    },
    async activeRequests() {
      const { body } = await ask('GET', '/stats?filter=^http\\.mcp\\.downstream_rq_active$');
      return Number(/: (\d+)/.exec(body)?.[1] ?? '0');
    },
    async activeByAddress() {
      const { body } = await ask('GET', '/clusters');
      const active = new Map<string, number>();
      // `pods::10.0.0.5:8000::rq_active::2`, and the same for `remote`.
      for (const [, address = '', count] of body.matchAll(/^(?:pods|remote)::(\S+?)::rq_active::(\d+)$/gm)) {
        active.set(address, (active.get(address) ?? 0) + Number(count));
      }
      return active;
    },
  };
}
