// One request whose shape, caller and body are known: what the later steps of a decision share, and what is said of it afterwards.

import type { RpcFields } from '../core/rpc-peek.ts';
import type { Backend } from '../directory/snapshot.ts';
import type { Admission } from './admission.ts';
import type { Asked } from './body.ts';
import type { Caller } from './caller.ts';
import type { GatewayRequest, RequestFacts } from './request.ts';
import type { Shaped } from './shape.ts';

/** Longer names of methods and tools are cut in tickets, metadata and log lines: a client may send 64 KiB of them. */
const MAX_NAME_CHARS = 128;

export interface Case {
  readonly request: GatewayRequest;
  readonly shaped: Shaped;
  readonly backend: Backend;
  readonly caller: Caller;
  readonly asked: Asked;
  /** Undefined until the limits have been asked, and when none apply. */
  readonly admission: Admission | undefined;
}

/** `undefined` fields are not written anywhere: one literal is cheaper than putting it together. */
export function factsOf({ backend, caller, asked }: Case, instance?: string, recovered?: boolean): RequestFacts {
  const { method, tool } = namesOf(asked.batch, asked.single);
  return { backend: backend.name, method, tool, tenant: caller.tenant, subject: caller.subject, instance, recovered, reason: undefined };
}

/** What a request calls, for people: the method, and the tool of a `tools/call`. */
export function namesOf(batch: boolean, single: Pick<RpcFields, 'method' | 'name'> | undefined): Pick<RequestFacts, 'method' | 'tool'> {
  if (batch) return { method: 'batch', tool: undefined };
  return { method: cut(single?.method), tool: single?.method === 'tools/call' ? cut(single.name) : undefined };
}

function cut(name: string | undefined): string | undefined {
  return name !== undefined && name.length > MAX_NAME_CHARS ? name.slice(0, MAX_NAME_CHARS) : name;
}
