// Requests to the Kubernetes API server: where it is and who asks comes from the kubeconfig or the pod's service account.

import { request as httpRequest, type IncomingMessage } from 'node:http';
import { Agent, request as httpsRequest, type RequestOptions } from 'node:https';
import { delimiter } from 'node:path';

const IDLE_MS = 30_000;
/** What the library assumes when it finds no configuration at all. */
const NOWHERE = 'http://localhost:8080';
/** An answer of this size is a mistake of ours: lists are read in pages. */
const MAX_ANSWER_BYTES = 64 * 1024 * 1024;
const MAX_MESSAGE_CHARS = 1_000;

/** What the API server refuses. `code` is the HTTP status, `reason` the API's word for it, e.g. `Conflict`. */
export class KubeError extends Error {
  readonly code: number;
  readonly reason: string;

  constructor(code: number, reason: string, message: string) {
    super(message);
    this.code = code;
    this.reason = reason;
  }
}

export interface KubeRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** With its query. */
  readonly path: string;
  readonly body?: unknown;
  /** Default: `application/json`. */
  readonly contentType?: string;
  readonly signal: AbortSignal;
}

export interface Transport {
  /** The open answer, whatever its status. Rejects when there is none. */
  open(request: KubeRequest): Promise<IncomingMessage>;
  /** The parsed answer. @throws KubeError for statuses from 400 on. */
  ask(request: KubeRequest): Promise<unknown>;
  close(): void;
}

/** Loads the client library first (some 80 MB): only where Kubernetes is used. @throws Error with one line when there is no configuration. */
export async function openTransport({ kubeconfig }: { readonly kubeconfig?: string | undefined } = {}): Promise<Transport> {
  const { KubeConfig } = await import('@kubernetes/client-node');
  const config = new KubeConfig();
  try {
    // Several files in one variable are the library's to merge.
    if (kubeconfig === undefined || kubeconfig === '' || kubeconfig.includes(delimiter)) config.loadFromDefault();
    else config.loadFromFile(kubeconfig);
  } catch (error) {
    throw new Error(`the kubeconfig${kubeconfig ? ` ${kubeconfig}` : ''} cannot be read: ${(error as Error).message}`);
  }
  const cluster = config.getCurrentCluster();
  if (!cluster || cluster.server === NOWHERE) throw new Error('no Kubernetes cluster is configured: run this in a pod, or set KUBECONFIG');
  const server = new URL(cluster.server);
  const agent = new Agent({ keepAlive: true, timeout: IDLE_MS, maxSockets: 64 });

  const open = async ({ method, path, body, contentType = 'application/json', signal }: KubeRequest): Promise<IncomingMessage> => {
    signal.throwIfAborted();
    const options: RequestOptions = { method, host: server.hostname.replace(/^\[|\]$/g, ''), headers: {}, signal };
    options.port = server.port || (server.protocol === 'https:' ? 443 : 80);
    options.path = server.pathname.replace(/\/$/, '') + path;
    // Reads a service account's token anew before it expires.
    await config.applyToHTTPSOptions(options);
    if (server.protocol !== 'https:') delete options.agent;
    else if (cluster.proxyUrl === undefined) options.agent = agent;
    const text = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
    options.headers = {
      ...(options.headers as Record<string, string>),
      accept: 'application/json',
      ...(text && { 'content-type': contentType, 'content-length': String(text.length) }),
    };
    return new Promise((resolve, reject) => {
      const outgoing = (server.protocol === 'https:' ? httpsRequest : httpRequest)(options, (answer) => {
        // Whoever reads on hears of it; whoever does not, need not.
        answer.on('error', () => {});
        resolve(answer);
      });
      outgoing.on('error', (error) => reject(signal.aborted ? (signal.reason as Error) : error));
      outgoing.end(text);
    });
  };

  return {
    open,
    async ask(request) {
      const answer = await open(request);
      const text = await textOf(answer);
      const { statusCode = 0 } = answer;
      if (statusCode >= 400) throw errorOf(statusCode, text);
      return text === '' ? undefined : (JSON.parse(text) as unknown);
    },
    close: () => agent.destroy(),
  };
}

/** What the server said about why it refuses (a `Status` object), cut to what a log line can hold. */
export function errorOf(code: number, text: string): KubeError {
  try {
    const { reason, message } = JSON.parse(text) as { reason?: unknown; message?: unknown };
    return new KubeError(code, typeof reason === 'string' ? reason : '', String(message ?? code).slice(0, MAX_MESSAGE_CHARS));
  } catch {
    return new KubeError(code, '', `the API server answers ${code}: ${text.slice(0, 200)}`);
  }
}

export async function textOf(answer: IncomingMessage): Promise<string> {
  const pieces: Buffer[] = [];
  let size = 0;
  for await (const piece of answer as AsyncIterable<Buffer>) {
    size += piece.length;
    if (size > MAX_ANSWER_BYTES) throw new Error(`the API server's answer is larger than ${MAX_ANSWER_BYTES} bytes`);
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString('utf8');
}
