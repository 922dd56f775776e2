// The gRPC server that Envoy asks: Check, Process, StreamAccessLogs and health, on a unix socket, and for an Envoy elsewhere on a TCP port.

import { rmSync } from 'node:fs';
import {
  experimental,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerReadableStream,
  type ServerUnaryCall,
  type ServiceDefinition,
  status as Status,
  type sendUnaryData,
} from '@grpc/grpc-js';
import type { Logger } from 'pino';
import type { Authorize } from '../gateway/authorize.ts';
import { refuse } from '../gateway/refusal.ts';
import type { Decision } from '../gateway/request.ts';
import type { SealAnswer } from '../gateway/seal-answer.ts';
import type { Tracing } from '../telemetry/tracing.ts';
import { type FinishedRequest, type LogMessage, readLogMessage } from './access-log.ts';
import { readCheck, type WireCheckRequest } from './check-request.ts';
import { encodeDecision } from './check-response.ts';
import type { EdgeProof } from './edge-proof.ts';
import { answerProcessing, type WireProcessingRequest, type WireProcessingResponse } from './initialize-answer.ts';
import { loadServices } from './services.ts';

/** The largest message is a Check with 1 MiB of body. */
const MAX_MESSAGE_BYTES = 4 * 1024 * 1024;
/** How long a stop waits for calls that are under way. */
const STOP_TIMEOUT_MS = 5_000;
/** How often certificates are read again. */
const CERTIFICATE_POLL_MS = 10_000;

/** A port for an Envoy elsewhere: with mutual TLS, and only for requests with a proof. */
export interface EdgePolicyPort {
  readonly listen: { readonly host: string; readonly port: number };
  readonly tls: { readonly certFile: string; readonly keyFile: string; readonly caFile: string };
  readonly proof: EdgeProof;
}

export interface PolicyServerOptions {
  readonly socket: string;
  readonly edge?: EdgePolicyPort | undefined;
  readonly authorize: Authorize;
  readonly sealAnswer: SealAnswer;
  /** The requests of one message of the log stream; `log` is the logger's name. */
  readonly onFinished: (finished: readonly FinishedRequest[], log: string) => void;
  /** Whether this process takes traffic: the answer to Envoy's health check. */
  readonly serving: () => boolean;
  /** Undefined when decisions are not traced. */
  readonly tracing?: Pick<Tracing, 'begin'> | undefined;
  readonly log: Logger;
}

export interface PolicyServer {
  /** The port of `edge`. */
  readonly edgePort: number | undefined;
  close(): Promise<void>;
}

/** Listens on the socket, and on the port of `edge`. @throws when one of them cannot be had, or a certificate cannot be read. */
export async function startPolicyServer(options: PolicyServerOptions): Promise<PolicyServer> {
  const { socket, edge } = options;
  const own = createPolicyServer(options, () => true);
  // The socket of a predecessor that was killed is still there; the supervisor starts no two processes for one path.
  rmSync(socket, { force: true });
  await bind(own.server, `unix:${socket}`, ServerCredentials.createInsecure());
  if (edge === undefined) return { edgePort: undefined, close: own.close };
  const others = createPolicyServer(options, edge.proof);
  const { certFile: certificateFile, keyFile: privateKeyFile, caFile: caCertificateFile } = edge.tls;
  const files = new experimental.FileWatcherCertificateProvider({
    ...{ certificateFile, privateKeyFile, caCertificateFile },
    refreshIntervalMs: CERTIFICATE_POLL_MS,
  });
  const { host, port } = edge.listen;
  const address = `${host.includes(':') ? `[${host}]` : host}:${port}`;
  const edgePort = await bind(others.server, address, experimental.createCertificateProviderServerCredentials(files, files, true));
  return {
    edgePort,
    async close() {
      await Promise.all([own.close(), others.close()]);
    },
  };
}

function bind(server: Server, address: string, credentials: ServerCredentials): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync(address, credentials, (error, port) => (error ? reject(error) : resolve(port)));
  });
}

