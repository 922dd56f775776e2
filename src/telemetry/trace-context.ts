// W3C Trace Context as it comes in: `traceparent` of a header or of a message's `_meta`, believed only when it is well-formed.

export interface TraceParent {
  readonly traceId: string;
  readonly spanId: string;
  readonly sampled: boolean;
}

/** Versions after 00 may have more behind the flags. */
const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-[\x21-\x7e]*)?$/;
const MAX_CHARS = 512;

/** Undefined for what is not well-formed (https://www.w3.org/TR/trace-context/#traceparent-header). */
export function parseTraceParent(text: string | undefined): TraceParent | undefined {
  if (text === undefined || text.length > MAX_CHARS) return undefined;
  const [, version, traceId = '', spanId = '', flags = '', more] = TRACEPARENT.exec(text) ?? [];
  if (version === undefined || version === 'ff' || (version === '00' && more !== undefined)) return undefined;
  if (/^0+$/.test(traceId) || /^0+$/.test(spanId)) return undefined;
  return { traceId, spanId, sampled: (Number.parseInt(flags, 16) & 1) === 1 };
}
