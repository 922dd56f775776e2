// The gRPC server that Envoy asks: Check, Process, StreamAccessLogs and health, on one unix socket.

import { rmSync } from 'node:fs';
import {
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
import { answerProcessing, type WireProcessingRequest, type WireProcessingResponse } from './initialize-answer.ts';
import { loadServices } from './services.ts';

/** The largest message is a Check with 1 MiB of body. */
const MAX_MESSAGE_BYTES = 4 * 1024 * 1024;
/** How long a stop waits for calls that are under way. */
const STOP_TIMEOUT_MS = 5_000;

export interface PolicyServerOptions {
  readonly socket: string;
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
  close(): Promise<void>;
}

export async function startPolicyServer(options: PolicyServerOptions): Promise<PolicyServer> {
  const { socket, authorize, sealAnswer, onFinished, serving, tracing, log } = options;
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

  // The socket of a predecessor that was killed is still there; the supervisor starts no two processes for one path.
  rmSync(socket, { force: true });
  await new Promise<void>((resolve, reject) => {
    server.bindAsync(`unix:${socket}`, ServerCredentials.createInsecure(), (error) => (error ? reject(error) : resolve()));
  });

  return {
    close: () =>
      new Promise((resolve) => {
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