/** `admits`: whether a Check may be decided at all. */
function createPolicyServer(options: PolicyServerOptions, admits: EdgeProof) {
  const { authorize, sealAnswer, onFinished, serving, tracing, log } = options;
  const services = loadServices();
  const logStreams = new Set<ServerReadableStream<LogMessage, object>>();
  const server = new Server({
    'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
    'grpc.max_send_message_length': -1,
    'grpc-node.max_session_memory': 256,
    // Counts each call for a service that nobody serves here.
    'grpc.enable_channelz': 0,
  });

  server.addService(withDecisionEncoder(services.authorization), {
    Check(call: ServerUnaryCall<WireCheckRequest, Decision>, callback: sendUnaryData<Decision>) {
      // A decision answers its own failures; should it not, a rejection that nobody handles would end the process.
      const fail = (err: unknown): void => {
        log.error({ err }, 'check failed');
        reply(refuse('internal_error'), callback);
      };
      try {
        if (!admits(call.request)) {
          reply(refuse('edge_not_proven'), callback);
          return;
        }
        const trace = tracing?.begin(metadataOf(call, 'traceparent'), metadataOf(call, 'tracestate'));
        const decision = authorize(readCheck(call.request, call, trace));
        if (decision instanceof Promise) decision.then((settled) => reply(settled, callback)).catch(fail);
        else reply(decision, callback);
      } catch (err) {
        fail(err);
      }
    },
  });

  server.addService(services.externalProcessor, {
    Process(stream: ServerDuplexStream<WireProcessingRequest, WireProcessingResponse>) {
      let writing: Promise<void> = Promise.resolve();
      stream.on('data', (message: WireProcessingRequest) => {
        writing = writing.then(async () => {
          try {
            stream.write(await answerProcessing(message, sealAnswer));
          } catch (err) {
            log.error({ err }, 'initialize answer not sealed');
            stream.destroy(err as Error);
          }
        });
      });
      stream.on('end', () => void writing.then(() => stream.end()));
      stream.on('error', () => {});
    },
  });

  server.addService(withLogReader(services.accessLog), {
    StreamAccessLogs(stream: ServerReadableStream<LogMessage, object>, callback: sendUnaryData<object>) {
      // Only the first message of a stream says which logger it comes from.
      let name = '';
      logStreams.add(stream);
      stream.on('data', (message: LogMessage) => {
        name = message.logName ?? name;
        onFinished(message.finished, name);
      });
      const end = (): void => {
        if (logStreams.delete(stream)) callback(null, {});
      };
      stream.on('end', end);
      stream.on('error', end);
      stream.on('cancelled', end);
    },
  });

  server.addService(services.health, {
    Check(_call: unknown, callback: sendUnaryData<{ status: string }>) {
      callback(null, { status: serving() ? 'SERVING' : 'NOT_SERVING' });
    },
  });

  return {
    server,
    close: () =>
      new Promise<void>((resolve) => {
        const timer = setTimeout(() => {
          server.forceShutdown();
          resolve();
        }, STOP_TIMEOUT_MS);
        server.tryShutdown(() => {
          clearTimeout(timer);
          resolve();
        });
        // Envoy keeps its log streams open for ever: a shutdown that waited for them would never end.
        for (const stream of logStreams) stream.emit('end');
      }),
  };
}

/** proto-loader's own encoder costs five times as much. */
function withDecisionEncoder(service: ServiceDefinition): ServiceDefinition {
  const { Check } = service;
  if (!Check) throw new Error('proto/ has no Check');
  return { Check: { ...Check, responseSerialize: (decision: Decision) => encodeDecision(decision) } };
}

function withLogReader(service: ServiceDefinition): ServiceDefinition {
  const { StreamAccessLogs } = service;
  if (!StreamAccessLogs) throw new Error('proto/ has no StreamAccessLogs');
  return { StreamAccessLogs: { ...StreamAccessLogs, requestDeserialize: readLogMessage } };
}

function reply(decision: Decision, callback: sendUnaryData<Decision>): void {
  if (decision.kind === 'answer' && decision.status === 499) callback({ code: Status.CANCELLED, details: 'client gone' });
  else callback(null, decision);
}

function metadataOf(call: ServerUnaryCall<WireCheckRequest, Decision>, name: string): string | undefined {
  return call.metadata.get(name)[0]?.toString();
}
