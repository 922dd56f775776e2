// The names of the cluster: tells pods the addresses of Services, by what the API server says at that moment.

import { createSocket } from 'node:dgram';
import { Agent, get } from 'node:https';
import type { Access } from '../cluster/kubeconfig.ts';
import { readQuestion, writeAnswer } from './dns-message.ts';

const ASK_TIMEOUT_MS = 2_000;
/** `service.namespace`, or one pod of it by its hostname. */
const SERVICE_NAME = /^(?:([a-z0-9-]+)\.)?([a-z0-9-]+)\.([a-z0-9-]+)\.svc\.cluster\.local$/;

interface Service {
  readonly spec: { readonly clusterIP?: string; readonly publishNotReadyAddresses?: boolean };
}
interface Endpoints {
  readonly addressType: string;
  readonly endpoints?: readonly {
    readonly addresses: readonly string[];
    readonly hostname?: string;
    readonly conditions: { readonly ready?: boolean };
  }[];
}

/** Listens for UDP on port 53 of an address. */
export async function startDns(address: string, access: Access): Promise<{ close(): void }> {
  const agent = new Agent({ keepAlive: true, ca: access.ca });
  const socket = createSocket('udp4');
  socket.on('message', (message, { port, address: from }) => {
    const question = readQuestion(message);
    if (question === undefined) return;
    // Whoever gets no answer asks again.
    addressesOf(question.name, (path) => ask(path, access, agent)).then(
      (addresses) => socket.send(writeAnswer(question, addresses), port, from),
      () => {},
    );
  });
  await new Promise<void>((done, fail) => socket.once('error', fail).bind(53, address, done));
  return {
    close() {
      socket.close();
      agent.destroy();
    },
  };
}

async function addressesOf(name: string, read: (path: string) => Promise<unknown>): Promise<readonly string[] | undefined> {
  const [, host, service, namespace] = SERVICE_NAME.exec(name) ?? [];
  if (service === undefined) return undefined;
  const found = (await read(`/api/v1/namespaces/${namespace}/services/${service}`)) as Service | undefined;
  if (found === undefined) return undefined;
  const { clusterIP = 'None', publishNotReadyAddresses = false } = found.spec;
  if (clusterIP !== 'None') return host === undefined ? [clusterIP] : undefined;
  const slices = `/apis/discovery.k8s.io/v1/namespaces/${namespace}/endpointslices?labelSelector=kubernetes.io%2Fservice-name%3D${service}`;
  const { items } = (await read(slices)) as { items: readonly Endpoints[] };
  const endpoints = items
    .filter(({ addressType }) => addressType === 'IPv4')
    .flatMap((slice) => slice.endpoints ?? [])
    .filter(({ conditions, hostname }) => (publishNotReadyAddresses || conditions.ready !== false) && (host ?? hostname) === hostname);
  return endpoints.length === 0 ? undefined : endpoints.flatMap(({ addresses }) => addresses);
}

/** @returns `undefined` for what is not there */
function ask(path: string, { url, token }: Access, agent: Agent): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const asked = get(`${url}${path}`, { agent, timeout: ASK_TIMEOUT_MS, headers: { authorization: `Bearer ${token}` } }, (answer) => {
      let text = '';
      answer.setEncoding('utf8').on('data', (piece: string) => {
        text += piece;
      });
      answer.once('error', reject).once('end', () => {
        if (answer.statusCode === 404) resolve(undefined);
        else if (answer.statusCode === 200) resolve(JSON.parse(text));
        else reject(new Error(`status ${answer.statusCode}`));
      });
    });
    asked.once('error', reject).once('timeout', () => asked.destroy(new Error('no answer in time')));
  });
}
