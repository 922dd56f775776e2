// The headers that tell an upstream who is calling; a client's own are gone before (Envoy strips `x-mcp-*`).

import type { TicketCaller } from '../session/ticket.ts';

/** Visible ASCII without the percent sign and the comma. */
const PLAIN = /^[\x21-\x24\x26-\x2b\x2d-\x7e]*$/;

/**
 * Other values are percent-encoded: a header cannot carry them, and neither may a role that holds a comma read as two roles,
 * nor a subject that holds `%20` be taken for one with a space. Decoding gives back the value in every case.
 */
export function identityHeaders(caller: TicketCaller): (readonly [string, string])[] {
  return [
    ['x-mcp-subject', encode(caller.subject)],
    ['x-mcp-tenant', encode(caller.tenant)],
    ['x-mcp-roles', caller.roles.map(encode).join(',')],
  ];
}

function encode(value: string): string {
  // By way of UTF-8, which replaces lone surrogates: they have no encoding, and a claim in a token may hold some.
  return PLAIN.test(value) ? value : encodeURIComponent(Buffer.from(value).toString());
}
